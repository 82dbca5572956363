"""A history takes sessions in once and whole, whatever happens to its writers: in SQLite, in PostgreSQL."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, select, text

from pytest_mlperf.errors import ConfigurationError, HostError
from pytest_mlperf.executor.stages import Step
from pytest_mlperf.history import migrations
from pytest_mlperf.history.past import Past
from pytest_mlperf.history.rates import Rate, rates, table
from pytest_mlperf.history.store import newest_version, open_history
from pytest_mlperf.history.tables import FINDINGS, METADATA, METRICS, RECORDS, RUNS, SESSIONS
from pytest_mlperf.record import Attempt, Measurement
from pytest_mlperf.verdict import Finding
from tests.containers import needed

if TYPE_CHECKING:
    from pytest_mlperf.history.store import History
    from pytest_mlperf.record import Record
    from tests.unit.conftest import MakeCase, MakeRecord, StartPython

WRITERS = 8
SESSIONS_EACH = 3

WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from pytest_mlperf.history.past import read
from pytest_mlperf.history.store import newest_version, open_history

url, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
past = read(folder)
print("ready", flush=True)
for number in range(count):
    open_history(url).add(replace(past, id=f"{folder.name}-{number}"))
    print("added", flush=True)
"""


def session(
    *records: Record, name: str = "s", conformance: str | None = "conformant", host: str = "node-7"
) -> Past:
    return Past(
        id=name,
        started_at="2026-11-24T08:00:00+00:00",
        host=host,
        version="0.1.0",
        inventory={"devices": []},
        conformance=conformance,
        records=records,
    )


def count(history: History) -> dict[str, int]:
    with history.transaction() as connection:
        tables = (SESSIONS, RECORDS, RUNS, FINDINGS, METRICS)
        return {t.name: connection.scalar(select(func.count()).select_from(t)) or 0 for t in tables}


def attempt(ending: str, *measurements: Measurement) -> Attempt:
    finding = Finding(rule="r", expected="1", observed="2", satisfied=False, source="s")
    return Attempt(
        ending=ending,  # type: ignore[arg-type]
        reason=None,
        findings=(finding,),
        measurements=measurements,
        devices=(),
        neighbours=None,
        folder="cases/c",
        started_at="2026-11-24T08:00:00+00:00",
        duration_s=2.5,
    )


def test_a_session_goes_in_with_all_that_it_has(history: History, make_record: MakeRecord) -> None:
    step = Step(name="run", duration_s=1.0, image="sha256:1")
    runs = (attempt("fail"), attempt("pass", Measurement(name="qps", value=0.1, unit="samples/s")))
    record = make_record(attempts=runs, steps=(step,))
    assert history.add(session(record)) == 1
    assert count(history) == {"sessions": 1, "records": 1, "runs": 2, "findings": 2, "metrics": 3}
    with history.transaction() as connection:
        (row,) = connection.execute(select(RECORDS.c.image, RECORDS.c.verdict, RECORDS.c.conformance))
        metrics = connection.execute(
            select(METRICS.c.number, METRICS.c.name, METRICS.c.value).order_by(
                METRICS.c.number, METRICS.c.position
            )
        ).all()
    assert tuple(row) == ("sha256:1", "VALID", "round")
    name = record.case.metric_name
    configuration = name.removesuffix("-PerformanceMode")
    assert [tuple(m) for m in metrics] == [(1, name, 0.0), (2, name, 1.0), (2, f"{configuration}-qps", 0.1)]


def test_a_session_goes_in_once(history: History, make_record: MakeRecord) -> None:
    assert [history.add(session(make_record())) for _ in range(2)] == [1, 0]
    assert count(history)["records"] == 1


def test_a_session_that_grew_is_completed(
    history: History, make_record: MakeRecord, make_case: MakeCase
) -> None:
    first, second = make_record(), make_record(case=make_case(id="another"))
    assert history.add(session(first, conformance=None)) == 1
    assert history.add(session(first, second)) == 1
    with history.transaction() as connection:
        assert connection.scalars(select(SESSIONS.c.conformance)).all() == ["conformant"]


def test_any_text_goes_in(history: History, make_record: MakeRecord) -> None:
    hostile = "caf\u00e9 \0 \udcff '); DROP TABLE records; --"
    history.add(session(make_record(ending="error", reason=hostile)))
    with history.transaction() as connection:
        (reason,) = connection.scalars(select(RECORDS.c.reason))
    assert reason == "caf\u00e9 \\x00 \\udcff '); DROP TABLE records; --"


