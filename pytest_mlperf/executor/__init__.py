"""Where the steps of a case run: as processes of this machine (`local`), or in containers (`container`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_mlperf.hardware import Device
    from pytest_mlperf.harness import Preparation


class Execute(Protocol):
    """Runs the steps of a case."""

    def __call__(
        self,
        preparation: Preparation,
        folder: Path,
        *,
        lease: int | None = None,
        devices: Sequence[Device] = (),
        notice: Callable[[str], None] | None = None,
    ) -> None:
        """Run the steps one after the other, with their output in the folder.

        lease:    file descriptor that what is started keeps open where it can, so that the devices are not
                  given to others while it lives, whatever becomes of this process
        devices:  that the case has, for executors that hand them out; processes are told by their environment
        notice:   is told, in a line, what was done beside running the case
        Raises RunError, and HostError when a container engine does not answer.
        """
        ...
