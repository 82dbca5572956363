"""A session that is told to end, or killed: what was found out stays, and what runs is ended."""

from __future__ import annotations

import os
import re
import signal
import time
import xml.etree.ElementTree as ET
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from sessions import Session

MATRIX = """\
round: v2.0
category: smoke
axes: {sku: CPU, harness: scripted, scenario: Offline, mode: PerformanceOnly}
include: [{benchmark: good}, {benchmark: slow}, {benchmark: bad}]
"""
SLOW = "slow-CPU_SCRIPT-scripted_k_99_MaxP-Offline-PerformanceMode"
END_S = 5
SLOW_S = 60


@contextmanager
def running(session: Session, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Give a session whose slow case has begun, and whose others may have ended."""
    session.write_matrix(MATRIX)
    reports = ("--mlperf-output=out", "--junitxml=j.xml", "--html=h.html", "--self-contained-html")
    with session.start(*options, *reports) as process:
        deadline = time.monotonic() + 60
        folder = session.pytester.path / "out" / "cases" / SLOW
        while not (folder / "stderr.txt").exists() or not programs(folder):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        yield process


def programs(folder: Path) -> set[int]:
    """Return the processes that work in a folder."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        # A process may be gone by the time it is looked at, and a dead one works nowhere.
        with suppress(OSError):
            if (entry / "cwd").readlink() == folder and int(entry.name) != os.getpid():
                found.add(int(entry.name))
    return found


def gone(folder: Path, *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while programs(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("options", [("-p", "no:xdist"), ("-n0",), ("-n2",)], ids=["no:xdist", "n0", "n2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda n: n.name)
def test_session_that_is_told_to_end_writes_all_reports(
    session: Session, options: tuple[str, ...], number: signal.Signals
) -> None:
    with running(session, *options) as process:
        process.send_signal(number)
        code = process.wait(timeout=4 * END_S)

    assert code == pytest.ExitCode.INTERRUPTED
    # What a killed program started takes the kernel a moment.
    assert gone(session.pytester.path / "out" / "cases" / SLOW, within_s=1)
    assert "footer" in session.lines()[-1]
    endings = {record["case"]["benchmark"]: record["ending"] for record in session.records().values()}
    assert endings == {"good": "pass", "slow": "error", "bad": endings["bad"]}
    said = (session.pytester.path / "said.txt").read_text(encoding="utf-8")
    assert f"ended by {number.name}" in said
    slow = session.records()[SLOW]
    # The session tells its workers, by a signal of its own.
    ended_by = "SIGTERM" if "-n2" in options else number.name
    assert re.fullmatch(
        rf"left no record: ended by {ended_by} in run, \S+ s of at most \S+ \w+(, says: .*)?: "
        rf"see cases/{re.escape(SLOW)}",
        slow["reason"],
    )
    cases = {
        case.get("name"): [child.tag for child in case if child.tag != "properties"]
        for case in ET.parse(session.pytester.path / "j.xml").iter("testcase")  # noqa: S314  written by us
    }
    assert cases[f"test_conformance[{SLOW}]"] == ["error"]
    assert f"ended by {ended_by}" in (session.pytester.path / "h.html").read_text(encoding="utf-8")


def test_second_signal_does_not_cut_the_reports(session: Session) -> None:
    with running(session, "-p", "no:xdist") as process:
        for _ in range(20):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.02)
        code = process.wait(timeout=4 * END_S)

    # Once all is written, a signal ends the process as ever.
    assert code in (pytest.ExitCode.INTERRUPTED, -signal.SIGTERM)
    assert "footer" in session.lines()[-1]
    assert ET.parse(session.pytester.path / "j.xml").getroot().tag == "testsuites"  # noqa: S314  written by us


def test_workers_end_with_the_session_that_was_killed(session: Session) -> None:
    folder = session.pytester.path / "out" / "cases" / SLOW
    with running(session, "-n2") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()

        assert gone(folder, within_s=END_S)
        assert gone(session.pytester.path, within_s=4 * END_S)


@pytest.mark.parametrize("hook", ["collection_finish", "runtest_logstart"])
def test_session_that_is_told_between_its_cases_runs_none_more(any_session: Session, hook: str) -> None:
    conftest = any_session.pytester.path / "conftest.py"
    text = conftest.read_text(encoding="utf-8")
    told = f"""
def pytest_{hook}():
    import os, signal
    os.kill(os.getpid(), signal.SIGTERM)
"""
    conftest.write_text(text + told, encoding="utf-8")
    any_session.write_matrix(MATRIX)
    started = time.monotonic()
    result = any_session.run("--mlperf-output", "out")
    assert time.monotonic() - started < SLOW_S
    assert result.ret == pytest.ExitCode.INTERRUPTED
    if (any_session.pytester.path / "out").exists():
        assert "footer" in any_session.lines()[-1]
        assert not {record["ending"] for record in any_session.records().values()} & {"pass", "fail"}


def test_programs_of_a_killed_session_are_ended_by_the_next(session: Session) -> None:
    folder = session.pytester.path / "out" / "cases" / SLOW
    with running(session, "-p", "no:xdist") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert programs(folder)

    result = session.run("-p", "no:xdist", "-k", "good", "--mlperf-output", "next")
    result.assert_outcomes(passed=1, deselected=2)
    assert not programs(folder)


def test_programs_of_a_killed_worker_are_ended_by_its_session(session: Session) -> None:
    folder = session.pytester.path / "out" / "cases" / SLOW
    with running(session, "-n2") as process:
        (program,) = programs(folder)
        status = Path(f"/proc/{program}/stat").read_text(encoding="utf-8")
        os.kill(int(status.rpartition(")")[2].split()[1]), signal.SIGKILL)

        assert gone(folder, within_s=END_S)
        assert process.wait(timeout=60) == pytest.ExitCode.TESTS_FAILED

    endings = {record["case"]["benchmark"]: record["ending"] for record in session.records().values()}
    assert endings == {"good": "pass", "slow": "error", "bad": "fail"}


def test_handler_of_somebody_else_is_left_alone(session: Session) -> None:
    conftest = session.pytester.path / "conftest.py"
    conftest.write_text(
        conftest.read_text(encoding="utf-8")
        + """
import os, signal
signal.signal(signal.SIGTERM, lambda *_: os._exit(77))
""",
        encoding="utf-8",
    )
    with running(session, "-p", "no:xdist") as process:
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=END_S) == 77
