"""A record in words: the short block under a failing item, and the line of a passing one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mlperf.report.comparisons import told
from pytest_mlperf.units import format_number, format_quantity
from pytest_mlperf.verdict import tightest
from pytest_mlperf.verdict.baseline import rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_mlperf.record import Record
    from pytest_mlperf.verdict import Finding


MOST_LINES = 100
MOST_CHARACTERS = 2000
"""How much is said of one case, and in a line: readers of JUnit take no file of any size."""


def explain(record: Record) -> str:
    """Return the block: verdict, what was measured, and for each broken rule expected, observed and file."""
    lines = list(_lines(record))
    left_out = len(lines) - MOST_LINES
    more = [f"  {left_out} more lines are left out here: they stand in records.jsonl"] if left_out > 0 else []
    return "\n".join([*map(shortened, lines[:MOST_LINES]), *more])


def shortened(line: str) -> str:
    """Return a line, or its beginning where it is too long."""
    return line if len(line) <= MOST_CHARACTERS else f"{line[:MOST_CHARACTERS]}..."


def summary(record: Record) -> str:
    """Return the block of a record that did not pass; a line of one that did, with its tightest margin."""
    if record.ending != "pass":
        return explain(record)
    near = tightest(record.findings)
    margin = f"; tightest margin: {near.rule}, {near.margin}" if near else ""
    labels = f" ({'; '.join(record.labels)})" if record.labels else ""
    return shortened(f"{record.case.id}: {headline(record)}{labels}{margin}")


def headline(record: Record) -> str:
    """Return verdict and first measurement: `VALID, 98887.3 samples/s`."""
    word = record.verdict or record.ending
    first = next(iter(record.measurements), None)
    return f"{word}, {format_quantity(first.value, first.unit)}" if first else word


def tightest_of(records: Iterable[Record], *, most: int) -> list[tuple[Record, Finding]]:
    """Return the passing measurements that came nearest to a limit of their own, the nearest first.

    Accuracy is left out: it is the same in every run, however near it is.
    """
    passed = (r for r in records if r.ending == "pass" and r.case.mode == "PerformanceOnly")
    near = [(near.margin.percent, r, near) for r in passed if (near := tightest(r.findings)) and near.margin]
    return [(record, finding) for _, record, finding in sorted(near, key=lambda row: row[0])[:most]]


def nearest(records: Iterable[Record]) -> str | None:
    """Return which passing measurement came nearest to a limit of its own, and how near; None without any."""
    for record, near in tightest_of(records, most=1):
        return f"nearest to its limit: {record.case.id}: {near.rule}, {near.margin}"
    return None


def _lines(record: Record) -> Iterator[str]:
    labels = f" ({'; '.join(record.labels)})" if record.labels else ""
    yield f"{record.case.id}: {headline(record)}{labels}"
    if record.reason and (record.ending == "error" or not record.findings):
        for line in record.reason.splitlines():
            yield f"  {line}"
    for finding in record.findings:
        if finding.broken:
            yield from _finding(finding)
    for measurement in record.measurements:
        yield f"  {measurement.name}: {measurement}"
    for comparison in record.comparisons:
        yield f"  {rule(comparison.baseline.kind)}: {told(comparison)}"
    yield from _attempts(record)
    yield from _circumstances(record)
    if record.expected_failure:
        yield f"  expected to fail: {record.expected_failure}"
    if record.folder:
        yield f"  logs: {record.folder}"


def _attempts(record: Record) -> Iterator[str]:
    if record.tally:
        yield f"  attempts: {record.tally}"
        for number, attempt in enumerate(record.attempts, 1):
            values = (f"{m.name} {format_number(m.value)} {m.unit}" for m in attempt.measurements)
            why = [f": {attempt.reason}"] if attempt.reason else []
            yield "".join([f"    {number}: {attempt.ending}", *(f", {value}" for value in values), *why])


def _circumstances(record: Record) -> Iterator[str]:
    near = tightest(record.findings)
    if near and record.ending == "pass":
        yield f"  tightest margin: {near.rule}, {near.margin} ({near.observed}; {near.expected})"
    for name, beside in (
        ("other programs on its devices", record.foreign),
        ("neighbours", record.neighbours),
    ):
        if beside:
            yield f"  {name}: {', '.join(beside)}"


def _finding(finding: Finding) -> Iterator[str]:
    yield f"  {finding.rule}"
    yield f"    expected: {finding.expected}"
    yield f"    observed: {finding.observed}"
    if finding.margin:
        yield f"    margin: {finding.margin}"
    if finding.place:
        yield f"    in: {finding.place}"
    if finding.next_step:
        yield f"    next: {finding.next_step}"
    if finding.advice:
        yield f"    LoadGen recommends: {finding.advice}"
    yield f"    rule of: {finding.source}"
