"""How often a case passes: its verdicts over all sessions of a history."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from pytest_mlperf.history.columns import aligned
from pytest_mlperf.history.counted import ALL, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_mlperf.history.counted import Choice, Run
    from pytest_mlperf.history.store import History

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
        """The row of a table, in the order of COLUMNS; a mean is not rounded, as VirtualClient's are not."""
        least, most = float(self.passed == self.n), float(self.passed > 0)
        low, high = self.interval
        numbers = map(str, (least, most, self.mean))
        return (self.scenario, self.metric, *numbers, self.unit, str(self.n), f"{low:.2f} to {high:.2f}")


def rates(history: History, choice: Choice = ALL) -> list[Rate]:
    """Return the rate of every case, each attempt counted. Raises HostError, ConfigurationError."""
    with history.reading() as connection:
        found = counted(connection, choice)
    return sorted(_added_up(found), key=lambda rate: (rate.conformance, rate.scenario, rate.metric))


def _added_up(found: Iterable[Run]) -> Iterator[Rate]:
    verdicts: dict[tuple[str, str, str, str], list[bool]] = {}
    for run in found:
        verdicts.setdefault((run.benchmark, run.metric, run.words, run.conformance), []).append(run.passed)
    for (scenario, metric, unit, conformance), passed in verdicts.items():
        yield Rate(
            scenario=scenario,
            metric=metric,
            unit=unit,
            conformance=conformance,
            passed=sum(passed),
            n=len(passed),
        )


def table(found: Iterable[Rate]) -> str:
    """Return the rates in columns, a table for each thing that results are good for."""
    by_use: dict[str, list[tuple[str, ...]]] = {}
    for rate in found:
        by_use.setdefault(rate.conformance, [COLUMNS]).append(rate.cells)
    return "\n\n".join(f"{use}:\n{aligned(rows)}" for use, rows in by_use.items())
