"""pytest's way in: options, markers, fixtures, and the decision to wake up.

Installed but unused, this costs an import of nothing but pytest. What does the work (`suite`, `session`) is
imported when a test that asks for a case is collected.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf.plugin.markers import MARKERS
from pytest_mlperf.plugin.options import declare

if TYPE_CHECKING:
    from pytest_mlperf.matrix import Case
    from pytest_mlperf.record import Record

_LEFT_OUT = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options and the ini keys."""
    declare(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that a site may implement in its conftest.py."""
    from pytest_mlperf.plugin import hookspecs  # noqa: PLC0415  after the pluginmanager exists

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the markers and the page of HTML reports; a plan is made here, not by workers."""
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    if config.getoption("mlperf_round") and not config.getoption("mlperf_results"):
        raise pytest.UsageError(
            "--mlperf-round: found no --mlperf-results beside it, allowed: with an audit "
            "(matrices name their round)"
        )
    if config.getoption("mlperf_plan") and hasattr(config.option, "dist"):
        config.option.dist = "no"
    if getattr(config, "workerinput", {}).get("mlperf_packs"):
        from pytest_mlperf.plugin.scheduling import BarrierHooks  # noqa: PLC0415  only with xdist

        config.pluginmanager.register(BarrierHooks(), "pytest_mlperf.barrier")
    if any(config.getoption(f"mlperf_{name}") for name in ("export", "submitter", "division")):
        from pytest_mlperf.plugin.exporting import prepare  # noqa: PLC0415  only where it is asked for

        prepare(config)
    if config.getoption("mlperf_merge"):
        from pytest_mlperf.plugin import merging  # noqa: PLC0415  only where it is asked for

        merging.begin(config)
    if config.getoption("htmlpath", None):
        from pytest_mlperf.plugin.html import add_page  # noqa: PLC0415  only where HTML is written

        add_page(config)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from pytest_mlperf.plugin.github import GitHub  # noqa: PLC0415  only there

        config.pluginmanager.register(GitHub(config=config), "pytest_mlperf.github")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Answer a question about the machine or its history, instead of a session."""
    if any(config.getoption(f"mlperf_{name}") for name in ("report", "import", "sku", "benchmark")):
        from pytest_mlperf.plugin import remembering  # noqa: PLC0415  wake up

        return remembering.answer(config)
    doctor = config.getoption("mlperf_doctor")
    if not doctor and not config.getoption("mlperf_leases"):
        return None
    from pytest_mlperf.plugin import asking  # noqa: PLC0415  wake up

    return asking.answer_doctor(config, as_json=doctor == "json") if doctor else asking.answer_leases()


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> list[pytest.Item] | None:
    """Make one item of each published run, for a test that takes its record: `mlperf_audited`.

    Without a submission tree such a test is left out; it would have no items.
    """
    code = getattr(obj, "__code__", None)
    arguments = code.co_varnames[: code.co_argcount] if code else ()
    if "mlperf_audited" not in arguments or not collector.funcnamefilter(name):
        return None
    if not collector.config.getoption("mlperf_results"):
        collector.config.stash[_LEFT_OUT] = collector.nodeid
        return []
    _wake_up(collector.config)
    from pytest_mlperf.plugin.suite import published_items  # noqa: PLC0415  wake up

    return published_items(collector, name, obj, arguments)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one item of each case, for a test that asks for one, or for its record."""
    if "mlperf_case" in metafunc.fixturenames:
        _wake_up(metafunc.config)
        from pytest_mlperf.plugin.suite import parametrize  # noqa: PLC0415  wake up

        parametrize(metafunc)


def _wake_up(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        from pytest_mlperf.plugin.session import start  # noqa: PLC0415  wake up

        start(config)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse an audit of nothing, and a plan of nothing."""
    left_out = session.config.stash.get(_LEFT_OUT, None)
    chosen = session.config.getoption("markexpr") or session.config.getoption("keyword")
    if left_out and not session.items and not chosen:
        raise pytest.UsageError(
            f"{left_out}: found no submission tree to audit (name it with --mlperf-results)"
        )
    if session.config.getoption("mlperf_plan") and not session.config.pluginmanager.has_plugin(
        "pytest_mlperf.session"
    ):
        raise pytest.UsageError(
            "--mlperf-plan: no test that was collected asks for a case (name the suite: suites)"
        )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: pytest.Item) -> None:
    """Tell a worker of xdist where results go, and whether its cases are packed."""
    from pytest_mlperf.plugin.output import folder  # noqa: PLC0415  only with xdist

    workerinput = node.workerinput  # type: ignore[attr-defined]
    workerinput["mlperf_output"] = str(folder(node.config))
    workerinput["mlperf_packs"] = _packs(node.config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object | None:
    """Pack cases, where xdist is not told how to distribute tests."""
    if not _packs(config):
        return None
    from pytest_mlperf.plugin.scheduling import CaseScheduling  # noqa: PLC0415  only with xdist
    from pytest_mlperf.plugin.session import start  # noqa: PLC0415  only called when there are cases

    return CaseScheduling(config, log, demand=lambda: start(config).demand())


def _packs(config: pytest.Config) -> bool:
    """Return whether xdist distributes as it does by default, and cases need devices.

    Any other way is the user's choice; audits are best shared out in blocks, as xdist does.
    """
    return bool(config.getoption("dist", "no") == "load") and not config.getoption("mlperf_results")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: pytest.Item, ids: list[str]) -> None:
    """Wake up beside the workers of xdist, which are the ones that collect."""
    from pytest_mlperf.plugin.nodeids import has_cases  # noqa: PLC0415  only with xdist

    if has_cases(ids, published=bool(node.config.getoption("mlperf_results"))):
        from pytest_mlperf.plugin.session import start  # noqa: PLC0415  wake up

        session = start(node.config)
        session.selected(ids)
        session.begin()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: pytest.Item, error: object) -> None:
    """End what a worker of xdist left that died; stop when one could not load the matrices."""
    if error and node.config.pluginmanager.has_plugin("pytest_mlperf.session"):
        from pytest_mlperf import catalogue  # noqa: PLC0415  awake already

        catalogue.end_orphans()
    problems = getattr(node, "workeroutput", {}).get("mlperf_problems")
    if problems:
        raise pytest.UsageError(problems)


@pytest.fixture
def mlperf_case(request: pytest.FixtureRequest) -> Case:
    """One case of the matrices; a test that asks for it becomes one item a case."""
    case: Case = request.param
    return case


@pytest.fixture
def mlperf_record(request: pytest.FixtureRequest, mlperf_case: Case) -> Record:
    """Run the case, and return what is left of it: pass or fail.

    Skips when the hardware is not here; an error of the item when its outcome could not be found out.
    """
    from pytest_mlperf.plugin.suite import run  # noqa: PLC0415  awake already

    return run(request.node, mlperf_case)


def check(record: Record) -> None:
    """Fail the test unless the record is a pass, or the failure that its matrix expects."""
    from pytest_mlperf.plugin import telling  # noqa: PLC0415  awake already

    telling.check(record)
