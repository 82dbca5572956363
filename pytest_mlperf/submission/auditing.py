"""A submission tree under audit: its directories of results are listed, and judged one at a time.

No log is read to list them. What a submission and a system say is read once.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pytest_mlperf.errors import ConfigurationError, EvidenceError
from pytest_mlperf.rounds import checker
from pytest_mlperf.submission import judging, layout, tidiness
from pytest_mlperf.submission.judging import Audit, AuditedResult, SystemUnderAudit
from pytest_mlperf.submission.reading import Reader
from pytest_mlperf.submission.seeds import no_results, round_of
from pytest_mlperf.verdict.official import Level

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from pytest_mlperf.submission.judging import Mode
    from pytest_mlperf.submission.layout import ScenarioFolder, Submission
    from pytest_mlperf.verdict.official import Terms


class Tree:
    """A submission tree, and the rules that it is held to.

    path:   the folder with closed/, open/ and network/
    round:  v2.0 to v6.1
    level:  official rejects what the round's own checker rejected, strict what the rules forbid
    Raises ConfigurationError for a round or level that is not known.
    """

    def __init__(self, path: Path | str, *, round: str, level: Level = "official") -> None:  # noqa: A002  the field's word
        if round not in checker.names():
            raise ConfigurationError(f"round: found {round!r}, allowed: {', '.join(checker.names())}")
        if level not in get_args(Level):
            raise ConfigurationError(f"level: found {level!r}, allowed: {', '.join(get_args(Level))}")
        self.path = Path(path)
        self.round = checker.load(round)
        self.level = level
        self._reader = Reader(tree=str(self.path))
        self._flaws: dict[str, tuple[str, ...]] = {}
        self._systems: dict[tuple[str, str], SystemUnderAudit] = {}

    def folders(self) -> Iterator[ScenarioFolder]:
        """Give the directories of results, in order of their names. Raises OSError for an unreadable tree."""
        for submission in layout.submissions(self.path):
            yield from layout.scenario_folders(submission, self.round.layout)

    def modes(self, folder: ScenarioFolder) -> tuple[Mode, ...]:
        """Return the modes of the results that `judge` gives of a directory, without reading a log."""
        return judging.modes(self._terms(folder))

    def category(self, folder: ScenarioFolder) -> str | None:
        """Return the category that a system is described to be of, None where it is not."""
        kind = (self._system(folder).description or {}).get("system_type")
        return kind if isinstance(kind, str) else None

    def benchmark(self, folder: ScenarioFolder) -> str | None:
        """Return the official name of the benchmark of a directory, None for none of the round's."""
        terms = self._terms(folder)
        return terms.benchmark.name if terms else None

    def judge(self, folder: ScenarioFolder) -> list[AuditedResult]:
        """Judge a directory."""
        terms = self._terms(folder)
        if terms is None:
            return list(judging.unknown(folder, self.round))
        audit = Audit(reader=self._reader, system=self._system(folder), folder=folder, terms=terms)
        try:
            results = list(audit.results())
        except EvidenceError as error:
            results = [judging.unreadable(folder, mode, error) for mode in judging.modes(terms)]
        accepted = all(judging.stands(result, self.round, self.level) for result in results)
        return [replace(result, accepted=accepted) for result in results]

    def _terms(self, folder: ScenarioFolder) -> Terms | None:
        return self._system(folder).terms(folder, self.round, self.level)

    def _system(self, folder: ScenarioFolder) -> SystemUnderAudit:
        submission = folder.submission
        key = submission.path, folder.system
        if key not in self._systems:
            flaws = self._flaws_of(submission)
            self._systems[key] = SystemUnderAudit.read(self._reader, submission, folder.system, flaws)
        return self._systems[key]

    def _flaws_of(self, submission: Submission) -> tuple[str, ...]:
        if self.round.severity("tidiness") == "off":
            return ()
        if submission.path not in self._flaws:
            self._flaws[submission.path] = tuple(tidiness.flaws(submission.folder))
        return self._flaws[submission.path]


def audit(
    path: Path | str,
    *,
    round: str | None = None,  # noqa: A002  the field's word
    level: Level = "official",
    processes: int = 1,
) -> Iterator[AuditedResult]:
    """Give the results of a submission tree, as they are judged, in order of their names.

    path:       the folder with closed/, open/ and network/
    round:      v2.0 to v6.1; None for the one whose seeds are in the logs
    level:      official rejects what the round's own checker rejected, strict what the rules forbid
    processes:  how many judge at once, each a system at a time; 1 is this one
    Raises ConfigurationError for a round or level that is not known and a folder without results, and OSError
    for a tree that cannot be read.
    """
    round = round or round_of(Path(path))  # noqa: A001  the field's word
    tree = Tree(path, round=round, level=level)
    if next(tree.folders(), None) is None:
        raise no_results(tree.path)
    if processes == 1:
        for folder in tree.folders():
            yield from tree.judge(folder)
        return
    with ProcessPoolExecutor(processes) as pool:
        waiting: deque[Future[list[AuditedResult]]] = deque()
        for _, together in groupby(tree.folders(), key=lambda folder: (folder.submission, folder.system)):
            waiting.append(pool.submit(_judged, tree.path, round, level, list(together)))
            if len(waiting) > _AHEAD * processes:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


# Systems that are judged before their results are asked for, so that none waits for a large one.
_AHEAD = 8


def _judged(path: Path, round_name: str, level: Level, folders: list[ScenarioFolder]) -> list[AuditedResult]:
    tree = _tree(path, round_name, level)
    return [result for folder in folders for result in tree.judge(folder)]


@cache
def _tree(path: Path, round_name: str, level: Level) -> Tree:
    """Return the tree of a process that judges a part of it."""
    return Tree(path, round=round_name, level=level)
