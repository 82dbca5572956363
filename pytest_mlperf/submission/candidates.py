"""Which cases of a session are results of a submission, where each belongs, and why the others are none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pytest_mlperf.matrix import METRIC_MODES, SHORTENED, Case
from pytest_mlperf.rounds import checker
from pytest_mlperf.verdict.official import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_mlperf.hardware import Inventory
    from pytest_mlperf.matrix import HarnessTerms, Mode
    from pytest_mlperf.record import Record

Division = Literal["closed", "open"]

_ONE_OF = ("Server", "Interactive")


@dataclass(frozen=True, kw_only=True)
class Order:
    """An export that is asked for, and what the session knows.

    terms:   of the harnesses that its cases use, by name
    output:  the folder that the folders of records are relative to
    """

    submitter: str
    division: Division
    inventory: Inventory
    terms: Mapping[str, HarnessTerms]
    output: Path


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A case that may become part of a submission.

    record:    what is left of it; None before it runs
    why_not:   why there is nothing to submit, in a line; None where there is
    dropped:   whether it is in the matrix only
    """

    case: Case
    record: Record | None = None
    why_not: str | None = None
    dropped: bool = False


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A case that is no result of any submission, and why."""

    case: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """What a session has of one system and benchmark, by scenario and mode.

    kind:  the category of the system, as its description says it
    """

    system: str
    kind: str
    round: checker.CheckerRound
    benchmark: checker.Benchmark
    harness: str
    members: dict[tuple[str, Mode], Candidate] = field(default_factory=dict)

    @property
    def allowed(self) -> tuple[str, ...]:
        """The scenarios that the benchmark has for this kind of system; none where it is not for it."""
        category = files.CATEGORIES[self.kind]
        required = self.benchmark.required.get(category)
        return (*required, *(self.benchmark.optional.get(category) or ())) if required else ()

    @property
    def required(self) -> tuple[str, ...]:
        """The scenarios that a closed submission must have."""
        category = files.CATEGORIES[self.kind]
        required = self.benchmark.required.get(category) or ()
        optional = self.benchmark.optional.get(category) or ()
        present = {scenario for scenario, _ in self.members}
        one_of = set(_ONE_OF) <= set(optional) and "needs_server_or_interactive" in self.round.quirks
        return (*required, _ONE_OF[0]) if one_of and not present & set(_ONE_OF) else required

    def ran(self, scenario: str | None = None) -> list[tuple[Case, Record]]:
        """Return what ran and is to be submitted, performance first, of one scenario or of any."""
        ordered = sorted(self.members.items(), key=lambda item: item[0][1], reverse=True)
        return [
            (member.case, member.record)
            for (name, _), member in ordered
            if scenario in (None, name) and member.why_not is None and member.record is not None
        ]

    def has(self, scenario: str | None = None) -> bool:
        """Return whether there is something to submit, of one scenario or of any."""
        return any(
            member.why_not is None for (name, _), member in self.members.items() if scenario in (None, name)
        )


def of_record(case: Case, record: Record) -> Candidate:
    """Return what the record of a case is worth for a submission."""
    why_not = None
    if record.ending != "pass":
        why_not = f"{record.verdict or record.ending}: {_why(record)}"
    elif record.deltas:
        why_not = f"{'; '.join(record.labels)}: it is not the system of this name"
    return Candidate(case=case, record=record, why_not=why_not, dropped=record.ending == "dropped")


def _why(record: Record) -> str:
    """Return in a line what was wrong, without what to do about it."""
    broken = [finding for finding in record.findings if finding.broken]
    said = [f"{one.rule}: expected {one.expected}, observed {one.observed}" for one in broken]
    return "; ".join(said) or str(record.reason).partition("\n")[0]


def system_name(case: Case) -> str:
    """Return the system that a case's metric is named after, `_MaxQ` included."""
    level = f"k_{case.accuracy.replace('.', '_')}"
    mode = METRIC_MODES[case.mode]
    return case.metric_name.removesuffix(f"-{case.harness}_{level}_{case.power}-{case.scenario}-{mode}")


