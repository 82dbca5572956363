"""Run the steps of a case as processes of this machine, each in a process group of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pytest_mlperf.errors import Place, RunError
from pytest_mlperf.process import Child, Exit, run
from pytest_mlperf.units import format_duration

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mlperf.harness import Command, Preparation

STDOUT = "stdout.txt"
STDERR = "stderr.txt"

_TAIL_BYTES = 4096


def execute(preparation: Preparation, folder: Path) -> None:
    """Run the steps one after the other, with their output in the folder.

    Raises RunError when a step cannot be started, ends with a signal or a non-zero exit status, or when the
    time limit is reached; the whole process group is dead by then.
    """
    deadline = time.monotonic() + preparation.time_limit_s
    for step in preparation.steps:
        outcome = _run(step, folder, time_limit_s=max(deadline - time.monotonic(), 0.001))
        _check(step, outcome, folder, time_limit_s=preparation.time_limit_s)


def _run(step: Command, folder: Path, *, time_limit_s: float) -> Exit:
    child = Child(argv=step.argv, env=step.env, cwd=folder, stdout=folder / STDOUT, stderr=folder / STDERR)
    try:
        return run(child, time_limit_s=time_limit_s)
    except OSError as error:
        raise RunError(f"step '{step.name}': cannot start {step.argv[0]}: {error.strerror}") from error


def _check(step: Command, outcome: Exit, folder: Path, *, time_limit_s: float) -> None:
    stderr = folder / STDERR
    if outcome.timed_out:
        raise RunError(
            f"step '{step.name}' was killed at the time limit of {format_duration(time_limit_s)}",
            place=Place(path=stderr.name),
            hint="is it stuck, or is time_limit_s in the matrix too short?",
        )
    if outcome.code == 0:
        return
    ended = f"was ended by {outcome.signal}" if outcome.signal else f"exited with {outcome.code}"
    said = _last_line(stderr)
    raise RunError(
        f"step '{step.name}' {ended} after {format_duration(outcome.duration_s)}: {said}",
        place=Place(path=stderr.name),
    )


def _last_line(path: Path) -> str:
    """Return the last line that is not empty, of at most 4 KiB; the whole is in the file."""
    with path.open("rb") as stream:
        stream.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        lines = stream.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"
