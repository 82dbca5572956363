"""The published results of a session: listed from a submission tree, and judged in their items."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf.errors import ConfigurationError
from pytest_mlperf.plugin import output
from pytest_mlperf.plugin.markers import MARKERS, OURS
from pytest_mlperf.plugin.telling import tell
from pytest_mlperf.rounds import checker
from pytest_mlperf.submission import Tree, round_of
from pytest_mlperf.submission.published import PublishedTree
from pytest_mlperf.submission.seeds import no_results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_mlperf.record import PublishedCase, Record

CATEGORIES = ("datacenter", "edge")

# A marker that an expression can name.
_WORD = re.compile(r"[A-Za-z0-9][\w.+/-]*", re.ASCII)

# Fewer are judged sooner than a process starts.
_MANY = 200

_MODE_MARKERS = {"AccuracyOnly": ("accuracy",), "PerformanceOnly": ("performance",), "files": ("files",)}


class PublishedItem(pytest.Item):
    """One run of a submission tree, and the test that takes its record.

    Not one of pytest's own functions: their fixtures cost several times what judging a run does.
    """

    def __init__(
        self, *, audit: Audit, case: PublishedCase, test: Callable[[Record], None], **attributes: Any
    ) -> None:
        """Take the case, the test, and what every node of pytest has."""
        super().__init__(**attributes)
        self.case = case
        self._audit = audit
        self._test = test
        self._record: Record | None = None
        self.own_markers.extend(getattr(test, "pytestmark", ()))

    def setup(self) -> None:
        """Judge the run; an error where it cannot be read."""
        self._record = tell(self, self._audit.record(self.case))

    def runtest(self) -> None:
        """Hand the record to the test."""
        assert self._record is not None, "pytest sets up what it runs"
        self._test(self._record)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where the test stands."""
        return self.path, self._test.__code__.co_firstlineno - 1, self.name


@dataclass(kw_only=True, eq=False)
class Audit:
    """The submission tree of a session. `problems` is where what is wrong with it goes."""

    config: pytest.Config
    problems: list[str]

    @cached_property
    def cases(self) -> Mapping[str, PublishedCase]:
        """The cases by id; empty, with a problem, when the tree cannot be walked."""
        try:
            cases = self._tree.cases
            if not cases:
                raise no_results(self._path)
        except (ConfigurationError, OSError) as error:
            self.problems.append(_said(error))
            return {}
        return cases

    @property
    def _path(self) -> Path:
        return self.config.invocation_params.dir / str(self.config.getoption("mlperf_results"))

    @cached_property
    def _tree(self) -> PublishedTree:
        if not self._path.is_dir():
            raise ConfigurationError(f"{self._path}: --mlperf-results: found no such folder")
        name = self.config.getoption("mlperf_round") or round_of(self._path)
        if name not in checker.names():
            raise ConfigurationError(f"--mlperf-round: found '{name}', allowed: {', '.join(checker.names())}")
        tree = Tree(self._path, round=name, level=self.config.getoption("mlperf_level"))
        return PublishedTree(tree, output=output.folder(self.config))

    def items(
        self, collector: pytest.Collector, name: str, test: Callable[[Record], None]
    ) -> Iterator[PublishedItem]:
        """Give an item for each case, with its id and its markers."""
        marks: dict[str, pytest.Mark] = {}
        taken = self._taken()
        for case in self.cases.values():
            words = [
                word for word in dict.fromkeys(_words(case)) if _WORD.fullmatch(word) and word not in taken
            ]
            for word in words:
                if word not in marks:
                    self.config.addinivalue_line("markers", f"{word}: published results {OURS}")
                    marks[word] = getattr(pytest.mark, word).mark
            item: PublishedItem = PublishedItem.from_parent(
                collector, name=f"{name}[{case.id}]", audit=self, case=case, test=test
            )
            item.own_markers.extend(marks[word] for word in words)
            yield item

    def _taken(self) -> frozenset[str]:
        """Return the markers that mean something else: directories may be called `skip`."""
        foreign = (
            line
            for line in self.config.getini("markers")
            if not line.endswith(OURS) and line.partition(":")[0] not in MARKERS
        )
        return frozenset(re.split(r"[:(]", line)[0].strip() for line in foreign)

    def record(self, case: PublishedCase) -> Record:
        """Judge a case."""
        return self._tree.record(case.id)

    def begin(self, items: Sequence[pytest.Item]) -> None:
        """Judge many cases beside the process that reports; each worker of xdist is one that judges."""
        case_ids = [item.case.id for item in items if isinstance(item, PublishedItem)]
        if len(case_ids) > _MANY and _cores() > 1 and not hasattr(self.config, "workerinput"):
            self._tree.judge_ahead(case_ids)

    def end(self) -> None:
        """End what was begun."""
        if "_tree" in vars(self):
            self._tree.close()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _words(case: PublishedCase) -> Iterator[str]:
    yield from (case.division, case.submitter, case.sku, case.benchmark, case.scenario)
    yield from (word for word in re.split(r"[,\s]+", case.category or "") if word in CATEGORIES)
    yield from _MODE_MARKERS.get(case.mode, ("compliance", case.mode))


def _said(error: ConfigurationError | OSError) -> str:
    if isinstance(error, ConfigurationError):
        return str(error)
    return f"{error.filename}: --mlperf-results: cannot be read: {error.strerror}"
