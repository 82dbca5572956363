"""The round of a submission tree, where nobody names it: each round has its own seeds."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_mlperf.errors import ConfigurationError, EvidenceError
from pytest_mlperf.evidence import detail
from pytest_mlperf.rounds import checker
from pytest_mlperf.submission import layout, reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_mlperf.evidence import DetailLog
    from pytest_mlperf.submission.layout import ScenarioFolder

_LOOKED_AT = 25
"""Logs that tell the round of a tree: they need not all be whole, nor all of the round."""


def round_of(path: Path) -> str:
    """Return the round of a tree, by the seeds in its logs.

    Raises ConfigurationError where they tell none, or there are none, and OSError for an unreadable tree.
    """
    folders = [
        folder
        for submission in layout.submissions(path)
        for folder in layout.scenario_folders(submission, checker.load(checker.names()[0]).layout)
    ]
    if not folders:
        raise no_results(path)
    every = max(1, len(folders) // _LOOKED_AT)
    found = Counter(name for folder in folders[::every] for name in _round_of(folder))
    counts = ", ".join(f"{name or 'none that is known'} ({count})" for name, count in found.most_common())
    name, count = found.most_common(1)[0] if found else (None, 0)
    if name is None or 2 * count <= found.total():
        raise ConfigurationError(
            f"{path}: the round is not clear: found logs with the seeds of {counts or 'no result'}",
            hint=f"name it with --mlperf-round: {', '.join(checker.names())}",
        )
    return name


def no_results(path: Path) -> ConfigurationError:
    """Return the error for a folder without results."""
    return ConfigurationError(
        f"{path}: found no results in it, allowed: a folder with closed/, open/ or network/ and "
        "<submitter>/results/<system>/<benchmark>/<scenario> in these"
    )


def _round_of(folder: ScenarioFolder) -> Iterator[str | None]:
    """Give the round of a log; None for a log of none that is known, nothing for one that is unreadable."""
    path = folder.run / reading.DETAIL
    try:
        with path.open("rb") as stream:
            log = detail.parse(stream, str(path))
    except (OSError, EvidenceError):
        return
    yield next((name for name in checker.names() if _has_seeds(log, name)), None)


def _has_seeds(log: DetailLog, name: str) -> bool:
    fact = log.facts.get("effective_qsl_rng_seed")
    return fact is not None and fact.value == checker.load(name).seeds.qsl
