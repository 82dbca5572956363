"""pytest's way in: options, markers, fixtures, and the decision to wake up.

Installed but unused, this costs an import of nothing but pytest. What does the work (`suite`, `session`) is
imported when a test that asks for a case is collected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_mlperf.matrix import Case
    from pytest_mlperf.record import Record

_MARKERS = {
    "datacenter": "cases of a datacenter matrix",
    "edge": "cases of an edge matrix",
    "smoke": "cases of a smoke matrix: shortened, not submission-valid",
    "accuracy": "AccuracyOnly cases",
    "performance": "PerformanceOnly cases",
    "SingleStream": "cases of this LoadGen scenario",
    "MultiStream": "cases of this LoadGen scenario",
    "Server": "cases of this LoadGen scenario",
    "Offline": "cases of this LoadGen scenario",
}

_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "--mlperf-matrix": {
        "action": "append",
        "metavar": "FILE",
        "help": "matrix to take the cases from, instead of the shipped ones (repeatable)",
    },
    "--mlperf-power": {
        "action": "append",
        "choices": ("MaxP", "MaxQ"),
        "help": "power setting to plan (repeatable; default: MaxP)",
    },
    "--mlperf-output": {
        "metavar": "DIR",
        "help": "new or empty folder for logs, records and metrics (default: mlperf-results/<timestamp>)",
    },
    "--mlperf-plan": {
        "metavar": "FILE",
        "help": "write the plan as JSON (needs, estimated seconds, would run or skip and why); run nothing",
    },
    "--mlperf-strict": {
        "action": "store_true",
        "help": "hardware that the selected cases need and this machine lacks is a failure, not a skip",
    },
    "--mlperf-match": {
        "choices": ("exact", "partial"),
        "help": "whether devices may differ from the SKU; reports say in what (default: see the matrix)",
    },
    "--mlperf-doctor": {
        "nargs": "?",
        "const": "text",
        "choices": ("text", "json"),
        "help": "say what this machine is, which SKU it matches, and which cases would run; run nothing",
    },
    "--mlperf-leases": {
        "action": "store_true",
        "help": "list who holds which device of this machine, since when and for which case; run nothing",
    },
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options and the ini keys."""
    group = parser.getgroup("mlperf", "MLPerf conformance")
    for name, attributes in _OPTIONS.items():
        group.addoption(name, **attributes)
    parser.addini(
        "mlperf_matrices",
        "matrix files, relative to the rootdir, with wildcards (default: matrices/*.yaml)",
        type="args",
        default=["matrices/*.yaml"],
    )


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that a site may implement in its conftest.py."""
    from pytest_mlperf.plugin import hookspecs  # noqa: PLC0415  after the pluginmanager exists

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the markers and the columns of HTML reports; a plan is made here, not by workers."""
    for name, meaning in _MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    if config.getoption("mlperf_plan") and hasattr(config.option, "dist"):
        config.option.dist = "no"
    if getattr(config, "workerinput", {}).get("mlperf_packs"):
        from pytest_mlperf.plugin.scheduling import BarrierHooks  # noqa: PLC0415  only with xdist

        config.pluginmanager.register(BarrierHooks(), "pytest_mlperf.barrier")
    if config.getoption("htmlpath", None):
        from pytest_mlperf.plugin.html import add_columns  # noqa: PLC0415  only where HTML is written

        add_columns(config)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Answer a question about the machine, instead of a session."""
    doctor = config.getoption("mlperf_doctor")
    if not doctor and not config.getoption("mlperf_leases"):
        return None
    from pytest_mlperf.plugin import asking  # noqa: PLC0415  wake up

    return asking.answer_doctor(config, as_json=doctor == "json") if doctor else asking.answer_leases()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one item of each case, for a test that asks for `mlperf_case` or `mlperf_record`."""
    if "mlperf_case" in metafunc.fixturenames:
        from pytest_mlperf.plugin.session import start  # noqa: PLC0415  wake up
        from pytest_mlperf.plugin.suite import parametrize  # noqa: PLC0415  wake up

        if not hasattr(metafunc.config, "workerinput"):
            start(metafunc.config)
        parametrize(metafunc)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse a plan of nothing."""
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
    """Return whether xdist distributes as it does by default; any other way is the user's choice."""
    return bool(config.getoption("dist", "no") == "load")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: pytest.Item, ids: list[str]) -> None:
    """Wake up beside the workers of xdist, which are the ones that collect."""
    from pytest_mlperf.plugin.scheduling import has_cases  # noqa: PLC0415  only with xdist

    if has_cases(ids):
        from pytest_mlperf.plugin.session import start  # noqa: PLC0415  wake up

        session = start(node.config)
        session.selected(ids)
        session.begin()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: pytest.Item) -> None:
    """Stop when a worker of xdist could not load the matrices."""
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
    from pytest_mlperf.report.explanation import explain  # noqa: PLC0415  awake already

    expected = record.case.settings.expected_failure
    if record.ending == "fail" and expected:
        pytest.xfail(expected)
    if record.ending == "pass" and expected:
        pytest.fail(
            f"{explain(record)}\n  It passed: take the expected failure out of the matrix.", pytrace=False
        )
    if record.ending != "pass":
        pytest.fail(explain(record), pytrace=False)
