"""Run each step of a case in a container of its own, so that an exit status is the step's.

A container is no child of this process: its engine started it. It cannot inherit the lease of the devices, so
that this process holds the lease alone while it waits for the container, and removes the container before it
gives the lease back, whatever ends it. Only `kill -9` leaves a container behind, and the devices free: who
runs a step in a container for the same user removes those of dead owners first.
"""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mlperf.errors import HostError, Place, RunError
from pytest_mlperf.executor.container import reaping
from pytest_mlperf.executor.container.connection import Connection, connected, refusals
from pytest_mlperf.executor.container.options import options
from pytest_mlperf.executor.container.output import Output
from pytest_mlperf.executor.ending import Listener, Words, failure
from pytest_mlperf.hardware.address import knock
from pytest_mlperf.ownership import this_process
from pytest_mlperf.process import Exit
from pytest_mlperf.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_mlperf.executor import Limit, Terms
    from pytest_mlperf.hardware import Device, Engine
    from pytest_mlperf.harness import Command

SESSION = "pytest-mlperf.session"
"""Label: the folder with the folders of the session's cases."""
CASE = "pytest-mlperf.case"
"""Label: the id of the case."""

_BOTH_OUTPUTS = {"stdout": 1, "stderr": 1, "stream": 1}
_GRACE_S = 5
_NAME_LENGTH = 80
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_.-]")


class Containers:
    """Runs steps of cases in containers of an engine."""

    def __init__(self, detect: Callable[[], Engine]) -> None:
        """Remember who tells which engine it is; it is asked when something is to run."""
        self._detect = detect

    def find_image(self, name: str) -> str | None:
        """Return the digest of an image (`sha256:...`), None where the engine does not have it.

        Raises HostError when there is no engine.
        """
        with connected(self._detect()) as connection:
            return connection.image(name)

    def execute(self, step: Command, folder: Path, terms: Terms) -> None:
        """Run a step to its end, with its output in the folder.

        Raises RunError when the container cannot be started, ends with a non-zero exit status or for want of
        memory, or when the time limit is reached, HostError when the engine is lost, and ConfigurationError
        where a privilege is unknown. The container is removed by then.
        """
        with connected(self._detect()) as connection:
            _reap(connection, terms.notice)
            run = _Run(
                connection=connection,
                step=step,
                folder=folder.absolute(),
                limit=terms.limit,
                case=terms.case or folder.name,
            )
            run.to_end(terms.devices)

    def reap(self) -> None:
        """Remove what killed processes left. Raises HostError when there is no engine."""
        with connected(self._detect()) as connection:
            _reap(connection, None)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """A step, whose container has the folder of its case at the same path."""

    connection: Connection
    step: Command
    folder: Path
    limit: Limit
    case: str

    def to_end(self, devices: Sequence[Device]) -> None:
        container = self.step.container
        assert container is not None, "the step runs in a container"
        asked = options(container, self.step, folder=self.folder, devices=devices)
        if self.connection.engine.name == "Podman":
            _check_podman(self.step, asked)
        listener = Listener(self.folder)
        outcome, out_of_memory = self._outcome({**asked, "image": container.image})
        if outcome.timed_out or outcome.code != 0 or out_of_memory:
            raise self._failure(outcome, listener.last_words(), out_of_memory=out_of_memory)

    def _outcome(self, asked: dict[str, Any]) -> tuple[Exit, bool]:
        """Return how the step ended, and whether something of it was killed for want of memory."""
        with self._created(asked) as container, self.connection.asking():
            output = Output(container.attach_socket(params=_BOTH_OUTPUTS), self.folder)
            started = time.monotonic()
            with refusals(self.step.name):
                container.start()
            timed_out = not _ended(container, deadline=self.limit.at_s)
            if timed_out:
                container.stop(timeout=_GRACE_S)
            duration_s = time.monotonic() - started
            output.finish()
            container.reload()
            state = container.attrs["State"]
        outcome = Exit(code=state["ExitCode"], signal=None, timed_out=timed_out, duration_s=duration_s)
        return outcome, state["OOMKilled"] and not timed_out

    @contextmanager
    def _created(self, asked: dict[str, Any]) -> Iterator[Any]:
        """Make a container, and remove it however this is left."""
        places = (self.folder, *self.folder.parents)
        case_folder = next((place for place in places if place.name == self.case), self.folder)
        name = f"pytest-mlperf-{_NOT_IN_NAMES.sub('_', self.case)[:_NAME_LENGTH]}-{uuid.uuid4().hex[:8]}"
        labels = {
            SESSION: str(case_folder.parent),
            CASE: self.case,
            reaping.LABEL: this_process().to_label(),
        }
        try:
            with self.connection.asking(), refusals(self.step.name):
                container = self.connection.client.containers.create(name=name, labels=labels, **asked)
            yield container
        except BaseException:
            # By its name: an interrupt may have come before the engine could tell its id.
            with contextlib.suppress(HostError):
                self._remove(name)
            raise
        self._remove(name)

    def _remove(self, name: str) -> None:
        with self.connection.asking():
            knock(self.connection.engine.address, time_limit_s=_GRACE_S)
            reaping.remove(self.connection.client, name)

    def _failure(self, outcome: Exit, said: Words, *, out_of_memory: bool) -> RunError:
        if not out_of_memory:
            return failure(self.step, outcome, said, limit=self.limit)
        return RunError(
            f"step '{self.step.name}' ran out of memory, and exited with {outcome.code} after "
            f"{format_duration(outcome.duration_s)}: {said.text}",
            place=Place(path=said.file),
            hint="the kernel killed a program in its container",
        )


def _reap(connection: Connection, notice: Callable[[str], None] | None) -> None:
    """Remove what killed processes left; a worker of this session's may be one of them."""
    with connection.asking():
        names = reaping.reap(connection.client)
    if names and notice is not None:
        notice(f"removed what killed processes left: {', '.join(names)}")


def _check_podman(step: Command, asked: dict[str, Any]) -> None:
    """Raise RunError for what Podman takes and does otherwise than it was asked."""
    if asked["device_requests"] or asked["runtime"]:
        raise RunError(f"step '{step.name}': Podman ignores requests for GPUs", hint="use Docker")
    for mount in asked["mounts"]:
        if not Path(mount["Source"]).exists():
            raise RunError(
                f"step '{step.name}': {mount['Source']}: cannot be mounted: not there",
                hint="Podman would make a folder there",
            )


def _ended(container: Any, *, deadline: float) -> bool:
    """Wait for a container, and return whether it ended before the deadline.

    It is the engine that waits: nothing looks after the container again and again while it is measured.
    """
    try:
        container.wait(timeout=max(deadline - time.monotonic(), 0.001))
    # The SDK has no exception of its own for this: one of requests, as for an engine that is lost.
    except OSError:
        if time.monotonic() < deadline:
            raise
        return False
    return True
