"""The records of published runs: what an audit said of a scenario, as the reports want it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_mlperf.errors import Place
from pytest_mlperf.evidence import Evidence, Fact, Summary
from pytest_mlperf.record import Measurement, PublishedCase, Record
from pytest_mlperf.submission.judging import ACCURACY, FILES, PERFORMANCE
from pytest_mlperf.verdict.margins import constraints
from pytest_mlperf.verdict.official import LENIENT, number
from pytest_mlperf.verdict.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_mlperf.evidence import DetailLog
    from pytest_mlperf.record import Ending
    from pytest_mlperf.submission.auditing import Tree
    from pytest_mlperf.submission.judging import AuditedResult, Mode
    from pytest_mlperf.submission.layout import ScenarioFolder
    from pytest_mlperf.verdict import Finding
    from pytest_mlperf.verdict.official import Level, Ruling


@dataclass(frozen=True, kw_only=True, eq=False)
class Runs:
    """The runs of one scenario, which are judged together: a directory, and its cases by mode."""

    folder: ScenarioFolder
    cases: Mapping[Mode, PublishedCase]


def judge(tree: Tree, runs: Runs, *, output: Path) -> dict[str, Record]:
    """Judge a directory, and return the records of its cases by id.

    output: the folder that places of logs are told from
    Their `duration_s` is the same for each: they are read together.
    """
    started = time.monotonic()
    results = {result.mode: result for result in tree.judge(runs.folder)}
    records = [_record(case, results[mode], results, tree.level) for mode, case in runs.cases.items()]
    duration_s = round((time.monotonic() - started) / len(records), 4)
    return {
        record.case.id: replace(
            record,
            folder=os.path.relpath(tree.path / record.case.place.path, output),
            duration_s=duration_s,
        )
        for record in records
        if isinstance(record.case, PublishedCase)
    }


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
        measurements=tuple(dict.fromkeys(_measurements(result))),
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
