"""The folder in which all askers of a machine stand, whoever's they are: a file each, and nothing else.

The folder itself, locked (`flock`), is the gate: who looks in order to change waits for its turn. This guards
the users of a machine against each other's accidents; it is no defence against one who means harm.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mlperf.errors import HostError, Place
from pytest_mlperf.placement import entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_mlperf.placement.turns import Asker

VARIABLE = "PYTEST_MLPERF_LEASES"
# The same for all users: the folders for temporary files that TMPDIR names are often their own.
_FOLDER = "/tmp/pytest-mlperf"  # noqa: S108
_HINT = f"it must be a folder, not a link, that every user may write to; {VARIABLE} names another"


@dataclass(frozen=True, kw_only=True)
class Look:
    """What stands in the folder: the live askers, and the names of files that nobody lives behind."""

    askers: tuple[Asker, ...] = ()
    dead: tuple[str, ...] = ()


def folder() -> Path:
    """Return the folder, which may not be there yet.

    Raises HostError when the environment names it by a relative path.
    """
    path = Path(os.environ.get(VARIABLE) or _FOLDER)
    if not path.is_absolute():
        raise HostError(f"{VARIABLE}: found {path}, allowed: an absolute path")
    return path


@contextmanager
def gate(path: Path) -> Iterator[int]:
    """Give the folder, opened, while nobody else looks in order to change. Makes it if need be.

    Raises HostError when the folder cannot be used, then or while it is given.
    """
    with _told(path):
        while True:
            handle = _open_or_make(path)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                if _still_names(path, handle):
                    yield handle
                    return
            finally:
                # Closing is not enough: another thread may have forked, and the fork has it open, too.
                fcntl.flock(handle, fcntl.LOCK_UN)
                os.close(handle)


def sweep(handle: int) -> tuple[Asker, ...]:
    """Return the live askers of the folder, whose gate is held; remove the files of the dead."""
    found = _look(handle)
    for name in found.dead:
        # In a folder like /tmp each user's files are removed by that user only; others just pass over them.
        with suppress(FileNotFoundError, PermissionError):
            os.unlink(name, dir_fd=handle)
    return found.askers


def look(path: Path) -> tuple[Asker, ...]:
    """Return the live askers as people may see them: without the gate, changing and making nothing.

    Raises HostError when the folder cannot be read.
    """
    with _told(path), suppress(FileNotFoundError):
        handle = _open(path)
        try:
            return _look(handle).askers
        finally:
            os.close(handle)
    return ()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"cannot be used for leases: {error.strerror}"
        raise HostError(what, place=Place(path=str(path)), hint=_HINT) from error


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _open_or_make(path: Path) -> int:
    with suppress(FileNotFoundError):
        return _open(path)
    with suppress(FileExistsError):
        path.mkdir()
        path.chmod(0o1777)
    return _open(path)


def _still_names(path: Path, handle: int) -> bool:
    """Return whether a folder is still there: what lies in /tmp unused is removed sooner or later."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _look(handle: int) -> Look:
    askers: list[Asker] = []
    dead: list[str] = []
    with os.scandir(handle) as files:
        names = [file.name for file in files if file.is_file(follow_symlinks=False)]
    for name in names:
        asker = entry.find(handle, name) if name.endswith(entry.SUFFIX) else None
        if asker is not None:
            askers.append(asker)
        elif name.endswith((entry.SUFFIX, entry.DRAFT)):
            dead.append(name)
    return Look(askers=tuple(askers), dead=tuple(dead))
