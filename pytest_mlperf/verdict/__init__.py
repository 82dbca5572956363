"""What the evidence of a case means: findings, and the verdict they add up to.

A rule is a function from case and evidence to findings (`rules`); limits are data (`rounds`).
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mlperf.errors import Place  # noqa: TC001  records are read by their types


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One rule held against what was observed.

    source: whose rule it is ("MLPerf Inference v2.0, LoadGen")
    place:  where the observation stands
    advice: what to change, where LoadGen says it
    """

    rule: str
    expected: str
    observed: str
    satisfied: bool
    source: str
    place: Place | None = None
    advice: str | None = None

    def __str__(self) -> str:
        """Return the finding as a sentence, built from what was compared."""
        verb = "holds" if self.satisfied else "is broken"
        place = f" [{self.place}]" if self.place else ""
        advice = f"; LoadGen recommends: {self.advice}" if self.advice else ""
        return f"{self.rule} {verb}: expected {self.expected}, observed {self.observed}{place}{advice}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """All findings on a case. It passes when every rule is satisfied, and at least one was applied."""

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether the case passes."""
        return bool(self.findings) and all(finding.satisfied for finding in self.findings)
