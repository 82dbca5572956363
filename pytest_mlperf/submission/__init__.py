"""Submission trees: every result in one that exists, judged by the rules of its round.

Nothing is run. `layout` knows where things stand, `reading` reads them, `judging` holds one directory of
results to the rules.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from pytest_mlperf.errors import ConfigurationError
from pytest_mlperf.rounds import checker
from pytest_mlperf.submission import layout, tidiness
from pytest_mlperf.submission.judging import AuditedResult, SystemUnderAudit, judge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_mlperf.verdict.official import Level

__all__ = ["AuditedResult", "audit"]


def audit(path: Path, *, round: str, level: Level = "official") -> Iterator[AuditedResult]:  # noqa: A002  the field's word
    """Give the results of a submission tree, as they are judged, in order of their names.

    path:   the folder with closed/, open/ and network/
    round:  v2.0 to v6.1
    level:  official rejects what the round's own checker rejected, strict what the rules forbid
    Raises ConfigurationError for a round that is not known, and OSError for a tree that cannot be read.
    """
    if round not in checker.names():
        raise ConfigurationError(f"round: found {round!r}, allowed: {', '.join(checker.names())}")
    round_ = checker.load(round)
    for submission in layout.submissions(path):
        untidy = round_.severity("tidiness") != "off"
        flaws = tuple(tidiness.flaws(submission.folder)) if untidy else ()
        folders = layout.scenario_folders(submission, round_.layout)
        for system, of_system in groupby(folders, key=lambda folder: folder.system):
            under_audit = SystemUnderAudit.read(path, submission, system, flaws)
            for _, of_benchmark in groupby(of_system, key=lambda folder: folder.benchmark):
                together = tuple(of_benchmark)
                for folder in together:
                    yield from judge(under_audit, folder, together, round_, level)
