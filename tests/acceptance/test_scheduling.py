"""Cases under xdist: what runs together, in which order, and that nobody sees the barrier.

The cases sleep, and their needs stand in a table. What is asserted is who ran beside whom, never how long.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from xdist.remote import Producer

from pytest_mlperf.packing import Need
from pytest_mlperf.plugin.scheduling import CaseScheduling, Demand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEVICES = 8

PLUGIN = """
import json
import os
from pathlib import Path

import pytest

from pytest_mlperf.packing import Need
from pytest_mlperf.plugin.scheduling import BarrierHooks, CaseScheduling, Demand

def demand():
    table = json.loads(Path("needs.json").read_text())
    return Demand(devices=8, needs={nodeid: Need(**need) for nodeid, need in table.items()})

def pytest_configure(config):
    if getattr(config, "workerinput", {}).get("packs"):
        config.pluginmanager.register(BarrierHooks())
        with open("pids", "a") as file:
            file.write(f"{os.getpid()}\\n")

@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput["packs"] = node.config.getoption("dist") == "load"

@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    if config.getoption("dist") == "load":
        return CaseScheduling(config, log, demand=demand)

def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        print(f"\\ncollected: {session.testscollected}")
"""

SUITE = """
import os
import time
from pathlib import Path

import pytest

def log(word, name):
    with open("log", "a") as file:
        file.write(f"{word} {name}\\n")

def wait_for(word, count):
    for _ in range(300):
        if Path("log").read_text().count(word) >= count:
            return
        time.sleep(0.1)
    raise TimeoutError(f"{count} {word}")

@pytest.fixture(scope="module", autouse=True)
def module_fixture():
    log("module", os.environ.get("PYTEST_XDIST_WORKER"))

MORE = Path("more").read_text().split() if Path("more").exists() else []

@pytest.mark.parametrize("case", [*CASES, *MORE])
def test_case(case):
    name, action = case.split("-")[:2]
    log("start", name)
    if action == "crash":
        os._exit(3)
    if action == "kill":
        for pid in map(int, Path("pids").read_text().split()):
            if pid != os.getpid():
                os.kill(pid, 9)
    if action == "meet":
        wait_for("start", 2)
    if action == "last":
        wait_for("end", len(CASES) - 1)
    if action != "quick":
        time.sleep(0.15)
    log("end", name)
    assert action != "fail"
"""

PLAIN = """
import os
import pytest

@pytest.fixture(scope="module")
def broken():
    yield
    raise ValueError("at the end of the module")

@pytest.mark.parametrize("i", range(20))
def test_good(i):
    pass

def test_bad():
    assert False

def test_skipped():
    pytest.skip("not today")

@pytest.mark.xfail
def test_expected():
    assert False

def test_teardown(broken):
    pass

def test_crash():
    os._exit(3)
"""


@dataclass(frozen=True, kw_only=True)
class Project:
    """A suite with cases by name: `devices[!] estimated seconds [action]`, where `!` is alone on the host."""

    pytester: pytest.Pytester
    needs: dict[str, object] = field(default_factory=dict)

    def write(self, cases: Mapping[str, str], module: str = "test_suite") -> None:
        ids = []
        for name, words in cases.items():
            devices, estimate, *action = words.split()
            ids.append(f"{name}-{action[0] if action else 'pass'}-PerformanceMode")
            self.needs[f"{module}.py::test_case[{ids[-1]}]"] = {
                "devices": int(devices.rstrip("!")),
                "exclusive": devices.endswith("!"),
                "duration_s": float(estimate),
            }
        (self.pytester.path / "needs.json").write_text(json.dumps(self.needs), encoding="utf-8")
        (self.pytester.path / f"{module}.py").write_text(SUITE.replace("CASES", repr(ids)), encoding="utf-8")

    def run(self, *options: str, plugin: bool = True) -> pytest.RunResult:
        ours = ("-p", "packs") if plugin else ()
        without = [f"-pno:{name}" for name in ("pytest_mlperf.plugin", "html", "metadata", "cacheprovider")]
        return self.pytester.runpytest_subprocess(*without, *ours, *options, timeout=60)

    def events(self, *words: str) -> list[tuple[str, str]]:
        lines = (self.pytester.path / "log").read_text(encoding="utf-8").splitlines()
        events = [(word, name) for word, name in (line.split() for line in lines)]
        return [event for event in events if event[0] in words]

    def started(self) -> list[str]:
        return [name for _, name in self.events("start")]

    def together(self) -> Iterator[set[str]]:
        """Give what runs, after each start."""
        running: set[str] = set()
        for word, name in self.events("start", "end"):
            if word == "end":
                running.remove(name)
            else:
                running.add(name)
                yield set(running)


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    pytester.makepyfile(packs=PLUGIN)
    return Project(pytester=pytester)


MIX = {
    **{f"narrow{i}": f"1 {10 + i}" for i in range(8)},
    "four0": "4 20",
    "four1": "4 20",
    "alone0": "0! 5",
    "wide": "8 30",
    "alone1": "8! 5",
}
PLAIN_BESIDE = """
from test_suite import log

