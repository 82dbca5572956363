from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf import rounds
from pytest_mlperf.errors import Place
from pytest_mlperf.evidence import DetailLog, Evidence, Fact, Summary
from pytest_mlperf.evidence.user_conf import parse
from pytest_mlperf.verdict.configuration import as_configured
from pytest_mlperf.verdict.run import CaseRun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_mlperf.verdict import Finding
    from tests.unit.conftest import MakeCase

ROUND = rounds.load("v2.0")
COUNT = Fact(key="count", value=0, place=Place(path="summary.txt", line=1))


def held(make_case: MakeCase, scenario: str, conf: str | None, **told: Any) -> list[Finding]:
    facts = {
        key: Fact(key=key, value=value, place=Place(path="detail.txt", line=1)) for key, value in told.items()
    }
    run = CaseRun(
        case=make_case(scenario=scenario),
        benchmark=ROUND.benchmarks["bert"],
        mlperf_round=ROUND,
        evidence=Evidence(
            detail=DetailLog(facts=facts, errors=(), warnings=()),
            summary=Summary(validity=None, constraints={}, recommendations=(), warnings=COUNT, errors=COUNT),
            accuracy=None,
            user_conf=None if conf is None else parse(conf, "user.conf"),
        ),
    )
    return list(as_configured(run))


# Scenario, what is asked, what LoadGen says, and whether that is the same.
CASES: Mapping[str, tuple[str, str, dict[str, Any], bool]] = {
    "duration": (
        "Offline",
        "bert.Offline.min_duration = 600000",
        {"requested_min_duration_ms": 600000},
        True,
    ),
    "another duration": (
        "Offline",
        "bert.Offline.min_duration = 600000",
        {"requested_min_duration_ms": 60000},
        False,
    ),
    "a duration nearly the same": (
        "Offline",
        "*.*.min_duration = 600000",
        {"requested_min_duration_ms": 599999},
        False,
    ),
    "a count that is cut to a whole one": (
        "Server",
        "bert.Server.min_query_count = 64.7",
        {"requested_min_query_count": 64},
        True,
    ),
    "a count as text": (
        "Server",
        "bert.Server.min_query_count = 64",
        {"requested_min_query_count": "64"},
        True,
    ),
    "a rate with six digits": (
        "Server",
        "bert.Server.target_qps = 12345.678901",
        {"requested_server_target_qps": 12345.7},
        True,
    ),
    "another rate": (
        "Server",
        "bert.Server.target_qps = 12345",
        {"requested_server_target_qps": 12340},
        False,
    ),
    "a rate of another scenario": (
        "Offline",
        "bert.Server.target_qps = 12345",
        {"requested_offline_expected_qps": 1},
        True,
    ),
    "the limit of Server": (
        "Server",
        "bert.Server.target_latency = 130",
        {"requested_server_target_latency_ns": 130_000_000},
        True,
    ),
    "another limit of Server": (
        "Server",
        "bert.Server.target_latency = 130",
        {"requested_server_target_latency_ns": 260_000_000},
        False,
    ),
    "the latency expected": (
        "SingleStream",
        "*.SingleStream.target_latency = 0.7",
        {"requested_single_stream_expected_latency_ns": 700_000},
        True,
    ),
    "the latency expected, of a part of a nanosecond": (
        "SingleStream",
        "*.SingleStream.target_latency = 0.00012345",
        {"requested_single_stream_expected_latency_ns": 123},
        True,
    ),
    "another percentile": (
        "Server",
        "bert.Server.target_latency_percentile = 99",
        {"requested_server_target_latency_percentile": 0.9},
        False,
    ),
    "the samples of a query": (
        "MultiStream",
        "bert.MultiStream.samples_per_query = 8",
        {"requested_multi_stream_samples_per_query": 8},
        True,
    ),
    "samples in memory": (
        "Offline",
        "bert.*.performance_sample_count_override = 10833",
        {"requested_performance_sample_count_override": 64},
        False,
    ),
    "nothing said": ("Offline", "bert.Offline.min_duration = 600000", {}, False),
    "nonsense said": (
        "Offline",
        "bert.Offline.min_duration = 600000",
        {"requested_min_duration_ms": None},
        False,
    ),
    "endless": ("Offline", "bert.Offline.min_duration = inf", {"requested_min_duration_ms": 600000}, False),
    "no number": ("Offline", "bert.Offline.min_duration = nan", {"requested_min_duration_ms": 600000}, False),
}


@pytest.mark.parametrize("name", CASES)
def test_loadgen_is_held_to_what_it_was_asked(name: str, make_case: MakeCase) -> None:
    scenario, conf, told, same = CASES[name]
    findings = held(make_case, scenario, conf, **told)
    assert all(finding.satisfied for finding in findings) is same


def test_a_finding_names_both_files(make_case: MakeCase) -> None:
    (finding,) = held(
        make_case, "Server", "\nbert.Server.target_latency = 130\n", requested_server_target_latency_ns=1
    )
    assert str(finding) == (
        "requested_server_target_latency_ns is broken: expected 130000000 "
        "(bert.Server.target_latency in user.conf:2), observed 1 [detail.txt:1]; "
        "next: look at whether user.conf is of this run, and at what else the harness tells LoadGen"
    )


def test_a_wildcard_may_lose(make_case: MakeCase) -> None:
    (finding,) = held(make_case, "Offline", "*.*.min_duration = 1\n", requested_min_duration_ms=2)
    assert finding.next_step == (
        "name model and scenario in user.conf: LoadGen's own entry for them wins over a wildcard"
    )


def test_a_line_that_loadgen_ignores_breaks_the_rule(make_case: MakeCase) -> None:
    (finding,) = held(make_case, "Offline", "bert.Offline.min_duration=1\nwords\n")
    assert str(finding) == (
        "user.conf is broken: expected lines of model.scenario.key = value, "
        "observed 2 that LoadGen ignores: bert.Offline.min_duration=1 [user.conf:1]; "
        "next: write numbers, and blanks around the equals sign"
    )


def test_without_the_file_nothing_is_held(make_case: MakeCase) -> None:
    assert held(make_case, "Offline", None) == []
