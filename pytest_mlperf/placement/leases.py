"""Who may use the host now, among all sessions and workers of one user.

A lock on a file, which the kernel frees when its holder dies, however it dies.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mlperf.errors import HostError, Place

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def host_lease(*, exclusive: bool) -> Iterator[None]:
    """Hold the host: alone, or together with others that do not ask for it alone. Waits for its turn.

    Raises HostError when the lock file cannot be used.
    """
    path = _lock_file()
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise HostError(f"cannot open the lock: {error.strerror}", place=Place(path=str(path))) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)


def _lock_file() -> Path:
    folder = Path(tempfile.gettempdir()) / f"pytest-mlperf-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise HostError(
            f"cannot make the folder of locks: {error.strerror}", place=Place(path=str(folder))
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        raise HostError("the folder of locks is a link", place=Place(path=str(folder)))
    if status.st_uid != os.getuid():
        raise HostError("the folder of locks belongs to another user", place=Place(path=str(folder)))
    return folder / "host.lock"
