"""Run the steps of a case as processes of this machine, each in a process group of its own."""

from __future__ import annotations

import re
import signal
import time
from typing import TYPE_CHECKING

from pytest_mlperf.errors import Place, RunError
from pytest_mlperf.process import Child, Exit, run
from pytest_mlperf.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_mlperf.harness import Command, Preparation

STDOUT = "stdout.txt"
STDERR = "stderr.txt"

_TAIL_BYTES = 4096


def execute(preparation: Preparation, folder: Path, *, lease: int | None = None) -> None:
    """Run the steps one after the other, with their output in the folder.

    Raises RunError when a step cannot be started, ends with a signal or a non-zero exit status, or when the
    time limit is reached; all that the step started is dead by then.
    """
    deadline = time.monotonic() + preparation.time_limit_s
    for step in preparation.steps:
        said_before = _size(folder / STDERR)
        child = Child(
            argv=step.argv,
            env=step.env,
            cwd=step.cwd or folder,
            stdout=folder / STDOUT,
            stderr=folder / STDERR,
            handles=() if lease is None else (lease,),
        )
        outcome = _run(step, child, time_limit_s=max(deadline - time.monotonic(), 0.001))
        if outcome.timed_out or outcome.code != 0:
            last_words = _last_words(folder / STDERR, since=said_before)
            raise _error(step, outcome, last_words, time_limit_s=preparation.time_limit_s)


def _run(step: Command, child: Child, *, time_limit_s: float) -> Exit:
    try:
        return run(child, time_limit_s=time_limit_s)
    except OSError as error:
        raise RunError(f"step '{step.name}': cannot start {step.argv[0]}: {error.strerror}") from error


def _error(step: Command, outcome: Exit, last_words: str, *, time_limit_s: float) -> RunError:
    if outcome.timed_out:
        ended = f"was killed at the time limit of {format_duration(time_limit_s)}"
        hint: str | None = "is it stuck, or is time_limit_s in the matrix too short?"
    else:
        name = outcome.signal or _signal_of_shell(outcome.code)
        ended = f"was ended by {outcome.signal}" if outcome.signal else f"exited with {outcome.code}"
        ended += f" (which is 128 + {name})" if name and not outcome.signal else ""
        ended += f" after {format_duration(outcome.duration_s)}"
        hint = _HINTS.get(name or "")
    return RunError(f"step '{step.name}' {ended}: {last_words}", place=Place(path=STDERR), hint=hint)


# What usually ends a harness so.
_NATIVE = "a crash of native code, such as an answer to LoadGen with a wrong id or address, or after the end"
_HINTS: Mapping[str, str] = {
    "SIGSEGV": _NATIVE,
    "SIGABRT": _NATIVE,
    "SIGBUS": _NATIVE,
    "SIGKILL": "out of memory? The kernel's log says so (dmesg)",
}


def _signal_of_shell(code: int | None) -> str | None:
    """Return the signal that a shell reports as exit status 128 + signal, or None."""
    try:
        return signal.Signals((code or 0) - 128).name
    except ValueError:
        return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


_EXCEPTION = re.compile(r"^[\w.]+(Error|Exception|Exit|Interrupt)\b")


def _last_words(path: Path, *, since: int) -> str:
    """Return the last exception of a step, or the last line that it wrote, without control characters."""
    with path.open("rb") as stream:
        stream.seek(max(_size(path) - _TAIL_BYTES, since))
        text = stream.read().decode(errors="replace")
    printable = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    lines = [line.strip() for line in printable.splitlines() if line.strip()]
    exceptions = [line for line in lines if _EXCEPTION.match(line)]
    return next(reversed(exceptions or lines), "it said nothing")
