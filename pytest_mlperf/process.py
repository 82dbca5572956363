"""Child processes: the only module that starts any.

A child leads a process group of its own and carries two marks in its environment, which its children inherit:
one of its own, so that it can be ended with everything it started, also what made a session of its own; and
that of its owner, so that it can be ended by others when that was killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import select
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pytest_mlperf.ownership import from_label, this_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_MARK = "PYTEST_MLPERF_CHILD"
_OWNER = "PYTEST_MLPERF_OWNER"
_DEFERRED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
_PAUSE_S = 0.01


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
    """What to start, and where its output goes.

    handles: file descriptors that it inherits beside those three
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    stdout: Path
    stderr: Path
    handles: Sequence[int] = ()


def run(child: Child, *, time_limit_s: float) -> Exit:
    """Run a child to its end, or kill it and all that it started at the time limit.

    They are killed as well when this call is left by an exception (Ctrl-C), and when the child left something
    behind. Raises OSError when the program cannot be started.
    """
    started = time.monotonic()
    mark = f"{_MARK}={uuid.uuid4()}"
    with child.stdout.open("ab") as stdout, child.stderr.open("ab") as stderr, _deferred() as release:
        process = subprocess.Popen(  # noqa: S603  the program is the harness's own, without a shell
            child.argv,
            env={**child.env, _MARK: mark.partition("=")[2], _OWNER: this_process().to_label()},
            cwd=child.cwd,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=child.handles,
            start_new_session=True,
        )
        timed_out = True
        try:
            release()
            timed_out = not _ended(process.pid, within_s=time_limit_s)
        finally:
            # Before the process is reaped: until then nobody else can have its number.
            _kill_group(process.pid)
            process.wait()
            _kill_all(lambda: _marked(mark.encode()))
    return _exit(process.returncode, timed_out=timed_out, duration_s=time.monotonic() - started)


@contextlib.contextmanager
def _deferred() -> Iterator[Callable[[], None]]:
    """Let signals wait until they are released, at the latest at the end.

    A handler that raises while a child is started would leave a child that nobody knows.
    """
    heard: list[int] = []
    before: dict[int, Any] = {}

    def release() -> None:
        while before:
            signal.signal(*before.popitem())
        while heard:
            signal.raise_signal(heard.pop())

    if threading.current_thread() is threading.main_thread():
        usual = {number: signal.getsignal(number) for number in _DEFERRED}
        for number, does in usual.items():
            if callable(does):
                before[number] = does
                signal.signal(number, lambda number, _: heard.append(number))
    try:
        yield release
    finally:
        release()


def reap() -> int:
    """Kill what children of processes of this user that were killed left, and return how many (Linux)."""
    return len(_kill_all(_orphans))


def signal_children(number: signal.Signals) -> None:
    """Send a signal to the children of this process, though not to what they started (Linux)."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The name of the program, in brackets, may have spaces and brackets in it.
            parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                os.kill(int(entry.name), number)


def end_with_parent(number: signal.Signals) -> None:
    """Have the kernel send this process a signal when the thread that started it ends (Linux).

    Raises OSError when the kernel refuses, and ProcessLookupError when the parent has ended already.
    """
    parent = os.getppid()
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    if prctl is None or prctl(_PR_SET_PDEATHSIG, number) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        raise ProcessLookupError(errno.ESRCH, f"process {parent} has ended")


class Helper:
    """A module of this package that runs as a process beside this one, and is spoken to by pipes.

    It is to end when a pipe is closed, as it is when this process ends in whatever way. What it says on
    stderr is lost: whoever asked it must be able to do without.
    """

    def __init__(self, module: str) -> None:
        """Start it. Raises OSError where there is no process to be had."""
        self._process = subprocess.Popen(  # noqa: S603  a module of our own
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def stdout(self) -> IO[bytes]:
        """What it says."""
        return _open(self._process.stdout)

    def say(self, content: bytes) -> None:
        """Tell it all that it is to know. Raises BrokenPipeError when it has ended."""
        with _open(self._process.stdin) as stream:
            stream.write(content)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self.stdout.close()


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None, "opened as a pipe"
    return stream


def _ended(pid: int, *, within_s: float) -> bool:
    """Wait for a child to end, without reaping it."""
    handle = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(within_s * 1000))
    finally:
        os.close(handle)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _kill_all(found: Callable[[], Iterable[int]]) -> set[int]:
    """Kill processes until a look around finds nothing new, and return their numbers."""
    known: set[int] = set()
    while new := set(found()) - known:
        known |= new
        for pid in new:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE_S)
    return known


def _marked(mark: bytes) -> Iterator[int]:
    return (pid for pid, words in _environments() if mark in words)


def _orphans() -> Iterator[int]:
    me, name = this_process(), f"{_OWNER}=".encode()
    for pid, words in _environments():
        for word in words:
            owner = from_label(word[len(name) :].decode(errors="replace")) if word.startswith(name) else None
            if owner is not None and me.outlived(owner):
                yield pid


def _environments() -> Iterator[tuple[int, list[bytes]]]:
    """Give the processes of this machine that can be looked at, each with its environment (Linux)."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        # A process may be gone by the time it is looked at, or be of another user.
        with contextlib.suppress(OSError):
            yield int(path.parent.name), path.read_bytes().split(b"\0")


def _exit(returncode: int, *, timed_out: bool, duration_s: float) -> Exit:
    ended_by = _name(-returncode) if returncode < 0 and not timed_out else None
    code = returncode if returncode >= 0 else None
    return Exit(code=code, signal=ended_by, timed_out=timed_out, duration_s=duration_s)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # the real-time signals have no names
