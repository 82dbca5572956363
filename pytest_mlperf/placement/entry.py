"""The file of one asker, which says what it wants and what it got.

It is locked (`flock`) by its asker from before it can be seen until its lease ends. The kernel frees the
lock when the asker dies, however it dies: a file that is not locked says nothing, and nothing needs repair.
It is only ever added to, a JSON object a line: who is killed while it writes spoils no more than that line.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from io import FileIO
from typing import TYPE_CHECKING, Any

from pytest_mlperf.placement.turns import Asker, Request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = ".json"
DRAFT = ".draft"
"""Ending of a file that is being made; one exists only while its asker has the gate of the folder."""

_PIDS = range(1, 2**31)
# Files seldom change between two looks, and those who wait are not to disturb a measurement.
_REMEMBERED = 256


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The file of an asker of this process. Its lease lasts while the file is open, in whichever process.

    owner:  pid of the process that asked
    """

    path: Path
    owner: int
    file: FileIO

    @classmethod
    def make(cls, folder: Path, gate: int, *, ticket: int, request: Request) -> Entry:
        """Put an asker into a folder, whose gate is held. It is seen complete and locked, or not at all."""
        name = f"{uuid.uuid4().hex}{SUFFIX}"
        draft = f"{name}{DRAFT}"
        file = _open(gate, draft, "x+", os.O_APPEND)
        entry = cls(path=folder / name, owner=os.getpid(), file=file)
        fcntl.flock(file, fcntl.LOCK_EX)
        os.fchmod(file.fileno(), 0o666)
        wanted = {"count": request.count, "devices": request.devices, "exclusive": request.exclusive}
        _add(file, {"ticket": ticket, "pid": entry.owner, "case": request.case, **wanted, "since": _now()})
        os.rename(draft, name, src_dir_fd=gate, dst_dir_fd=gate)
        return entry

    def hold(self, devices: tuple[str, ...]) -> None:
        """Note that the asker has got what it wanted."""
        _add(self.file, {"held": devices, "since": _now()})

    def meet(self, cases: tuple[str, ...]) -> None:
        """Note which cases hold the host already."""
        _add(self.file, {"neighbours": cases})

    def end(self) -> None:
        """End the lease, or the waiting. A fork of the process that asked only lets go of the file."""
        with self.file:
            if os.getpid() == self.owner:
                # What cannot be removed is not locked any more: whoever looks next removes it.
                with suppress(OSError):
                    self.path.unlink()


def greet(gate: int, other: Asker, case: str) -> None:
    """Note in the file of another holder that a case shares the host with it, unless it has just ended."""
    if case not in other.neighbours:
        with suppress(FileNotFoundError), _open(gate, other.file, "r+", os.O_APPEND) as file:
            _add(file, {"neighbours": [case]})


def find(folder: int, name: str) -> Asker | None:
    """Return the asker of a file in an open folder, or None when nobody lives behind it."""
    try:
        with _open(folder, name, "r", os.O_NONBLOCK) as file:
            return read(file.fileno(), name) if _is_locked(file) else None
    except FileNotFoundError:
        return None
    except PermissionError:
        return _stranger(name, None)


def read(handle: int, name: str) -> Asker:
    """Return the asker of an open file. What cannot be understood holds the host alone: nobody joins it."""
    status = os.fstat(handle)
    return _parse(os.pread(handle, status.st_size, 0), name, status.st_uid)


@lru_cache(maxsize=_REMEMBERED)
def _parse(text: bytes, name: str, uid: int) -> Asker:
    facts: dict[str, Any] = {}
    neighbours: dict[str, None] = {}
    try:
        for line in _whole_lines(text):
            neighbours.update(dict.fromkeys(map(str, line.pop("neighbours", ()))))
            facts.update(line)
        return Asker(
            file=name,
            uid=uid,
            ticket=int(facts["ticket"]),
            pid=_PIDS[_PIDS.index(facts["pid"])],
            request=_request(facts),
            since=datetime.fromisoformat(facts["since"]),
            held=_words(facts["held"]) if "held" in facts else None,
            neighbours=tuple(neighbours),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return _stranger(name, uid)


def _request(facts: dict[str, Any]) -> Request:
    return Request(
        case=str(facts["case"]),
        count=int(facts["count"]),
        devices=_words(facts["devices"]),
        exclusive=bool(facts["exclusive"]),
    )


def _words(found: list[Any]) -> tuple[str, ...]:
    return tuple(map(str, found))


def _whole_lines(text: bytes) -> Iterator[dict[str, Any]]:
    for line in filter(None, text.split(b"\n")[:-1]):
        with suppress(ValueError):
            facts = json.loads(line)
            if isinstance(facts, dict):
                yield facts


def _stranger(name: str, uid: int | None) -> Asker:
    alone = Request(case="unknown", count=0, devices=(), exclusive=True)
    return Asker(file=name, uid=uid, ticket=0, pid=None, request=alone, since=None, held=())


def _is_locked(file: FileIO) -> bool:
    """Return whether an asker lives. The attempt is a shared lock, so it is not itself taken for a life."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _open(folder: int, name: str, mode: str, flags: int) -> FileIO:
    """Open a file of a folder, as an object that closes itself when an interrupt makes it be forgotten."""
    more = flags | os.O_NOFOLLOW | os.O_CLOEXEC
    return FileIO(name, mode, opener=lambda path, usual: os.open(path, usual | more, 0o600, dir_fd=folder))


def _add(file: FileIO, facts: dict[str, Any]) -> None:
    """Add a line, in one piece. It begins on a new line, as the last one may have been cut."""
    line = f"\n{json.dumps(facts)}\n".encode()
    if file.write(line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
