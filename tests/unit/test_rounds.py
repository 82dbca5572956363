from __future__ import annotations

from decimal import Decimal

import pytest

from pytest_mlperf import rounds
from pytest_mlperf.evidence.accuracy import PATTERNS
from pytest_mlperf.matrix import SCENARIOS
from pytest_mlperf.rounds import Seeds

V2 = rounds.load("v2.0")

# Quality targets of MLPerf Inference v2.0: mlcommons/inference, tag v2.0, submission checker.
TARGETS = {
    "resnet50 99": "75.6954",
    "ssd-mobilenet 99": "21.78",
    "ssd-resnet34 99": "19.8",
    "rnnt 99": "91.6222725",
    "bert 99": "89.96526",
    "bert 99.9": "90.783126",
    "dlrm 99": "79.4475",
    "dlrm 99.9": "80.16975",
    "3d-unet 99": "0.8546769",
    "3d-unet 99.9": "0.86244669",
}

# Scenarios, and limit of the 99th percentile in Server.
TERMS = {
    "resnet50": ({"SingleStream", "MultiStream", "Server", "Offline"}, 15),
    "ssd-mobilenet": ({"SingleStream", "MultiStream", "Offline"}, None),
    "ssd-resnet34": ({"SingleStream", "MultiStream", "Server", "Offline"}, 100),
    "rnnt": ({"SingleStream", "Server", "Offline"}, 1000),
    "bert": ({"SingleStream", "Server", "Offline"}, 130),
    "dlrm": ({"Server", "Offline"}, 30),
    "3d-unet": ({"SingleStream", "Offline"}, None),
}


def test_the_rounds_that_are_known() -> None:
    assert rounds.names() == ("v2.0", "v4.1", "v5.1")


@pytest.mark.parametrize("name", ["v1.9", "", "../v2.0", "v2.0.yaml", "V2.0"])
def test_an_unknown_round_is_a_key_error(name: str) -> None:
    with pytest.raises(KeyError, match=f"^{name!r}$"):
        rounds.load(name)


def test_a_round_has_its_seeds_and_duration() -> None:
    assert V2.name == "v2.0"
    assert V2.min_duration_s == 600
    assert V2.seeds == Seeds(
        qsl=6655344265603136530, sample_index=15863379492028895792, schedule=12662793979680847247
    )


def test_a_round_has_its_benchmarks() -> None:
    assert set(V2.benchmarks) == set(TERMS)
    assert {f"{b.name} {level}" for b in V2.benchmarks.values() for level in b.accuracy_levels} == set(
        TARGETS
    )


@pytest.mark.parametrize("name", TERMS)
def test_a_benchmark_has_its_scenarios_and_latency_limit(name: str) -> None:
    scenarios, latency_ms = TERMS[name]
    benchmark = V2.benchmarks[name]
    assert benchmark.name == name
    assert set(benchmark.scenarios) == scenarios
    assert benchmark.scenarios == tuple(s for s in SCENARIOS if s in scenarios)
    assert benchmark.server_latency_ms == latency_ms


@pytest.mark.parametrize("name", TERMS)
def test_a_benchmark_can_be_scored(name: str) -> None:
    assert V2.benchmarks[name].metric in PATTERNS
    assert V2.benchmarks[name].unit == ("1" if name == "3d-unet" else "%")


@pytest.mark.parametrize("name", TERMS)
def test_a_published_duration_is_of_a_scenario_and_long_enough(name: str) -> None:
    durations_s = V2.benchmarks[name].published_duration_s
    assert bool(durations_s) is (name != "dlrm")
    assert set(durations_s) <= set(V2.benchmarks[name].scenarios)
    assert all(duration_s >= V2.min_duration_s for duration_s in durations_s.values())


@pytest.mark.parametrize("name", TARGETS)
def test_exactly_the_target_reaches_it(name: str) -> None:
    benchmark, _, level = name.partition(" ")
    assert float(TARGETS[name]) >= V2.benchmarks[benchmark].target_quality(level)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_is_a_part_of_the_reference(name: str) -> None:
    benchmark, _, level = name.partition(" ")
    target = V2.benchmarks[benchmark].target_quality(level)
    assert target == pytest.approx(float(TARGETS[name]), rel=1e-12)
    assert Decimal(str(V2.benchmarks[benchmark].reference_quality)) * Decimal(level) / 100 == Decimal(
        TARGETS[name]
    )
