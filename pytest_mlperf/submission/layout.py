"""Where things stand in a submission tree: <division>/<submitter>/results/<system>/<benchmark>/<scenario>.

Only the directories that a checker visits are listed: logs elsewhere (documentation, run_2) are no results.
Nothing is opened. A `Path` is where something stands, a text is its path from the tree (`closed/Acme/...`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

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

    @property
    def path(self) -> str:
        """The folder, from the tree."""
        return f"{self.division}/{self.submitter}"


@dataclass(frozen=True, kw_only=True)
class ScenarioFolder:
    """A directory of results of one system, benchmark and scenario, and the directories that belong to it.

    benchmark, name:  as the directories are called
    scenario:         as LoadGen spells it
    together:         the scenarios of the same system and benchmark, this one among them
    inside:           whether measurements and compliance tests stand among the results (v6.0), or beside them
    """

    submission: Submission
    system: str
    benchmark: str
    name: str
    scenario: str
    together: frozenset[str]
    inside: bool

    @cached_property
    def path(self) -> str:
        """The directory of results, from the tree."""
        return self._within("results")

    @cached_property
    def measurements_path(self) -> str:
        """The directory of measurements, from the tree."""
        return self.path if self.inside else self._within("measurements")

    @cached_property
    def compliance_path(self) -> str:
        """The directory of compliance tests, from the tree."""
        return self.path if self.inside else self._within("compliance")

    def _within(self, folder: str) -> str:
        return f"{self.submission.path}/{folder}/{self.system}/{self.benchmark}/{self.name}"

    @property
    def results(self) -> Path:
        """The directory of results."""
        return self._path(self.path)

    @property
    def measurements(self) -> Path:
        """The directory of measurements."""
        return self._path(self.measurements_path)

    @property
    def compliance(self) -> Path:
        """The directory of compliance tests."""
        return self._path(self.compliance_path)

    @property
    def run(self) -> Path:
        """The performance run. Later runs are not looked at."""
        return self.results / "performance" / "run_1"

    @property
    def accuracy(self) -> Path:
        """The accuracy run."""
        return self.results / "accuracy"

    @property
    def power(self) -> Path:
        """The power logs."""
        return self.results / "performance" / "power"

    @property
    def ranging(self) -> Path:
        """The run that only finds the range of the power meter."""
        return self.results / "performance" / "ranging"

    @property
    def description(self) -> Path:
        """The description of the system."""
        return self.submission.folder / "systems" / f"{self.system}.json"

    def _path(self, path: str) -> Path:
        return self.submission.folder / path[len(self.submission.path) + 1 :]

    def tests(self) -> tuple[str, ...]:
        """Return the compliance tests that are there, whether or not the round asks for them."""
        names = listing(self.compliance).folders
        return tuple(sorted(name for name in names if name.startswith("TEST")))


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The names in a directory: its files, None where there is no such directory, and its directories."""

    files: frozenset[str] | None
    folders: frozenset[str]


NOTHING = Listing(files=None, folders=frozenset())


def submissions(tree: Path | str) -> Iterator[Submission]:
    """Give the submissions of a tree, in order of their names. Raises OSError where it cannot be read."""
    for division in directories(tree):
        if division not in DIVISIONS:
            continue
        for submitter in directories(Path(tree, division)):
            folder = Path(tree, division, submitter)
            if (folder / "results").is_dir():
                yield Submission(division=division, submitter=submitter, folder=folder)


def scenario_folders(submission: Submission, layout: str) -> Iterator[ScenarioFolder]:
    """Give the directories of results of a submission, in order of their names.

    layout: "v2.0" with measurements/ and compliance/ beside results/, or "v6.0" with all of it inside
    """
    results = os.path.join(submission.folder, "results")  # noqa: PTH118  see listing()
    for system in directories(results):
        for benchmark in directories(f"{results}/{system}"):
            names = directories(f"{results}/{system}/{benchmark}")
            together = frozenset(_SCENARIOS.get(name, name) for name in names)
            for name in names:
                yield ScenarioFolder(
                    submission=submission,
                    system=system,
                    benchmark=benchmark,
                    name=name,
                    scenario=_SCENARIOS.get(name, name),
                    together=together,
                    inside=layout == "v6.0",
                )


def directories(folder: Path | str) -> list[str]:
    """Return the names of the directories in one, sorted; links to directories count."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir())


def listing(folder: Path | str) -> Listing:
    """List a directory. Raises OSError where there is one that cannot be read."""
    # Paths are text where a round has tens of thousands of them: pathlib would take a third of an audit.
    try:
        with os.scandir(folder) as entries:
            kinds = {e.name: "folder" if e.is_dir() else "file" if e.is_file() else "" for e in entries}
    except (FileNotFoundError, NotADirectoryError):
        return NOTHING
    files, folders = (
        frozenset(name for name, kind in kinds.items() if kind == wanted) for wanted in ("file", "folder")
    )
    return Listing(files=files, folders=folders)


def file_sizes(folder: Path | str) -> dict[str, int] | None:
    """Return the sizes in bytes of the files in a directory by name, None for no such directory."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
    except (FileNotFoundError, NotADirectoryError):
        return None
