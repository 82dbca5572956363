from __future__ import annotations

import pytest

from pytest_mlperf.evidence.user_conf import asked_for, parse

FILE = "loadgen/user.conf"

CONF = """\
# made for a test
bert.Server.target_qps = 100
*.Server.target_qps = 90
bert.*.min_query_count = 5   # a remark
*.*.min_query_count = 4

llama3.1-8b.Offline.target_qps = 1.5e3
bert.Server.target_latency = 130
bert.Server.target_latency = 100
"""


@pytest.mark.parametrize(
    ("model", "scenario", "key", "found"),
    [
        ("bert", "Server", "target_qps", (100, 2)),
        ("resnet50", "Server", "target_qps", (90, 3)),
        ("resnet50", "Offline", "target_qps", None),
        ("bert", "Offline", "min_query_count", (5, 4)),
        ("resnet50", "Offline", "min_query_count", (4, 5)),
        ("llama3.1-8b", "Offline", "target_qps", (1500, 7)),
        ("bert", "Server", "target_latency", (100, 9)),
        ("bert", "Server", "min_duration", None),
    ],
)
def test_the_nearest_line_counts(
    model: str, scenario: str, key: str, found: tuple[float, int] | None
) -> None:
    conf = parse(CONF, FILE)
    assert conf.ignored == ()
    fact = asked_for(conf, model=model, scenario=scenario, key=key)
    assert ((fact.value, fact.place.line) if fact else None) == found
    assert fact is None or fact.place.path == FILE


def test_a_scenario_counts_more_than_a_model() -> None:
    conf = parse("bert.*.min_duration = 1\n*.Server.min_duration = 2\n", FILE)
    fact = asked_for(conf, model="bert", scenario="Server", key="min_duration")
    assert fact is not None
    assert fact.value == 2


@pytest.mark.parametrize(
    "line",
    [
        *("bert.Server.target_qps=100", "bert.Server.target_qps =100", "bert.Server.target_qps = fast"),
        *("bert.Server.target_qps = 1 2", "target_qps = 100", "bert.target_qps = 1", "= 3", "\0", "a.b.c ="),
        "*.Server.performance_sample_count_override = 56200llama2-70b.*.min_duration = 1",
    ],
)
def test_what_loadgen_passes_over_is_told(line: str) -> None:
    conf = parse(f"{CONF}{line}\n", FILE)
    assert [(fact.value, fact.place.line) for fact in conf.ignored] == [(line, 10)]
    assert conf.asked == parse(CONF, FILE).asked


@pytest.mark.parametrize("text", ["", "\n\n", "# only words = 3\n"])
def test_nothing_may_be_asked(text: str) -> None:
    conf = parse(text, FILE)
    assert (dict(conf.asked), conf.ignored) == ({}, ())
