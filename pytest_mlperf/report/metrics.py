"""The metrics of a session: one row each, for every file and every reader; and `metrics.csv`.

Their names are those that VirtualClient reported, with more beside them. A name is shared by several
benchmarks: `Scenario` (VirtualClient's word for the benchmark) is part of its identity. A case without a
verdict has no rows: unknown is not 0.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.units import format_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pytest_mlperf.matrix import Case
    from pytest_mlperf.record import Attempt, Ending, PublishedCase, Record
    from pytest_mlperf.report.conformance import Conformance

FILE = "metrics.csv"
COLUMNS = ("Scenario", "Metric Name", "Value", "Unit", "SKU", "Round", "Conformance", "Host")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One metric of one run of a case.

    value:        of a verdict, 1.0 or 0.0
    measurement:  the key that LoadGen or the accuracy script has for it; None for a verdict
    attempt:      which run of the case, from 1
    """

    case: Case | PublishedCase
    run: Record | Attempt
    attempt: int
    name: str
    value: float
    unit: str
    measurement: str | None
    labels: tuple[str, ...]

    @property
    def is_verdict(self) -> bool:
        """Whether it says that the run passed or failed."""
        return self.measurement is None

    @property
    def text(self) -> str:
        """The value as it is written in texts."""
        return f"{self.value:.1f}" if self.is_verdict else format_number(self.value)

    @property
    def conformance(self) -> str:
        """What the result is good for, with what must be said beside it."""
        return _conformance(self.case, self.labels)


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a session found out, for those that keep figures.

    session:     its id, as in `records.jsonl`
    started_at:  ISO 8601, UTC
    """

    session: str
    host: str
    started_at: str
    conformance: Conformance
    records: tuple[Record, ...]

    @property
    def rows(self) -> Iterator[Row]:
        """The metrics of all records that have a verdict."""
        for record in self.records:
            yield from rows(record)


def write(folder: Path, sessions: Iterable[Results]) -> None:
    """Write the metrics of all records that have a verdict, of one session or of several."""
    with (folder / FILE).open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for results in sessions:
            writer.writerows(_cells(row, results.host) for row in results.rows)


def _cells(row: Row, host: str) -> tuple[str, ...]:
    case = row.case
    return (case.benchmark, row.name, row.text, row.unit, case.sku, case.round, row.conformance, host)


def conformance(record: Record) -> str:
    """Return `round`, or `smoke (shortened: not submission-valid)`."""
    return _conformance(record.case, record.labels)


def _conformance(case: Case | PublishedCase, labels: tuple[str, ...]) -> str:
    return case.conformance + (f" ({'; '.join(labels)})" if labels else "")


def rows(record: Record) -> Iterator[Row]:
    """Give the metrics of a record; of each attempt, where a case had several.

    The verdict has the case's metric name, 1.0 or 0.0 and VirtualClient's unit; a measurement has the name
    `<configuration>-<key of LoadGen or of the accuracy script>`.
    """
    case, labels = record.case, record.labels
    for attempt, run in enumerate(record.runs, 1):
        found = [(None, (name, float(word), unit)) for name, word, unit in verdict_row(record, run.ending)]
        keys = (measurement.name for measurement in run.measurements)
        for key, (name, value, unit) in (*found, *zip(keys, measured(record, run), strict=True)):
            yield Row(
                case=case,
                run=run,
                attempt=attempt,
                name=name,
                value=value,
                unit=unit,
                measurement=key,
                labels=labels,
            )


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
