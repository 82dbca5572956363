"""What a session says about a machine: conformant, incomplete, or not conformant."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.record import ENDINGS, Ending

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_mlperf.record import Record


@dataclass(frozen=True, kw_only=True)
class Conformance:
    """The five endings, counted; they add up to the matrix.

    labels: what must be said beside the results ("shortened: not submission-valid")
    """

    counts: dict[Ending, int]
    labels: tuple[str, ...]

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
        if self.counts["fail"]:
            return "not conformant"
        return "conformant" if self.planned and self.counts["pass"] == self.planned else "incomplete"

    def __str__(self) -> str:
        """Return `not conformant: 41 of 42 planned cases passed (shortened: not submission-valid)`."""
        labels = f" ({'; '.join(self.labels)})" if self.labels else ""
        return f"{self.word}: {self.counts['pass']} of {self.planned} planned cases passed{labels}"

    def sum(self) -> str:
        """Return `594 in the matrix = 41 pass + 1 fail + 0 unplaced + 0 error + 552 dropped`."""
        parts = " + ".join(f"{count} {ending}" for ending, count in self.counts.items())
        return f"{self.total} in the matrix = {parts}"


def add_up(records: Iterable[Record]) -> Conformance:
    """Count the endings of all records of a session."""
    records = list(records)
    counted = Counter(record.ending for record in records)
    kept = [record for record in records if record.ending != "dropped"]
    labels = dict.fromkeys(label for record in kept for label in record.labels)
    return Conformance(counts={e: counted[e] for e in ENDINGS}, labels=tuple(labels))
