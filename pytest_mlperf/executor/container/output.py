"""What a container says, written to the files of its case as it comes."""

from __future__ import annotations

import contextlib
import threading
from typing import IO, TYPE_CHECKING, Any

from pytest_mlperf.errors import Place, RunError
from pytest_mlperf.executor.ending import STDERR, STDOUT

if TYPE_CHECKING:
    from pathlib import Path

_LAST_WORDS_S = 10.0
"""How long what a container said may take to arrive after its end."""


class Output:
    """Copies the output of a container in a thread of its own, until it ends."""

    def __init__(self, attached: Any, folder: Path) -> None:
        """Start to copy.

        attached: socket on which the engine sends what comes on stdout and stderr; it is closed at the end
        """
        self._attached = attached
        self._problem: OSError | None = None
        files = (folder / STDOUT).open("ab"), (folder / STDERR).open("ab")
        self._thread = threading.Thread(target=self._copy, args=files, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for the last words of a container that has ended. Raises RunError where some are lost."""
        self._thread.join(_LAST_WORDS_S)
        if self._thread.is_alive():
            raise RunError(
                f"the engine did not give all of the output within {_LAST_WORDS_S} s of its end",
                place=Place(path=STDOUT),
            )
        if self._problem is not None:
            problem = self._problem.strerror
            raise RunError(f"cannot write the output: {problem}", place=Place(path=STDOUT)) from self._problem

    def _copy(self, stdout: IO[bytes], stderr: IO[bytes]) -> None:
        from docker.utils import socket  # noqa: PLC0415  only wanted where containers run

        # An engine that is lost is told by what waits for the container's end.
        with contextlib.suppress(OSError):
            for stream, piece in socket.frames_iter(self._attached, tty=False):
                self._write(stdout if stream == socket.STDOUT else stderr, piece)
        # The SDK leaves a connection open that became a socket; its response hangs there and can close it.
        response = getattr(self._attached, "_response", self._attached)
        for opened in (response, stdout, stderr):
            with contextlib.suppress(OSError):
                opened.close()

    def _write(self, file: IO[bytes], piece: bytes) -> None:
        """Write, or remember why not, and listen on: the container would wait for its full pipe."""
        try:
            file.write(piece)
            file.flush()
        except OSError as error:
            self._problem = error
