"""Leases are between processes: each holder here is one of its own, with the folder of locks of its test."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.unit.conftest import StartPython

# Says "held" when it has the host, and keeps it until it is told to go on.
HOLDER = """
import sys
from pytest_mlperf.placement.leases import host_lease
print("ready", file=sys.stderr, flush=True)
try:
    with host_lease(exclusive=sys.argv[1] == "exclusive"):
        print("held", flush=True)
        sys.stdin.readline()
        if sys.argv[2:] == ["raise"]:
            raise KeyError
    print("left", flush=True)
except KeyError:
    print("raised", flush=True)
sys.stdin.readline()
"""

# Says whether the lock of the host could be had at once, and goes. It waits for nobody.
ATTEMPT = """
import sys
from pytest_mlperf.errors import HostError
from pytest_mlperf.placement.leases import host_lease
try:
    with host_lease(exclusive=True):
        print("held")
except HostError as error:
    print(f"HostError: {error}")
"""

LONG_ENOUGH_S = 0.3


def holder(start: StartPython, kind: str, folder: Path, *how: str) -> subprocess.Popen[str]:
    """Start a process that asks for the host, and wait until it is about to."""
    process = start(HOLDER, kind, *how, TMPDIR=str(folder))
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    return process


def _said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def _waits(process: subprocess.Popen[str]) -> bool:
    """Tell whether a process says nothing for a while."""
    assert process.stdout is not None
    return select.select([process.stdout], [], [], LONG_ENOUGH_S)[0] == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param("exclusive", "exclusive", id="alone and alone"),
        pytest.param("exclusive", "shared", id="alone and together"),
        pytest.param("shared", "exclusive", id="together and alone"),
    ],
)
def test_the_second_waits_until_the_first_is_done(
    first: str, second: str, start_python: StartPython, tmp_path: Path
) -> None:
    one = holder(start_python, first, tmp_path)
    assert _said(one) == "held"
    two = holder(start_python, second, tmp_path)
    assert _waits(two)
    _go_on(one)
    assert _said(one) == "left"
    assert _said(two) == "held"


def test_both_hold_the_host_together(start_python: StartPython, tmp_path: Path) -> None:
    one, two = (holder(start_python, "shared", tmp_path) for _ in range(2))
    assert (_said(one), _said(two)) == ("held", "held")


def test_the_host_is_free_when_its_holder_is_killed(start_python: StartPython, tmp_path: Path) -> None:
    one = holder(start_python, "exclusive", tmp_path)
    assert _said(one) == "held"
    two = holder(start_python, "exclusive", tmp_path)
    assert _waits(two)
    os.kill(one.pid, signal.SIGKILL)
    assert _said(two) == "held"


def test_the_host_is_free_when_a_case_ends_with_an_exception(
    start_python: StartPython, tmp_path: Path
) -> None:
    one = holder(start_python, "exclusive", tmp_path, "raise")
    assert _said(one) == "held"
    _go_on(one)
    assert _said(one) == "raised"
    assert _attempt(start_python, tmp_path) == "held"


def test_the_lock_is_no_other_users_business(start_python: StartPython, tmp_path: Path) -> None:
    assert _attempt(start_python, tmp_path) == "held"
    folder = _folder(tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "host.lock").stat().st_mode & 0o777 == 0o600


def _folder(tmp_path: Path) -> Path:
    return tmp_path / f"pytest-mlperf-{os.getuid()}"


def _attempt(start: StartPython, folder: Path) -> str:
    out, err = start(ATTEMPT, TMPDIR=str(folder)).communicate(timeout=30)
    assert err == ""
    return out.strip()


def test_a_folder_of_another_user_is_refused(start_python: StartPython, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a folder to another user")
    folder = _folder(tmp_path)
    folder.mkdir()
    os.chown(folder, 12345, -1)
    said = "the folder of locks belongs to another user"
    assert _attempt(start_python, tmp_path) == f"HostError: {folder}: {said}"


def test_a_folder_that_is_a_link_is_refused(start_python: StartPython, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    _folder(tmp_path).symlink_to(elsewhere)
    assert _attempt(start_python, tmp_path).startswith(f"HostError: {_folder(tmp_path)}: ")
    assert list(elsewhere.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_refused(start_python: StartPython, tmp_path: Path) -> None:
    _folder(tmp_path).touch()
    said = "cannot make the folder of locks: File exists"
    assert _attempt(start_python, tmp_path) == f"HostError: {_folder(tmp_path)}: {said}"


def test_a_lock_that_is_a_link_is_refused(start_python: StartPython, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    _folder(tmp_path).mkdir()
    lock = _folder(tmp_path) / "host.lock"
    lock.symlink_to(target)
    said = "cannot open the lock: Too many levels of symbolic links"
    assert _attempt(start_python, tmp_path) == f"HostError: {lock}: {said}"
    assert not target.exists()


def test_a_folder_in_place_of_the_lock_is_refused(start_python: StartPython, tmp_path: Path) -> None:
    lock = _folder(tmp_path) / "host.lock"
    lock.mkdir(parents=True)
    said = "cannot open the lock: Is a directory"
    assert _attempt(start_python, tmp_path) == f"HostError: {lock}: {said}"
