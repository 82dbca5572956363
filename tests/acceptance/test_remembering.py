"""Sessions are remembered, and nothing is lost when their history cannot be reached or they are killed."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.history.store import open_history
from tests.histories import limited

if TYPE_CHECKING:
    from sessions import Session

HISTORY = ("--mlperf-history", "here/history.sqlite")
GOOD = "CPU_SCRIPT-scripted_k_99_MaxP-Offline"


@pytest.fixture(autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


def rates(session: Session, *only: str) -> list[list[str]]:
    """Return the rows of the rates, by word."""
    result = session.run("--mlperf-report", "rates", *HISTORY, *only)
    assert result.ret == pytest.ExitCode.OK
    return [line.split()[:7] for line in result.outlines if "Mode " in line]


def test_sessions_are_remembered(any_session: Session) -> None:
    any_session.pytester.mkdir("here")
    for number in range(2):
        result = any_session.run(*HISTORY, "--mlperf-output", f"out-{number}")
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        result.stdout.fnmatch_lines(["history sqlite:///*/here/history.sqlite: 6 records"])
    assert rates(any_session) == [
        ["bad", f"{GOOD}-AccuracyMode", "0.0", "0.0", "0.0", "PASS/FAIL", "2"],
        ["bad", f"{GOOD}-PerformanceMode", "0.0", "0.0", "0.0", "VALID/INVALID", "2"],
        ["good", f"{GOOD}-AccuracyMode", "1.0", "1.0", "1.0", "PASS/FAIL", "2"],
        ["good", f"{GOOD}-PerformanceMode", "1.0", "1.0", "1.0", "VALID/INVALID", "2"],
    ]


def test_attempts_are_counted_and_what_was_taken_over_is_not(session: Session) -> None:
    session.pytester.mkdir("here")
    session.run(*HISTORY, "-k", "bad", "--mlperf-attempts", "3", "--mlperf-output", "monday")
    session.run(*HISTORY, "--mlperf-attempts", "3", "--mlperf-resume", "monday", "--mlperf-output", "tuesday")
    session.run(*HISTORY, "-k", "good", "--mlperf-replay", "tuesday", "--mlperf-output", "replayed")
    assert [(row[0], row[-1]) for row in rates(session)] == [
        ("bad", "3"),
        ("bad", "3"),
        ("good", "1"),
        ("good", "1"),
    ]


def test_a_history_that_cannot_be_reached_gets_it_later(session: Session) -> None:
    result = session.run(*HISTORY, "-k", "good", "--mlperf-output", "first")
    assert result.ret == pytest.ExitCode.OK
    later = "the next session with this history on this machine adds */first"
    result.stdout.fnmatch_lines([f"history *: unable to open database file: not added; {later}"])
    session.pytester.mkdir("here")
    result = session.run(*HISTORY, "-k", "good", "--mlperf-output", "second")
    result.stdout.fnmatch_lines(
        ["history *: 3 records", "history *: 3 records of */first, which it had not got yet"]
    )
    assert [row[-1] for row in rates(session)] == ["2", "2"]
    result = session.run(*HISTORY, "-k", "good", "--mlperf-output", "third")
    result.stdout.no_fnmatch_line("*had not got*")


def test_a_session_that_was_killed_is_remembered(session: Session) -> None:
    session.pytester.mkdir("here")
    session.write_matrix(
        "round: v2.0\ncategory: smoke\naxes: {sku: CPU, harness: scripted, scenario: Offline}\n"
        "include:\n  - {benchmark: [good, slow], mode: AccuracyOnly}\n"
    )
    records = session.pytester.path / "killed/records.jsonl"
    with session.start(*HISTORY, "--mlperf-output", "killed"):
        while not (records.exists() and "record" in records.read_text().partition("\n")[2]):
            time.sleep(0.1)
    session.run(*HISTORY, "-k", "good", "--mlperf-output", "next")
    assert [(row[0], row[-1]) for row in rates(session)] == [("good", "2")]


def test_a_record_that_was_never_told_is_remembered(session: Session) -> None:
    """A worker may have left it in the folder of its case, and been killed with its session."""
    session.pytester.mkdir("here")
    session.run("-k", "good", "--mlperf-output", "killed")
    path = session.pytester.path / "killed/records.jsonl"
    header, first, *_ = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text(header + first, encoding="utf-8")
    assert session.run("--mlperf-import", "killed", *HISTORY).ret == pytest.ExitCode.OK
    assert [(row[0], row[-1]) for row in rates(session)] == [("good", "1"), ("good", "1")]


def test_results_that_are_gone_are_said_once(session: Session) -> None:
    session.run(*HISTORY, "-k", "good", "--mlperf-output", "first")
    (session.pytester.path / "first/records.jsonl").unlink()
    session.pytester.mkdir("here")
    result = session.run(*HISTORY, "-k", "good", "--mlperf-output", "second")
    result.stdout.fnmatch_lines(["history: */first/records.jsonl: No such file or directory: not added"])
    result = session.run(*HISTORY, "-k", "good", "--mlperf-output", "third")
    result.stdout.no_fnmatch_line("*not added*")


def test_results_on_a_disk_that_is_not_here_wait(session: Session) -> None:
    disk, away = session.pytester.mkdir("disk"), session.pytester.path / "away"
    for name in ("first", "second"):
        session.run(*HISTORY, "-k", "good", "--mlperf-output", f"disk/{name}")
    session.pytester.mkdir("here")
    disk.rename(away)
    result = session.run(*HISTORY, "-k", "good", "--mlperf-output", "third")
    result.stdout.fnmatch_lines(
        ["history: 2 sessions wait on a disk that is not here now, as */disk/* does (where that is *.note)"]
    )
    result.stdout.no_fnmatch_line("*not added*")
    away.rename(disk)
    result = session.run(*HISTORY, "-k", "good", "--mlperf-output", "fourth")
    result.stdout.fnmatch_lines(["history *: 3 records of */disk/*, which it had not got yet"] * 2)


def notes() -> list[Path]:
    return list((Path(os.environ["XDG_STATE_HOME"]) / "pytest-mlperf/history").glob("*/*.note"))


def test_notes_of_another_machine_are_left_to_it(session: Session) -> None:
    session.run(*HISTORY, "-k", "good", "--mlperf-output", "theirs")
    (note,) = notes()
    note.write_bytes(b"another-machine\n" + note.read_bytes().partition(b"\n")[2])
    session.pytester.mkdir("here")
    result = session.run(*HISTORY, "-k", "good", "--mlperf-output", "mine")
    result.stdout.fnmatch_lines(["history *: 3 records"])
    result.stdout.no_fnmatch_line("*had not got*")
    assert notes() == [note]


def test_results_in_a_folder_of_any_name_are_remembered(session: Session) -> None:
    for name in (os.fsdecode(b"caf\xe9"), "next"):
        with session.start(*HISTORY, "-k", "good", "--mlperf-output", name) as process:
            assert process.wait(timeout=60) == pytest.ExitCode.OK
        (session.pytester.path / "here").mkdir(exist_ok=True)
    assert [row[-1] for row in rates(session)] == ["2", "2"]
    assert notes() == []


def test_a_session_that_a_writer_keeps_out_is_added_later(session: Session, postgresql: str) -> None:
    asked = ("--mlperf-history", limited(postgresql, lock_timeout="500ms"), "-k", "good")
    with open_history(postgresql).transaction():
        result = session.run(*asked, "--mlperf-output", "first")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["history *: canceling statement due to lock timeout: not added; the next *"])
    result = session.run(*asked, "--mlperf-output", "second")
    result.stdout.fnmatch_lines(["history *: 3 records", "history *: 3 records of */first, which *"])


def test_results_are_imported_once(session: Session) -> None:
    session.pytester.mkdir("here")
    for name in ("tree/first", "tree/second"):
        session.run("-k", "good", "--mlperf-output", name)
    for new in (6, 0):
        result = session.run("--mlperf-import", "tree", *HISTORY)
        assert result.ret == pytest.ExitCode.OK
        result.stdout.fnmatch_lines([f"history *: {new} records of 2 sessions were new"])
    assert [row[-1] for row in rates(session)] == ["2", "2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "records.jsonl:1: found no 'session' in its header, allowed: records of this version"),
        ('{"footer": {}}\n', "records.jsonl:1: found no 'header' in its header*"),
        ("5\n", "records.jsonl: found a line that is no object, allowed: records of a session"),
        ("half\n{}\n", "records.jsonl: line 1 is damaged: Expecting value: line 1 column 1 (char 0)"),
        ("\xff", "records.jsonl:*"),
    ],
)
def test_results_that_cannot_be_read_are_not_imported(session: Session, text: str, said: str) -> None:
    for folder in ("here", "tree"):
        session.pytester.mkdir(folder)
    (session.pytester.path / "tree/records.jsonl").write_text(text, encoding="latin-1")
    result = session.run("--mlperf-import", "tree", *HISTORY)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stderr.fnmatch_lines([f"ERROR: --mlperf-import: *{said}: not added"])
    result.stdout.fnmatch_lines(["history *: 0 records of 0 sessions were new"])


def test_results_beside_some_that_cannot_be_read_are_imported(session: Session) -> None:
    """Which is said, also by the exit code, and beside a report."""
    session.pytester.mkdir("here")
    for name in ("tree/a", "tree/b", "tree/c", "more/d"):
        session.run("-k", "good", "--mlperf-output", name)
    (session.pytester.path / "tree/b/records.jsonl").write_text("of another program\n{}\n")
    report = ("--mlperf-report", "rates")
    result = session.run("--mlperf-import", "tree", "--mlperf-import", "more", *report, *HISTORY)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stderr.fnmatch_lines(["ERROR: --mlperf-import: */tree/b/records.jsonl: *: not added"])
    result.stdout.fnmatch_lines(
        ["history *: 6 records of 2 sessions were new", "history *: 3 records of 1 sessions were new"]
    )
    assert [row[-1] for row in rates(session)] == ["3", "3"]


def session_of(folder: Path) -> str:
    """Return the id of the session whose results are in a folder."""
    header, _, _ = (folder / "records.jsonl").read_text(encoding="utf-8").partition("\n")
    return str(json.loads(header)["header"]["session"])


def test_a_history_that_fails_in_between_says_what_went_in(session: Session) -> None:
    session.pytester.mkdir("here")
    session.run("-k", "good", "--mlperf-output", "tree/a")
    session.run("--mlperf-import", "tree/a", *HISTORY)
    session.run("-k", "good", "--mlperf-output", "tree/b")
    run = session_of(session.pytester.path / "tree/b")
    refuse = (
        "CREATE TRIGGER t BEFORE INSERT ON sessions WHEN NEW.id = '{}' BEGIN SELECT RAISE(FAIL, 'no'); END"
    )
    with sqlite3.connect(session.pytester.path / "here/history.sqlite") as connection:
        connection.execute(refuse.format(run))
    connection.close()
    session.run("-k", "good", "--mlperf-output", "tree/a2")
    result = session.run("--mlperf-import", "tree", *HISTORY)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: history *: no"])
    result.stdout.fnmatch_lines(["history *: 3 records of 2 sessions were new"])


def test_a_file_of_records_is_imported(session: Session) -> None:
    session.pytester.mkdir("here")
    session.run("-k", "good", "--mlperf-output", "one")
    result = session.run("--mlperf-import", "one/records.jsonl", *HISTORY)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["history *: 3 records of 1 sessions were new"])


def test_notes_that_cannot_be_read_do_not_spoil_a_session(session: Session) -> None:
    session.run(*HISTORY, "-k", "good", "--mlperf-output", "first")
    session.pytester.mkdir("here")
    (note,) = notes()
    note.with_name("0.note").mkdir()
    result = session.run(*HISTORY, "-k", "good", "--mlperf-output", "second")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["history *: 3 records", "*: what waits for the history cannot be read: *Is a directory*"]
    )


def test_the_ini_key_turns_it_on(session: Session) -> None:
    session.pytester.makeini("[pytest]\nmlperf_history = all.sqlite\n")
    session.run("-k", "good", "--mlperf-output", "out").stdout.fnmatch_lines(
        ["history *all.sqlite: 3 records"]
    )
    assert (session.pytester.path / "all.sqlite").exists()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a history is kept that several tests begin with."""
    return tmp_path_factory.mktemp("kept") / "history.sqlite"


