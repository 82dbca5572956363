"""`records.jsonl`: a header line, one line a record as soon as there is one, a footer line.

A file without its footer is of a session that did not end. A session that was killed while it wrote may
leave its last line cut, and without its end of line; all lines before are whole.
"""

from __future__ import annotations

import json
import os
import platform
import uuid
from typing import IO, TYPE_CHECKING, Any

from pytest_mlperf.record import RECORDS
from pytest_mlperf.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_mlperf.record import Record
    from pytest_mlperf.report.conformance import Conformance
    from pytest_mlperf.resume import Resume

FORMAT = 1


class RecordFile:
    """A growing `records.jsonl`."""

    def __init__(
        self,
        folder: Path,
        *,
        inventory: dict[str, Any],
        started_at: str,
        asked: Iterable[str] = (),
        after: Resume | None = None,
    ) -> None:
        """Start the file. Raises OSError when it exists or cannot be written.

        asked: the ids of the cases that are to be run
        after: the session that this one goes on with
        """
        self._stream: IO[str] = (folder / RECORDS).open("x", encoding="utf-8")
        self.session, self.host, self.started_at = str(uuid.uuid4()), platform.node(), started_at
        self._write(
            {
                "header": {
                    "format": FORMAT,
                    "pytest_mlperf": __version__,
                    "session": self.session,
                    "host": self.host,
                    "started_at": started_at,
                    "inventory": inventory,
                    "goes_on": os.path.relpath(after.folder, folder) if after else None,
                    "earlier": after.chain if after else (),
                    "asked": sorted(asked),
                }
            }
        )

    def add(self, *records: Record, durable: bool = True) -> None:
        """Write records; durable ones are on the disk when this returns."""
        self._write(*({"record": record.to_json()} for record in records), durable=durable)

    def close(self, conformance: Conformance) -> None:
        """Write the footer and close the file."""
        words = {"conformance": conformance.word, "labels": conformance.labels}
        self._write({"footer": {**words, "endings": conformance.counts}})
        self._stream.close()

    def _write(self, *lines: dict[str, Any], durable: bool = True) -> None:
        self._stream.writelines(json.dumps(line, allow_nan=False) + "\n" for line in lines)
        self._stream.flush()
        if durable:
            os.fsync(self._stream.fileno())
