"""Which case may start now, so that all end soon: the order of cases, and who may go before the first.

Counts devices and never names them: those that a case gets are taken by lease, in the process that runs it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a case takes of the machine while it runs.

    devices:     how many; more than the machine has count as all of them
    exclusive:   whether nothing may run beside it
    duration_s:  estimated; None is unknown, 0 ends at once (a case that will be skipped)
    """

    devices: int
    exclusive: bool
    duration_s: float | None


AT_ONCE = Need(devices=0, exclusive=False, duration_s=0.0)
"""Needs nothing that is counted: a plain test, or a case that will be skipped."""


class Packing:
    """The cases of a session: waiting in an order, running, or ended.

    The first that waits starts as soon as its devices are free. Until then another one may go before it only
    if, by the estimates, the first starts no later for it: it ends before the devices of the first are free,
    or it takes devices that the first leaves. Once what the first waits for has outlived its estimate,
    nothing else takes its devices. So a wide case, or one that needs the host alone, is never starved.
    """

    def __init__(self, needs: Sequence[Need], *, devices: int, order: Sequence[int]) -> None:
        """Let all cases wait.

        needs:    by index
        devices:  of the machine
        order:    indices, as `order` gives them: the longest first, of those with the same other needs
        """
        self._durations_s = _durations_s(needs)
        self._shapes = [(min(need.devices, devices), need.exclusive) for need in needs]
        self._rank = {index: rank for rank, index in enumerate(order)}
        self._waiting: dict[tuple[int, bool], list[int]] = {}
        for index in order:
            self._waiting.setdefault(self._shapes[index], []).append(index)
        self._ends_s: dict[int, float] = {}
        self._free = devices

    @property
    def is_over(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self._ends_s and not any(self._waiting.values())

    def start(self, now_s: float, *, at_most: int = 1) -> list[int]:
        """Start what one idle worker may run now, and return its indices; none when all have to wait.

        It is one case, or up to `at_most` of those that end at once: these are not worth a round trip each.
        """
        first = self._choose(now_s)
        if first is None:
            return []
        line = self._waiting[self._shapes[first]]
        place = line.index(first)
        count = at_most if self._shapes[first] == (0, False) and not self._durations_s[first] else 1
        batch = line[place : place + count]
        del line[place : place + count]
        for index in batch:
            self._ends_s[index] = now_s + self._durations_s[index]
            self._free -= self._shapes[index][0]
        return batch

    def end(self, index: int) -> None:
        """Free what a case had."""
        del self._ends_s[index]
        self._free += self._shapes[index][0]

    def put_back(self, index: int) -> None:
        """Let a case that does not run wait again, at its place in the order."""
        insort(self._waiting[self._shapes[index]], index, key=self._rank.__getitem__)

    def _choose(self, now_s: float) -> int | None:
        heads = [line[0] for line in self._waiting.values() if line]
        if not heads or self._host_is_taken():
            return None
        first = min(heads, key=self._rank.__getitem__)
        devices, exclusive = self._shapes[first]
        if devices <= self._free and not (exclusive and self._ends_s):
            return first
        return min(self._before(first, now_s), key=self._rank.__getitem__, default=None)

    def _host_is_taken(self) -> bool:
        return len(self._ends_s) == 1 and any(self._shapes[index][1] for index in self._ends_s)

    def _before(self, first: int, now_s: float) -> list[int]:
        """Return those that may go before the first, which has to wait: the longest of each shape."""
        gap_s, left = self._reservation(first, now_s)
        found = []
        for (devices, exclusive), line in self._waiting.items():
            if exclusive or devices > self._free:
                continue
            place = 0 if devices <= left else self._first_within(line, gap_s)
            found += line[place : place + 1]
        return found

    def _reservation(self, first: int, now_s: float) -> tuple[float, int]:
        """Return in how many seconds a case can start, and how many devices it leaves then; -1: no room."""
        devices, exclusive = self._shapes[first]
        ends = sorted((end_s, self._shapes[index][0]) for index, end_s in self._ends_s.items())
        if exclusive:
            return ends[-1][0] - now_s, -1
        free = [self._free + freed for freed in accumulate(freed for _, freed in ends)]
        place = next(place for place, count in enumerate(free) if count >= devices)
        return ends[place][0] - now_s, free[place] - devices

    def _first_within(self, line: list[int], gap_s: float) -> int:
        if gap_s <= 0:
            return len(line)
        return bisect_left(line, -gap_s, key=lambda index: -self._durations_s[index])


def order(needs: Sequence[Need], *, devices: int, workers: int) -> list[int]:
    """Return the indices of cases in the order in which they should start.

    Of several orders, the one that ends first by a simulation of `Packing`; an unknown duration counts as the
    longest known one. Cases that need the host alone go first in all of them: they take their time wherever
    they stand, and before anything runs nothing has to drain for them. What ends at once goes last.
    """
    durations_s = _durations_s(needs)
    widths = [min(need.devices, devices) for need in needs]
    short = [i for i, need in enumerate(needs) if need == AT_ONCE]
    indices = [i for i, need in enumerate(needs) if need != AT_ONCE]
    orders = [
        sorted(indices, key=lambda i: (not needs[i].exclusive, -durations_s[i], -widths[i])),
        sorted(indices, key=lambda i: (not needs[i].exclusive, -widths[i], -durations_s[i])),
        sorted(indices, key=lambda i: (not needs[i].exclusive, -durations_s[i] * widths[i], -durations_s[i])),
    ]
    if orders[0] == orders[1] == orders[2]:
        return orders[0] + short
    ends_s = [makespan_s(needs, devices=devices, workers=workers, order=one) for one in orders]
    return orders[ends_s.index(min(ends_s))] + short


def makespan_s(needs: Sequence[Need], *, devices: int, workers: int, order: Sequence[int]) -> float:
    """Return how long the cases of an order take together, if all estimates are right."""
    packing = Packing(needs, devices=devices, order=order)
    durations_s = _durations_s(needs)
    now_s = 0.0
    running: list[tuple[float, int]] = []
    while True:
        while len(running) < workers and (started := packing.start(now_s)):
            heappush(running, (now_s + durations_s[started[0]], started[0]))
        if not running:
            return now_s
        now_s, ended = heappop(running)
        packing.end(ended)


def _durations_s(needs: Sequence[Need]) -> list[float]:
    longest_s = max((need.duration_s or 0.0 for need in needs), default=0.0) or 1.0
    return [longest_s if need.duration_s is None else need.duration_s for need in needs]