@pytest.fixture
def remembered(session: Session, kept: Path) -> Session:
    """Give a history of two sessions."""
    history = session.pytester.mkdir("here") / "history.sqlite"
    if kept.exists():
        shutil.copy(kept, history)
    else:
        for name in ("first", "second"):
            session.run(*HISTORY, "--mlperf-output", name)
        shutil.copy(history, kept)
    return session


def test_a_trend_has_a_line_for_each_run(remembered: Session) -> None:
    only = ("--mlperf-sku", "CPU", "--mlperf-benchmark", "good")
    result = remembered.run("--mlperf-report", "trend", *HISTORY, *only)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.re_match_lines(
        [
            rf"good: {GOOD}-AccuracyMode$",
            r"CPU, smoke \(shortened: not submission-valid\)$",
            r"  when \(UTC\) +session +verdict  value  before  change  driver$",
            r"  20..-..-.. ..:..  .{8}  PASS     90 %   -       -       -$",
            r"  20..-..-.. ..:..  .{8}  PASS     90 %   90 %    \+0\.0 %  -$",
            r"  n 2, passed 2; median 90 %, MAD 0 %; last \+0\.0 % from the median$",
            "$",
            rf"good: {GOOD}-PerformanceMode$",
            r"  20..-..-.. ..:..  .{8}  VALID    1234\.5 samples/s  -  ",
            r"  20..-..-.. ..:..  .{8}  VALID    1234\.5 samples/s  1234\.5 samples/s  \+0\.0 %  -$",
        ]
    )
    assert "bad" not in result.stdout.str()
    everything = remembered.run("--mlperf-report", "trend", *HISTORY)
    everything.stdout.re_match_lines([rf"bad: {GOOD}-AccuracyMode$", r".*  FAIL     80.5 %"])


