"""A session as it stands in its folder: what a history takes in."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.matrix import Case
from pytest_mlperf.record import CASES, RECORD, RECORDS, from_json, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_mlperf.record import Record


@dataclass(frozen=True, kw_only=True)
class Past:
    """A session that ended, or was killed.

    started_at:   ISO 8601, UTC
    host:         name of the machine
    version:      of pytest-mlperf
    inventory:    what was found on the machine, as plain values
    conformance:  the word of the session; None: it did not end
    earlier:      ids of the sessions that it went on with, the last one first
    asked:        ids of the cases that were to be run
    folder:       that was read
    """

    id: str
    started_at: str
    host: str
    version: str
    inventory: Mapping[str, Any]
    conformance: str | None
    records: tuple[Record, ...]
    earlier: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    folder: Path | None = None

    @property
    def planned(self) -> tuple[Record, ...]:
        """The records of cases of matrices that were asked for."""
        return tuple(r for r in self.records if isinstance(r.case, Case) and r.ending != "dropped")


def read(folder: Path) -> Past:
    """Read the records that a session left in its folder. Raises EvidenceError where there are none."""
    path = folder / RECORDS
    try:
        lines = _objects(path)
        header = _part(lines[0], "header") if lines else {}
        footer = _part(lines[-1], "footer") if lines and "footer" in lines[-1] else {}
        records = {record.case.id: record for record in _told(lines)}
        if not footer:
            records = {record.case.id: record for record in _left(folder)} | records
        return Past(
            id=str(header["session"]),
            started_at=str(header["started_at"]),
            host=str(header["host"]),
            version=str(header["pytest_mlperf"]),
            inventory=header["inventory"],
            conformance=footer.get("conformance"),
            records=tuple(records.values()),
            earlier=tuple(map(str, header.get("earlier") or ())),
            asked=tuple(map(str, header.get("asked") or ())),
            folder=folder,
        )
    except OSError as error:
        raise EvidenceError(str(error.strerror), place=Place(path=str(path))) from error
    except KeyError as error:
        raise EvidenceError(
            f"found no {error} in its header, allowed: records of this version",
            place=Place(path=str(path), line=1),
        ) from error
    except (TypeError, ValueError) as error:
        raise EvidenceError(str(error).partition("\n")[0], place=Place(path=str(path))) from error


def _objects(path: Path) -> list[dict[str, Any]]:
    lines = read_lines(path)
    if not all(isinstance(line, dict) for line in lines):
        raise ValueError("found a line that is no object, allowed: records of a session")
    return lines


def _part(line: dict[str, Any], name: str) -> dict[str, Any]:
    part = line[name]
    if not isinstance(part, dict):
        raise ValueError(f"found a {name} that is no object, allowed: records of a session")  # noqa: TRY004  of a file
    return part


def _told(lines: list[dict[str, Any]]) -> Iterator[Record]:
    return (from_json(line["record"]) for line in lines if "record" in line)


def _left(folder: Path) -> Iterator[Record]:
    """Give what stands in the folders of cases: a session may be killed before it has told of one.

    What cannot be read there is as good as not there: the machine may have died while it was written.
    """
    for path in sorted((folder / CASES).glob(f"*/{RECORD}")):
        with contextlib.suppress(OSError, ValueError):
            yield from_json(json.loads(path.read_text(encoding="utf-8")))


def below(named: Path) -> list[Path]:
    """Return the folders of sessions at and below a folder, in their order; or that of a file of records."""
    if named.name == RECORDS and named.is_file():
        return [named.parent]
    return sorted(path.parent for path in named.rglob(RECORDS))
