"""Whose turn it is: what askers want of a machine, and the rule that grants it.

Values and one decision. Files are the business of `register`, time and waiting that of `leases`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a case wants of the machine, all of it or nothing.

    count:      how many of the devices; 0 is the host's processor
    devices:    keys of all that would do, in order of preference; neighbours stand together
    exclusive:  the host alone, with or without devices
    """

    case: str
    count: int
    devices: tuple[str, ...]
    exclusive: bool

    def __post_init__(self) -> None:
        if not 0 <= self.count <= len(self.devices) == len(set(self.devices)):
            raise ValueError(f"{self.case}: {self.count} of {self.devices} can never be granted")


@dataclass(frozen=True, kw_only=True)
class Asker:
    """One that waits for a lease or holds one, as its file says.

    file:        name of the file
    uid:         owner of the file
    ticket:      the smaller came first
    pid:         None when the file cannot be understood; then it is taken to hold the host alone
    since:       when it asked; when it was granted, once it holds
    held:        devices, none for the host's processor; None while it waits
    neighbours:  cases that shared the host with it so far
    """

    file: str
    uid: int | None
    ticket: int
    pid: int | None
    request: Request
    since: datetime | None
    held: tuple[str, ...] | None
    neighbours: tuple[str, ...] = ()


def ahead(ticket: int, others: Iterable[Asker]) -> tuple[Asker, ...]:
    """Return who comes before a ticket: all that hold, and those that wait with a smaller one, in order."""
    before = [other for other in others if other.held is not None or other.ticket < ticket]
    return tuple(sorted(before, key=lambda other: other.ticket))


def grant(request: Request, before: Sequence[Asker]) -> tuple[str, ...] | None:
    """Return the devices that a request gets now, () for the host's processor; None: it has to wait.

    Nobody is overtaken at its cost: what an earlier one waits for is set aside. One that could have its
    devices now gets them; one that could not keeps all the free ones that would do for it, so they add up.
    `before` is as `ahead` gives it.
    """
    if any(other.request.exclusive for other in before) or (request.exclusive and before):
        return None
    taken = {device for other in before for device in other.held or ()}
    for other in before:
        if other.held is None:
            chosen = _choose(other.request, taken)
            taken |= set(other.request.devices if chosen is None else chosen)
    return _choose(request, taken)


def _choose(request: Request, taken: AbstractSet[str]) -> tuple[str, ...] | None:
    """Return free devices: neighbours if there are, else the first."""
    count = request.count
    free = tuple(device for device in request.devices if device not in taken)
    if len(free) < count:
        return None
    if count:
        for start in range(0, len(request.devices) - count + 1, count):
            block = request.devices[start : start + count]
            if taken.isdisjoint(block):
                return block
    return free[:count]
