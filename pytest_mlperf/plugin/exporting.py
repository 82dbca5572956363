"""The export of a submission tree: what it will lack is said as the session begins, what it lacks at its end.

Lives where pytest reports: pytest itself, also when xdist's workers run the cases.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.errors import ConfigurationError
from pytest_mlperf.placement import Unplaced
from pytest_mlperf.plugin import output

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pytest_mlperf.matrix import Case
    from pytest_mlperf.plugin.suite import Suite
    from pytest_mlperf.record import Record
    from pytest_mlperf.submission.candidates import Candidate, Division, Order
    from pytest_mlperf.submission.export import Export

LIST = "export-missing.txt"
"""In the output folder: what the tree lacks, a line each."""

_SUBMITTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHOWN = 3


@dataclass(kw_only=True, eq=False)
class Exporting:
    """The export of a session. `exported` is None until its end, and where there were no cases.

    problem: why the tree is not written, or not whole
    """

    target: Path
    submitter: str
    division: Division
    exported: Export | None = None
    problem: str | None = None

    @property
    def _is_written(self) -> bool:
        return self.exported is not None and self.exported.results > 0 and self.problem is None

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Let nothing be green where nothing was exported. Called after the session's own, which exports."""
        only_collected = session.config.getoption("collectonly")
        if session.exitstatus == pytest.ExitCode.OK and not self._is_written and not only_collected:
            session.exitstatus = int(pytest.ExitCode.TESTS_FAILED)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what the tree lacks, and where it is."""
        if terminalreporter.config.getoption("collectonly"):
            return
        terminalreporter.section("MLPerf submission")
        for line in self._words():
            terminalreporter.write_line(line)

    def _words(self) -> Iterator[str]:
        if self.exported is not None:
            yield from words(self.exported)
        if self.problem:
            yield f"not exported: {self.problem}"
        elif self.exported is None or not self.exported.results:
            yield "nothing was exported: no run of this session can be submitted"
        else:
            count = len(self.exported.missing)
            state = f"NOT complete, {count} things are missing: see {LIST}" if count else "complete"
            yield f"exported: {self.exported.results} runs, {self.exported.round}, {self.division}: {state}"
            yield f"submission: {self.target}"

    def order(self, suite: Suite) -> Order:
        """Return what is asked for, with what the session knows."""
        from pytest_mlperf.submission.candidates import Order  # noqa: PLC0415  only where it is asked for

        site = suite.site
        return Order(
            submitter=self.submitter,
            division=self.division,
            inventory=site.inventory,
            terms={case.harness: site.terms(case) for case in suite.plan.cases.values()},
            output=site.output,
        )


_EXPORTING = pytest.StashKey[Exporting]()


def prepare(config: pytest.Config) -> None:
    """Take note of an export that is asked for. Raises UsageError when an option is wrong."""
    if hasattr(config, "workerinput"):
        return
    given = config.getoption("mlperf_export")
    if not given:
        raise pytest.UsageError("--mlperf-submitter, --mlperf-division: allowed with --mlperf-export only")
    if config.getoption("mlperf_results"):
        raise pytest.UsageError(
            "--mlperf-export: found --mlperf-results, which runs nothing that can be exported"
        )
    if config.getoption("mlperf_plan"):
        raise pytest.UsageError(
            "--mlperf-export: found --mlperf-plan, which runs nothing that can be exported"
        )
    exporting = Exporting(
        target=_target(config, Path(given)),
        submitter=_submitter(config.getoption("mlperf_submitter")),
        division=config.getoption("mlperf_division") or "closed",
    )
    config.stash[_EXPORTING] = exporting
    config.pluginmanager.register(exporting, "pytest_mlperf.exporting")


def _submitter(name: str | None) -> str:
    if name is None:
        raise pytest.UsageError("--mlperf-export: whose submission? (name it with --mlperf-submitter)")
    if not _SUBMITTER.fullmatch(name):
        raise pytest.UsageError(
            f"--mlperf-submitter: found {name!r}, allowed: a plain name of letters, digits, '.', '_' and '-'"
        )
    return name


def _target(config: pytest.Config, given: Path) -> Path:
    """Return the folder for the tree, which need not exist. Raises UsageError when it cannot be used."""
    path = Path(os.path.normpath(config.invocation_params.dir / given))
    results = Path(os.path.normpath(output.folder(config)))
    if path.is_relative_to(results) or results.is_relative_to(path):
        raise pytest.UsageError(
            f"{path}: --mlperf-export: found the folder of --mlperf-output, allowed: another"
        )
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise pytest.UsageError(
            f"{path}: --mlperf-export: cannot be written: {there} is no folder to write to"
        )
    content = next(path.iterdir(), None) if there == path else None
    if content is not None:
        raise pytest.UsageError(
            f"{path}: --mlperf-export: found {content.name} in it, allowed: a new or empty folder "
            "(a tree is never written over)"
        )
    return path


def begin(config: pytest.Config, suite: Suite, chosen: Collection[str]) -> None:
    """Say what is known to be missing before any case runs."""
    exporting = config.stash.get(_EXPORTING, None)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if exporting is None or reporter is None:
        return
    from pytest_mlperf.submission import export  # noqa: PLC0415  only where it is asked for

    planned = [_candidate(case, suite, chosen) for case in suite.plan.cases.values()]
    known = export.forecast(planned, exporting.order(suite))
    reporter.ensure_newline()
    reporter.section("MLPerf submission: known before it runs", sep="-")
    for line in words(known):
        reporter.write_line(line)
    if not known.pieces:
        reporter.write_line("nothing that is selected can be exported")


def _candidate(case: Case, suite: Suite, chosen: Collection[str]) -> Candidate:
    from pytest_mlperf.submission.candidates import Candidate  # noqa: PLC0415  only where it is asked for

    if case.id not in chosen:
        reason = suite.plan.dropped.get(case.id, "not selected")
        return Candidate(case=case, why_not=f"dropped: {reason}", dropped=True)
    placed = suite.site.place(case)
    why_not = f"unplaced: {placed}" if isinstance(placed, Unplaced) else None
    return Candidate(case=case, why_not=why_not)


def end(config: pytest.Config, suite: Suite, records: Iterable[Record]) -> None:
    """List what the tree lacks, then write it, if there is anything to write."""
    exporting = config.stash.get(_EXPORTING, None)
    if exporting is None:
        return
    from pytest_mlperf.submission import export  # noqa: PLC0415  only where it is asked for

    try:
        exporting.exported = export.plan(records, exporting.order(suite))
        lines = [f"{missing}\n" for missing in exporting.exported.missing]
        (output.folder(config) / LIST).write_text("".join(lines), encoding="utf-8")
        if exporting.exported.results:
            export.write(exporting.exported, exporting.target)
    except OSError as error:
        exporting.problem = f"{error.filename or exporting.target}: {error.strerror} (the tree is not whole)"
    except ConfigurationError as error:
        exporting.problem = str(error)


def words(found: Export) -> Iterator[str]:
    """Give what an export lacks: each thing once, and together those that lack at the same places."""
    reasons: dict[str, list[str]] = {}
    for refused in found.refused:
        reasons.setdefault(refused.reason, []).append(refused.case)
    for reason, cases in reasons.items():
        more = f" and {len(cases) - 1} more" if len(cases) > 1 else ""
        yield f"not exported: {cases[0]}{more}: {reason}"
    places: dict[tuple[str, str], list[str]] = {}
    for missing in found.missing:
        places.setdefault((missing.what, missing.hint), []).append(missing.path)
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (what, hint), paths in places.items():
        alike.setdefault((hint, tuple(paths)), []).append(what)
    for (hint, where), things in alike.items():
        yield f"missing: {', '.join(things)} ({hint})"
        yield from (f"  {path}" for path in where[:_SHOWN])
        if len(where) > _SHOWN:
            yield f"  and {len(where) - _SHOWN} more"
