"""Sentences about who holds what: what is not known, and what is long ago."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from pytest_mlperf.placement.notice import holder, reason
from pytest_mlperf.placement.turns import Asker, Request

NOBODY_HAS_THIS_UID = 54321
LONG_AGO = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)

HOLDER = Asker(
    file="a.json",
    uid=os.getuid(),
    ticket=1,
    pid=os.getpid(),
    request=Request(case="bert", count=2, devices=("A", "B"), exclusive=False),
    since=LONG_AGO,
    held=("A", "B"),
)
WAITER = replace(HOLDER, held=None)
SINCE = f"{LONG_AGO.astimezone():%Y-%m-%d %H:%M:%S}"
WHO = f"pid {os.getpid()} ({holder(HOLDER).user}) since {SINCE} for bert"

BEFORE = {
    "two of the wanted": ([HOLDER], f"A, B are held by {WHO}"),
    "one of the wanted": ([replace(HOLDER, held=("B", "Z"))], f"B is held by {WHO}"),
    "others than wanted": ([replace(HOLDER, held=("Z",)), WAITER], f"1 asked before, first {WHO}"),
    "only waiting": ([WAITER, WAITER], f"2 asked before, first {WHO}"),
    "the host": (
        [replace(HOLDER, request=replace(HOLDER.request, exclusive=True))],
        f"the host is held by {WHO}",
    ),
    "not to be understood": (
        [replace(HOLDER, pid=None, uid=None, request=replace(HOLDER.request, exclusive=True))],
        "the host is held by whoever has locked a.json (unknown user), which cannot be understood",
    ),
}


@pytest.mark.parametrize("name", BEFORE)
def test_reason(name: str) -> None:
    before, because = BEFORE[name]
    request = Request(case="ssd", count=1, devices=("A", "B"), exclusive=False)
    said = reason(request, before, waited_s=610)
    assert said == f"ssd: waits for 1 of 2 devices for 10 min 10 s: {because}"


@pytest.mark.parametrize(
    ("count", "exclusive", "wanted"),
    [(0, False, "the host"), (0, True, "the host alone"), (2, True, "2 of 2 devices and the host alone")],
)
def test_what_is_wanted(count: int, exclusive: bool, wanted: str) -> None:
    request = Request(case="ssd", count=count, devices=("A", "B"), exclusive=exclusive)
    said = reason(request, [WAITER], waited_s=10)
    assert said.startswith(f"ssd: waits for {wanted} for 10.0 s: ")


def test_the_time_of_today_has_no_date() -> None:
    now = datetime.now(timezone.utc)
    said = reason(HOLDER.request, [replace(HOLDER, since=now)], waited_s=10)
    assert f" since {now.astimezone():%H:%M:%S} for bert" in said


def test_a_user_without_a_name_is_a_number() -> None:
    assert holder(replace(HOLDER, uid=NOBODY_HAS_THIS_UID)).user == str(NOBODY_HAS_THIS_UID)


def test_whether_its_process_lives() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert [holder(replace(HOLDER, pid=pid)).lives for pid in (os.getpid(), 1, ended.pid)] == [
        True,
        True,
        False,
    ]


def test_who_wants_no_device_is_told_of_none() -> None:
    request = Request(case="ssd", count=0, devices=("A", "B"), exclusive=True)
    said = reason(request, [HOLDER], waited_s=10)
    assert said == f"ssd: waits for the host alone for 10.0 s: the host is shared by {WHO}"
