"""The cases of a session: loaded from the matrices, made items, and run in their items.

Lives in every process that collects: pytest itself, or each worker of xdist.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf import attempts, catalogue, rounds
from pytest_mlperf.baselines import Standards
from pytest_mlperf.errors import ConfigurationError
from pytest_mlperf.hardware import skus
from pytest_mlperf.matrix import MODE_MARKERS, Case
from pytest_mlperf.matrix.loading import check_distinct, load
from pytest_mlperf.pipeline import run_case
from pytest_mlperf.plan import Plan, select
from pytest_mlperf.plugin import nvidia, output, remembering
from pytest_mlperf.plugin.ending import Ending
from pytest_mlperf.plugin.live import Live
from pytest_mlperf.plugin.markers import OURS
from pytest_mlperf.plugin.nodeids import is_of_matrix
from pytest_mlperf.plugin.telling import RECORD, tell, tell_junit
from pytest_mlperf.record import PublishedCase
from pytest_mlperf.replay import Replay
from pytest_mlperf.resume import Resume
from pytest_mlperf.site import Site

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    from pytest_mlperf.harness import Harness
    from pytest_mlperf.matrix import Attempts
    from pytest_mlperf.plugin.auditing import Audit
    from pytest_mlperf.record import Record


@dataclass(kw_only=True, eq=False)
class Suite:
    """The matrices of a session, and what their cases run with."""

    config: pytest.Config
    problems: list[str] = field(default_factory=list)

    @cached_property
    def harnesses(self) -> Mapping[str, Harness]:
        """The harnesses of the package, and those of the site."""
        harnesses = dict(catalogue.harnesses(nvidia.installation(self.config)))
        for more in self.config.hook.pytest_mlperf_harnesses(config=self.config):
            harnesses.update(more)
        return harnesses

    @cached_property
    def plan(self) -> Plan:
        """The plan of the session; empty, with `problems`, when the matrices cannot be loaded."""
        try:
            vocabularies = catalogue.vocabularies(self.harnesses)
            matrices = [load(path, vocabularies, rounds.names()) for path in self._named_paths()]
            check_distinct(matrices)
        except (ConfigurationError, pytest.UsageError) as error:
            self.problems.append(str(error))
            return Plan(cases={}, dropped={})
        return select(matrices, powers=self.config.getoption("mlperf_power") or ["MaxP"])

    @cached_property
    def audit(self) -> Audit | None:
        """The submission tree of the session, None where none is named."""
        if not self.config.getoption("mlperf_results"):
            return None
        from pytest_mlperf.plugin.auditing import Audit  # noqa: PLC0415  only with a tree

        return Audit(config=self.config, problems=self.problems)

    @property
    def cases(self) -> Iterator[Case | PublishedCase]:
        """All cases that tests were made of: of the matrices, if they are asked for, and of the tree."""
        if "plan" in vars(self):
            yield from self.plan.cases.values()
        if self.audit is not None:
            yield from self.audit.cases.values()

    def case(self, case_id: str) -> Case | PublishedCase | None:
        """Return a case by id, None for no such case."""
        published = self.audit.cases.get(case_id) if self.audit else None
        return published or (self.plan.cases.get(case_id) if is_of_matrix(case_id) else None)

    @cached_property
    def paths(self) -> list[Path]:
        """The matrix files: those that are named, or what the project has."""
        given = self.config.getoption("mlperf_matrix")
        if given:
            return [self.config.invocation_params.dir / path for path in given]
        patterns = self.config.getini("mlperf_matrices")
        return [path for pattern in patterns for path in sorted(self.config.rootpath.glob(pattern))]

    def _named_paths(self) -> list[Path]:
        if not self.paths:
            patterns = self.config.getini("mlperf_matrices")
            raise pytest.UsageError(
                f"{self.config.rootpath}: no matrix: found no file {' or '.join(patterns)} (name one with "
                "--mlperf-matrix, or set mlperf_matrices in the ini file)"
            )
        return self.paths

    @cached_property
    def site(self) -> Site:
        """What the cases of this session run with."""
        return Site(
            inventory=catalogue.inventory_of_replay() if self.replay else catalogue.inventory(),
            skus=skus.load(),
            rounds={name: rounds.load(name) for name in rounds.names()},
            harnesses=self.harnesses,
            execute=catalogue.execute,
            find_image=catalogue.CONTAINERS.find_image,
            output=output.folder(self.config),
            strict=self.config.getoption("mlperf_strict"),
            match=self.config.getoption("mlperf_match"),
            notice=self.live.tell,
            watch=self.live.watch,
            replay=self.replay,
            resume=self.resume,
            attempts=self.attempts,
            standards=self.standards,
        )

    @cached_property
    def live(self) -> Live:
        """Who tells of the case that runs."""
        return Live(self.config)

    @cached_property
    def replay(self) -> Replay | None:
        """The logs to judge instead of running anything. Raises UsageError where there is no such folder."""
        name = self.config.getoption("mlperf_replay")
        if name is None:
            return None
        path = self.config.invocation_params.dir / name
        try:
            next(path.iterdir(), None)
        except OSError as error:
            raise pytest.UsageError(
                f"{path}: --mlperf-replay: cannot be read: {error.strerror}, allowed: a folder with logs "
                "(of an earlier session, or the log folder of NVIDIA's harness)"
            ) from error
        return Replay(folder=path, name=name)

    @cached_property
    def resume(self) -> Resume | None:
        """The earlier session to go on with. Raises UsageError where its folder is not of a session."""
        name = self.config.getoption("mlperf_resume")
        if name is None:
            return None
        if self.replay is not None:
            raise pytest.UsageError("--mlperf-resume: found --mlperf-replay too, allowed: one of them")
        resume = Resume(folder=self.config.invocation_params.dir / name, name=name)
        try:
            resume.check()
        except ConfigurationError as error:
            raise pytest.UsageError(str(error)) from error
        return resume

    @property
    def attempts(self) -> Attempts | None:
        """How often cases may be run. Raises UsageError for a text that does not say it."""
        text = self.config.getoption("mlperf_attempts")
        try:
            return attempts.parse(text) if text is not None else None
        except ConfigurationError as error:
            raise pytest.UsageError(str(error)) from error

    @property
    def standards(self) -> Standards:
        """What measurements are compared with. Raises UsageError for own baselines without a memory."""
        held = self.config.getoption("mlperf_baseline") or []
        if "own" not in held:
            return Standards(held=held)
        if self.replay is not None:
            raise pytest.UsageError(
                "--mlperf-baseline own: found --mlperf-replay too, allowed: one of them (the history may "
                "have the very runs that are replayed)"
            )
        history = remembering.history_of(self.config)
        if history is None:
            raise pytest.UsageError(
                "--mlperf-baseline own: found no history, allowed: one named by --mlperf-history or the ini "
                "key mlperf_history"
            )
        from pytest_mlperf.history.baselines import Recollection  # noqa: PLC0415  only with a history

        recall = Recollection(history=history)
        return Standards(held=held, recall=recall, strict=self.config.getoption("mlperf_strict"))

    def parameters(self) -> Iterator[Any]:
        """Give the kept cases as parameters, each with its id and its markers."""
        marks: dict[str, pytest.MarkDecorator] = {}
        for case in self.plan.kept:
            words = (
                case.category,
                case.benchmark,
                case.harness,
                case.scenario,
                MODE_MARKERS[case.mode],
                case.sku,
            )
            for word in words:
                if word not in marks:
                    self.config.addinivalue_line("markers", f"{word}: cases of the matrices {OURS}")
                    marks[word] = getattr(pytest.mark, word)
            yield pytest.param(case, id=case.id, marks=[marks[word] for word in words])


@dataclass(frozen=True, kw_only=True, eq=False)
class SuiteHooks:
    """What the suite does while pytest collects and reports.

    Apart from `Suite`, because pytest looks at every attribute of a plugin, and a suite's are costly.
    """

    suite: Suite

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Stop before anything runs when a matrix is wrong, or a case would run twice (exit code 4).

        Before pytest looks at `-m`: without its cases, a matrix has not made its markers.
        """
        self._stop(items)
        yield
        self.suite.problems += [*_crossed(items), *_asked_twice(items)]
        self._stop(items)

    def _stop(self, items: list[pytest.Item]) -> None:
        if not self.suite.problems:
            return
        message = "\n".join(self.suite.problems)
        workeroutput = getattr(self.suite.config, "workeroutput", None)
        if workeroutput is None:
            raise pytest.UsageError(message)
        workeroutput["mlperf_problems"] = message
        self.suite.config.option.markexpr = ""
        items.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Judge the runs of a submission tree ahead of their items."""
        audit = self.suite.audit
        if audit is None or session.config.getoption("collectonly"):
            return (yield)
        audit.begin(session.items)
        try:
            return (yield)
        finally:
            audit.end()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send the record with the report of the phase that ran the case; it survives xdist.

        JUnit takes the output of a test from its last report: there stands what is to be said of the record.
        """
        report = yield
        if call.when == "setup" and RECORD in item.stash:
            vars(report)["mlperf_record"] = item.stash[RECORD]
        if call.when == "teardown":
            tell_junit(item, report)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(
        self,
    ) -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
        """Send the record as plain values, which is what survives xdist."""
        content = yield
        if content and "mlperf_record" in content:
            content["mlperf_record"] = content["mlperf_record"].to_json()
        return content


