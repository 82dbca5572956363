"""How records are told: an item its own, and all of them together where pytest reports."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

import pytest

from pytest_mlperf.report import comparisons
from pytest_mlperf.report.conformance import acceptance
from pytest_mlperf.report.explanation import explain, nearest, summary
from pytest_mlperf.report.properties import properties

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from pytest_mlperf.record import Record
    from pytest_mlperf.report.conformance import Conformance
    from pytest_mlperf.report.machine import Machine

RECORD = pytest.StashKey["Record"]()


class Told(Protocol):
    """The records of a session, for whoever reports them."""

    @property
    def records(self) -> Mapping[str, Record]:
        """The records, by case id."""
        ...

    @property
    def conformance(self) -> Conformance | None:
        """What they add up to; None before the session ends, or where it is nothing."""
        ...

    @property
    def machines(self) -> Sequence[Machine]:
        """What they are of."""
        ...

    def record_of(self, nodeid: str) -> Record | None:
        """Return the record of an item, or None when it is no case."""
        ...


TOLD = pytest.StashKey[Told]()


def tell(item: pytest.Item, record: Record) -> Record:
    """Leave the record of an item where reports take it; skip it or report an error without a verdict."""
    if record.ending == "fail" and record.expected_failure:
        item.add_marker(pytest.mark.xfail(reason=record.expected_failure, strict=False))
    item.stash[RECORD] = record
    item.user_properties.extend(properties(record))
    if record.ending == "unplaced":
        pytest.skip(str(record.reason))
    if record.ending == "error":
        pytest.fail(explain(record), pytrace=False)
    return record


def tell_junit(item: pytest.Item, report: pytest.TestReport) -> None:
    """Put the record of an item in words into its last report, where JUnit XML has the output of tests."""
    config = item.config
    asked = config.getoption("xmlpath", None) and config.getini("junit_logging")
    if asked in ("system-out", "out-err", "all") and RECORD in item.stash:
        report.sections.append(("Captured stdout", f"{summary(item.stash[RECORD])}\n"))


def check(record: Record) -> None:
    """Fail unless the record is a pass, or the failure that its matrix expects."""
    expected = record.expected_failure
    if record.ending == "pass" and expected:
        pytest.fail(
            f"{explain(record)}\n  It passed: take the expected failure out of the matrix.", pytrace=False
        )
    if record.ending != "pass":
        pytest.fail(explain(record), pytrace=False)


def summarise(
    reporter: pytest.TerminalReporter, conformance: Conformance, records: Collection[Record]
) -> None:
    """Say what the records add up to: the word, the endings, and why what did not pass did not."""
    reporter.section("MLPerf conformance")
    colour = "green" if conformance.word == "conformant" else "red"
    reporter.write_line(str(conformance), bold=True, **{colour: True})
    reporter.write_line(conformance.sum())
    for line in acceptance(records):
        reporter.write_line(line)
    for line in _folded(records):
        reporter.write_line(f"  {line}")
    for line in comparisons.summary(records):
        reporter.write_line(line)
    near = nearest(records)
    if near:
        reporter.write_line(near)


def _folded(records: Collection[Record]) -> Iterator[str]:
    """Give the reasons of all that did not pass, each once with its count; failures have their blocks."""
    known = [record for record in records if record.ending == "fail" and record.expected_failure]
    reasons = [("fail, as expected", record.expected_failure) for record in known]
    reasons += [
        (ending, record.reason)
        for ending in ("unplaced", "error", "dropped")
        for record in records
        if record.ending == ending
    ]
    for (ending, reason), count in Counter(reasons).items():
        yield f"{count} {ending}: {reason}"
