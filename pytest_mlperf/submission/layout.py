"""Where things stand in a submission tree: <division>/<submitter>/results/<system>/<benchmark>/<scenario>.

Only the directories that a checker visits are listed: logs elsewhere (documentation, run_2) are no results.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIVISIONS = ("closed", "network", "open")

_SCENARIOS = {
    "singlestream": "SingleStream",
    "multistream": "MultiStream",
    "server": "Server",
    "offline": "Offline",
    "interactive": "Interactive",
}


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What one submitter sent to one division. `folder` is <division>/<submitter>."""

    division: str
    submitter: str
    folder: Path


@dataclass(frozen=True, kw_only=True)
class ScenarioFolder:
    """A directory of results of one system, benchmark and scenario, and the directories that belong to it.

    benchmark, name:  as the directories are called
    scenario:         as LoadGen spells it
    """

    submission: Submission
    system: str
    benchmark: str
    name: str
    scenario: str
    results: Path
    measurements: Path
    compliance: Path

    @cached_property
    def run(self) -> Path:
        """The performance run. Later runs are not looked at."""
        return self.results / "performance" / "run_1"

    @cached_property
    def accuracy(self) -> Path:
        """The accuracy run."""
        return self.results / "accuracy"

    @cached_property
    def power(self) -> Path:
        """The power logs."""
        return self.results / "performance" / "power"

    @cached_property
    def ranging(self) -> Path:
        """The run that only finds the range of the power meter."""
        return self.results / "performance" / "ranging"

    @cached_property
    def description(self) -> Path:
        """The description of the system."""
        return self.submission.folder / "systems" / f"{self.system}.json"


def submissions(tree: Path) -> Iterator[Submission]:
    """Give the submissions of a tree, in order of their names. Raises OSError where it cannot be read."""
    for division in directories(tree):
        if division not in DIVISIONS:
            continue
        for submitter in directories(tree / division):
            folder = tree / division / submitter
            if (folder / "results").is_dir():
                yield Submission(division=division, submitter=submitter, folder=folder)


def scenario_folders(submission: Submission, layout: str) -> Iterator[ScenarioFolder]:
    """Give the directories of results of a submission, in order of their names.

    layout: "v2.0" with measurements/ and compliance/ beside results/, or "v6.0" with all of it inside
    """
    results = submission.folder / "results"
    inside = layout == "v6.0"
    for system in directories(results):
        for benchmark in directories(results / system):
            for name in directories(results / system / benchmark):
                parts = (system, benchmark, name)
                folder = results.joinpath(*parts)
                yield ScenarioFolder(
                    submission=submission,
                    system=system,
                    benchmark=benchmark,
                    name=name,
                    scenario=_SCENARIOS.get(name, name),
                    results=folder,
                    measurements=folder if inside else submission.folder.joinpath("measurements", *parts),
                    compliance=folder if inside else submission.folder.joinpath("compliance", *parts),
                )


def directories(folder: Path) -> list[str]:
    """Return the names of the directories in one, sorted; links to directories count."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir())


def files(folder: Path) -> frozenset[str] | None:
    """Return the names of the files in a directory, None for no such directory."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if entry.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return None


def file_sizes(folder: Path) -> dict[str, int] | None:
    """Return the sizes in bytes of the files in a directory by name, None for no such directory."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
    except (FileNotFoundError, NotADirectoryError):
        return None
