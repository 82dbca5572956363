"""How often a case passes: its verdicts over all sessions of a history."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from pytest_mlperf.history.tables import METRICS, RECORDS, RUNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_mlperf.history.store import History

    Row = Any

CONFIDENCE = 0.95
COLUMNS = ("scenario", "metric", "min", "max", "mean", "unit", "n", "95 % interval")


@dataclass(frozen=True, kw_only=True)
class Rate:
    """The verdicts of a case, each 1.0 or 0.0.

    scenario:     VirtualClient's word for the benchmark
    conformance:  what the results are good for
    """

    scenario: str
    metric: str
    unit: str
    conformance: str
    passed: int
    n: int

    @property
    def mean(self) -> float:
        """The share that passed."""
        return self.passed / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share is, with a confidence of 95 %: the score interval.

        E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 22 (1927).
        """
        z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
        middle = (self.passed + z * z / 2) / (self.n + z * z)
        reach = z * sqrt(self.passed * (self.n - self.passed) / self.n + z * z / 4) / (self.n + z * z)
        return max(0.0, middle - reach), min(1.0, middle + reach)

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of a table, in the order of COLUMNS."""
        least, most = float(self.passed == self.n), float(self.passed > 0)
        low, high = self.interval
        numbers = (f"{least:.2f}", f"{most:.2f}", f"{self.mean:.2f}")
        return (self.scenario, self.metric, *numbers, self.unit, str(self.n), f"{low:.2f} to {high:.2f}")


def rates(history: History) -> list[Rate]:
    """Return the rate of every case, each attempt counted. Raises HostError.

    A verdict that was replayed is of no run, and one that was taken over counts once.
    """
    same_record = (RECORDS.c.session == RUNS.c.session) & (RECORDS.c.case_id == RUNS.c.case_id)
    same_run = (RUNS.c.session == METRICS.c.session) & (RUNS.c.case_id == METRICS.c.case_id)
    same_run &= RUNS.c.number == METRICS.c.number
    query = (
        select(
            RECORDS.c.benchmark,
            METRICS.c.name,
            METRICS.c.unit,
            RECORDS.c.conformance,
            METRICS.c.value,
            RECORDS.c.resumed,
            RUNS.c.case_id,
            RUNS.c.number,
            RUNS.c.started_at,
        )
        .join_from(RECORDS, RUNS, same_record)
        .join(METRICS, same_run)
        .where(METRICS.c.is_verdict, RECORDS.c.replayed.is_(None))
        .order_by(RECORDS.c.resumed.is_not(None))
    )
    with history.transaction() as connection:
        rows = connection.execute(query).all()
    return sorted(_added_up(_once(rows)), key=lambda rate: (rate.conformance, rate.scenario, rate.metric))


def _once(rows: Iterable[Row]) -> Iterator[Row]:
    """Give the rows without those of runs that were taken over from a session that is there, too."""
    seen = set()
    for row in rows:
        run = (row.case_id, row.number, row.started_at)
        if row.resumed is None or run not in seen:
            yield row
        seen.add(run)


def _added_up(rows: Iterable[Row]) -> Iterator[Rate]:
    values: dict[tuple[str, str, str, str], list[float]] = {}
    for row in rows:
        values.setdefault((row.benchmark, row.name, row.unit, row.conformance), []).append(row.value)
    for (scenario, metric, unit, conformance), found in values.items():
        yield Rate(
            scenario=scenario,
            metric=metric,
            unit=unit,
            conformance=conformance,
            passed=sum(value == 1 for value in found),
            n=len(found),
        )


def table(found: Iterable[Rate]) -> str:
    """Return the rates in columns, a table for each thing that results are good for."""
    by_use: dict[str, list[tuple[str, ...]]] = {}
    for rate in found:
        by_use.setdefault(rate.conformance, [COLUMNS]).append(rate.cells)
    return "\n\n".join(f"{use}:\n{_aligned(rows)}" for use, rows in by_use.items())


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
