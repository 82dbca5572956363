"""`metrics.csv`: the metrics that VirtualClient reported, under its names, and more beside them.

A metric's name is shared by several benchmarks: `Scenario` (VirtualClient's word for the benchmark) is
part of its identity. A case without a verdict has no rows: unknown is not 0.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from pytest_mlperf.units import format_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pytest_mlperf.record import Attempt, Ending, Record

FILE = "metrics.csv"
COLUMNS = ("Scenario", "Metric Name", "Value", "Unit", "SKU", "Round", "Conformance")


def write(folder: Path, records: Iterable[Record]) -> None:
    """Write the metrics of all records that have a verdict."""
    with (folder / FILE).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for record in records:
            for name, value, unit in rows(record):
                case = record.case
                writer.writerow(
                    (case.benchmark, name, value, unit, case.sku, case.round, conformance(record))
                )


def conformance(record: Record) -> str:
    """Return `round`, or `smoke (shortened: not submission-valid)`."""
    labels = f" ({'; '.join(record.labels)})" if record.labels else ""
    return record.case.conformance + labels


def rows(record: Record) -> Iterator[tuple[str, str, str]]:
    """Give name, value and unit of each metric of a record; of each attempt, where a case had several.

    The verdict has the case's metric name, 1.0 or 0.0 and VirtualClient's unit; a measurement has the name
    `<configuration>-<key of LoadGen or of the accuracy script>`.
    """
    for run in record.runs:
        yield from verdict_row(record, run.ending)
        for name, value, unit in measured(record, run):
            yield name, format_number(value), unit


def measured(record: Record, run: Record | Attempt) -> Iterator[tuple[str, float, str]]:
    """Give name, value and unit of what was measured in a run of a case."""
    configuration = record.case.metric_name.rpartition("-")[0]
    for measurement in run.measurements:
        yield f"{configuration}-{measurement.name}", measurement.value, measurement.unit


def verdict_row(record: Record, ending: Ending) -> Iterator[tuple[str, str, str]]:
    """Give the metric of the verdict that a case, or one of its attempts, had; none where there was none."""
    if record.folder is not None and ending in ("pass", "fail"):
        unit = "VALID/INVALID" if record.case.mode == "PerformanceOnly" else "PASS/FAIL"
        yield record.case.metric_name, "1.0" if ending == "pass" else "0.0", unit
