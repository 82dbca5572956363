"""Judge a submission tree before its records are asked for, in a process beside the one that asks.

The order goes in by a pipe and the records come back by one, a scenario at a time. A pipe that is closed ends
the process: it outlives nobody.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.process import Helper
from pytest_mlperf.submission.auditing import Tree
from pytest_mlperf.submission.records import judge

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_mlperf.record import Record
    from pytest_mlperf.submission.records import Runs
    from pytest_mlperf.verdict.official import Level


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to judge, by which rules; `output` is the folder that places of logs are told from."""

    path: Path
    round: str
    level: Level
    output: Path
    runs: Sequence[Runs]


class Ahead:
    """The records of a tree, as another process judges them."""

    def __init__(self, tree: Tree, runs: Sequence[Runs], *, output: Path) -> None:
        """Start to judge, in the order of `runs`."""
        order = Order(path=tree.path, round=tree.round.name, level=tree.level, output=output, runs=runs)
        self._due = deque(runs)
        self._helper = Helper(__name__)
        with suppress(BrokenPipeError):
            self._helper.say(pickle.dumps(order))

    def records(self, runs: Runs) -> dict[str, Record] | None:
        """Return the records of these runs by id, None where they do not come.

        Runs that were to come before them are passed over.
        """
        while runs in self._due:
            try:
                records: dict[str, Record] = pickle.load(self._helper.stdout)  # noqa: S301  of our own process
            except (EOFError, pickle.UnpicklingError):
                self._due.clear()
                return None
            if self._due.popleft() is runs:
                return records
        return None

    def close(self) -> None:
        """End the process."""
        self._due.clear()
        self._helper.close()


def main() -> None:
    """Judge what the order says, until nobody reads on."""
    order: Order = pickle.load(sys.stdin.buffer)  # noqa: S301  of the process that started this one
    tree = Tree(order.path, round=order.round, level=order.level)
    try:
        for runs in order.runs:
            pickle.dump(judge(tree, runs, output=order.output), sys.stdout.buffer)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Python flushes stdout once more as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
