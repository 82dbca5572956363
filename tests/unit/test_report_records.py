from __future__ import annotations

import json
import os
import platform
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf import __version__
from pytest_mlperf.record import RECORDS, Measurement, from_json
from pytest_mlperf.report.conformance import add_up
from pytest_mlperf.report.records import RecordFile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import MakeRecord, StartPython

STARTED_AT = "2026-01-02T03:04:05+00:00"


def content(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / RECORDS).read_text(encoding="utf-8").splitlines()]


def new_file(folder: Path) -> RecordFile:
    return RecordFile(folder, inventory={"devices": []}, started_at=STARTED_AT)


def test_a_file_is_a_header_records_and_a_footer(tmp_path: Path, make_record: MakeRecord) -> None:
    records = [make_record(), make_record(ending="dropped", reason="caf\u00e9\nthe second line")]
    file = new_file(tmp_path)
    file.add(*records)
    file.close(add_up(records))
    header, *lines, footer = content(tmp_path)
    assert RECORDS == "records.jsonl"
    assert header == {
        "header": {
            "format": 1,
            "pytest_mlperf": __version__,
            "session": header["header"]["session"],
            "host": platform.node(),
            "started_at": STARTED_AT,
            "inventory": {"devices": []},
            "goes_on": None,
            "earlier": [],
            "asked": [],
        }
    }
    assert [from_json(line["record"]) for line in lines] == records
    assert footer == {
        "footer": {
            "labels": [],
            "conformance": "conformant",
            "endings": {"pass": 1, "fail": 0, "unplaced": 0, "error": 0, "dropped": 1},
        }
    }


def test_a_record_is_on_the_disk_as_soon_as_it_is_added(tmp_path: Path, make_record: MakeRecord) -> None:
    file = new_file(tmp_path)
    assert len(content(tmp_path)) == 1
    file.add(make_record())
    assert len(content(tmp_path)) == 2
    file.add(make_record(), make_record())
    assert len(content(tmp_path)) == 4
    file.close(add_up([]))


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / RECORDS).write_text("precious", encoding="utf-8")
    with pytest.raises(FileExistsError):
        new_file(tmp_path)
    assert (tmp_path / RECORDS).read_text(encoding="utf-8") == "precious"


WRITER = """
import json, sys
from pathlib import Path
from pytest_mlperf.record import from_json
from pytest_mlperf.report.records import RecordFile

record = from_json(json.load(sys.stdin))
file = RecordFile(Path(sys.argv[1]), inventory={}, started_at="now")
while True:
    file.add(record)
"""


def test_a_killed_writer_cuts_no_line_but_the_last(
    tmp_path: Path, make_record: MakeRecord, start_python: StartPython
) -> None:
    record = make_record(reason="long " * 5000)
    writer = start_python(WRITER, tmp_path)
    assert writer.stdin is not None
    json.dump(record.to_json(), writer.stdin)
    writer.stdin.close()
    path = tmp_path / RECORDS
    for _ in range(1000):
        if path.exists() and path.stat().st_size > 200_000:
            break
        time.sleep(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    header, *lines, rest = path.read_text(encoding="utf-8").split("\n")
    assert "header" in json.loads(header)
    assert len(lines) >= 7
    assert all(from_json(json.loads(line)["record"]) == record for line in lines)
    assert json.dumps({"record": record.to_json()}).startswith(rest)


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=["NaN", "infinite"])
def test_a_value_that_json_has_not_is_never_written(
    value: float, tmp_path: Path, make_record: MakeRecord
) -> None:
    file = new_file(tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        file.add(make_record(measurements=(Measurement(name="m", value=value, unit="ns"),)))
    file.close(add_up([]))
    assert [*content(tmp_path)[0]] == ["header"]
    assert len(content(tmp_path)) == 2
