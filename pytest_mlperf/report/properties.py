"""The properties of a case in JUnit and HTML: the same names and order everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mlperf.report.comparisons import told
from pytest_mlperf.report.explanation import shortened
from pytest_mlperf.report.metrics import conformance, verdict_row
from pytest_mlperf.verdict import tightest
from pytest_mlperf.verdict.official import LENIENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_mlperf.record import Record


def properties(record: Record) -> Iterator[tuple[str, str]]:
    """Give the properties of a record: what it is of, how it ended, and what was measured.

    `metric`, `value` and `unit` are of the verdict, as in `metrics.csv`; a measurement stands under its own
    name, with its unit behind the value. Without a verdict there is no value.
    """
    for name, text in _properties(record):
        yield shortened(name), shortened(text)


def _properties(record: Record) -> Iterator[tuple[str, str]]:
    case = record.case
    yield "metric", case.metric_name
    for _, value, unit in verdict_row(record, record.ending):
        yield "value", value
        yield "unit", unit
    yield "benchmark", case.benchmark
    yield "scenario", case.scenario
    yield "mode", case.mode
    yield "SKU", case.sku
    yield "round", case.round
    yield "conformance", conformance(record)
    yield "ending", record.ending
    if record.tally:
        yield "attempts", record.tally
    for measurement in record.measurements:
        yield measurement.name, str(measurement)
    for comparison in record.comparisons:
        yield "baseline", f"{comparison.baseline.kind}: {told(comparison)}"
    yield from _reasons(record)
    yield from _circumstances(record)


def _reasons(record: Record) -> Iterator[tuple[str, str]]:
    near = tightest(record.findings)
    if near and record.verdict:
        yield "margin", f"{near.rule}: {near.margin}"
    for finding in record.findings:
        if finding.broken:
            yield "broken", f"{finding.rule}: expected {finding.expected}, observed {finding.observed}"
        if finding.next_step == LENIENT:
            yield "let_pass", f"{finding.rule}: expected {finding.expected}, observed {finding.observed}"
        if finding.next_step:
            yield "next_step", finding.next_step


def _circumstances(record: Record) -> Iterator[tuple[str, str]]:
    if record.devices:
        yield "devices", ", ".join(record.devices)
    if record.image:
        yield "image", record.image
    if record.privileges:
        yield "privileges", ", ".join(record.privileges)
    for delta in record.deltas:
        yield "partial_match", str(delta)
    if record.foreign:
        yield "foreign", ", ".join(record.foreign)
    if record.neighbours:
        yield "neighbours", ", ".join(record.neighbours)
