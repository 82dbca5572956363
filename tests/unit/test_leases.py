"""Leases are between processes: each holder here is one of its own, in the folder of leases of its test."""

from __future__ import annotations

import json
import os
import select
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from pytest_mlperf.placement.leases import Request, holders, lease
from pytest_mlperf.placement.register import VARIABLE

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.unit.conftest import StartPython

PROGRAM = "from tests.unit.lease_holder import main\nmain()"
# What the program needs is imported while it may still be read.
AS_NOBODY = "from tests.unit.lease_holder import main\nimport os\nos.setgid(65534)\nos.setuid(65534)\nmain()"

LIMIT_S = 30.0
LONG_ENOUGH_S = 0.2

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can act for another user")


class Program:
    """A process of lease_holder.py: its lines as they come, with a limit to waiting for them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self._output = process.stdout.fileno()
        self._text = b""

    def says(self, *, within_s: float = LIMIT_S) -> str | None:
        """Return the next line, or None when there is none in time."""
        while b"\n" not in self._text:
            if not select.select([self._output], [], [], within_s)[0]:
                return None
            read = os.read(self._output, 65536)
            assert read, "the program has ended"
            self._text += read
        line, _, self._text = self._text.partition(b"\n")
        return line.decode()

    def gets(self) -> str | None:
        """Return what it gets, after notices that it has to wait."""
        while (line := self.says()) is not None and ": waits for " in line:
            pass
        return line

    def waits(self) -> bool:
        """Tell whether it stands in the queue and stays there for a while."""
        return ": waits for " in (self.says() or "") and self.says(within_s=LONG_ENOUGH_S) is None

    def told(self, order: str = "go on") -> str | None:
        """Give an order, and return the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()
        return self.says()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Ask(Protocol):
    """Starts a process that asks for devices (`A,B,C`), or for the host alone (`alone`)."""

    def __call__(
        self, case: str, count: int, devices: str = "", *how: str, program: str = ...
    ) -> Program: ...


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a folder of leases that other users can get at, which pytest's own folders are not."""
    with tempfile.TemporaryDirectory() as outer:
        Path(outer).chmod(0o1777)
        path = Path(outer) / "leases"
        monkeypatch.setenv(VARIABLE, str(path))
        yield path


@pytest.fixture
def ask(start_python: StartPython, folder: Path) -> Ask:
    def ask(case: str, count: int, devices: str = "", *how: str, program: str = PROGRAM) -> Program:
        return Program(start_python(program, case, count, devices, *how, **{VARIABLE: str(folder)}))

    return ask


HOST_ALONE = (0, "", "alone")
HOST_SHARED = (0, "")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(HOST_ALONE, HOST_ALONE, id="alone and alone"),
        pytest.param(HOST_ALONE, HOST_SHARED, id="alone and together"),
        pytest.param(HOST_SHARED, HOST_ALONE, id="together and alone"),
        pytest.param(HOST_ALONE, (1, "A"), id="alone and a device"),
        pytest.param((1, "A"), HOST_ALONE, id="a device and alone"),
        pytest.param((1, "A"), (1, "A"), id="the same device"),
        pytest.param((2, "A,B,C"), (2, "A,B,C"), id="too many devices"),
    ],
)
def test_the_second_waits_until_the_first_is_done(
    first: tuple[int, str], second: tuple[int, str], ask: Ask
) -> None:
    one = ask("one", *first)
    held = str(one.gets())
    assert held.startswith("held")
    two = ask("two", *second)
    assert two.waits()
    assert one.told() == "left"
    assert str(two.gets()).startswith("held")


def test_what_does_not_collide_is_held_together(ask: Ask) -> None:
    asked = [ask("a", 1, "A,B,C,D"), ask("b", 2, "A,B,C,D"), ask("c", 0), ask("d", 0)]
    held = sorted(str(program.gets()) for program in asked)
    assert held[:2] == ["held", "held"]
    devices = " ".join(held).replace("held", "").split()
    assert len(set(devices)) == len(devices) == 3


@pytest.mark.parametrize("what", [HOST_ALONE, (2, "A,B")])
def test_a_lease_is_free_when_its_holder_is_killed(what: tuple[int, str], ask: Ask) -> None:
    one = ask("one", *what)
    one.gets()
    two = ask("two", *what)
    assert two.waits()
    one.kill()
    assert str(two.gets()).startswith("held")


def test_a_lease_is_free_when_its_case_ends_with_an_exception(ask: Ask) -> None:
    one = ask("one", *HOST_ALONE)
    assert one.gets() == "held"
    assert one.told("raise") == "raised"
    assert holders() == ()


