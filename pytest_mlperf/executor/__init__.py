"""Where the steps of a case run. So far: as processes of this machine (`local`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mlperf.harness import Preparation


class Execute(Protocol):
    """Runs the steps of a case."""

    def __call__(self, preparation: Preparation, folder: Path, *, lease: int | None = None) -> None:
        """Run the steps one after the other, with their output in the folder.

        lease: file descriptor that what is started keeps open, so that the devices are not given to others
               while it lives, whatever becomes of this process
        Raises RunError.
        """
        ...
