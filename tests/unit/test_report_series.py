from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf.hardware.matching import Delta
from pytest_mlperf.record import Measurement
from pytest_mlperf.report.conformance import add_up
from pytest_mlperf.report.metrics import Results
from pytest_mlperf.report.series import Point, points

if TYPE_CHECKING:
    from pytest_mlperf.record import Record
    from tests.unit.conftest import MakeCase, MakeRecord


def series(*records: Record) -> list[Point]:
    results = Results(
        session="s",
        host="h",
        started_at="2026-01-02T03:04:05+00:00",
        conformance=add_up(records),
        records=records,
    )
    return list(points(results))


def values(found: list[Point]) -> dict[str, float]:
    return {point.family.snake: point.value for point in found}


# Unit and value of a measurement, the names of its family, and the value in base units.
UNITS: dict[str, tuple[float, str, str, str, float]] = {
    "ns": (7_051_000.0, "mlperf_latency_seconds", "mlperf.latency", "s", 0.007051),
    "samples/s": (
        98.5,
        "mlperf_throughput_samples_per_second",
        "mlperf.throughput.samples",
        "{sample}/s",
        98.5,
    ),
    "tokens/s": (
        2.5,
        "mlperf_throughput_tokens_per_second",
        "mlperf.throughput.tokens",
        "{token}/s",
        2.5,
    ),
    "%": (90.874, "mlperf_quality_ratio", "mlperf.quality", "1", 0.90874),
    "1": (0.8025, "mlperf_score", "mlperf.score", "1", 0.8025),
    "W": (312.0, "mlperf_measurement", "mlperf.measurement", "1", 312.0),
}


@pytest.mark.parametrize("unit", UNITS)
def test_a_measurement_is_told_in_base_units(unit: str, make_record: MakeRecord) -> None:
    value, snake, dotted, ucum, told = UNITS[unit]
    record = make_record(measurements=(Measurement(name="key", value=value, unit=unit),))
    (point,) = (point for point in series(record) if "measurement" in point.labels)
    assert (point.family.snake, point.family.dotted, point.family.unit) == (snake, dotted, ucum)
    assert point.value == pytest.approx(told)
    assert point.labels["measurement"] == "key"
    assert point.labels.get("unit") == (unit if unit == "W" else None)


@pytest.mark.parametrize(
    ("changes", "passed", "conformant"),
    [
        pytest.param({}, 1.0, 1.0, id="pass"),
        pytest.param({"ending": "fail"}, 0.0, 0.0, id="fail"),
        pytest.param({"ending": "error"}, None, 0.0, id="error"),
        pytest.param({"ending": "unplaced", "folder": None}, None, 0.0, id="unplaced"),
    ],
)
def test_a_case_without_a_verdict_has_no_series(
    changes: dict[str, Any], passed: float | None, conformant: float, make_record: MakeRecord
) -> None:
    found = values(series(make_record(**changes)))
    assert found["mlperf_session_conformant"] == conformant
    assert found.get("mlperf_case_passed") == passed
    assert found.get("mlperf_run_passed") == passed


def test_a_session_counts_its_endings_and_says_when_it_began(make_record: MakeRecord) -> None:
    found = series(make_record(), make_record(ending="dropped", folder=None))
    counts = {p.labels["ending"]: p.value for p in found if p.family.snake == "mlperf_session_cases"}
    assert counts == {"pass": 1, "fail": 0, "unplaced": 0, "error": 0, "dropped": 1}
    assert values(found)["mlperf_session_start_time_seconds"] == 1767323045


def test_labels_say_a_word_of_what_must_be_said_and_no_more(
    make_record: MakeRecord, make_case: MakeCase
) -> None:
    delta = Delta(trait="memory", expected="80 GiB", found="40 GiB")
    record = make_record(case=make_case(conformance="smoke"), deltas=(delta,))
    (point,) = (point for point in series(record) if point.family.snake == "mlperf_case_passed")
    assert point.labels["conformance"] == "smoke (shortened, partial match)"
