"""Child processes: the only module that starts any.

A child leads a process group of its own, so that it can be ended with everything it started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Exit:
    """How a child ended.

    code:       exit status, or None when a signal ended it
    signal:     name of the signal that ended it (`SIGSEGV`), or None
    timed_out:  it was killed at its time limit
    """

    code: int | None
    signal: str | None
    timed_out: bool
    duration_s: float


@dataclass(frozen=True, kw_only=True)
class Child:
    """What to start, and where its output goes."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    stdout: Path
    stderr: Path


def run(child: Child, *, time_limit_s: float) -> Exit:
    """Run a child to its end, or kill its whole process group at the time limit.

    The group is killed as well when this call is left by an exception (Ctrl-C), and when the child
    left something behind. Raises OSError when the program cannot be started.
    """
    started = time.monotonic()
    with child.stdout.open("ab") as stdout, child.stderr.open("ab") as stderr:
        process = subprocess.Popen(  # noqa: S603  the program is the harness's own, without a shell
            child.argv,
            env=dict(child.env),
            cwd=child.cwd,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    timed_out = False
    try:
        process.wait(timeout=time_limit_s)
    except subprocess.TimeoutExpired:
        timed_out = True
    finally:
        _kill_group(process.pid)
        process.wait()
    return _exit(process.returncode, timed_out=timed_out, duration_s=time.monotonic() - started)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _exit(returncode: int, *, timed_out: bool, duration_s: float) -> Exit:
    ended_by = signal.Signals(-returncode).name if returncode < 0 and not timed_out else None
    code = returncode if returncode >= 0 else None
    return Exit(code=code, signal=ended_by, timed_out=timed_out, duration_s=duration_s)
