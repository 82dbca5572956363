"""Logs that exist already: where those of a case are, and a copy of them to judge. Nothing is run."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mlperf.errors import EvidenceError, Place, RunError
from pytest_mlperf.evidence.reading import ACCURACY_LOG, DETAIL, JUDGED, SUMMARY
from pytest_mlperf.placement import Unplaced
from pytest_mlperf.record import RECORD, from_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_mlperf.hardware.matching import Delta
    from pytest_mlperf.matrix import Case

_LOADGEN = (DETAIL, SUMMARY, ACCURACY_LOG)
_MODE = re.compile(rb'"key": "effective_test_mode", "value": "(\w+)"')
_HEAD_BYTES = 1 << 20

_LOGS = "logs"
# A run that only finds the range of a power meter.
_RANGING = "ranging"
_NOT_THERE = (FileNotFoundError, NotADirectoryError)


@dataclass(frozen=True, kw_only=True)
class Logs:
    """Where the logs of a case are: a folder. Where they are several, none of them can be preferred.

    records: where their run left its record, if it was a case of ours
    """

    folders: tuple[Path, ...]
    records: tuple[Path, ...] = ()

    def deltas(self, case: Case) -> tuple[Delta, ...]:
        """Return in what the devices of the run differed from the SKU, as far as it left that to say.

        Raises RunError where that run went wrong: logs alone do not show that a harness crashed behind them.
        Raises EvidenceError where its record cannot be read, or is of another case.
        """
        return tuple(delta for path in self.records for delta in _deltas(path, case))

    def copy(self, folder: Path) -> Path:
        """Copy what is judged into a subfolder of the case's folder, and return that.

        A copy, because a harness that runs again writes into its old files.
        Raises EvidenceError where it is not clear which logs are meant, or they cannot be copied.
        """
        if len(self.folders) > 1:
            raise EvidenceError(
                f"found logs in {len(self.folders)} folders, allowed: one "
                f"({', '.join(str(other) for other in self.folders[1:])})",
                place=Place(path=str(self.folders[0])),
                hint="name the folder of one run",
            )
        (source,) = self.folders
        target = folder / (_LOGS if source.name == folder.name else source.name)
        target.mkdir()
        for name in JUDGED:
            _copy(source / name, target / name)
        return target


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A folder with the logs of earlier runs.

    name: of the folder, as the user wrote it
    """

    folder: Path
    name: str

    def find(self, case: Case, *, named: Sequence[str], tree: str | None) -> Logs | Unplaced:
        """Return where the logs of a case are, or that there are none.

        named:  folders that are the case's by their name, whatever is in them
        tree:   where its harness leaves the logs of a case of any mode; None where that names no case
        """
        found = [place for name in named for place in _with_logs(self.folder / name)]
        others: set[str] = set()
        for place in (place for root in self._roots for place in _with_logs(root / tree)) if tree else ():
            mode = _mode(place)
            if mode in (None, case.mode):
                found.append(place)
            else:
                others.add(f"those of {mode}")
        if found:
            # A link to the newest logs is no second folder.
            folders = {place.resolve(): place for place in reversed(found)}
            records = tuple(self.folder / name / RECORD for name in named)
            return Logs(folders=tuple(reversed(folders.values())), records=records)
        return Unplaced(
            expected=f"logs of the case in {self.name}",
            found=" and ".join(sorted(others)) or "none",
            what="logs",
        )

    @cached_property
    def _roots(self) -> tuple[Path, ...]:
        """The folder, and those in it: a harness may make one for each time that it is started."""
        try:
            return (self.folder, *sorted(path for path in self.folder.iterdir() if path.is_dir()))
        except OSError:
            # It is in the way of whatever is looked for in the folder, and is told there.
            return (self.folder,)


def _copy(source: Path, target: Path) -> None:
    """Copy a file if there is one: whether it is needed is for who reads the logs to say."""
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        return
    except OSError as error:
        why = f"cannot be copied: {error.strerror or error}"
        raise EvidenceError(why, place=Place(path=str(source))) from error


def _with_logs(folder: Path) -> Iterator[Path]:
    """Give the folders with logs of LoadGen, from here downwards; and one that cannot be looked into."""
    errors: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=errors.append):
        folders[:] = sorted(set(folders) - {_RANGING})
        if any(name in files for name in _LOADGEN):
            yield Path(place)
    yield from (Path(error.filename) for error in errors if not isinstance(error, _NOT_THERE))


def _deltas(path: Path, case: Case) -> tuple[Delta, ...]:
    place = Place(path=str(path))
    try:
        record = from_json(json.loads(path.read_text(encoding="utf-8")))
    except _NOT_THERE:
        return ()
    except (OSError, ValueError) as error:
        raise EvidenceError(
            "is no record of a case", place=place, hint="remove it to judge the logs"
        ) from error
    if record.case.id != case.id:
        raise EvidenceError(f"found the record of {record.case.id}, allowed: of {case.id}", place=place)
    if record.ending == "error" and record.error != EvidenceError.__name__:
        raise RunError(f"the run that left these logs went wrong: {record.reason}", place=place)
    return record.deltas


def _mode(folder: Path) -> str | None:
    """Return the mode that LoadGen says it ran in; None where the log does not say it, or cannot be read."""
    try:
        with (folder / DETAIL).open("rb") as stream:
            said = _MODE.search(stream.read(_HEAD_BYTES))
    except OSError:
        return None
    return said[1].decode() if said else None
