"""What runs a benchmark: a harness says what to start and where its logs appear. It starts nothing itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pytest_mlperf.errors import Place, RunError
    from pytest_mlperf.matrix import Case, HarnessTerms
    from pytest_mlperf.placement import Placement
    from pytest_mlperf.rounds import Round


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A folder or file of the host that a container sees."""

    source: Path
    target: str
    read_only: bool = True


@dataclass(frozen=True, kw_only=True)
class Container:
    """The container that a step runs in.

    image:       as the engine of this machine knows it; nothing is pulled
    mounts:      beside the folder of the case, which has its own path inside as well, for writing
    shm_bytes:   size of /dev/shm, None for the engine's default
    privileges:  what the harness itself needs beyond the least (`network=bridge` of a download); those that
                 its matrix allows the case are added
    """

    image: str
    mounts: tuple[Mount, ...] = ()
    shm_bytes: int | None = None
    privileges: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What makes a step a stage, whose result outlasts the case: it is not done again for the same inputs.

    path:      of the file that remembers for what it was done; one of a folder of stamps is done at a time
    inputs:    what the result depends on, by name
    of_image:  whether the image of its container is one of them; data is the same in any image
    image:     that the stage makes: where it is missing, the stage is done again
    base:      image that this one is made from, whose digest is an input
    folder:    that the stage fills: likewise where it is empty, or lacks a file that was in it
    own:       pattern for the names of its files there; where it fits none of them, all are
    """

    path: Path
    inputs: Mapping[str, str]
    of_image: bool = True
    image: str | None = None
    base: str | None = None
    folder: Path | None = None
    own: str = "*"


@dataclass(frozen=True, kw_only=True)
class Command:
    """One step of a case: a program with its arguments, without a shell.

    name:          of the step, in messages ("run", "score")
    cwd:           where it starts; None for the folder of the case
    container:     where it runs; None for a process of this machine
    time_limit_s:  of this step alone, beside the limit of all of them
    stamp:         of a step that is not done for every case; None for one that is
    says_verdict:  it also fails when the case does, so that its exit status is no error where the harness's
                   statement explains it
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path | None = None
    container: Container | None = None
    time_limit_s: float | None = None
    stamp: Stamp | None = None
    says_verdict: bool = False


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What the harness itself says of a run that has ended.

    verdict:    PASSED or FAILED (accuracy), VALID or INVALID (performance)
    text:       its words, for the record
    accuracy:   the value that it compared, in the unit of the benchmark; None where it says none
    threshold:  that it compared with
    """

    verdict: Literal["PASSED", "FAILED", "VALID", "INVALID"]
    text: str
    accuracy: float | None = None
    threshold: float | None = None


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
    appearance:   what is looked for after the run, in place of `log_dir`; None where that is sure
    statement:    gives what the harness says of the run, with the error of a step that says the verdict,
                  None if it ended well. Raises that error where it does not say why, and RunError or
                  EvidenceError where nothing is said. None for harnesses that judge nothing
    """

    steps: tuple[Command, ...]
    log_dir: Path
    time_limit_s: float
    appearance: Appearance | None = None
    statement: Callable[[RunError | None], Statement] | None = None


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Where NVIDIA's harness is on this machine.

    trees:    by round, the folder closed/NVIDIA of its results repository
    scratch:  for models and data (MLPERF_SCRATCH_PATH)
    """

    trees: Mapping[str, Path] = field(default_factory=dict)
    scratch: Path | None = None


class Harness(Protocol):
    """One way to run benchmarks."""

    def terms(self, mlperf_round: Round) -> HarnessTerms:
        """Return what the harness is called in names, and what it runs in a round."""
        ...

    def missing(self, mlperf_round: Round) -> str | None:
        """Return what this machine or this version lacks to run cases of a round at all, or None."""
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