def test_migrations_lead_to_the_tables(history: History) -> None:
    with history.transaction() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_the_newest_version_is_that_of_the_last_migration() -> None:
    assert ScriptDirectory(migrations.__path__[0]).get_current_head() == newest_version()


@pytest.mark.parametrize(
    "path", sorted((Path(migrations.__path__[0]) / "versions").glob("v*.py")), ids=lambda p: p.stem
)
def test_a_migration_stands_on_nothing_that_changes(path: Path) -> None:
    assert "pytest_mlperf" not in re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE)


def test_a_history_of_a_newer_version_is_left_alone(history: History, make_record: MakeRecord) -> None:
    with history.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '99'"))
    with pytest.raises(HostError, match=r"99.*was it written by a newer pytest-mlperf\?"):
        open_history(history.url).add(session(make_record()))


@pytest.fixture
def results(tmp_path: Path, make_record: MakeRecord, make_case: MakeCase) -> list[Path]:
    """Return the folders of sessions of 40 cases each."""
    from pytest_mlperf.report.conformance import add_up  # noqa: PLC0415
    from pytest_mlperf.report.records import RecordFile  # noqa: PLC0415

    folders = [tmp_path / f"writer-{number}" for number in range(WRITERS)]
    for folder in folders:
        folder.mkdir()
        file = RecordFile(folder, inventory={}, started_at="2026-11-24T08:00:00+00:00")
        records = [
            make_record(case=make_case(id=f"case-{n}"), attempts=(attempt("pass"),)) for n in range(40)
        ]
        file.add(*records)
        file.close(add_up(records))
    return folders


def test_writers_do_not_lose_each_others_sessions(
    url: str, results: list[Path], start_python: StartPython
) -> None:
    writers = [start_python(WRITER, url, folder, SESSIONS_EACH) for folder in results]
    for writer in writers:
        said, complaint = writer.communicate(timeout=120)
        assert (writer.returncode, complaint) == (0, ""), said
    found = count(open_history(url))
    assert (found["sessions"], found["records"]) == (WRITERS * SESSIONS_EACH, WRITERS * SESSIONS_EACH * 40)


def test_a_killed_writer_leaves_whole_sessions(
    url: str, results: list[Path], start_python: StartPython
) -> None:
    open_history(url).add(session())
    added = 0
    for number, folder in enumerate(results):
        writer = start_python(WRITER, url, folder, 1000)
        assert writer.stdout is not None
        assert [writer.stdout.readline() for _ in range(2)] == ["ready\n", "added\n"]
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(timeout=0.037 * (number + 1))
        writer.send_signal(signal.SIGKILL)
        added += 1 + writer.communicate(timeout=60)[0].count("added")
    found = count(open_history(url))
    assert found["records"] == (found["sessions"] - 1) * 40
    # One that is killed may have added a session and not have said so.
    assert added <= found["sessions"] - 1 <= added + WRITERS


def fill(history: History, records: list[Record]) -> None:
    """Add more sessions than fit onto the disk."""
    for number in range(1000):
        history.add(session(*records, name=str(number)))


def test_a_full_disk_leaves_whole_sessions(
    tmp_path: Path, make_record: MakeRecord, make_case: MakeCase
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    assert mount
    assert umount
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], check=False).returncode:
        needed("the right to mount a small file system", command="run as root")
    try:
        history = open_history(f"sqlite:///{disk}/history.sqlite")
        records = [make_record(case=make_case(id=f"case-{n}")) for n in range(20)]
        with pytest.raises(HostError, match="full"):
            fill(history, records)
        with sqlite3.connect(f"file:{disk}/history.sqlite?mode=ro", uri=True) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            (sessions,) = connection.execute("SELECT count(*) FROM sessions").fetchone()
            (stored,) = connection.execute("SELECT count(*) FROM records").fetchone()
        connection.close()
        assert stored == sessions * 20 > 0
    finally:
        subprocess.run([umount, disk], check=True)


