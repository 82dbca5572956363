"""What runs a benchmark: a harness says what to start and where its logs appear. It starts nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_mlperf.errors import Place
    from pytest_mlperf.matrix import Case, HarnessTerms
    from pytest_mlperf.placement import Placement
    from pytest_mlperf.rounds import Round


@dataclass(frozen=True, kw_only=True)
class Command:
    """One step of a case: a program with its arguments, without a shell.

    name: of the step, in messages ("run", "score")
    cwd:  where it starts; None for the folder of the case
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A folder or file of the host that a container sees."""

    source: Path
    target: str
    read_only: bool = True


@dataclass(frozen=True, kw_only=True)
class Container:
    """The container that the steps of a case run in, one after the other.

    image:       as the engine of this machine knows it; nothing is pulled
    mounts:      beside the folder of the case, which has its own path inside as well, for writing
    shm_bytes:   size of /dev/shm, None for the engine's default
    privileges:  what it may do beyond the least: `cap_add=SYS_ADMIN`, `seccomp=unconfined`, `network=host`
    """

    image: str
    mounts: tuple[Mount, ...] = ()
    shm_bytes: int | None = None
    privileges: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """Where a matrix says that logs appear, as patterns below the folder of the case (`results/*/run_1`).

    accuracy: the file with the accuracy; None for a run without one
    said:     where the matrix says so
    """

    logs: str
    accuracy: str | None
    said: Place


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What a case needs: its steps in order, and the folder where LoadGen's logs will be.

    time_limit_s: for all steps together
    container:    where they run, None for processes of this machine
    appearance:   what is looked for after the run, in place of `log_dir`; None where that is sure
    """

    steps: tuple[Command, ...]
    log_dir: Path
    time_limit_s: float
    container: Container | None = None
    appearance: Appearance | None = None


class Harness(Protocol):
    """One way to run benchmarks."""

    def terms(self, mlperf_round: Round) -> HarnessTerms:
        """Return what the harness is called in names, and what it runs in a round."""
        ...

    def missing(self) -> str | None:
        """Return what this machine or this version lacks to run the harness at all, or None."""
        ...

    def estimated_duration_s(self, case: Case, mlperf_round: Round) -> float | None:
        """Return how long a case will take, or None where nothing is known about it."""
        ...

    def log_tree(self, case: Case, mlperf_round: Round) -> str | None:
        """Return where the harness leaves the logs of a case when it is started by hand, from its log folder.

        None where that path would be the same for another SKU, benchmark or scenario.
        """
        ...

    def prepare(self, case: Case, placement: Placement, *, mlperf_round: Round, folder: Path) -> Preparation:
        """Write what the case needs into its (empty) folder, and return what to run.

        Raises RunError when that is not possible.
        """
        ...
