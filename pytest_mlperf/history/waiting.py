"""Sessions that a history has not got yet: a note each, on the disk of the machine that ran them.

A note names the folder of the results, and is written before anything runs. The session that wrote it keeps
it locked; so a note without a lock is of one that was killed, or that could not reach its history.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, kw_only=True)
class Note:
    """A note that this process has locked."""

    path: Path
    stream: IO[str]

    @property
    def results(self) -> Path:
        """The folder of the results."""
        self.stream.seek(0)
        return Path(self.stream.read().rstrip("\n"))

    def done(self) -> None:
        """Take it away."""
        self.path.unlink(missing_ok=True)
        self.stream.close()

    def keep(self) -> None:
        """Leave it to the next session."""
        self.stream.close()


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The notes for one history. Raises OSError when the folder cannot be used."""

    folder: Path

    def add(self, results: Path) -> Note:
        """Note a session whose results will be in a folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        unseen = self.folder / f".{name}"
        stream = unseen.open("w+", encoding="utf-8")
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write(f"{results}\n")
        stream.flush()
        os.fsync(stream.fileno())
        path = self.folder / f"{name}.note"
        unseen.rename(path)
        return Note(path=path, stream=stream)

    def take(self) -> Iterator[Note]:
        """Give the notes that nobody has locked."""
        for path in sorted(self.folder.glob("*.note")):
            try:
                stream = path.open("r+", encoding="utf-8")
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.close()
                continue
            if path.exists():
                yield Note(path=path, stream=stream)
            else:
                stream.close()


def of(url: str) -> Waiting:
    """Return the notes for the history at a URL, in `$XDG_STATE_HOME/pytest-mlperf`."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    return Waiting(folder=state / "pytest-mlperf/history" / hashlib.sha256(url.encode()).hexdigest()[:16])