def _case(item: pytest.Item) -> Case | PublishedCase | None:
    published = getattr(item, "case", None)
    if isinstance(published, PublishedCase):
        return published
    callspec = getattr(item, "callspec", None)
    case = callspec.params.get("mlperf_case") if callspec else None
    return case if isinstance(case, Case) else None


def _crossed(items: list[pytest.Item]) -> Iterator[str]:
    """Give a problem for each test that has parameters beside the case: one case is one item."""
    crossed = [item for item in items if (case := _case(item)) and f"[{case.id}]" not in item.nodeid]
    for test in sorted({item.nodeid.partition("[")[0] for item in crossed}):
        yield f"{test}: has parameters beside the case, allowed: none (a case is one item)"


def _asked_twice(items: list[pytest.Item]) -> Iterator[str]:
    """Give a problem for each pair of tests that ask for the same case: a case has one record."""
    first: dict[str, str] = {}
    clashes: dict[tuple[str, str], str] = {}
    for item in items:
        case = _case(item)
        test = item.nodeid.partition("[")[0]
        if case is not None and first.setdefault(case.id, item.nodeid) != item.nodeid:
            clashes.setdefault((first[case.id].partition("[")[0], test), case.id)
    for (one, other), case_id in clashes.items():
        yield f"{other}: asks for cases of {one} ({case_id}, ...), allowed: one test for a case (select one)"