def test_a_child_keeps_the_lease_of_a_parent_that_was_killed(ask: Ask) -> None:
    one = ask("one", 1, "A")
    assert one.gets() == "held A"
    child = int(str(one.told("child")))
    one.kill()
    two = ask("two", 1, "A")
    notice = two.says()
    assert notice is not None
    assert f"A is held by a child of pid {one.process.pid} (" in notice
    assert [(holder.case, holder.lives) for holder in holders()] == [("one", False), ("two", True)]
    # It reads the input of its parent, which ends with the last process that could write to it.
    _close_input(one)
    assert two.gets() == "held A"
    assert not Path(f"/proc/{child}").exists() or _is_zombie(child)


def _close_input(program: Program) -> None:
    assert program.process.stdin is not None
    program.process.stdin.close()


def _is_zombie(pid: int) -> bool:
    return ") Z " in Path(f"/proc/{pid}/stat").read_text()


def test_the_lease_ends_with_its_case_even_if_a_child_is_left(ask: Ask) -> None:
    one = ask("one", 1, "A")
    assert one.gets() == "held A"
    one.told("child")
    assert one.told() == "left"
    assert ask("two", 1, "A").gets() == "held A"


def test_who_wants_all_is_not_starved_by_those_who_want_one(ask: Ask) -> None:
    small = [ask(name, 1, "A,B") for name in ("one", "two")]
    assert sorted(str(program.gets()) for program in small) == ["held A", "held B"]
    large = ask("large", 2, "A,B")
    assert large.waits()
    late = ask("late", 1, "A,B")
    assert late.waits()
    assert small[0].told() == "left"
    assert late.says(within_s=LONG_ENOUGH_S) is None
    assert small[1].told() == "left"
    assert large.gets() == "held A B"
    assert late.says(within_s=LONG_ENOUGH_S) is None
    assert large.told() == "left"
    assert late.gets() == "held A"


def test_those_who_wait_come_in_their_order(ask: Ask) -> None:
    one = ask("one", *HOST_ALONE)
    assert one.gets() == "held"
    rest = []
    for name in ("two", "three", "four"):
        rest.append(ask(name, *HOST_ALONE))
        assert rest[-1].waits()
    for before, after in zip([one, *rest], rest, strict=False):
        assert before.told() == "left"
        assert after.gets() == "held"


def test_one_that_gave_up_is_waited_for_no_more(ask: Ask) -> None:
    one = ask("one", 1, "A,B")
    assert one.gets() == "held A"
    large = ask("large", 2, "A,B")
    assert large.waits()
    late = ask("late", 1, "A,B")
    assert late.waits()
    large.kill()
    assert late.gets() == "held B"


def test_an_interrupt_while_waiting_leaves_nothing_behind(ask: Ask, folder: Path) -> None:
    one = ask("one", *HOST_ALONE)
    one.gets()
    two = ask("two", *HOST_ALONE)
    assert two.waits()
    two.process.send_signal(signal.SIGINT)
    assert two.says() == "interrupted"
    assert [holder.case for holder in holders()] == ["one"]
    assert one.told() == "left"
    assert list(folder.iterdir()) == []


@as_root
def test_leases_hold_between_users(ask: Ask, folder: Path) -> None:
    theirs = ask("theirs", 1, "A", program=AS_NOBODY)
    assert theirs.gets() == "held A"
    ours = ask("ours", 1, "A")
    assert ours.waits()
    assert [holder.user for holder in holders()] == ["nobody", "root"]
    after = ask("after", 1, "A,B", program=AS_NOBODY)
    assert after.gets() == "held B"
    assert theirs.told() == "left"
    assert ours.gets() == "held A"
    assert after.told("neighbours") == "theirs ours"
    assert folder.stat().st_mode & 0o7777 == 0o1777


@as_root
def test_another_users_dead_are_passed_over(ask: Ask, folder: Path) -> None:
    ours = ask("ours", *HOST_ALONE)
    ours.gets()
    ours.kill()
    theirs = ask("theirs", *HOST_ALONE, program=AS_NOBODY)
    assert theirs.gets() == "held"
    assert len(list(folder.iterdir())) == 2
    assert [holder.case for holder in holders()] == ["theirs"]
    assert theirs.told() == "left"
    with lease(Request(case="root", count=0, devices=(), exclusive=True)):
        assert [json.loads(_first_line(path))["case"] for path in folder.iterdir()] == ["root"]


def _first_line(path: Path) -> str:
    return path.read_text(encoding="utf-8").split("\n")[1]
