"""A submission tree as test cases: one for each run that its checker looks at, and the record of each.

Listing the cases reads no log. The runs of one scenario are judged together, when the first of them is asked
for, or ahead of that.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

from pytest_mlperf.errors import Place
from pytest_mlperf.matrix import METRIC_MODES
from pytest_mlperf.record import PublishedCase
from pytest_mlperf.submission.ahead import Ahead
from pytest_mlperf.submission.judging import ACCURACY, PERFORMANCE, path_of
from pytest_mlperf.submission.records import Runs, judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from pytest_mlperf.record import Record
    from pytest_mlperf.submission.auditing import Tree
    from pytest_mlperf.submission.layout import ScenarioFolder

_SUFFIXES: Mapping[str, str] = {str(mode): suffix for mode, suffix in METRIC_MODES.items()}
_MODES = {PERFORMANCE: "PerformanceOnly", ACCURACY: "AccuracyOnly"}
# Beside letters and digits: what pytest takes in the names of tests as it is.
_PLAIN = "-_.~+=@,"
_END = re.compile(r"(.*?)(-)([A-Za-z]+|TEST\d\d(?:-[AB])?)")


class PublishedTree:
    """A submission tree, and its runs as cases."""

    def __init__(self, tree: Tree, *, output: Path) -> None:
        """Take a tree, and the folder that places of logs are told from."""
        self._tree = tree
        self._output = output
        self._ahead: Ahead | None = None
        self._records: Mapping[str, Record] = {}

    @cached_property
    def cases(self) -> Mapping[str, PublishedCase]:
        """The cases by id, in the order of the tree. Raises OSError for one that cannot be read."""
        return {case.id: case for runs in self._listed for case in runs.cases.values()}

    @cached_property
    def _of(self) -> Mapping[str, Runs]:
        """The runs that a case is judged with, by its id."""
        return {case.id: runs for runs in self._listed for case in runs.cases.values()}

    @cached_property
    def _listed(self) -> tuple[Runs, ...]:
        taken: set[str] = set()
        listed = []
        for folder in self._tree.folders():
            cases = {}
            for mode in self._tree.modes(folder):
                case = self._case(folder, mode)
                cases[mode] = case if case.id not in taken else _apart(case, taken)
                taken.add(cases[mode].id)
            listed.append(Runs(folder=folder, cases=cases))
        return tuple(listed)

    def _case(self, folder: ScenarioFolder, run: str) -> PublishedCase:
        mode = _MODES.get(run, run)
        of, by = folder.submission.division, folder.submission.submitter
        name = f"{of}-{by}-{folder.system}-{folder.scenario}-{_SUFFIXES.get(mode, mode)}"
        return PublishedCase(
            id=quote(f"{folder.benchmark}-{name}", safe=_PLAIN, errors="surrogateescape"),
            metric_name=name,
            round=self._tree.round.name,
            conformance=self._tree.level,
            division=of,
            submitter=by,
            category=self._tree.category(folder),
            sku=folder.system,
            benchmark=folder.benchmark,
            scenario=folder.scenario,
            mode=mode,
            place=Place(path=path_of(folder, run)),
        )

    def judge_ahead(self, case_ids: Iterable[str]) -> None:
        """Judge these cases from now on, in this order, in a process beside this one; `close` ends it."""
        runs = list(dict.fromkeys(self._of[case_id] for case_id in case_ids))
        self._ahead = Ahead(self._tree, runs, output=self._output)

    def close(self) -> None:
        """End what judges ahead."""
        if self._ahead is not None:
            self._ahead.close()

    def record(self, case_id: str) -> Record:
        """Return the record of a case; those of its neighbours of the same scenario are kept."""
        if case_id not in self._records:
            runs = self._of[case_id]
            ahead = self._ahead.records(runs) if self._ahead else None
            self._records = ahead or judge(self._tree, runs, output=self._output)
        return self._records[case_id]


def _apart(case: PublishedCase, taken: AbstractSet[str]) -> PublishedCase:
    """Return a case with an id of its own: names with dashes can be put together to the same text."""
    count = next(count for count in itertools.count(2) if _numbered(case.id, count) not in taken)
    return replace(case, id=_numbered(case.id, count))


def _numbered(case_id: str, count: int) -> str:
    """Return an id with a number before its mode: `...-Offline~2-AccuracyMode`."""
    name, dash, mode = _END.fullmatch(case_id).groups()  # type: ignore[union-attr]
    return f"{name}~{count}{dash}{mode}"
