"""A session that goes on where an earlier one ended: which of its cases are finished, and still hold."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_mlperf.errors import ConfigurationError, Place
from pytest_mlperf.matrix import Case, Settings
from pytest_mlperf.record import CASES, RECORD, RECORDS, from_json, read_lines
from pytest_mlperf.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_mlperf.hardware import Inventory
    from pytest_mlperf.record import Record


@dataclass(frozen=True, kw_only=True)
class Resume:
    """The output folder of an earlier session.

    name: of the folder, as the user wrote it
    """

    folder: Path
    name: str

    def check(self) -> None:
        """Raise ConfigurationError when the folder is not of a session."""
        _ = self._finished

    @property
    def chain(self) -> tuple[str, ...]:
        """The ids of this session and of those that it went on with, the last one first."""
        return (self._header["session"], *self._header.get("earlier", ()))

    def take(self, case: Case, inventory: Inventory, *, output: Path) -> Record | None:
        """Return the record of a case that was finished and still holds, None for one that is to run.

        output: the folder that places of logs are told from
        """
        record = self._finished.get(case.id)
        if record is None:
            return self._earlier.take(case, inventory, output=output) if self._earlier else None
        if record.folder is None or self.changed(case, inventory):
            return None
        logs = os.path.relpath(self.folder / record.folder, output)
        return replace(record, case=case, folder=logs, resumed=self.name)

    def changed(self, case: Case, inventory: Inventory) -> str | None:
        """Return what is no longer as it was when a case was finished; None also where it was not."""
        record = self._finished.get(case.id)
        if record is None:
            return self._earlier.changed(case, inventory) if self._earlier else None
        return next(self._changes(record, case, inventory), None)

    def _changes(self, record: Record, case: Case, inventory: Inventory) -> Iterator[str]:
        yield from _differing("version of pytest-mlperf", self._header.get("pytest_mlperf"), __version__)
        if isinstance(record.case, Case):
            for name in (f.name for f in fields(Case) if f.name not in ("place", "settings")):
                yield from _differing(name, getattr(record.case, name), getattr(case, name))
            for name in (f.name for f in fields(Settings)):
                yield from _differing(name, getattr(record.case.settings, name), getattr(case.settings, name))
        found, earlier = asdict(inventory), self._header.get("inventory", {})
        for name, value in found["host"].items():
            yield from _differing(f"host: {name}", earlier.get("host", {}).get(name), value)
        yield from _differing("drivers", _drivers(earlier), _drivers(found))
        here = {device.key for device in inventory.devices}
        yield from (f"device {key} is not here" for key in record.devices if key not in here)
        if not (self.folder / str(record.folder)).is_dir():
            yield "its logs are gone"

    @cached_property
    def _header(self) -> Mapping[str, Any]:
        header: Mapping[str, Any] = self._lines[0]["header"]
        return header

    @cached_property
    def _earlier(self) -> Resume | None:
        """The session that this one went on with: it may have been killed before it had taken all over."""
        folder = self._header.get("goes_on")
        if folder is None:
            return None
        earlier = Resume(folder=self.folder / folder, name=self.name)
        earlier.check()
        return earlier

    @cached_property
    def _lines(self) -> list[dict[str, Any]]:
        """The lines of the earlier session's file of records; a kill may have cut the last one."""
        path = self.folder / RECORDS
        with _told_by(path):
            lines = read_lines(path)
        if not lines or "header" not in lines[0]:
            raise ConfigurationError(
                "--mlperf-resume: found no header, allowed: the folder of a session that has begun",
                place=Place(path=str(path), line=1),
            )
        return lines

    @cached_property
    def _finished(self) -> Mapping[str, Record]:
        """The verdicts by case id. What could not be found out, or was replayed, is none."""
        records = [*self._left(), *self._told()]
        return {r.case.id: r for r in records if r.verdict and not r.replayed and isinstance(r.case, Case)}

    def _told(self) -> Iterator[Record]:
        for number, line in enumerate(self._lines, 1):
            if "record" in line:
                with _told_by(self.folder / RECORDS, line=number):
                    yield from_json(line["record"])

    def _left(self) -> Iterator[Record]:
        """Give what stands in the folders of cases: a worker may be killed before it has told it."""
        for path in sorted((self.folder / CASES).glob(f"*/{RECORD}")):
            with _told_by(path):
                yield from_json(json.loads(path.read_text(encoding="utf-8")))


@contextlib.contextmanager
def _told_by(path: Path, *, line: int | None = None) -> Iterator[None]:
    """Say in which file it is, when something cannot be read."""
    try:
        yield
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise ConfigurationError(f"--mlperf-resume: {why}", place=Place(path=str(path), line=line)) from error


def _differing(name: str, earlier: object, now: object) -> Iterator[str]:
    if earlier != now:
        yield f"{name} was {earlier}, is {now}"


def _drivers(inventory: Mapping[str, Any]) -> str:
    drivers = [f"{driver['vendor']} {driver['version']}" for driver in inventory.get("drivers", ())]
    return ", ".join(drivers) or "none"
