from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.executor.stages import Step
from pytest_mlperf.hardware.matching import Delta
from pytest_mlperf.record import Measurement
from pytest_mlperf.report.properties import properties
from pytest_mlperf.verdict import Finding, Margin

if TYPE_CHECKING:
    from tests.unit.conftest import MakeCase, MakeRecord

NAME = "A2x2_TRT-custom_k_99_MaxP-Offline-PerformanceMode"
QPS = Measurement(name="result_samples_per_second", value=98887.25, unit="samples/s")
P90 = Measurement(name="result_90.00_percentile_latency_ns", value=1500, unit="ns")


def test_what_a_record_is_of_how_it_ended_and_what_was_measured(make_record: MakeRecord) -> None:
    assert list(properties(make_record(measurements=(QPS, P90)))) == [
        ("metric", NAME),
        ("value", "1.0"),
        ("unit", "VALID/INVALID"),
        ("benchmark", "bert"),
        ("scenario", "Offline"),
        ("mode", "PerformanceOnly"),
        ("SKU", "A2x2"),
        ("round", "v2.0"),
        ("conformance", "round"),
        ("ending", "pass"),
        ("result_samples_per_second", "98887.2 samples/s"),
        ("result_90.00_percentile_latency_ns", "1500 ns"),
    ]


def test_a_failed_accuracy_run_of_smoke_conformance(make_record: MakeRecord, make_case: MakeCase) -> None:
    case = make_case(mode="AccuracyOnly", conformance="smoke")
    found = dict(properties(make_record(case=case, ending="fail", neighbours=("b",))))
    assert (found["value"], found["unit"], found["ending"]) == ("0.0", "PASS/FAIL", "fail")
    assert found["conformance"] == "smoke (shortened: not submission-valid)"
    assert found["neighbours"] == "b"


@pytest.mark.parametrize("ending", ["unplaced", "error", "dropped"])
def test_without_a_verdict_there_is_no_value(ending: str, make_record: MakeRecord) -> None:
    found = dict(properties(make_record(ending=ending)))
    assert found["ending"] == ending
    assert not {"value", "unit"} & found.keys()


@pytest.mark.parametrize(
    ("neighbours", "told"),
    [
        pytest.param(("b", "c"), "b, c", id="shared"),
        pytest.param((), None, id="alone"),
        pytest.param(None, None, id="nothing ran"),
    ],
)
def test_a_measurement_names_its_neighbours(
    neighbours: tuple[str, ...] | None, told: str | None, make_record: MakeRecord
) -> None:
    assert dict(properties(make_record(neighbours=neighbours))).get("neighbours") == told


def test_devices_and_their_differences_are_told(make_record: MakeRecord) -> None:
    capped = Delta(trait="power limit", expected="60 W", found="40 W")
    found = dict(properties(make_record(devices=("GPU-0", "GPU-1"), deltas=(capped,))))
    assert found["devices"] == "GPU-0, GPU-1"
    assert found["partial_match"] == "power limit: needs 60 W, found 40 W"
    assert found["conformance"] == "round (partial match: power limit: needs 60 W, found 40 W)"


def test_what_containers_were_allowed_is_told(make_record: MakeRecord) -> None:
    steps = (
        Step(name="run", image="sha256:1", privileges=("network=host", "seccomp=unconfined")),
        Step(name="score", image="sha256:1", privileges=("network=none",)),
    )
    assert dict(properties(make_record(steps=steps)))["privileges"] == "network=host, seccomp=unconfined"
    assert "privileges" not in dict(properties(make_record(steps=steps[1:])))


NEAR = Finding(
    rule="latency",
    expected="<= 100 ms",
    observed="97 ms",
    satisfied=True,
    source="s",
    margin=Margin(percent=3, bound="most"),
)
OVER = Finding(
    rule="early stopping",
    expected=">= 64 queries",
    observed="36 queries",
    satisfied=False,
    source="s",
    next_step="set min_query_count from 20 to 64",
)


def test_the_tightest_margin_is_told(make_record: MakeRecord) -> None:
    found = list(properties(make_record(findings=(NEAR,))))
    assert ("margin", "latency: 3.0 % below the limit") in found


def test_what_is_broken_and_the_next_step_are_told(make_record: MakeRecord) -> None:
    relaxed = replace(OVER, relaxed=True, next_step=None)
    found = list(properties(make_record(ending="fail", findings=(NEAR, OVER, relaxed))))
    assert found[-3:] == [
        ("margin", "latency: 3.0 % below the limit"),
        ("broken", "early stopping: expected >= 64 queries, observed 36 queries"),
        ("next_step", "set min_query_count from 20 to 64"),
    ]
