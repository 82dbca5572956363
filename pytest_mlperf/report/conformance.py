"""What a session says about a machine: conformant, incomplete, or not conformant."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.matrix import Case
from pytest_mlperf.record import ENDINGS, Ending, PublishedCase
from pytest_mlperf.verdict.official import LENIENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_mlperf.record import Record


_MOST_NAMED = 10


@dataclass(frozen=True, kw_only=True)
class Conformance:
    """The five endings, counted; they add up to the matrix.

    labels: what must be said beside the results ("shortened: not submission-valid")
    origin:   where the cases are from: `matrix`, `tree`, or both
    excused:  published results that broke a rule, and are accepted all the same
    ended:    whether all sessions came to their end: what one left out is not known
    """

    counts: dict[Ending, int]
    labels: tuple[str, ...]
    origin: str = "matrix"
    excused: int = 0
    ended: bool = True

    @property
    def total(self) -> int:
        """The cases of the matrices."""
        return sum(self.counts.values())

    @property
    def planned(self) -> int:
        """The cases that were to run."""
        return self.total - self.counts["dropped"]

    @property
    def word(self) -> str:
        """`conformant` only if everything that was planned passed; a skip is no success."""
        if self.counts["fail"] > self.excused:
            return "not conformant"
        good = self.counts["pass"] + self.excused
        whole = self.ended and self.planned and good == self.planned
        return "conformant" if whole else "incomplete"

    def __str__(self) -> str:
        """Return `not conformant: 41 of 42 planned cases passed (shortened: not submission-valid)`."""
        labels = f" ({'; '.join(self.labels)})" if self.labels else ""
        excused = f", {self.excused} failed and are accepted all the same" if self.excused else ""
        return f"{self.word}: {self.counts['pass']} of {self.planned} planned cases passed{excused}{labels}"

    def sum(self) -> str:
        """Return `594 in the matrix = 41 pass + 1 fail + 0 unplaced + 0 error + 552 dropped`."""
        parts = " + ".join(f"{count} {ending}" for ending, count in self.counts.items())
        return f"{self.total} in the {self.origin} = {parts}"


def add_up(records: Iterable[Record], *, ended: bool = True) -> Conformance:
    """Count the endings of all records of a session, or of several.

    ended: whether they came to their end
    """
    records = list(records)
    counted = Counter(record.ending for record in records)
    kept = [record for record in records if record.ending != "dropped"]
    labels = dict.fromkeys(label for record in kept for label in record.labels)
    origins = dict.fromkeys("matrix" if isinstance(record.case, Case) else "tree" for record in records)
    return Conformance(
        counts={e: counted[e] for e in ENDINGS},
        labels=tuple(labels),
        origin=" and ".join(origins) or "matrix",
        excused=sum(record.ending == "fail" and record.accepted is True for record in records),
        ended=ended,
    )


def _rejected(scenarios: list[str]) -> Iterator[str]:
    """Name scenarios that do not stand. The run at fault need not be among those that were selected."""
    for scenario in scenarios[:_MOST_NAMED]:
        yield f"  not accepted: {scenario}"
    if len(scenarios) > _MOST_NAMED:
        yield f"  and {len(scenarios) - _MOST_NAMED} more"


def acceptance(records: Iterable[Record]) -> Iterator[str]:
    """Give a line a division on the published scenarios that were looked at: how many are accepted."""
    records = list(records)
    scenarios: dict[str, dict[tuple[str, ...], bool]] = {}
    for record in records:
        case = record.case
        if isinstance(case, PublishedCase) and record.ending != "dropped":
            key = (case.submitter, case.sku, case.benchmark, case.scenario)
            of_division = scenarios.setdefault(f"{case.division}, {case.round}, {case.conformance}", {})
            of_division[key] = of_division.get(key, True) and record.accepted is True
    for division, accepted in scenarios.items():
        yield f"{division}: {sum(accepted.values())} of {len(accepted)} scenarios accepted"
        yield from _rejected([" ".join(key) for key, stands in accepted.items() if not stands])
    lenient = sum(any(f.next_step == LENIENT for f in record.findings) for record in records)
    if lenient:
        runs = "1 run breaks" if lenient == 1 else f"{lenient} runs break"
        yield f"{runs} rules that the checker let pass: judge with --mlperf-level strict"
