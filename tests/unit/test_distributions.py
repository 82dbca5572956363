"""How the latencies of a run were spread, by the percentiles that LoadGen logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf.errors import Place
from pytest_mlperf.evidence import DetailLog, Distribution, Evidence, Fact, Summary
from pytest_mlperf.verdict.latencies import distributions
from pytest_mlperf.verdict.run import Run

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACE = Place(path="detail.txt", line=1)
NONE = Fact(key="errors", value=0, place=PLACE)
SUMMARY = Summary(validity=None, constraints={}, recommendations=(), warnings=NONE, errors=NONE)

QUERY = {
    "result_min_latency_ns": 1,
    "result_50.00_percentile_latency_ns": 5,
    "result_99.00_percentile_latency_ns": 9,
    "result_max_latency_ns": 20,
}
SPREAD = ((0.0, 1), (0.5, 5), (0.99, 9), (1.0, 20))
PER_QUERY = {
    "result_min_query_latency_ns": 2,
    "result_99.00_percentile_per_query_latency_ns": 7,
    "result_max_query_latency_ns": 8,
}
SERVER = {"effective_target_latency_ns": 15, "effective_target_latency_percentile": 0.97}
TOKENS = {
    "requested_use_token_latencies": True,
    "requested_server_ttft_latency": 2000,
    "requested_server_tpot_latency": 200,
    "result_first_token_99.00_percentile_latency_ns": 1000,
    "result_time_per_output_token_99.00_percentile_ns": 100,
}


def told(scenario: str, facts: Mapping[str, Any]) -> tuple[Distribution, ...]:
    known = {
        key: Fact(key=key, value=value, place=PLACE)
        for key, value in {"effective_scenario": scenario, **facts}.items()
    }
    detail = DetailLog(facts=known, errors=(), warnings=())
    return distributions(Run(evidence=Evidence(detail=detail, summary=SUMMARY, accuracy=None)))


@pytest.mark.parametrize(
    ("scenario", "facts", "expected"),
    [
        ("SingleStream", QUERY, [Distribution(of="query", quantiles=SPREAD)]),
        ("Offline", QUERY, [Distribution(of="sample", quantiles=SPREAD)]),
        (
            "MultiStream",
            {**QUERY, **PER_QUERY},
            [Distribution(of="query", quantiles=((0.0, 2), (0.99, 7), (1.0, 8)))],
        ),
        ("Server", {**QUERY, **SERVER}, [Distribution(of="query", quantiles=SPREAD, limit=(0.97, 15))]),
        ("Server", QUERY, [Distribution(of="query", quantiles=SPREAD)]),
        (
            "Server",
            {**QUERY, **SERVER, **TOKENS},
            [
                Distribution(of="first token", quantiles=((0.99, 1000),), limit=(0.99, 2000)),
                Distribution(of="time per output token", quantiles=((0.99, 100),), limit=(0.99, 200)),
            ],
        ),
        ("SingleStream", {}, []),
        ("SingleStream", {"result_min_latency_ns": "soon"}, []),
    ],
)
def test_distributions(scenario: str, facts: Mapping[str, Any], expected: list[Distribution]) -> None:
    assert list(told(scenario, facts)) == expected