def test_rates_can_be_of_some_benchmarks(remembered: Session) -> None:
    assert [row[0] for row in rates(remembered, "--mlperf-benchmark", "bad")] == ["bad", "bad"]
    assert len(rates(remembered, "--mlperf-benchmark", "bad", "--mlperf-benchmark", "good")) == 4


@pytest.mark.parametrize("report", ["rates", "trend"])
@pytest.mark.parametrize(
    ("only", "said"),
    [
        (
            ("--mlperf-benchmark", "goood", "--mlperf-benchmark", "bad"),
            "--mlperf-benchmark: found 'goood', allowed: bad, broken, good (did you mean 'good'?)",
        ),
        (("--mlperf-sku", "A30"), "--mlperf-sku: found 'A30', allowed: A2x2, CPU*"),
    ],
)
def test_what_the_history_has_not_is_refused(
    remembered: Session, only: tuple[str, ...], said: str, report: str
) -> None:
    result = remembered.run("--mlperf-report", report, *HISTORY, *only)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])


@pytest.mark.parametrize("report", ["rates", "trend"])
def test_a_history_without_verdicts_says_so(session: Session, report: str) -> None:
    session.pytester.mkdir("here")
    session.run(*HISTORY, "-k", "A2x2", "--mlperf-output", "out")
    result = session.run("--mlperf-report", report, *HISTORY, "--mlperf-benchmark", "good")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["history sqlite:*: no verdict yet"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--mlperf-report", "rates"),
            "found no history, allowed: one named by --mlperf-history or the ini*",
        ),
        (
            ("--mlperf-sku", "CPU"),
            "--mlperf-sku, --mlperf-benchmark: found no --mlperf-report beside them, allowed: with a report*",
        ),
        (("--mlperf-import", "."), "found no history, allowed: one named by --mlperf-history or the ini*"),
        (("--mlperf-import", "nowhere", *HISTORY), "nowhere: --mlperf-import: found no records.jsonl in or*"),
        (("--mlperf-report", "rates", *HISTORY), "found no history sqlite:*, allowed: one that exists*"),
        (("--mlperf-history", "mysql://h/d"), "found a URL of mysql, allowed: a file, sqlite:///*"),
    ],
)
def test_what_cannot_be_is_refused(session: Session, options: tuple[str, ...], said: str) -> None:
    result = session.run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{said}"])


@pytest.mark.parametrize("package", ["sqlalchemy", "alembic"])
def test_a_missing_package_is_named(session: Session, package: str) -> None:
    with (session.pytester.path / "conftest.py").open("a") as stream:
        stream.write(f"\nsys.modules['{package}'] = None\n")
    result = session.run(*HISTORY)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*found no module {package} (pip install 'pytest-mlperf?history?'*"])
