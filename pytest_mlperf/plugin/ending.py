"""A session that is told to end, by SIGTERM, SIGHUP or Ctrl-C: it ends with all its reports.

What runs is ended with everything it started, and is an error; what was found out stands in the records,
JUnit and HTML. Workers of xdist are told by the process that started them, and by the kernel when it is gone.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf import process

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from types import FrameType

    from pytest_mlperf.plugin.live import Live

# What they do when nobody has asked for anything else.
_USUAL: Mapping[signal.Signals, Any] = {
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}


@dataclass(kw_only=True, eq=False)
class Ending:
    """Ends the session of a process. A handler that somebody else has set is left alone.

    Between phases the session is only told to stop: pytest and its reports are never interrupted in their own
    work. Nor does a second signal interrupt the end, but for Ctrl-C: somebody waits there.
    """

    config: pytest.Config
    live: Live
    _told: str | None = None
    _in_phase: bool = False
    _heard: list[signal.Signals] = field(default_factory=list)

    def listen(self) -> None:
        """Hear the signals from now on, until pytest has written everything."""
        if hasattr(self.config, "workerinput"):
            with contextlib.suppress(OSError):
                process.end_with_parent(signal.SIGTERM)
        if threading.current_thread() is threading.main_thread():
            usual = {number: does for number, does in _USUAL.items() if signal.getsignal(number) is does}
            if self.config.getoption("usepdb"):
                usual.pop(signal.SIGINT, None)
            self._heard += usual
            for number in self._heard:
                signal.signal(number, self._end)

    def pytest_unconfigure(self) -> None:
        """Hear no more."""
        for number in self._heard:
            signal.signal(number, _USUAL[number])

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Let the case that runs here be ended."""
        del item
        with self._phase():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Let the test be ended."""
        del item
        with self._phase():
            return (yield)

    @contextlib.contextmanager
    def _phase(self) -> Iterator[None]:
        self._in_phase = True
        try:
            if self._told:  # between two phases
                pytest.fail(self._told, pytrace=False)
            yield
        finally:
            self._in_phase = False

    def _end(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._told:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self._told = f"ended by {signal.Signals(number).name}"
        distributed = self.config.pluginmanager.getplugin("dsession")
        if distributed is not None:
            distributed.shouldstop = self._told
            process.signal_children(signal.SIGTERM)
        session = self.config.pluginmanager.getplugin("session")
        assert session is not None, "the name under which pytest registers it"
        session.shouldstop = self._told
        if self._in_phase:
            running = self.live.running
            during = f" in {running.state}" if running else ""
            pytest.fail(f"{self._told}{during}", pytrace=False)
