"""Run the steps of a case as processes of this machine, each in a process group of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pytest_mlperf.errors import RunError
from pytest_mlperf.executor.ending import STDERR, STDOUT, failure, last_words, size
from pytest_mlperf.process import Child, Exit, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_mlperf.hardware import Device
    from pytest_mlperf.harness import Command, Preparation


def execute(
    preparation: Preparation,
    folder: Path,
    *,
    lease: int | None = None,
    devices: Sequence[Device] = (),
    notice: Callable[[str], None] | None = None,
) -> None:
    """Run the steps one after the other, with their output in the folder.

    Raises RunError when a step cannot be started, ends with a signal or a non-zero exit status, or when the
    time limit is reached; all that the step started is dead by then.
    """
    del devices, notice  # the environment of a step names its devices
    deadline = time.monotonic() + preparation.time_limit_s
    for step in preparation.steps:
        said_before = size(folder / STDERR)
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
            said = last_words(folder / STDERR, since=said_before)
            raise failure(step, outcome, said, time_limit_s=preparation.time_limit_s)


def _run(step: Command, child: Child, *, time_limit_s: float) -> Exit:
    try:
        return run(child, time_limit_s=time_limit_s)
    except OSError as error:
        raise RunError(f"step '{step.name}': cannot start {step.argv[0]}: {error.strerror}") from error
