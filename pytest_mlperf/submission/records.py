"""A submission tree as test cases: one for each run that its checker looks at, and the record of each.

Listing the cases reads no log. The runs of one scenario are judged together, when the first of them is asked
for.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_mlperf.errors import Place
from pytest_mlperf.evidence import Evidence, Fact, Summary
from pytest_mlperf.matrix import METRIC_MODES
from pytest_mlperf.record import Measurement, PublishedCase, Record
from pytest_mlperf.submission.judging import ACCURACY, FILES, PERFORMANCE, judge, modes, path_of
from pytest_mlperf.submission.tree import groups
from pytest_mlperf.verdict.margins import constraints
from pytest_mlperf.verdict.official import number
from pytest_mlperf.verdict.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_mlperf.evidence import DetailLog
    from pytest_mlperf.record import Ending
    from pytest_mlperf.rounds.checker import CheckerRound
    from pytest_mlperf.submission.judging import AuditedResult
    from pytest_mlperf.submission.layout import ScenarioFolder
    from pytest_mlperf.submission.tree import Group
    from pytest_mlperf.verdict import Finding
    from pytest_mlperf.verdict.official import Level, Ruling

_MODES = {PERFORMANCE: "PerformanceOnly", ACCURACY: "AccuracyOnly"}
# What has a meaning of its own in the names of tests.
_BRACKETS = str.maketrans("[]", "()")


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Where a case comes from: a directory among its neighbours, and which of its runs."""

    group: Group
    folder: ScenarioFolder
    mode: str


@dataclass(kw_only=True)
class PublishedTree:
    """A submission tree, and its runs as cases.

    output: the folder that places of logs are told from
    """

    path: Path
    round: CheckerRound
    level: Level
    output: Path

    @cached_property
    def cases(self) -> Mapping[str, PublishedCase]:
        """The cases by id, in the order of the tree. Raises OSError for one that cannot be read."""
        return {case.id: case for case, _ in self._listed.values()}

    @cached_property
    def _listed(self) -> Mapping[str, tuple[PublishedCase, _Source]]:
        listed: dict[str, tuple[PublishedCase, _Source]] = {}
        for group in groups(self.path, self.round):
            for folder in group.folders:
                for mode in modes(group.system, folder, self.round):
                    source = _Source(group=group, folder=folder, mode=mode)
                    case = self._case(source, scenario=folder.scenario)
                    if case.id in listed:
                        # Two directories of one scenario: `offline` beside `Offline`.
                        case = self._case(source, scenario=folder.name)
                    listed[case.id] = (case, source)
        return listed

    def _case(self, source: _Source, *, scenario: str) -> PublishedCase:
        folder, system = source.folder, source.group.system
        mode = _MODES.get(source.mode, source.mode)
        kind = (system.description or {}).get("system_type")
        of, by = folder.submission.division, folder.submission.submitter
        name = f"{of}-{by}-{folder.system}-{scenario}-{METRIC_MODES.get(mode, mode)}"  # type: ignore[call-overload]
        return PublishedCase(
            id=f"{folder.benchmark}-{name}".translate(_BRACKETS),
            metric_name=name,
            round=self.round.name,
            conformance=self.level,
            division=of,
            submitter=by,
            category=kind if isinstance(kind, str) else None,
            sku=folder.system,
            benchmark=folder.benchmark,
            scenario=folder.scenario,
            mode=mode,
            place=Place(path=path_of(system, folder, source.mode)),
        )

    def record(self, case_id: str) -> Record:
        """Return the record of a case; its neighbours of the same scenario are kept for the next one."""
        started = time.monotonic()
        case, source = self._listed[case_id]
        results = self._judged(source)
        record = _record(case, results[source.mode], results, self.level)
        logs = os.path.relpath(self.path / case.place.path, self.output)
        return replace(record, folder=logs, duration_s=round(time.monotonic() - started, 3))

    def _judged(self, source: _Source) -> Mapping[str, AuditedResult]:
        if self._last is None or self._last[0] is not source.folder:
            group = source.group
            results = judge(group.system, source.folder, group.folders, self.round, self.level)
            self._last = (source.folder, {result.mode: result for result in results})
        return self._last[1]

    _last: tuple[ScenarioFolder, Mapping[str, AuditedResult]] | None = None


def _record(
    case: PublishedCase, result: AuditedResult, results: Mapping[str, AuditedResult], level: Level
) -> Record:
    findings = tuple(_findings(result, results, level))
    broken = [str(finding) for finding in findings if finding.broken]
    error = result.error or (results[FILES].error if result.outcome == "unchecked" and not broken else None)
    ending: Ending = "error" if error else "pass" if result.outcome == "valid" else "fail"
    return Record(
        case=case,
        ending=ending,
        reason=str(error) if error else "; ".join(broken) or None,
        findings=findings,
        measurements=tuple(_measurements(result)),
        accepted=result.accepted,
    )


def _findings(result: AuditedResult, results: Mapping[str, AuditedResult], level: Level) -> Iterator[Finding]:
    """Give what was held against a run, and what around it kept the checker from looking at it."""
    for ruling in result.rulings:
        yield _held(ruling, level)
    if result.outcome == "unchecked":
        for other in results.values():
            if other is not result and other.mode in (FILES, ACCURACY):
                yield from (_held(r, level) for r in other.rulings if r.gates and r.rejects(level))
    if result.log is not None and result.mode != ACCURACY:
        invalid = any(r.rule == "validity" and r.rejects(level) for r in result.rulings)
        for finding in constraints(_run(result.log)):
            yield finding if invalid or finding.satisfied else replace(finding, relaxed=True)


def _held(ruling: Ruling, level: Level) -> Finding:
    if ruling.finding.satisfied:
        return ruling.finding
    return replace(ruling.explained(), relaxed=not ruling.rejects(level))


def _run(log: DetailLog) -> Run:
    # Of the summary only the detail log is told here; audits at level strict compare the two.
    nothing = Fact(key="count", value=0, place=Place(path=""))
    summary = Summary(validity=None, constraints={}, recommendations=(), warnings=nothing, errors=nothing)
    return Run(evidence=Evidence(detail=log, summary=summary, accuracy=None))


_UNITS = (("_ns", "ns"), ("tokens_per_sec", "tokens/s"), ("per_second", "samples/s"), ("_sec", "samples/s"))


def _measurements(result: AuditedResult) -> Iterator[Measurement]:
    for ruling in result.rulings:
        value = number(ruling.fact)
        if ruling.fact is None or value is None:
            continue
        if ruling.rule == "result" and result.mode == PERFORMANCE:
            unit = next((unit for part, unit in _UNITS if part in ruling.fact.key), "1")
            yield Measurement(name=ruling.fact.key, value=float(value), unit=unit)
        if ruling.rule == "accuracy" and ruling.finding.margin:
            yield Measurement(name=ruling.fact.key, value=float(value), unit="1")
