"""Run a step of a case as a process of this machine, in a process group of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mlperf.errors import RunError
from pytest_mlperf.executor.ending import STDERR, STDOUT, Listener, failure
from pytest_mlperf.process import Child, Exit, run

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mlperf.executor import Terms
    from pytest_mlperf.harness import Command


def execute(step: Command, folder: Path, terms: Terms) -> None:
    """Run a step to its end, with its output in the folder.

    Raises RunError when the step cannot be started, ends with a signal or a non-zero exit status, or when the
    time limit is reached; all that the step started is dead by then.
    """
    listener = Listener(folder)
    child = Child(
        argv=step.argv,
        env=step.env,
        cwd=step.cwd or folder,
        stdout=folder / STDOUT,
        stderr=folder / STDERR,
        handles=() if terms.lease is None else (terms.lease,),
    )
    outcome = _run(step, child, time_limit_s=terms.limit.left_s)
    if outcome.timed_out or outcome.code != 0:
        raise failure(step, outcome, listener.last_words(), limit=terms.limit)


def _run(step: Command, child: Child, *, time_limit_s: float) -> Exit:
    try:
        return run(child, time_limit_s=time_limit_s)
    except OSError as error:
        raise RunError(f"step '{step.name}': cannot start {step.argv[0]}: {error.strerror}") from error
