"""What runs now, for those who wait: a line under pytest's own on a terminal, a line a minute elsewhere.

A thread looks at the tail of what a step writes, every few seconds. It measures nothing and changes nothing.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from pytest_mlperf.executor.ending import latest_words
from pytest_mlperf.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from pytest_mlperf.executor import Limit

_REFRESH_S = 2.0
_JOIN_S = 5.0

# VT100: make room for a line below; write there; come back.
_ROOM = "\x1bD\x1b[1A"
_BELOW = "\x1b7\x1b[1B\r\x1b[2K"
_BACK = "\x1b8"


@dataclass(kw_only=True, eq=False)
class Running:
    """A case that runs, and its step."""

    case: str
    folder: Path
    step: str | None = None
    limit: Limit | None = None
    began_s: float = field(default_factory=time.monotonic)

    def begin(self, step: str, limit: Limit) -> None:
        """Note that another step begins."""
        self.step, self.limit, self.began_s = step, limit, time.monotonic()

    def __str__(self) -> str:
        """Return the case and what it does."""
        return f"{self.case}: {self.state}"

    @property
    def state(self) -> str:
        """The step, for how long it has run and may run, and its last words."""
        if self.step is None or self.limit is None:
            return "starts"
        so_far = format_duration(time.monotonic() - self.began_s)
        words = latest_words(self.folder)
        said = f", says: {words}" if words else ""
        return f"{self.step}, {so_far} of at most {format_duration(self.limit.duration_s)}{said}"


class Live:
    """Tells of the case that runs in this process."""

    def __init__(self, config: pytest.Config) -> None:
        """Find out where and how often to tell."""
        self._heartbeat_s: float = config.getoption("mlperf_heartbeat")
        self._console = console(config)
        worker = hasattr(config, "workerinput")
        # Several workers would write on each other's lines.
        self._terminal = is_terminal(self._console) and not worker
        self.running: Running | None = None

    def tell(self, line: str) -> None:
        """Write a line at once, past pytest's capturing."""
        os.write(self._console, f"\n{line}\n".encode())

    @contextmanager
    def watch(self, case: str, folder: Path) -> Iterator[Running]:
        """Tell of a case while it runs."""
        running = self.running = Running(case=case, folder=folder)
        ended = threading.Event()
        thread = threading.Thread(target=self._watch, args=(running, ended), daemon=True)
        if self._heartbeat_s:
            thread.start()
        try:
            yield running
        finally:
            self.running = None
            ended.set()
            if self._heartbeat_s:
                thread.join(_JOIN_S)

    def _watch(self, running: Running, ended: threading.Event) -> None:
        if not self._terminal:
            while not ended.wait(self._heartbeat_s):
                now = datetime.now().astimezone().strftime("%H:%M:%S")
                os.write(self._console, f"\n[{now}] {running}\n".encode())
            return
        room = _ROOM
        while not ended.wait(_REFRESH_S):
            width = shutil.get_terminal_size().columns - 1
            os.write(self._console, f"{room}{_BELOW}{str(running)[:width]}{_BACK}".encode())
            room = ""
        if not room:
            os.write(self._console, f"{_BELOW}{_BACK}".encode())


def is_terminal(handle: int) -> bool:
    """Return whether somebody sits there, and their terminal can move its cursor."""
    return os.isatty(handle) and os.environ.get("TERM") not in (None, "dumb") and "CI" not in os.environ


def console(config: pytest.Config) -> int:
    """Return a file descriptor of the stderr that pytest was started with, which it may capture.

    Workers of xdist share that of the session.
    """
    manager = config.pluginmanager.getplugin("capturemanager")
    with manager.global_and_fixture_disabled() if manager else nullcontext():
        return os.dup(2)
