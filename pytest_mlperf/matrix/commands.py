"""A harness that a matrix describes: the command, and where what it leaves appears.

Its texts hold fields such as `{scenario}`: `fields` says which there are. `own` reads them from a matrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_mlperf.errors import Place  # noqa: TC001  records are read by their types

Words = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Fields of a matrix's own: by name, by axis, the text for a value on it."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """A program: groups of arguments, or one line for a shell.

    groups: those with several arguments are left out where one of their fields has no value
    """

    groups: tuple[Group, ...] = ()
    shell: str | None = None


@dataclass(frozen=True, kw_only=True)
class Group:
    """Arguments that stand or fall together. Those that are not `optional` always stand."""

    arguments: tuple[str, ...]
    optional: bool


@dataclass(frozen=True, kw_only=True)
class MountTemplate:
    """A folder of the host that the container sees."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True, kw_only=True)
class ContainerTemplate:
    """The container that a command runs in."""

    image: str
    mounts: tuple[MountTemplate, ...]
    shm_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class CommandTemplate:
    """A harness by command, before the fields have their values.

    argv:              of every case
    score:             run after an accuracy run; None where the command scores itself, or another one does
    env:               beside the environment of this process, or of the image
    cwd:               working directory
    log_dir:           pattern of the folder with LoadGen's logs, below the case's folder
    accuracy_file:     pattern of the file with the accuracy, below the case's folder
    accuracy_pattern:  regular expression whose group is the accuracy; None for that of the metric's script
    container:         where it runs, None for processes of this machine
    words:             fields of its own
    place:             where in its matrix it stands
    """

    argv: Arguments
    score: Arguments | None
    env: Mapping[str, str] = field(hash=False)
    cwd: str
    log_dir: str
    accuracy_file: str
    accuracy_pattern: str | None
    container: ContainerTemplate | None
    words: Words = field(hash=False)
    place: Place = field(compare=False)
