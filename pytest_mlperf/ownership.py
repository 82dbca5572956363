"""Who something belongs to that outlives its process when that is killed: a container, a program."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

_PROC = Path("/proc")
_ENDED = ("Z", "X")
"""States of a process that does nothing any more, though its parent has not asked how it ended."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A process, told from all others of any machine that uses the same container engine.

    host:           name of the machine
    boot:           id of the kernel's run
    pid_namespace:  in which its number is its number
    started:        clock ticks after the boot, so that who has its number later is not taken for it
    """

    uid: int
    host: str
    boot: str
    pid_namespace: str
    pid: int
    started: int | None

    def to_label(self) -> str:
        """Return it as text for a label."""
        return json.dumps(asdict(self), sort_keys=True)

    def outlived(self, other: Owner) -> bool:
        """Return whether another owner is known to be dead, and was of the same user and machine.

        In another namespace of process ids (another container) nothing can be known, unless the machine was
        started anew since.
        """
        if (other.uid, other.host) != (self.uid, self.host):
            return False
        if other.boot != self.boot:
            return True
        return other.pid_namespace == self.pid_namespace and _started(other.pid) != other.started


def this_process() -> Owner:
    """Return this process as an owner."""
    return Owner(
        uid=os.getuid(),
        host=platform.node(),
        boot=(_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip(),
        pid_namespace=str((_PROC / "self/ns/pid").readlink()),
        pid=os.getpid(),
        started=_started(os.getpid()),
    )


def from_label(label: str) -> Owner | None:
    """Return the owner that a label names; None when it is no label of this version."""
    try:
        return Owner(**json.loads(label))
    except (TypeError, ValueError):
        return None


def _started(pid: int) -> int | None:
    """Return when a process started, in clock ticks after the boot; None when there is none."""
    try:
        # The name of the program stands in brackets and may hold anything; the state follows it.
        state, *fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in _ENDED else int(fields[18])
