"""The errors, in the order of the story: configure, look at the host, run, read the evidence.

An expected outcome is a value (`Unplaced`, `Finding`, `Verdict`). An exception means "we could not find out".
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a fact stands: a file, and its line (counted from 1) where there is one."""

    path: str
    line: int | None = None

    def __str__(self) -> str:
        return self.path if self.line is None else f"{self.path}:{self.line}"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong: where, what (found and allowed), and what to do about it."""

    what: str
    place: Place | None = None
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.place}: " if self.place else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.what}{hint}"


class MlperfError(Exception):
    """Something could not be found out. Printed as `place: what (hint)`, a line for each problem."""

    def __init__(
        self, what: str | Iterable[Problem], *, place: Place | None = None, hint: str | None = None
    ) -> None:
        problem = Problem(what=what, place=place, hint=hint) if isinstance(what, str) else None
        self.problems: tuple[Problem, ...] = (problem,) if problem else tuple(what)  # type: ignore[arg-type]
        super().__init__("\n".join(str(p) for p in self.problems))


class ConfigurationError(MlperfError):
    """A matrix, option or round is wrong. Nothing is collected and nothing runs."""


class HostError(MlperfError):
    """A probe, a container engine or a scheduler did not answer."""


class RunError(MlperfError):
    """A harness could not be launched, died, or ran past its time limit."""


class UnmatchedError(RunError):
    """A harness took machine or configuration for none that it knows, and ran nothing."""


class EvidenceError(MlperfError):
    """A log is missing, empty, cut, malformed, or in conflict with another."""


class StatementError(EvidenceError):
    """What a harness says of its own run cannot be read, or contradicts the logs that it left."""


def nearest(found: str, allowed: Iterable[str]) -> str | None:
    """Return a hint that names the allowed word most like the one found, or None."""
    by_lower = {word.lower(): word for word in allowed}
    matches = difflib.get_close_matches(found.lower(), by_lower, n=1, cutoff=0.6)
    return f"did you mean '{by_lower[matches[0]]}'?" if matches else None
