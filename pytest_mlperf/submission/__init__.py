"""Submission trees: every result in one that exists, judged by the rules of its round.

Nothing is run. `layout` knows where things stand, `tree` walks it, `reading` reads files, `judging` holds one
directory of results to the rules, `records` makes cases and records of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mlperf.errors import ConfigurationError
from pytest_mlperf.rounds import checker
from pytest_mlperf.submission.judging import AuditedResult, judge
from pytest_mlperf.submission.tree import groups, round_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_mlperf.verdict.official import Level

__all__ = ["AuditedResult", "audit", "round_of"]


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
    for group in groups(path, round_):
        for folder in group.folders:
            yield from judge(group.system, folder, group.folders, round_, level)