def test_rates_are_of_the_verdicts(history: History, make_record: MakeRecord, make_case: MakeCase) -> None:
    """The counts of a table over many runs: 47 of 47, 44 of 47, and 0 of 9."""
    system = "DGX-A100_A100-SXM4-40GBx8_TRT-custom_k_99_9_MaxP"
    kinds = {
        "Offline-AccuracyMode": ("bert", "AccuracyOnly", 47, 47),
        "Server-PerformanceMode": ("rnnt", "PerformanceOnly", 44, 47),
        "Server-AccuracyMode": ("bert", "AccuracyOnly", 0, 9),
    }
    for word, (benchmark, mode, passed, n) in kinds.items():
        name = f"{system}-{word}"
        case = make_case(id=f"{benchmark}-{name}", metric_name=name, benchmark=benchmark, mode=mode)
        for number in range(n):
            record = make_record(case=case, ending="pass" if number < passed else "fail")
            history.add(session(record, name=f"{word}-{number}"))
        for ending in ("error", "unplaced"):
            history.add(session(make_record(case=case, ending=ending), name=f"{word}-{ending}"))
        history.add(session(make_record(case=case, replayed="earlier"), name=f"{word}-replayed"))
    lines = table(rates(history)).splitlines()
    assert [line.split() for line in lines] == [
        ["round:"],
        ["scenario", "metric", "min", "max", "mean", "unit", "n", "95", "%", "interval"],
        f"bert {system}-Offline-AccuracyMode 1.0 1.0 1.0 PASS/FAIL 47 0.92 to 1.00".split(),
        f"bert {system}-Server-AccuracyMode 0.0 0.0 0.0 PASS/FAIL 9 0.00 to 0.30".split(),
        f"rnnt {system}-Server-PerformanceMode 0.0 1.0 {44 / 47} VALID/INVALID 47 0.83 to 0.98".split(),
    ]


def test_results_of_different_worth_are_not_added_up(
    history: History, make_record: MakeRecord, make_case: MakeCase
) -> None:
    history.add(session(make_record(), name="whole"))
    history.add(session(make_record(case=make_case(conformance="smoke")), name="short"))
    assert [(rate.conformance, rate.n) for rate in rates(history)] == [
        ("round", 1),
        ("smoke (shortened: not submission-valid)", 1),
    ]


@pytest.mark.parametrize("with_the_first", [True, False])
def test_what_was_taken_over_counts_once(
    history: History, make_record: MakeRecord, *, with_the_first: bool
) -> None:
    started_at = "2026-11-24T08:00:00+00:00"
    sessions = [
        session(make_record(started_at=started_at, resumed="out" if number else None), name=str(number))
        for number in range(3)
    ]
    for past in sessions if with_the_first else sessions[1:]:
        history.add(past)
    assert [rate.n for rate in rates(history)] == [1]


@pytest.mark.parametrize(
    ("host", "duration_s", "n"),
    [
        pytest.param("node-7", 61.234, 1, id="the same run"),
        pytest.param("container-2", 61.234, 1, id="the same run, under another name"),
        pytest.param("node-8", 61.237, 2, id="another host"),
        pytest.param("node-7", 61.237, 2, id="another one on this host"),
        pytest.param("node-7", None, 1, id="the same run, if it does not say how long it was"),
        pytest.param("node-8", None, 2, id="another host, if it does not say how long it was"),
    ],
)
def test_runs_that_began_in_the_same_second_are_told_apart(
    history: History, make_record: MakeRecord, host: str, duration_s: float | None, n: int
) -> None:
    """Of the one that was taken over, the session that ran it may never have been added."""
    started_at = "2026-11-24T08:00:00+00:00"
    first = make_record(started_at=started_at, duration_s=61.234 if duration_s else None)
    taken_over = make_record(started_at=started_at, duration_s=duration_s, resumed="out")
    history.add(session(first, name="first"))
    history.add(session(taken_over, name="second", host=host))
    assert [rate.n for rate in rates(history)] == [n]


@pytest.mark.parametrize(("passed", "n"), [(0, 1), (1, 1), (0, 94), (44, 47), (47, 47), (500, 1000)])
def test_the_interval_is_wilsons(passed: int, n: int) -> None:
    """Its ends are where the share is 1.96 standard deviations of such a rate away from the one found."""
    rate = Rate(scenario="s", metric="m", unit="u", conformance="round", passed=passed, n=n)
    low, high = rate.interval
    assert 0 <= low <= rate.mean <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            distance = abs(rate.mean - end) / (end * (1 - end) / n) ** 0.5
            assert distance == pytest.approx(1.959964, abs=1e-5)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://h/d", "found a URL of mysql, allowed: a file, sqlite:///"),
        ("nosuch://h/d", "nosuch"),
    ],
)
def test_other_databases_are_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        open_history(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("me:secret@localhost:1/d?connect_timeout=2", "me:***@localhost:1/d?connect_timeout=2"),
        ("localhost:1/d?user=me&password=secret", "localhost:1/d?user=me"),
    ],
)
def test_a_password_is_not_told(url: str, shown: str) -> None:
    history = open_history(f"postgresql+psycopg://{url}")
    with pytest.raises(HostError) as raised:
        history.add(session())
    assert str(raised.value).startswith(f"history postgresql+psycopg://{shown}: ")
    assert "secret" not in str(raised.value)
