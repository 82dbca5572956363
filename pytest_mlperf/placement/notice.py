"""Who holds what and who waits for it, in words and as values for people to read."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pytest_mlperf.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_mlperf.placement.turns import Asker, Request


@dataclass(frozen=True, kw_only=True)
class Holder:
    """One that holds a lease, or waits for it.

    file:       in the folder of leases; whose lock is the lease
    pid, case:  None when the file cannot be understood
    lives:      whether that process does; a child may keep the lease of a parent that has died
    since:      when it was granted, or asked for
    count:      of devices that it wants
    devices:    that it holds
    exclusive:  it holds or wants the host alone
    """

    file: str
    pid: int | None
    lives: bool | None
    user: str | None
    case: str | None
    since: datetime | None
    count: int
    devices: tuple[str, ...]
    exclusive: bool
    waiting: bool


def holder(asker: Asker) -> Holder:
    """Return an asker with what the system knows about its process and user."""
    known = asker.pid is not None
    return Holder(
        file=asker.file,
        pid=asker.pid,
        lives=_lives(asker.pid) if asker.pid is not None else None,
        user=_user(asker.uid) if asker.uid is not None else None,
        case=asker.request.case if known else None,
        since=asker.since,
        count=asker.request.count,
        devices=asker.held or (),
        exclusive=asker.request.exclusive,
        waiting=asker.held is None,
    )


def reason(request: Request, before: Sequence[Asker], *, waited_s: float) -> str:
    """Return what a request waits for, who holds that, and who comes first.

    `bert: waits for 1 of 8 devices for 10.0 s: GPU-1 is held by pid 123 (ann) since 12:03:10 for ssd`
    """
    reasons = "; ".join([*_holding(request, before), *_waiting(before)])
    return f"{request.case}: waits for {_wanted(request)} for {format_duration(waited_s)}: {reasons}"


def _wanted(request: Request) -> str:
    devices = f"{request.count} of {len(request.devices)} devices" if request.count else ""
    host = "the host alone" if request.exclusive else ""
    return " and ".join(filter(None, [devices, host])) or "the host"


def _holding(request: Request, before: Sequence[Asker]) -> Iterator[str]:
    for other in before:
        if other.held is None:
            continue
        wanted = [device for device in other.held if request.count and device in request.devices]
        if other.request.exclusive:
            yield f"the host is held by {_who(other)}"
        elif wanted:
            yield f"{', '.join(wanted)} {'is' if len(wanted) == 1 else 'are'} held by {_who(other)}"
        elif request.exclusive:
            yield f"the host is shared by {_who(other)}"


def _waiting(before: Sequence[Asker]) -> Iterator[str]:
    waiting = [other for other in before if other.held is None]
    if waiting:
        yield f"{len(waiting)} asked before, first {_who(waiting[0])}"


def _who(other: Asker) -> str:
    found = holder(other)
    if found.pid is None:
        return f"whoever has locked {found.file} ({found.user or 'unknown user'}), which cannot be understood"
    child = "" if found.lives else "a child of "
    return f"{child}pid {found.pid} ({found.user}) since {_clock(found.since)} for {found.case}"


def _clock(since: datetime | None) -> str:
    """Return the local time, with the date unless it is today's."""
    if since is None:
        return "an unknown time"
    local = since.astimezone()
    today = local.date() == datetime.now(local.tzinfo).date()
    return f"{local:%H:%M:%S}" if today else f"{local:%Y-%m-%d %H:%M:%S}"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
