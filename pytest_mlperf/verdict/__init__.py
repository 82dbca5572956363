"""What the evidence of a case means: findings, and the verdict they add up to.

A rule is a function from a `Run` to findings. `rules` has them all, and `judge`; `constraints` are those that
LoadGen decides VALID by, `early_stopping` is their arithmetic, `advice` says what to change; `configuration`
holds the log to `user.conf`. Limits are data (`rounds`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_mlperf.errors import Place  # noqa: TC001  records are read by their types

if TYPE_CHECKING:
    from collections.abc import Iterable

Bound = Literal["least", "most"]

_MANY = 900
_SMALLEST_SHOWN = 0.05


@dataclass(frozen=True, kw_only=True)
class Margin:
    """How far an observation is from its limit.

    percent:    of the limit; above zero on the allowed side, below zero beyond the limit
    bound:      whether the limit is the least or the most that is allowed
    until_met:  LoadGen goes on until the limit is met, so that a small margin is no warning
    """

    percent: float
    bound: Bound
    until_met: bool = False

    def __str__(self) -> str:
        """Return `2.9 % below the limit`, whichever side is allowed."""
        beyond = self.percent if self.bound == "least" else -self.percent
        if beyond == 0:
            return "at the limit"
        if beyond >= _MANY:
            return f"{1 + beyond / 100:.0f} times the limit"
        return f"{_percentage(abs(beyond))} {'above' if beyond > 0 else 'below'} the limit"


def _percentage(percent: float) -> str:
    return f"{percent:.1f} %" if percent >= _SMALLEST_SHOWN else "under 0.1 %"


def margin(
    observed: float | None,
    limit: float | None,
    bound: Bound,
    *,
    until_met: bool = False,
) -> Margin | None:
    """Return the margin in percent of the limit, or None where there is no number or nothing to divide by."""
    if observed is None or not limit:
        return None
    beyond = 100 * (observed - limit) / limit
    return Margin(percent=beyond if bound == "least" else -beyond, bound=bound, until_met=until_met)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One rule held against what was observed.

    satisfied:  None where there was nothing to hold the rule to: it neither holds nor is broken
    source:     whose rule it is ("MLPerf Inference v2.0, LoadGen")
    place:      where the observation stands
    margin:     how far it is from the limit; None where there are no numbers
    relaxed:    the rule is told, and not held against a case of this conformance
    next_step:  what to change, from which value to which, or what to look at
    advice:     what LoadGen recommends, where nothing better can be said
    """

    rule: str
    expected: str
    observed: str
    satisfied: bool | None
    source: str
    place: Place | None = None
    margin: Margin | None = None
    relaxed: bool = False
    next_step: str | None = None
    advice: str | None = None

    @property
    def broken(self) -> bool:
        """Whether the rule is held against the case, and not satisfied."""
        return self.satisfied is False and not self.relaxed

    @property
    def word(self) -> str:
        """`holds`, `broken`, `relaxed` or `unknown`."""
        if self.satisfied is not False:
            return "unknown" if self.satisfied is None else "holds"
        return "relaxed" if self.relaxed else "broken"

    def __str__(self) -> str:
        """Return the finding as a sentence, built from what was compared."""
        verb = "holds" if self.satisfied else f"is {self.word}"
        distance = f", {self.margin}" if self.margin else ""
        place = f" [{self.place}]" if self.place else ""
        text = f"{self.rule} {verb}: expected {self.expected}, observed {self.observed}{distance}{place}"
        if self.next_step:
            return f"{text}; next: {self.next_step}"
        return f"{text}; LoadGen recommends: {self.advice}" if self.advice else text


def tightest(findings: Iterable[Finding]) -> Finding | None:
    """Return the satisfied finding that is nearest to its limit, of those that could as well be broken.

    One that is beyond its limit and satisfied all the same is but an estimate.
    """
    near = [(f.margin.percent, f) for f in findings if f.satisfied and f.margin and not f.margin.until_met]
    near = [(percent, finding) for percent, finding in near if percent >= 0]
    return min(near, key=lambda pair: pair[0])[1] if near else None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """All findings on a case. It passes when no rule is broken, and at least one holds or is relaxed."""

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether the case passes."""
        applied = any(finding.satisfied is not None for finding in self.findings)
        return applied and not any(finding.broken for finding in self.findings)
