"""The rule of granting, as a table: what is asked for, who came before, and what is granted."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from pytest_mlperf.placement.turns import Asker, Request, ahead, grant

EIGHT = "ABCDEFGH"


def want(count: int, devices: str = EIGHT, *, alone: bool = False) -> Request:
    return Request(case="case", count=count, devices=tuple(devices), exclusive=alone)


def waits(count: int, devices: str = EIGHT, *, alone: bool = False) -> Asker:
    request = want(count, devices, alone=alone)
    return Asker(file="", uid=0, ticket=1, pid=1, request=request, since=None, held=None)


def holds(devices: str, *, alone: bool = False) -> Asker:
    return replace(waits(len(devices), devices, alone=alone), held=tuple(devices))


ALONE = holds("", alone=True)
HOST = holds("")

TABLE = {
    "one of eight": (want(1), [], "A"),
    "all": (want(8), [], EIGHT),
    "the host's processor": (want(0, ""), [], ""),
    "the host alone": (want(0, "", alone=True), [], ""),
    "devices and the host alone": (want(2, alone=True), [], "AB"),
    # the host
    "beside one on the host's processor": (want(1), [HOST], "A"),
    "on the host's processor beside one with devices": (want(0, ""), [holds("AB")], ""),
    "beside one that has the host alone": (want(1), [ALONE], None),
    "on the processor of a host that one has alone": (want(0, ""), [ALONE], None),
    "alone beside one on the processor": (want(0, "", alone=True), [HOST], None),
    "alone beside one with devices": (want(0, "", alone=True), [holds("A")], None),
    "alone behind one that waits": (want(0, "", alone=True), [waits(1)], None),
    "behind one that waits for the host alone": (want(1), [waits(0, "", alone=True)], None),
    "on the processor behind one that waits for it alone": (want(0, ""), [waits(0, "", alone=True)], None),
    "on the processor behind one that waits for devices": (want(0, ""), [holds("A"), waits(8)], ""),
    # enough of them
    "the last one": (want(1), [holds("ABCDEFG")], "H"),
    "none is left": (want(1), [holds(EIGHT)], None),
    "too few are left": (want(4), [holds("AB"), holds("CDE")], None),
    "others' devices do not matter": (want(2, "AB"), [holds("CDEFGH")], "AB"),
    # nobody is overtaken
    "behind one that waits for all": (want(1), [holds("A"), waits(8)], None),
    "behind one that waits for more than are free": (want(1), [holds("ABCDEF"), waits(4)], None),
    "enough is left behind one that could go": (want(1), [waits(4)], "E"),
    "not enough is left behind two that could go": (want(2), [waits(4), waits(3)], None),
    "just enough is left behind two that could go": (want(1), [waits(4), waits(3)], "H"),
    "behind one that waits for other devices": (want(1, "AB"), [holds("CD"), waits(1, "CD")], "A"),
    "behind one that waits for a device it would like": (want(1, "AB"), [holds("C"), waits(2, "AC")], "B"),
    "the second waits for what the first leaves": (want(1, "BC"), [waits(1, "AB"), waits(1, "BC")], "C"),
    # neighbours first
    "a pair": (want(2), [holds("A")], "CD"),
    "the second half": (want(4), [holds("B")], "EFGH"),
    "no pair is free": (want(2), [holds("ACEG")], "BD"),
    "no half is free": (want(4), [holds("AH")], "BCDE"),
    "in their own order": (want(2, "HGFE"), [holds("H")], "FE"),
    "three of eight": (want(3), [holds("B")], "DEF"),
}


@pytest.mark.parametrize("name", TABLE)
def test_grant(name: str) -> None:
    request, before, granted = TABLE[name]
    assert grant(request, before) == (None if granted is None else tuple(granted))


def test_all_that_hold_are_ahead_and_of_those_that_wait_the_earlier() -> None:
    late, early = (replace(waits(1), file=str(ticket), ticket=ticket) for ticket in (9, 2))
    holder = replace(holds("A"), ticket=7)
    assert ahead(5, [late, holder, early]) == (early, holder)


@pytest.mark.parametrize(("count", "devices"), [(3, "AB"), (-1, "AB"), (1, ""), (2, "AA")])
def test_what_can_never_be_granted_is_refused(count: int, devices: str) -> None:
    with pytest.raises(ValueError, match="can never be granted"):
        want(count, devices)


def _crowd(dice: random.Random) -> list[Asker]:
    """Return askers as they may be at some moment: holders with devices of their own, and waiters."""
    free = dice.sample(EIGHT, 8)
    askers = [
        holds("".join(free.pop() for _ in range(dice.randint(0, 2)))) for _ in range(dice.randint(0, 3))
    ]
    for _ in range(dice.randint(1, 5)):
        devices = "".join(sorted(dice.sample(EIGHT, dice.randint(1, 8))))
        askers.append(waits(dice.randint(0, len(devices)), devices))
    return [replace(asker, ticket=ticket) for ticket, asker in enumerate(askers)]


def test_a_grant_takes_nothing_from_those_before() -> None:
    dice = random.Random(1)  # noqa: S311  chance that repeats
    granted = sum(_is_granted_and_fair(_crowd(dice)) for _ in range(2000))
    assert 300 < granted < 1700


def _is_granted_and_fair(crowd: list[Asker]) -> bool:
    """Grant the last of a crowd what it may have, and check that this is at nobody's cost."""
    last = crowd[-1]
    granted = grant(last.request, ahead(last.ticket, crowd[:-1]))
    if granted is None:
        return False
    taken = {device for other in crowd for device in other.held or ()}
    assert len(granted) == last.request.count
    assert set(granted) <= set(last.request.devices) - taken
    after = [*crowd[:-1], replace(last, held=granted)]
    for waiter in (other for other in crowd if other.held is None and other is not last):
        could = grant(waiter.request, ahead(waiter.ticket, crowd))
        can = grant(waiter.request, ahead(waiter.ticket, after))
        assert (could is None) == (can is None)
        assert can is not None or set(granted).isdisjoint(waiter.request.devices)
    return True
