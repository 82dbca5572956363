"""What is said of a step that failed: how it ended, and its last words. Every executor says it alike."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.errors import Place, RunError
from pytest_mlperf.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_mlperf.executor import Limit
    from pytest_mlperf.harness import Command
    from pytest_mlperf.process import Exit

STDOUT = "stdout.txt"
STDERR = "stderr.txt"

_TAIL_BYTES = 4096

_STUCK = "is it stuck, or is time_limit_s in the matrix too short?"

# What usually ends a harness so.
_NATIVE = "a crash of native code, such as an answer to LoadGen with a wrong id or address, or after the end"
_HINTS: Mapping[str, str] = {
    "SIGSEGV": _NATIVE,
    "SIGABRT": _NATIVE,
    "SIGBUS": _NATIVE,
    "SIGKILL": "out of memory? The kernel's log says so (dmesg)",
}


def failure(step: Command, outcome: Exit, said: Words, *, limit: Limit) -> RunError:
    """Return the error of a step that reached its time limit, or did not exit with 0.

    said: its last words
    """
    if outcome.timed_out:
        its = "its own" if limit.of_step else "the"
        ended = f"was killed at {its} time limit of {format_duration(limit.duration_s)}"
        hint: str | None = "is it stuck?" if limit.of_step else _STUCK
    else:
        name = outcome.signal or _signal_of_shell(outcome.code)
        ended = f"was ended by {outcome.signal}" if outcome.signal else f"exited with {outcome.code}"
        ended += f" (which is 128 + {name})" if name and not outcome.signal else ""
        ended += f" after {format_duration(outcome.duration_s)}"
        hint = _HINTS.get(name or "")
    return RunError(f"step '{step.name}' {ended}: {said.text}", place=Place(path=said.file), hint=hint)


def _signal_of_shell(code: int | None) -> str | None:
    """Return the signal that a shell reports as exit status 128 + signal, or None."""
    try:
        return signal.Signals((code or 0) - 128).name
    except ValueError:
        return None


def size(path: Path) -> int:
    """Return the size of a file in bytes, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


_EXCEPTION = re.compile(r"^[\w.]+(Error|Exception|Exit|Interrupt)\b")


@dataclass(frozen=True, kw_only=True)
class Words:
    """A line that a step wrote, and the file where it stands."""

    text: str
    file: str


class Listener:
    """Listens to a step from its beginning on: earlier ones wrote to the same files."""

    def __init__(self, folder: Path) -> None:
        """Begin with a step in a folder."""
        self._begins = {folder / name: size(folder / name) for name in (STDERR, STDOUT)}

    def last_words(self) -> Words:
        """Return the last exception that the step told, or the last line that it wrote."""
        lines = [Words(text=t, file=p.name) for p, since in self._begins.items() for t in _tail(p, since)]
        for file in (STDERR, STDOUT):
            told = [words for words in lines if words.file == file and _EXCEPTION.match(words.text)]
            if told:
                return told[-1]
        said = [words for words in lines if words.file == STDERR] or lines
        return said[-1] if said else Words(text="it said nothing", file=STDERR)


def latest_words(folder: Path) -> str | None:
    """Return the last line that a step has written so far, None where it has written nothing."""
    files = [path for path in (folder / STDERR, folder / STDOUT) if size(path)]
    newest = max(files, key=lambda path: path.stat().st_mtime, default=None)
    return next(reversed(_tail(newest, 0)), None) if newest else None


def _tail(path: Path, since: int) -> list[str]:
    """Return the last lines of a file after a place, without control characters and empty ones."""
    if not path.exists():
        return []
    with path.open("rb") as stream:
        stream.seek(max(size(path) - _TAIL_BYTES, since))
        text = stream.read().decode(errors="replace")
    printable = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    return [line.strip() for line in printable.splitlines() if line.strip()]
