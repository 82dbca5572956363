"""What leases tell: who holds what, who waits for it, and who shares the host."""

from __future__ import annotations

import os
import queue
import re
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.placement.leases import Request, holders, lease
from pytest_mlperf.placement.register import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT_S = 30.0
NOTICE_AFTER_S = 0.2


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "leases"))
    return tmp_path / "leases"


def wants(case: str, count: int, devices: str = "ABC", *, alone: bool = False) -> Request:
    return Request(case=case, count=count, devices=tuple(devices), exclusive=alone)


@contextmanager
def waiting(request: Request) -> Iterator[str]:
    """Ask in a thread, and give the notice. What it waits for is to be free when this ends."""
    notices: queue.Queue[str] = queue.Queue()

    def wait() -> None:
        with lease(request, notice=notices.put, notice_after_s=NOTICE_AFTER_S):
            pass

    thread = threading.Thread(target=wait)
    with ExitStack() as held:
        thread.start()
        held.callback(thread.join, LIMIT_S)
        yield notices.get(timeout=LIMIT_S)
        assert notices.empty()


def test_a_notice_says_who_holds_what_and_who_comes_first() -> None:
    with ExitStack() as waiters, lease(wants("bert", 2)):
        first = waiters.enter_context(waiting(wants("ssd", 2)))
        second = waiters.enter_context(waiting(wants("dlrm", 0, alone=True)))
    pid, when = rf"pid {os.getpid()} \([^)]+\)", r"since \d\d:\d\d:\d\d"
    assert re.fullmatch(
        rf"ssd: waits for 2 of 3 devices for [\d.]+ s: A, B are held by {pid} {when} for bert", first
    )
    assert re.fullmatch(
        rf"dlrm: waits for the host alone for [\d.]+ s: the host is shared by {pid} {when} for bert; "
        rf"1 asked before, first {pid} {when} for ssd",
        second,
    )


def test_who_gets_it_at_once_is_told_nothing() -> None:
    notices: list[str] = []
    with lease(wants("bert", 1), notice=notices.append, notice_after_s=0) as got:
        assert got.waited_s < LIMIT_S
    assert notices == []


def test_holders_are_those_who_hold_and_those_who_wait() -> None:
    with ExitStack() as waiters, lease(wants("bert", 1)):
        waiters.enter_context(waiting(wants("ssd", 0, "", alone=True)))
        first, second = holders()
    assert (first.case, first.pid, first.lives, first.devices) == ("bert", os.getpid(), True, ("A",))
    assert (first.count, first.exclusive, first.waiting) == (1, False, False)
    assert (second.case, second.pid, second.lives, second.devices) == ("ssd", os.getpid(), True, ())
    assert (second.count, second.exclusive, second.waiting) == (0, True, True)
    assert first.since is not None
    assert abs(first.since.timestamp() - time.time()) < LIMIT_S
    assert holders() == ()


def test_neighbours_are_all_that_shared_the_host() -> None:
    with lease(wants("bert", 1)) as bert:
        with lease(wants("ssd", 1)):
            pass
        with lease(wants("dlrm", 0)) as dlrm, lease(wants("ssd", 1)) as ssd:
            assert bert.neighbours() == ("ssd", "dlrm")
            assert dlrm.neighbours() == ("bert", "ssd")
            assert set(ssd.neighbours()) == {"bert", "dlrm"}


def test_one_that_only_waits_is_no_neighbour() -> None:
    with ExitStack() as waiters, lease(wants("bert", 1, "A")) as bert:
        waiters.enter_context(waiting(wants("ssd", 1, "A")))
        assert bert.neighbours() == ()
