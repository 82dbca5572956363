"""What is said of a step that failed: how it ended, and its last words. Every executor says it alike."""

from __future__ import annotations

import re
import signal
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


def failure(step: Command, outcome: Exit, said: str, *, limit: Limit) -> RunError:
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
    return RunError(f"step '{step.name}' {ended}: {said}", place=Place(path=STDERR), hint=hint)


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


def last_words(path: Path, *, since: int) -> str:
    """Return the last exception of a step, or the last line that it wrote, without control characters.

    since: size of the file before the step
    """
    with path.open("rb") as stream:
        stream.seek(max(size(path) - _TAIL_BYTES, since))
        text = stream.read().decode(errors="replace")
    printable = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    lines = [line.strip() for line in printable.splitlines() if line.strip()]
    exceptions = [line for line in lines if _EXCEPTION.match(line)]
    return next(reversed(exceptions or lines), "it said nothing")
