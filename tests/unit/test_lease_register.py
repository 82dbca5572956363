"""The folder in which all askers of a machine stand: who may use it, and what may happen to it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.errors import HostError
from pytest_mlperf.placement import register
from pytest_mlperf.placement.leases import Request, holders, lease
from pytest_mlperf.placement.register import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.conftest import StartPython

ALONE = Request(case="alone", count=0, devices=(), exclusive=True)
SHARED = Request(case="shared", count=0, devices=(), exclusive=False)
DEVICES = ("A", "B", "C", "D")
LIMIT_S = 30.0
LONG_ENOUGH_S = 0.3


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "leases"
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def in_thread(what: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=what)
    thread.start()
    return thread


def take(request: Request) -> None:
    with lease(request):
        pass


def refusal() -> str:
    with pytest.raises(HostError) as caught:
        take(ALONE)
    return str(caught.value)


HINT = f"(it must be a folder, not a link, that every user may write to; {VARIABLE} names another)"


def test_every_user_may_use_the_folder_and_its_files(folder: Path) -> None:
    previous = os.umask(0o077)
    try:
        with lease(SHARED):
            assert folder.stat().st_mode & 0o7777 == 0o1777
            assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o666]
    finally:
        os.umask(previous)
    assert list(folder.iterdir()) == []


def test_a_folder_that_was_made_by_somebody_is_taken_as_it_is(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    take(ALONE)
    assert folder.stat().st_mode & 0o7777 == 0o700


def test_all_users_have_the_same_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("TMPDIR", "/elsewhere")
    assert str(register.folder()) == "/tmp/pytest-mlperf"  # noqa: S108  literally


def test_who_only_looks_makes_nothing(folder: Path) -> None:
    assert holders() == ()
    assert not folder.exists()


@pytest.mark.parametrize("name", ["", "leases"])
def test_a_folder_with_a_relative_name_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, name or "./leases")
    assert refusal() == f"{VARIABLE}: found leases, allowed: an absolute path"


def test_a_folder_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    assert refusal() == f"{folder}: cannot be used for leases: Not a directory {HINT}"
    assert list(elsewhere.iterdir()) == []
    with pytest.raises(HostError):
        holders()


def test_a_file_in_place_of_the_folder_is_refused(folder: Path) -> None:
    folder.touch()
    assert refusal() == f"{folder}: cannot be used for leases: Not a directory {HINT}"


def test_a_folder_in_a_place_that_is_not_there_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(folder / "inner"))
    assert refusal() == f"{folder / 'inner'}: cannot be used for leases: No such file or directory {HINT}"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o500)
    assert refusal() == f"{folder}: cannot be used for leases: Permission denied {HINT}"


def test_a_folder_that_was_removed_is_made_again(folder: Path) -> None:
    take(ALONE)
    folder.rmdir()
    take(ALONE)
    assert folder.is_dir()


def test_one_that_waits_when_the_folder_is_removed_stands_in_the_new_one(folder: Path) -> None:
    seen: list[str | None] = []

    def wait() -> None:
        with lease(ALONE):
            seen.extend(holder.case for holder in holders())

    with lease(SHARED):
        waiter = in_thread(wait)
        until(lambda: len(holders()) == 2)
        shutil.rmtree(folder)
        waiter.join(LIMIT_S)
    assert seen == ["alone"]
    assert list(folder.iterdir()) == []


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_that_comes_when_the_folder_is_being_replaced_stands_in_the_new_one(folder: Path) -> None:
    """The gate may be that of a folder which is no longer there by the time it opens."""
    folder.mkdir()
    gate = os.open(folder, os.O_RDONLY)
    fcntl.flock(gate, fcntl.LOCK_EX)
    late = in_thread(lambda: take(ALONE))
    late.join(LONG_ENOUGH_S)
    assert late.is_alive()
    folder.rmdir()
    os.close(gate)
    late.join(LIMIT_S)
    assert not late.is_alive()
    assert folder.is_dir()


def test_looking_needs_no_gate(folder: Path) -> None:
    with lease(SHARED):
        gate = os.open(folder, os.O_RDONLY)
        fcntl.flock(gate, fcntl.LOCK_EX)
        assert [holder.case for holder in holders()] == ["shared"]
        os.close(gate)


def test_what_a_death_left_is_removed(folder: Path) -> None:
    folder.mkdir()
    for name in ("dead.json", "dead.json.draft"):
        (folder / name).write_text("{}\n")
    (folder / "notes.txt").touch()
    (folder / "folder.json").mkdir()
    (folder / "link.json").symlink_to(folder / "nothing")
    os.mkfifo(folder / "pipe.json")
    assert holders() == ()
    with lease(ALONE):
        assert {"dead.json", "dead.json.draft"}.isdisjoint(path.name for path in folder.iterdir())
        assert (folder / "notes.txt").exists()


TORN = {
    "nothing": "",
    "a line that was cut": '\n{"ticket": 1, "pid": 1, "case": "c',
    "no JSON": "\nhello\n",
    "no object": "\n[1]\n",
    "a process that cannot be": None,
}


@pytest.mark.parametrize("name", TORN)
def test_nobody_joins_one_that_cannot_be_understood(name: str, folder: Path) -> None:
    folder.mkdir()
    request = {
        "case": "c",
        "count": 0,
        "devices": [],
        "exclusive": False,
        "since": "2024-05-01T00:00:00+00:00",
    }
    impossible = json.dumps({"ticket": 1, "pid": -1, **request})
    text = TORN[name]
    (folder / "strange.json").write_text(f"{impossible}\n" if text is None else text)
    notices: list[str] = []
    with (folder / "strange.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiter = in_thread(lambda: _noticing(notices))
        until(lambda: bool(notices))
        (strange,) = (holder for holder in holders() if holder.file == "strange.json")
        assert (strange.pid, strange.lives, strange.case, strange.exclusive) == (None, None, None, True)
    waiter.join(LIMIT_S)
    assert not waiter.is_alive()
    assert "the host is held by whoever has locked strange.json (" in notices[0]


def _noticing(notices: list[str]) -> None:
    with lease(SHARED, notice=notices.append, notice_after_s=0):
        pass


def test_a_cut_line_of_a_neighbour_spoils_nothing_else(folder: Path) -> None:
    with lease(SHARED) as first:
        (path,) = folder.iterdir()
        with path.open("a") as file:
            file.write('\n{"neighbours": ["ki')
        with lease(Request(case="second", count=0, devices=(), exclusive=False)):
            assert first.neighbours() == ("second",)
            assert len(holders()) == 2


def test_threads_are_askers_like_processes(folder: Path) -> None:
    at_work: list[str] = []
    most = [0]

    def work() -> None:
        for count in (1, 2, 4, 1, 2, 4):
            request = Request(case="thread", count=count, devices=DEVICES, exclusive=False)
            with lease(request) as got:
                at_work.extend(got.devices)
                assert len(at_work) == len(set(at_work))
                most[0] += 1
                time.sleep(0.001)
                for device in got.devices:
                    at_work.remove(device)

    threads = [in_thread(work) for _ in range(6)]
    for thread in threads:
        thread.join(LIMIT_S)
    assert most == [36]
    assert list(folder.iterdir()) == []


# The fork leaves the block of the lease by an exception, as the process that asked would.
FORKS = """
import os, sys
from pytest_mlperf.placement.leases import Request, holders, lease
with lease(Request(case="c", count=0, devices=(), exclusive=True)):
    child = os.fork()
    if child == 0:
        sys.exit()
    os.waitpid(child, 0)
    print(len(holders()))
print(len(holders()))
"""


def test_a_fork_does_not_end_the_lease_of_its_parent(folder: Path, start_python: StartPython) -> None:
    assert start_python(FORKS, **{VARIABLE: str(folder)}).communicate(timeout=LIMIT_S) == ("1\n0\n", "")


# As when a thread forks while another is at the gate.
FORKS_AT_THE_GATE = """
import os, signal
from pytest_mlperf.placement import register
from pytest_mlperf.placement.leases import Request, lease
with register.gate(register.folder()):
    child = os.fork()
    if child == 0:
        signal.pause()
with lease(Request(case="c", count=0, devices=(), exclusive=True)):
    print("held")
os.kill(child, signal.SIGKILL)
"""


def test_a_fork_does_not_keep_the_gate_shut(folder: Path, start_python: StartPython) -> None:
    program = start_python(FORKS_AT_THE_GATE, **{VARIABLE: str(folder)})
    assert program.communicate(timeout=LIMIT_S) == ("held\n", "")


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_nobody_joins_one_that_may_not_be_read(folder: Path) -> None:
    folder.mkdir()
    (folder / "strange.json").touch(mode=0)
    (strange,) = holders()
    assert (strange.pid, strange.user, strange.exclusive) == (None, None, True)