def test_plain():
    log("start", "plain")
    log("end", "plain")
"""


def test_cases_pack_on_the_devices(project: Project) -> None:
    project.write(MIX)
    project.pytester.makepyfile(test_plain=PLAIN_BESIDE)
    result = project.run("-n4")

    result.assert_outcomes(passed=len(MIX) + 1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["collected: 14"])
    assert sorted(project.started()) == sorted([*MIX, "plain"])
    assert [name for name in project.started() if name != "plain"][:3] == ["alone1", "alone0", "wide"]
    width = {"plain": 0} | {name: int(words.split()[0].rstrip("!")) for name, words in MIX.items()}
    for running in project.together():
        assert sum(width[name] for name in running) <= DEVICES
        assert len(running) == 1 or not any(name.startswith("alone") for name in running)


def test_the_longest_goes_first_whatever_the_file_says(project: Project) -> None:
    project.write({"short": "8 1", "middle": "8 2", "longest": "8 9", "long": "8 3"})
    project.run("-n1").assert_outcomes(passed=4)
    assert project.started() == ["longest", "long", "middle", "short"]


def test_cases_of_one_device_run_side_by_side(project: Project) -> None:
    project.write({"c0": "1 9 meet", "c1": "1 8 meet"})
    project.run("-n2").assert_outcomes(passed=2)


def test_no_case_is_committed_behind_another(project: Project) -> None:
    project.write({"c0": "1 9 last", **{f"c{i}": "1 1" for i in range(1, 8)}})
    project.run("-n2").assert_outcomes(passed=8)


def test_a_fixture_of_a_single_module_lives_as_long_as_its_worker(project: Project) -> None:
    project.write({f"c{i}": "1 1" for i in range(6)})
    project.run("-n2").assert_outcomes(passed=6)
    assert sorted(project.events("module")) == [("module", "gw0"), ("module", "gw1")]


def test_a_fixture_that_fails_after_the_last_case_is_an_error(project: Project) -> None:
    project.write({"c0": "1 1", "c1": "1 1"})
    project.pytester.makeconftest("""
        import pytest

        @pytest.fixture(scope="session", autouse=True)
        def failing():
            yield
            raise ValueError("at the very end")
        """)
    result = project.run("-n1")

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["ERROR test_suite.py::end-of-worker - ValueError: at the very end"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_cases_of_several_modules(project: Project) -> None:
    project.write({f"c{i}": "1 1" for i in range(4)})
    project.write({f"d{i}": "2 1" for i in range(4)}, module="test_other")
    project.run("-n1").assert_outcomes(passed=8)
    assert sorted(project.started()) == ["c0", "c1", "c2", "c3", "d0", "d1", "d2", "d3"]


def test_a_dead_worker_loses_only_its_case(project: Project) -> None:
    project.write({"c0": "4 9 crash", "c1": "4 8", "c2": "4 7", "c3": "8 6", "c4": "4 5 fail", "c5": "4 4"})
    result = project.run("-n2", "-rf", "--tb=no")

    result.assert_outcomes(passed=4, failed=2)
    result.stdout.fnmatch_lines(["FAILED test_suite.py::test_case?c0-crash-PerformanceMode?*"])
    assert len(re.findall("replacing crashed worker", result.stdout.str())) == 1
    assert sorted(project.started()) == ["c0", "c1", "c2", "c3", "c4", "c5"]
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_dead_worker_loses_only_its_case_of_those_that_were_sent_together(project: Project) -> None:
    cases = {f"c{i:02}": "0 0 quick" for i in range(40)}
    project.write({**cases, "c15": "0 0 crash"})
    project.run("-n1").assert_outcomes(passed=39, failed=1)
    assert sorted(project.started()) == sorted(cases)


def test_a_dead_worker_that_is_not_replaced_ends_the_session(project: Project) -> None:
    project.write({"c0": "8 9 crash", "c1": "8 8", "c2": "8 7", "c3": "8 6"})
    result = project.run("-n2", "--max-worker-restart=0")

    result.assert_outcomes(failed=1, passed=len(project.started()) - 1)
    result.stdout.fnmatch_lines(["*worker restarting disabled*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(project.started()) == 2


def test_a_worker_that_dies_at_its_barrier_loses_nothing(project: Project) -> None:
    project.write({"c0": "1 9 meet", "c1": "1 9 meet", "c2": "8 8 kill", "c3": "8 7", "c4": "8 6"})
    result = project.run("-n2")

    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["replacing crashed worker *"])
    assert result.ret == 0


def test_a_case_runs_again_where_another_plugin_asks_for_it(project: Project) -> None:
    project.write({"c0": "8 9 crash", "c1": "8 8"})
    project.pytester.makeconftest("""
        def pytest_handlecrashitem(crashitem, report, sched):
            if report.node.gateway.id == "gw0":
                sched.mark_test_pending(crashitem)
        """)
    result = project.run("-n1")

    result.assert_outcomes(failed=2, passed=1)
    assert project.started() == ["c0", "c0", "c1"]


def test_a_worker_that_collects_otherwise_than_the_one_it_replaces_gets_no_case(project: Project) -> None:
    project.write({"c0": "8 9 crash", "c1": "8 8", "c2": "8 7"})
    project.pytester.makeconftest("""
        from pathlib import Path

        def pytest_handlecrashitem():
            Path("more").write_text("more-pass-PerformanceMode")
        """)
    result = project.run("-n1")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Unexpectedly no active workers available"])
    assert project.started() == ["c0"]


@dataclass(eq=False)
class Worker:
    """Stands for a worker, as xdist shows it to its scheduler."""

    shutting_down: bool = False
    is_dead: bool = False
    sent: list[list[int]] = field(default_factory=list)

    def send_runtest_some(self, indices: list[int]) -> None:
        if self.is_dead:
            raise OSError
        self.sent.append(indices)


def test_a_case_that_was_sent_to_a_worker_just_dead_goes_to_another(pytester: pytest.Pytester) -> None:
    nodeids = [f"test_suite.py::test_case[c{i}-PerformanceMode]" for i in range(3)]
    needs = {nodeid: Need(devices=8, exclusive=False, duration_s=9.0) for nodeid in nodeids}
    config = pytester.parseconfig("--tx=2*popen", "--dist=load")
    scheduling = CaseScheduling(config, Producer("log"), demand=lambda: Demand(devices=8, needs=needs))
    one, other = Worker(), Worker()
    for worker in (one, other):
        scheduling.add_node(worker)
        scheduling.add_node_collection(worker, nodeids)
    scheduling.schedule()
    assert (one.sent, other.sent) == ([[0, 3]], [])

    one.is_dead = True
    scheduling.mark_test_complete(one, 0)
    assert scheduling.remove_node(one) is None
    assert other.sent == [[1, 3]]


@pytest.mark.parametrize(("option", "failed"), [("-x", 1), ("--maxfail=2", 2)])
def test_nothing_starts_after_the_last_failure_that_is_allowed(
    option: str, failed: int, project: Project
) -> None:
    project.write({f"c{i}": f"8 {9 - i} fail" for i in range(5)})
    result = project.run("-n1", option)

    result.assert_outcomes(failed=failed)
    result.stdout.fnmatch_lines([f"*stopping after {failed} failures*"])
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert project.started() == ["c0", "c1"][:failed]


@pytest.mark.parametrize(
    "options",
    [
        ("-n2", "--dist=each"),
        ("-n1", "--dist=worksteal"),
        ("-n0",),
    ],
    ids=lambda options: options[-1],
)
def test_the_choice_of_the_user_stays(options: tuple[str, ...], project: Project) -> None:
    project.write({"c0": "8 1", "c1": "8 2"})
    result = project.run(*options)
    times = 2 if "--dist=each" in options else 1
    result.assert_outcomes(passed=2 * times)
    assert result.ret == 0


@pytest.mark.parametrize("options", [(), ("-x",)], ids=str)
def test_a_session_without_cases_is_as_it_was(options: tuple[str, ...], project: Project) -> None:
    project.pytester.makepyfile(test_plain=PLAIN)
    with_ours = project.run("-n1", *options)
    without = project.run("-n1", *options, plugin=False)
    assert with_ours.ret == without.ret
    assert with_ours.parseoutcomes() == without.parseoutcomes()
