"""A program: many processes that ask for the devices of one machine, while some of them are killed.

That nobody has what another has is proved without the leases, by record locks (`lockf`) on the bytes of a
file: a byte for each device and one for the host. A process that finds one locked says so. When a process
dies, the kernel gives up its record locks while it closes its files, and the lock of its lease after that; so
what the lease frees is free in the proof, too.

Arguments: a folder for the leases and the proof, how many seconds, and the seed of chance.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pytest_mlperf.placement.leases import Request, holders, lease
from pytest_mlperf.placement.register import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOTS = 16
DEVICES = tuple("ABCDEFGH")
HOST = len(DEVICES)
COUNTS = {0: 1, 1: 6, 2: 4, 4: 3, 8: 2}
ALONE_SHARE = 0.05
HALF_SHARE = 0.2
SUICIDE_SHARE = 0.02
HOLD_S = 0.002
KILL_EVERY_S = 0.05
END_WITHIN_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of it.

    leases:         granted, by kind (`4`, `alone`)
    longest_s:      longest wait, by kind
    fewest:         leases of the process (and those that took its place) that had the fewest
    killed:         processes; and of them, those that held a lease
    collisions:     lines about what two had at once
    failed:         exit statuses of processes that ended by themselves with other than 0
    stuck:          processes that did not end
    left:           who holds a lease in the end, and what is left in the folder
    """

    leases: dict[str, int]
    longest_s: dict[str, float]
    fewest: int
    killed: int
    killed_holding: int
    collisions: list[str]
    failed: list[int]
    stuck: int
    left: list[str]


def main() -> None:
    """Print the outcome as JSON."""
    folder, duration_s, seed = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    os.environ[VARIABLE] = str(folder / "leases")
    (folder / "proof").write_bytes(bytes(HOST + 1))
    dice = random.Random(seed)  # noqa: S311  chance that repeats
    crowd = Crowd(folder, dice, deadline=time.monotonic() + duration_s)
    crowd.fight()
    sys.stdout.write(json.dumps(asdict(crowd.outcome())))


class Crowd:
    """The processes, one in each slot; they all are children of this one."""

    def __init__(self, folder: Path, dice: random.Random, *, deadline: float) -> None:
        self._folder = folder
        self._dice = dice
        self._deadline = deadline
        self._slots: dict[int, int] = {}
        self._killed: list[int] = []
        self._failed: list[int] = []

    def fight(self) -> None:
        """Let them ask until the deadline, kill some, and wait for the others to end by themselves."""
        for slot in range(SLOTS):
            self._start(slot)
        while time.monotonic() < self._deadline:
            time.sleep(self._dice.expovariate(1 / KILL_EVERY_S))
            self._kill(self._dice.choice(list(self._slots)))
            for slot in self._reap():
                self._start(slot)
        ends = time.monotonic() + END_WITHIN_S
        while self._slots and time.monotonic() < ends:
            self._reap()
            time.sleep(0.01)

    def outcome(self) -> Outcome:
        """Count what they have written down, and kill those that are stuck."""
        stuck = list(self._slots)
        for pid in stuck:
            self._kill(pid)
        self._reap()
        granted: Counter[str] = Counter()
        longest_s: dict[str, float] = {}
        by_slot: Counter[str] = Counter({str(slot): 0 for slot in range(SLOTS)})
        holding: dict[int, bool] = {}
        collisions = []
        for what, process, slot, kind, waited_s in self._lines():
            pid = int(process)
            holding[pid] = what == "held"
            if what == "held":
                granted[kind] += 1
                by_slot[slot] += 1
                longest_s[kind] = max(float(waited_s), longest_s.get(kind, 0))
            elif what == "collision":
                collisions.append(f"{pid} {kind}")
        return Outcome(
            leases=dict(granted),
            longest_s=longest_s,
            fewest=min(by_slot.values()),
            killed=len(self._killed) - len(stuck),
            killed_holding=sum(holding.get(pid, False) for pid in self._killed),
            collisions=collisions,
            failed=self._failed,
            stuck=len(stuck),
            left=self._left(),
        )

    def _left(self) -> list[str]:
        """Ask for all in the end: that removes what the dead have left, and must not take any time."""
        left = [f"holder {holder.case}" for holder in holders()]
        with lease(Request(case="last", count=len(DEVICES), devices=DEVICES, exclusive=True)) as got:
            left += [f"waited {got.waited_s} s"] if got.waited_s > 1 else []
        return left + [path.name for path in (self._folder / "leases").iterdir()]

    def _lines(self) -> Iterator[list[str]]:
        for line in (self._folder / "log").read_text().splitlines():
            yield line.split()

    def _start(self, slot: int) -> None:
        dice = random.Random(self._dice.random())  # noqa: S311  chance that repeats
        pid = os.fork()
        if pid == 0:
            self._work(slot, dice)
        self._slots[pid] = slot

    def _kill(self, pid: int) -> None:
        """Kill a process, which has not been waited for: its number is still its own."""
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    def _reap(self) -> list[int]:
        """Return the slots of those that have ended."""
        ended = {pid: os.waitpid(pid, os.WNOHANG) for pid in self._slots}
        for pid, (found, status) in ended.items():
            if found and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
                self._killed.append(pid)
            elif found and status:
                self._failed.append(status)
        return [self._slots.pop(pid) for pid, (found, _) in ended.items() if found]

    def _work(self, slot: int, dice: random.Random) -> NoReturn:
        status = 1
        try:
            diary = Diary(self._folder, slot)
            while time.monotonic() < self._deadline:
                _ask(dice, diary)
            status = 0
        finally:
            os._exit(status)


class Diary:
    """What a process writes down, a line at a time, and its proof."""

    def __init__(self, folder: Path, slot: int) -> None:
        self._slot = slot
        self._log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._proof = os.open(folder / "proof", os.O_RDWR)

    def note(self, what: str, kind: str, waited_s: float = 0) -> None:
        """Write a line that no other process's can get into."""
        os.write(self._log, f"{what} {os.getpid()} {self._slot} {kind} {waited_s:.3f}\n".encode())

    def prove(self, byte: int, *, alone: bool) -> None:
        """Lock a byte; it is a collision when another process has it."""
        how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        try:
            fcntl.lockf(self._proof, how | fcntl.LOCK_NB, 1, byte)
        except OSError:
            self.note("collision", str(byte))

    def forget(self) -> None:
        """Give up all bytes."""
        fcntl.lockf(self._proof, fcntl.LOCK_UN)


def _ask(dice: random.Random, diary: Diary) -> None:
    request = _request(dice)
    kind = "alone" if request.exclusive else str(request.count)
    with lease(request) as got:
        diary.prove(HOST, alone=request.exclusive)
        for device in got.devices:
            diary.prove(DEVICES.index(device), alone=True)
        diary.note("held", kind, got.waited_s)
        time.sleep(dice.expovariate(1 / HOLD_S))
        if dice.random() < SUICIDE_SHARE:
            os.kill(os.getpid(), signal.SIGKILL)
        diary.forget()
        diary.note("left", kind)


def _request(dice: random.Random) -> Request:
    (count,) = dice.choices(list(COUNTS), list(COUNTS.values()))
    devices = DEVICES
    if count <= HOST // 2 and dice.random() < HALF_SHARE:
        devices = tuple(dice.sample(DEVICES, HOST // 2))
    alone = dice.random() < ALONE_SHARE
    return Request(case=f"case-{count}", count=count, devices=devices, exclusive=alone)


if __name__ == "__main__":
    main()
