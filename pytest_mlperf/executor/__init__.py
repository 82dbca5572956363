"""Where a step of a case runs: as a process of this machine (`local`), or in a container (`container`).

`stages` runs the steps of a case one after the other, and those that outlast it only when something changed;
`ending` is how all of them say how a step ended.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_mlperf.hardware import Device
    from pytest_mlperf.harness import Command


@dataclass(frozen=True, kw_only=True)
class Limit:
    """When a step is killed.

    at_s:        on the monotonic clock
    duration_s:  as it was asked for, of the step alone or of all steps of its case
    of_step:     it is of one step, not of all steps of its case
    """

    at_s: float
    duration_s: float
    of_step: bool = False

    @property
    def left_s(self) -> float:
        """What is left of it, never quite nothing."""
        return max(self.at_s - time.monotonic(), 0.001)


def limit(duration_s: float, *, of_step: bool = False) -> Limit:
    """Return a limit that begins now."""
    return Limit(at_s=time.monotonic() + duration_s, duration_s=duration_s, of_step=of_step)


class FindImage(Protocol):
    """Knows the images of a container engine."""

    def __call__(self, name: str, /) -> str | None:
        """Return the digest of an image (`sha256:...`), None where the engine does not have it.

        Raises HostError when there is no engine.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a step runs with.

    lease:    file descriptor that what is started keeps open where it can, so that the devices are not given
              to others while it lives, whatever becomes of this process
    devices:  that the case has, for executors that hand them out; processes are told by their environment
    notice:   is told, in a line, what was done beside running the case
    case:     id of the case, which names its folder or one above it; None: the folder's name says it
    """

    limit: Limit
    lease: int | None = None
    devices: Sequence[Device] = ()
    notice: Callable[[str], None] | None = None
    case: str | None = None


class Execute(Protocol):
    """Runs one step of a case."""

    def __call__(self, step: Command, folder: Path, terms: Terms) -> None:
        """Run the step to its end, with its output in the folder of its case.

        Raises RunError, and HostError when a container engine does not answer.
        """
        ...
