"""The published results of a session: listed from a submission tree, and judged in their items."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf.errors import ConfigurationError
from pytest_mlperf.plugin import output
from pytest_mlperf.rounds import checker
from pytest_mlperf.submission import Tree, round_of
from pytest_mlperf.submission.records import PublishedTree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_mlperf.record import PublishedCase, Record

_MODE_MARKERS = {"AccuracyOnly": ("accuracy",), "PerformanceOnly": ("performance",), "files": ("files",)}


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
        except (ConfigurationError, OSError) as error:
            self.problems.append(_said(error))
            return {}
        if not cases:
            self.problems.append(
                f"{self._path}: --mlperf-results: found no results in it, allowed: a folder with closed/, "
                "open/ or network/ and <submitter>/results/<system>/<benchmark>/<scenario> in these"
            )
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

    def parameters(self) -> Iterator[Any]:
        """Give the cases as parameters, each with its id and its markers."""
        marks: dict[str, pytest.MarkDecorator] = {}
        for case in self.cases.values():
            words = dict.fromkeys(_words(case))
            for word in words:
                if word not in marks:
                    self.config.addinivalue_line("markers", f"{word}: published results of this name")
                    marks[word] = getattr(pytest.mark, word)
            yield pytest.param(case, id=case.id, marks=[marks[word] for word in words])

    def record(self, case: PublishedCase) -> Record:
        """Judge a case."""
        return self._tree.record(case.id)


def _words(case: PublishedCase) -> Iterator[str]:
    yield from (case.division, case.submitter, case.sku, case.benchmark, case.scenario)
    yield from (word.strip() for word in (case.category or "").split(",") if word)
    yield from _MODE_MARKERS.get(case.mode, ("compliance", case.mode))


def _said(error: ConfigurationError | OSError) -> str:
    if isinstance(error, ConfigurationError):
        return str(error)
    return f"{error.filename}: --mlperf-results: cannot be read: {error.strerror}"