_SUITE = pytest.StashKey[Suite]()


def suite_of(config: pytest.Config) -> Suite:
    """Return the suite of this process, made when it is first asked for."""
    if _SUITE not in config.stash:
        suite = Suite(config=config)
        config.stash[_SUITE] = suite
        config.pluginmanager.register(SuiteHooks(suite=suite), "pytest_mlperf.suite")
        ending = Ending(config=config, live=suite.live)
        config.pluginmanager.register(ending, "pytest_mlperf.ending")
        ending.listen()
    return config.stash[_SUITE]


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Make items of the kept cases."""
    metafunc.parametrize("mlperf_case", list(suite_of(metafunc.config).parameters()), indirect=True)


def published_items(
    collector: pytest.Collector, name: str, test: Any, arguments: tuple[str, ...]
) -> list[pytest.Item]:
    """Make items of the runs of the session's submission tree, which a test takes the records of."""
    suite = suite_of(collector.config)
    if arguments != ("mlperf_audited",):
        suite.problems.append(
            f"{collector.nodeid}::{name}: takes {', '.join(arguments)}, allowed: mlperf_audited alone "
            "(these items have no fixtures)"
        )
        return []
    return list(suite.audit.items(collector, name, test)) if suite.audit else []


def run(item: pytest.Item, case: Case) -> Record:
    """Run the case of an item; skip it or report an error where there is no verdict."""
    return tell(item, run_case(case, suite_of(item.config).site))
