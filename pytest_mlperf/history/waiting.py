"""Sessions that a history has not got yet: a note each, in the home of the user who ran them.

A note says on which machine the results are, and in which folder, and is written before anything runs.
Machines may share a home, and seldom share a disk: so each takes its own notes only. The session that wrote a
note keeps it locked; so a note without a lock is of one that was killed, or that could not reach its history.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_mlperf.history.store import History


@dataclass(frozen=True, kw_only=True)
class Note:
    """A note that this process has locked.

    results: the folder of the results
    """

    path: Path
    stream: IO[bytes]
    results: Path

    def done(self) -> None:
        """Take it away."""
        self.path.unlink(missing_ok=True)
        self.stream.close()

    def keep(self) -> None:
        """Leave it to the next session."""
        self.stream.close()


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The notes of a machine for one history. Raises OSError when the folder cannot be used.

    host: name of the machine
    """

    folder: Path
    host: str

    def add(self, results: Path) -> Note:
        """Note a session whose results will be in a folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        unseen = self.folder / f".{name}"
        stream = unseen.open("w+b")
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write(os.fsencode(f"{self.host}\n{results}\n"))
        stream.flush()
        os.fsync(stream.fileno())
        path = self.folder / f"{name}.note"
        unseen.rename(path)
        return Note(path=path, stream=stream, results=results)

    def take(self) -> Iterator[Note]:
        """Give this machine's notes that nobody has locked."""
        for path in sorted(self.folder.glob("*.note")):
            try:
                stream = path.open("r+b")
            except FileNotFoundError:
                continue
            host, _, results = os.fsdecode(stream.read()).removesuffix("\n").partition("\n")
            if host == self.host and _lock(stream) and path.exists():
                yield Note(path=path, stream=stream, results=Path(results))
            else:
                stream.close()


def _lock(stream: IO[bytes]) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def of(history: History) -> Waiting:
    """Return this machine's notes for a history, in `$XDG_STATE_HOME/pytest-mlperf`."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    # As it is shown: a new password leads to the same history.
    key = hashlib.sha256(str(history).encode()).hexdigest()[:16]
    return Waiting(folder=state / "pytest-mlperf/history" / key, host=platform.node())