def official(case: Case, round_: checker.CheckerRound) -> checker.Benchmark | None:
    """Return the official benchmark that a case runs, None for none."""
    return round_.benchmarks.get(f"{case.benchmark}-{case.accuracy}") or round_.benchmark(case.benchmark)


def sort(candidates: Iterable[Candidate], order: Order) -> tuple[list[Group], list[Refused]]:
    """Put each candidate where it belongs, and refuse those that are no results of one submission.

    Of the cases that are in the matrix only, those are kept that complete a group.
    """
    all_of_them = list(candidates)
    planned = [candidate for candidate in all_of_them if not candidate.dropped]
    reasons = {candidate.case.id: _never(candidate.case, order) for candidate in planned}
    possible = [candidate for candidate in planned if reasons[candidate.case.id] is None]
    refused = [Refused(case=case, reason=reason) for case, reason in reasons.items() if reason]
    table = _Table()
    refused += table.enter(possible)
    dropped = [candidate for candidate in all_of_them if candidate.dropped]
    table.complete(candidate for candidate in dropped if _never(candidate.case, order) is None)
    for group in table.groups.values():
        refused += _outside(group, order.division)
    return [group for group in table.groups.values() if group.members], refused


def _never(case: Case, order: Order) -> str | None:
    """Return why a case is no result of a submission, whatever its outcome, or None."""
    if case.conformance == "smoke":
        return SHORTENED
    if not order.terms[case.harness].submission:
        return f"harness '{case.harness}' runs no benchmark of a round"
    if case.round not in checker.names():
        return f"round {case.round}: what its checker asks for is not known"
    if official(case, checker.load(case.round)) is None:
        return f"'{case.benchmark}' is no benchmark of {case.round}"
    return None


@dataclass(kw_only=True)
class _Table:
    """The groups of one round, by system and official benchmark."""

    groups: dict[tuple[str, str], Group] = field(default_factory=dict)

    def enter(self, possible: list[Candidate]) -> Iterator[Refused]:
        """Enter candidates, and give those for which there is no place."""
        kinds: dict[str, set[str]] = {}
        for candidate in possible:
            kinds.setdefault(system_name(candidate.case), set()).add(candidate.case.category)
        # What passed goes before what did not, where both have the same place.
        for candidate in sorted(possible, key=lambda candidate: candidate.why_not is not None):
            case, round_name = candidate.case, possible[0].case.round
            if case.round != round_name:
                reason = f"it is of {case.round}: a tree is of one round, this one of {round_name}"
                yield Refused(case=case.id, reason=reason)
                continue
            group = self._group(case, ",".join(sorted(kinds[system_name(case)])))
            taken = group.members.setdefault((case.scenario, case.mode), candidate)
            if taken is not candidate:
                reason = f"its place is taken by {taken.case.id} (select one of them)"
                yield Refused(case=case.id, reason=reason)

    def complete(self, dropped: Iterable[Candidate]) -> None:
        """Add the cases that were not selected to the groups that lack them, as the reason why they do."""
        for candidate in dropped:
            case = candidate.case
            group = self.groups.get(_key(case))
            if group is not None and group.round.name == case.round:
                group.members.setdefault((case.scenario, case.mode), candidate)

    def _group(self, case: Case, kind: str) -> Group:
        key = _key(case)
        if key not in self.groups:
            round_ = checker.load(case.round)
            self.groups[key] = Group(
                system=key[0],
                kind=kind,
                round=round_,
                benchmark=round_.benchmarks[key[1]],
                harness=case.harness,
            )
        return self.groups[key]


def _key(case: Case) -> tuple[str, str]:
    benchmark = official(case, checker.load(case.round))
    return system_name(case), benchmark.name if benchmark else ""


def _outside(group: Group, division: Division) -> Iterator[Refused]:
    """Take out the members whose scenario the benchmark has not, in this division, and give them."""
    allowed = group.allowed
    if allowed and division == "open":
        return
    for key, candidate in list(group.members.items()):
        if key[0] in allowed:
            continue
        del group.members[key]
        if not candidate.dropped:
            reason = (
                f"{group.round.name} has no {group.benchmark.name} {key[0] if allowed else ''}".rstrip()
                + f" for {group.kind}"
            )
            yield Refused(case=candidate.case.id, reason=reason)
