"""The rules of published results, each with what breaking it did: nothing, a line in the log, or a rejection.

A rule is a function from `Terms` and evidence to `Ruling`s; limits and severities are data, `rounds.checker`.
Two levels: `official` rejects what the round's checker rejected, `strict` what the rules forbid.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pytest_mlperf.evidence import Fact
from pytest_mlperf.rounds.checker import Severity  # noqa: TC001  rulings are read by their types
from pytest_mlperf.verdict import Finding

if TYPE_CHECKING:
    from pytest_mlperf.evidence import DetailLog
    from pytest_mlperf.rounds.checker import Benchmark, CheckerRound
    from pytest_mlperf.verdict import Margin

Level = Literal["official", "strict"]

EARLY_STOPPING_SCENARIOS = ("SingleStream", "MultiStream", "Server")

LENIENT = "judge it with --mlperf-level strict, which rejects this"
"""What is said of a rule that was broken and that the round's checker let pass."""

_DIFFERS = {"log": "; its checker only logs this", "off": "; its checker does not look at this"}


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """A finding, and what breaking the rule does.

    severity:   what the round's checker does
    fact:       what was compared, where a file states it
    forbidden:  whether the rules forbid it; False for what is only worth knowing
    """

    rule: str
    finding: Finding
    severity: Severity
    forbidden: bool = True
    fact: Fact | None = None

    @property
    def gates(self) -> bool:
        """Whether what breaks this keeps a checker from looking at the runs of the scenario."""
        return self.rule in _GATES

    def rejects(self, level: Level) -> bool:
        """Whether the result falls by this."""
        if self.finding.satisfied:
            return False
        return self.severity == "fail" if level == "official" else self.forbidden

    def but(self, severity: Severity | None) -> Ruling:
        """Return the ruling with another severity, where one is given."""
        return self._with(severity or self.severity, self.forbidden)

    def forbidden_if(self, forbidden: bool) -> Ruling:
        """Return the ruling of a rule that, unless this holds, is only the checker's own."""
        return self._with(self.severity, forbidden or self.severity == "fail")

    def worth_knowing(self) -> Ruling:
        """Return the ruling of what no rule forbids."""
        return self._with(self.severity, forbidden=False)

    def _with(self, severity: Severity, forbidden: bool) -> Ruling:
        # Not dataclasses.replace, which is slow: a published round has a hundred thousand rulings.
        if severity == self.severity and forbidden is self.forbidden:
            return self
        return Ruling(
            rule=self.rule, finding=self.finding, severity=severity, forbidden=forbidden, fact=self.fact
        )

    def explained(self) -> Finding:
        """Return the finding with the round's checker in its source, where that does not reject for it."""
        if self.finding.satisfied:
            return self.finding
        return replace(self.finding, source=f"{self.finding.source}{_DIFFERS.get(self.severity, '')}")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a result is held to.

    scenario:    of the directory; the log may have another, from which this one is inferred
    division:    closed, open or network
    category:    of the system: datacenter, edge or both
    is_network:  whether the system is described as one over a network
    test:        the compliance test that a run is part of, None for the result itself
    """

    round: CheckerRound
    benchmark: Benchmark
    scenario: str
    division: str
    category: str
    level: Level
    is_network: bool = False
    test: str | None = None

    def ruling(
        self,
        rule: str,
        expected: str,
        observed: Fact | str | None,
        *,
        satisfied: bool,
        margin: Margin | None = None,
    ) -> Ruling:
        """Return what was found by a rule, with the severity that it has in the round."""
        fact = observed if isinstance(observed, Fact) else None
        found = Finding(
            rule=rule,
            expected=expected,
            observed=observed if isinstance(observed, str) else shown(observed),
            satisfied=satisfied,
            source=f"MLPerf Inference {self.round.name}",
            place=fact.place if fact else None,
            margin=margin,
        )
        return Ruling(rule=rule, finding=found, severity=self.round.severity(rule), fact=fact)

    def at_least(self, rule: str, fact: Fact | None, limit: float) -> Ruling:
        """Hold a number of a log to a lower limit."""
        value = number(fact)
        ruling = self.ruling(rule, f">= {limit!r}", fact, satisfied=value is not None and value >= limit)
        return ruling.but(None if value is not None else _OF_NOTHING)

    def at_most(self, rule: str, fact: Fact | None, limit: float) -> Ruling:
        """Hold a number of a log to an upper limit."""
        value = number(fact)
        ruling = self.ruling(rule, f"<= {limit!r}", fact, satisfied=value is not None and value <= limit)
        return ruling.but(None if value is not None else _OF_NOTHING)


_GATES = ("tidiness", "system", "scenario", "measurements", "accuracy_files")

_LARGEST = sys.float_info.max

# The checkers compare what is missing like a number, and reject the result for their own failure.
_OF_NOTHING: Severity = "fail"


def number(fact: Fact | None) -> float | None:
    """Return the number that a log states, None for none, or for what is no finite number of 64 bits."""
    value = fact.value if fact else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= _LARGEST else None


def shown(fact: Fact | None) -> str:
    """Return a value as it is compared, with all its digits."""
    if fact is None:
        return "nothing"
    return repr(fact.value) if isinstance(fact.value, float) else str(fact.value)


def logged_scenario(log: DetailLog) -> str:
    """Return the scenario that LoadGen ran, "nothing" for none."""
    return shown(log.facts.get("effective_scenario"))
