"""Leases: who may use the devices and the host now, among all processes and users of this machine.

A lease is granted in whole and in the order of asking; its asker decides that for itself, by the rule of
`turns`, from what stands in the `register`. One that waits looks again when somebody has gone.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf import process
from pytest_mlperf.placement import register
from pytest_mlperf.placement.entry import Entry, greet, read
from pytest_mlperf.placement.notice import Holder, holder, reason
from pytest_mlperf.placement.turns import Request, ahead, grant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_mlperf.placement.turns import Asker

__all__ = ["Holder", "Lease", "Request", "check_folder", "holders", "lease"]

_NOTICE_AFTER_S = 10.0
_NOTICE_AGAIN_S = 600.0
_REAP_AFTER_S = 1.0
_REAP_AGAIN_S = 10.0

# One that waits glances at the names in the folder, and looks into the files when one that it saw is gone.
# A death leaves its name there, and who gets devices may leave others free: it looks every tenth time, too.
_PAUSES_S = (0.002, 0.1)
_PAUSE_PER_WAITED = 0.1
_GLANCES_A_LOOK = 10


@dataclass(frozen=True, kw_only=True)
class Lease:
    """What a case has got. It lasts to the end of its `with`, and longer where a child has the handle.

    devices:   keys; none is the host's processor
    waited_s:  before it was granted
    handle:    file descriptor to give to a child process, which keeps the lease when its parent is killed
    """

    devices: tuple[str, ...]
    waited_s: float
    handle: int

    def neighbours(self) -> tuple[str, ...]:
        """Return the cases that shared the host with this one at any time so far."""
        return read(self.handle, "").neighbours


@contextmanager
def lease(
    request: Request, *, notice: Callable[[str], None] | None = None, notice_after_s: float = _NOTICE_AFTER_S
) -> Iterator[Lease]:
    """Hold devices and the host, and wait for them as long as it takes.

    Who asks for a second lease while it holds one may wait for itself. `notice` is called with a sentence
    about who holds what after `notice_after_s` of waiting, and every ten minutes from then.
    Raises HostError when the folder of leases cannot be used.
    """
    turn = _Turn(request)
    try:
        devices, waited_s = _wait(turn, notice, notice_after_s)
        yield Lease(devices=devices, waited_s=waited_s, handle=turn.handle)
    finally:
        turn.end()


def check_folder() -> None:
    """Make the folder of leases if need be. Raises HostError when it cannot be used."""
    with register.gate(register.folder()):
        pass


def holders() -> tuple[Holder, ...]:
    """Return who holds a lease, and then who waits for one, in the order of asking.

    Raises HostError when the folder of leases cannot be read.
    """
    askers = register.look(register.folder())
    ordered = sorted(askers, key=lambda asker: (asker.held is None, asker.ticket))
    return tuple(holder(asker) for asker in ordered)


class _Turn:
    """A place in the queue of this machine, from the first look to the end of the lease."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._folder = register.folder()
        self._entry: Entry | None = None
        self._ticket = 0
        self._seen: frozenset[str] = frozenset()
        self._before: tuple[Asker, ...] = ()

    @property
    def handle(self) -> int:
        """The open file whose lock is the lease."""
        assert self._entry is not None
        return self._entry.file.fileno()

    def take(self) -> tuple[str, ...] | None:
        """Look at all askers, and take what is asked for. None: it is not free yet."""
        with register.gate(self._folder) as gate:
            found = register.sweep(gate)
            own = self._stand(gate, found)
            others = [other for other in found if other.file != own.path.name]
            self._seen = frozenset([own.path.name, *(other.file for other in others)])
            self._before = ahead(self._ticket, others)
            devices = grant(self._request, self._before)
            if devices is not None:
                own.hold(devices)
                _introduce(gate, own, self._request.case, others)
        return devices

    def someone_left(self) -> bool:
        """Return whether the folder lacks a name that the last look has seen."""
        try:
            return not self._seen.issubset(os.listdir(self._folder))  # noqa: PTH208  thousands of times
        except OSError:
            return True  # the next look says why

    def reason(self, waited_s: float) -> str:
        """Return in words why the last look granted nothing."""
        return reason(self._request, self._before, waited_s=waited_s)

    def end(self) -> None:
        """Give up what is held, or the place in the queue."""
        ended, self._entry = self._entry, None
        if ended is not None:
            ended.end()

    def _stand(self, gate: int, found: tuple[Asker, ...]) -> Entry:
        """Return the own entry: a new one, behind all others, at first and when the folder was cleared."""
        if self._entry is not None and self._entry.path.name in {other.file for other in found}:
            return self._entry
        self.end()
        self._ticket = 1 + max((other.ticket for other in found), default=0)
        self._entry = Entry.make(self._folder, gate, ticket=self._ticket, request=self._request)
        return self._entry


def _introduce(gate: int, own: Entry, case: str, others: Iterable[Asker]) -> None:
    """Tell the holders of their new neighbour, and the new one of them."""
    holding = [other for other in others if other.held is not None]
    for other in holding:
        greet(gate, other, case)
    if holding:
        own.meet(tuple(other.request.case for other in holding))


def _wait(
    turn: _Turn, tell: Callable[[str], None] | None, tell_after_s: float
) -> tuple[tuple[str, ...], float]:
    """Return the devices that were granted, and how long that took."""
    started = time.monotonic()
    reap_after_s = _REAP_AFTER_S
    glances = itertools.cycle(range(_GLANCES_A_LOOK))
    while True:
        devices = turn.take() if next(glances) == 0 or turn.someone_left() else None
        if devices is not None:
            return devices, time.monotonic() - started
        waited_s = time.monotonic() - started
        if waited_s >= reap_after_s:
            # What a killed session left has inherited its lease.
            process.reap()
            reap_after_s += _REAP_AGAIN_S
        if tell is not None and waited_s >= tell_after_s:
            tell(turn.reason(waited_s))
            tell_after_s += _NOTICE_AGAIN_S
        time.sleep(_pause_s(waited_s))


def _pause_s(waited_s: float) -> float:
    """Return a pause that grows with the time waited, never twice the same: waiters keep out of step."""
    shortest, longest = _PAUSES_S
    usual = min(max(waited_s * _PAUSE_PER_WAITED, shortest), longest)
    return usual * random.uniform(0.75, 1.25)  # noqa: S311  no secret
