"""A submission tree as test cases: one for each run that its checker looks at, and the record of each.

Listing the cases reads no log. The runs of one scenario are judged together, when the first of them is asked
for.
"""

from __future__ import annotations

import itertools
import os
import re
import time
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

from pytest_mlperf.errors import Place
from pytest_mlperf.evidence import Evidence, Fact, Summary
from pytest_mlperf.matrix import METRIC_MODES
from pytest_mlperf.record import Measurement, PublishedCase, Record
from pytest_mlperf.submission.judging import ACCURACY, FILES, PERFORMANCE, path_of
from pytest_mlperf.verdict.margins import constraints
from pytest_mlperf.verdict.official import LENIENT, number
from pytest_mlperf.verdict.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_mlperf.evidence import DetailLog
    from pytest_mlperf.record import Ending
    from pytest_mlperf.submission.auditing import Tree
    from pytest_mlperf.submission.judging import AuditedResult
    from pytest_mlperf.submission.layout import ScenarioFolder
    from pytest_mlperf.verdict import Finding
    from pytest_mlperf.verdict.official import Level, Ruling

_SUFFIXES: Mapping[str, str] = {str(mode): suffix for mode, suffix in METRIC_MODES.items()}
_MODES = {PERFORMANCE: "PerformanceOnly", ACCURACY: "AccuracyOnly"}
# Beside letters and digits: what pytest takes in the names of tests as it is.
_PLAIN = "-_.~+=@,"
_END = re.compile(r"(.*?)(-)([A-Za-z]+|TEST\d\d(?:-[AB])?)")


class PublishedTree:
    """A submission tree, and its runs as cases."""

    def __init__(self, tree: Tree, *, output: Path) -> None:
        """Take a tree, and the folder that places of logs are told from."""
        self._tree = tree
        self._output = output
        self._judged: tuple[ScenarioFolder, Mapping[str, AuditedResult]] | None = None

    @cached_property
    def cases(self) -> Mapping[str, PublishedCase]:
        """The cases by id, in the order of the tree. Raises OSError for one that cannot be read."""
        return {case_id: case for case_id, (case, _, _) in self._listed.items()}

    @cached_property
    def _listed(self) -> Mapping[str, tuple[PublishedCase, ScenarioFolder, str]]:
        listed: dict[str, tuple[PublishedCase, ScenarioFolder, str]] = {}
        for folder in self._tree.folders():
            for mode in self._tree.modes(folder):
                case = self._case(folder, mode)
                if case.id in listed:
                    case = self._apart(case, listed)
                listed[case.id] = case, folder, mode
        return listed

    def _apart(self, case: PublishedCase, listed: Mapping[str, object]) -> PublishedCase:
        """Return a case with an id of its own: names with dashes can be put together to the same text."""
        count = next(count for count in itertools.count(2) if _numbered(case.id, count) not in listed)
        return replace(case, id=_numbered(case.id, count))

    def _case(self, folder: ScenarioFolder, run: str) -> PublishedCase:
        mode = _MODES.get(run, run)
        of, by = folder.submission.division, folder.submission.submitter
        name = f"{of}-{by}-{folder.system}-{folder.scenario}-{_SUFFIXES.get(mode, mode)}"
        return PublishedCase(
            id=quote(f"{folder.benchmark}-{name}", safe=_PLAIN, errors="surrogateescape"),
            metric_name=name,
            round=self._tree.round.name,
            conformance=self._tree.level,
            division=of,
            submitter=by,
            category=self._tree.category(folder),
            sku=folder.system,
            benchmark=folder.benchmark,
            scenario=folder.scenario,
            mode=mode,
            place=Place(path=path_of(folder, run)),
        )

    def record(self, case_id: str) -> Record:
        """Return the record of a case; its neighbours of the same scenario are kept for the next one."""
        started = time.monotonic()
        case, folder, mode = self._listed[case_id]
        if self._judged is None or self._judged[0] is not folder:
            self._judged = folder, {result.mode: result for result in self._tree.judge(folder)}
        results = self._judged[1]
        record = _record(case, results[mode], results, self._tree.level)
        logs = os.path.relpath(self._tree.path / case.place.path, self._output)
        return replace(record, folder=logs, duration_s=round(time.monotonic() - started, 3))


def _numbered(case_id: str, count: int) -> str:
    """Return an id with a number before its mode: `...-Offline~2-AccuracyMode`."""
    name, dash, mode = _END.fullmatch(case_id).groups()  # type: ignore[union-attr]
    return f"{name}~{count}{dash}{mode}"


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
    if ruling.rejects(level):
        return ruling.explained()
    return replace(ruling.explained(), relaxed=True, next_step=LENIENT if ruling.forbidden else None)


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
