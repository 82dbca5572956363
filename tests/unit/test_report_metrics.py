from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf.record import Measurement
from pytest_mlperf.report.conformance import add_up
from pytest_mlperf.report.metrics import COLUMNS, FILE, Results, conformance, rows, write

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mlperf.record import Record
    from tests.unit.conftest import MakeCase, MakeRecord

NAME = "A2x2_TRT-custom_k_99_MaxP-Offline"
QPS = Measurement(name="result_samples_per_second", value=1234.5678, unit="samples/s")
ACCURACY = {
    "mode": "AccuracyOnly",
    "id": f"bert-{NAME}-AccuracyMode",
    "metric_name": f"{NAME}-AccuracyMode",
}


def texts(record: Record) -> list[tuple[str, str, str]]:
    return [(row.name, row.text, row.unit) for row in rows(record)]


@pytest.mark.parametrize(("ending", "value"), [("pass", "1.0"), ("fail", "0.0")])
def test_a_performance_run_is_valid_or_not(ending: str, value: str, make_record: MakeRecord) -> None:
    record = make_record(ending=ending, measurements=(QPS,))
    assert texts(record) == [
        (f"{NAME}-PerformanceMode", value, "VALID/INVALID"),
        (f"{NAME}-result_samples_per_second", "1234.6", "samples/s"),
    ]


@pytest.mark.parametrize(("ending", "value"), [("pass", "1.0"), ("fail", "0.0")])
def test_an_accuracy_run_passes_or_fails(
    ending: str, value: str, make_record: MakeRecord, make_case: MakeCase
) -> None:
    record = make_record(
        case=make_case(**ACCURACY),
        ending=ending,
        measurements=(
            Measurement(name="AccuracyValue", value=90.874, unit="%"),
            Measurement(name="ThresholdValue", value=89.96526, unit="%"),
        ),
    )
    assert texts(record) == [
        (f"{NAME}-AccuracyMode", value, "PASS/FAIL"),
        (f"{NAME}-AccuracyValue", "90.874", "%"),
        (f"{NAME}-ThresholdValue", "89.9653", "%"),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"ending": "unplaced", "folder": None}, id="unplaced"),
        pytest.param({"ending": "error"}, id="error"),
        pytest.param({"ending": "error", "folder": None}, id="error before it began"),
        pytest.param({"ending": "dropped", "folder": None}, id="dropped"),
        pytest.param({"ending": "fail", "folder": None}, id="hardware that was promised"),
    ],
)
def test_without_a_verdict_there_is_no_row(changes: dict[str, Any], make_record: MakeRecord) -> None:
    assert list(rows(make_record(**changes))) == []


def test_a_shortened_run_is_said_to_be_so(make_record: MakeRecord, make_case: MakeCase) -> None:
    assert conformance(make_record()) == "round"
    smoke = make_record(case=make_case(conformance="smoke"))
    assert conformance(smoke) == "smoke (shortened: not submission-valid)"


def test_the_file_has_a_row_a_metric(tmp_path: Path, make_record: MakeRecord, make_case: MakeCase) -> None:
    smoke = make_case(conformance="smoke", benchmark='a, "b"', sku="CPU")
    records = (
        make_record(measurements=(QPS,)),
        make_record(ending="dropped", folder=None),
        make_record(case=smoke, ending="fail"),
    )
    results = Results(
        session="s",
        host="node-7",
        started_at="2026-11-30T08:00:00+00:00",
        conformance=add_up(records),
        records=records,
    )
    write(tmp_path, [results])
    text = (tmp_path / FILE).read_bytes().decode()
    of_a2 = ("A2x2", "v2.0", "round", "node-7")
    assert FILE == "metrics.csv"
    assert "\r" not in text
    assert list(csv.reader(text.splitlines())) == [
        list(COLUMNS),
        ["bert", f"{NAME}-PerformanceMode", "1.0", "VALID/INVALID", *of_a2],
        ["bert", f"{NAME}-result_samples_per_second", "1234.6", "samples/s", *of_a2],
        [
            'a, "b"',
            f"{NAME}-PerformanceMode",
            "0.0",
            "VALID/INVALID",
            "CPU",
            "v2.0",
            "smoke (shortened: not submission-valid)",
            "node-7",
        ],
    ]


def test_the_file_of_nothing_has_its_columns(tmp_path: Path) -> None:
    write(tmp_path, [])
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    assert text == "Scenario,Metric Name,Value,Unit,SKU,Round,Conformance,Host\n"
