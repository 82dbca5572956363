"""The metrics of a session as series in base units: what Prometheus and OpenTelemetry keep.

What a series is of stands in its labels, never in its name, and nothing of a single session does: a dashboard
sees one line a case, and another where something else must be said beside it (`smoke (shortened)`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pytest_mlperf.record import ENDINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_mlperf.matrix import Case
    from pytest_mlperf.record import PublishedCase
    from pytest_mlperf.report.metrics import Results, Row


@dataclass(frozen=True, kw_only=True)
class Family:
    """Series of one name.

    name:    without `mlperf`, its words joined by dots
    suffix:  the unit in words, as Prometheus has it behind a name
    unit:    the same in UCUM, as OpenTelemetry has it
    """

    name: str
    suffix: str = ""
    unit: str = "1"
    meaning: str

    @property
    def snake(self) -> str:
        """The name in Prometheus."""
        return "_".join(filter(None, ("mlperf", *self.name.split("."), self.suffix)))

    @property
    def dotted(self) -> str:
        """The name in OpenTelemetry."""
        return f"mlperf.{self.name}"


@dataclass(frozen=True, kw_only=True)
class Point:
    """A value of a series."""

    family: Family
    labels: Mapping[str, str]
    value: float


CASE = Family(
    name="case.passed", meaning="Whether a case passed (1) or failed (0), all its attempts together."
)
RUN = Family(name="run.passed", meaning="Whether an attempt of a case passed (1) or failed (0).")
CASES = Family(name="session.cases", unit="{case}", meaning="Cases of the last session, by how they ended.")
CONFORMANT = Family(
    name="session.conformant", meaning="Whether all that the last session planned passed (1) or not (0)."
)
STARTED = Family(
    name="session.start_time",
    suffix="seconds",
    unit="s",
    meaning="When the last session began, in seconds since 1970.",
)
_OTHER = Family(name="measurement", meaning="What was measured in a unit of its own, see the label.")

# Families by the unit of a measurement, and what it is divided by.
_MEASURED: Mapping[str, tuple[Family, float]] = {
    "ns": (Family(name="latency", suffix="seconds", unit="s", meaning="Latency that LoadGen reports."), 1e9),
    "samples/s": (
        Family(
            name="throughput.samples",
            suffix="per_second",
            unit="{sample}/s",
            meaning="Samples per second that LoadGen reports.",
        ),
        1,
    ),
    "tokens/s": (
        Family(
            name="throughput.tokens",
            suffix="per_second",
            unit="{token}/s",
            meaning="Tokens per second that LoadGen reports.",
        ),
        1,
    ),
    "%": (Family(name="quality", suffix="ratio", meaning="Accuracy, and what it must reach, of 1."), 100),
    "1": (Family(name="score", meaning="Accuracies and other values that have no unit."), 1),
}


def points(results: Results) -> Iterator[Point]:
    """Give the value of each series of a session: of the session itself, and of the runs of its cases."""
    conformance = results.conformance
    for ending in ENDINGS:
        yield Point(family=CASES, labels={"ending": ending}, value=conformance.counts[ending])
    yield Point(family=CONFORMANT, labels={}, value=conformance.word == "conformant")
    started = datetime.fromisoformat(results.started_at).timestamp()
    yield Point(family=STARTED, labels={}, value=started)
    for record in results.records:
        if record.verdict is not None:
            labels = _identity(record.case, record.labels)
            yield Point(family=CASE, labels=labels, value=record.ending == "pass")
    yield from map(_point, results.rows)


def _point(row: Row) -> Point:
    labels = _identity(row.case, row.labels) | {"attempt": str(row.attempt)}
    if row.measurement is None:
        return Point(family=RUN, labels=labels, value=row.value)
    labels["measurement"] = row.measurement
    family, divisor = _MEASURED.get(row.unit, (_OTHER, 1))
    if family is _OTHER:
        labels["unit"] = row.unit
    return Point(family=family, labels=labels, value=row.value / divisor)


def _identity(case: Case | PublishedCase, labels: Iterable[str]) -> dict[str, str]:
    """Return what a case is, and what must be said beside its result, in a word or two each."""
    said = ", ".join(label.partition(":")[0] for label in labels)
    return {
        "case": case.id,
        "benchmark": case.benchmark,
        "scenario": case.scenario,
        "mode": case.mode,
        "sku": case.sku,
        "round": case.round,
        "conformance": case.conformance + (f" ({said})" if said else ""),
    }
