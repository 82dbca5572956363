"""Several sessions, of several machines, are told as one."""

from __future__ import annotations

import csv
import json
import platform
import re
import shutil
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from tests import pages

if TYPE_CHECKING:
    from sessions import Session

REPORTS = ("--html=all.html", "--self-contained-html", "--junitxml=all.xml", "--mlperf-output=all")
WHOLE = {"session": "s", "started_at": "t", "host": "h", "pytest_mlperf": "0.1.0", "inventory": {}}
GOOD = "good-CPU_SCRIPT-scripted_k_99_MaxP-Offline-PerformanceMode"


def on_host(session: Session, name: str, host: str) -> None:
    """Say in the results of a session that another machine left them."""
    path = session.pytester.path / name / "records.jsonl"
    first, _, rest = path.read_text(encoding="utf-8").partition("\n")
    line = json.loads(first)
    line["header"]["host"] = host
    path.write_text(f"{json.dumps(line)}\n{rest}", encoding="utf-8")


def test_sessions_of_two_machines_make_one_report(any_session: Session) -> None:
    for name in ("one", "two"):
        any_session.run("-k", "good or broken", "--mlperf-output", f"tree/{name}")
        on_host(any_session, f"tree/{name}", f"node-{name}")
    result = any_session.run("--mlperf-merge", "tree/one", "tree/two", *REPORTS)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=4, skipped=2, errors=2)
    result.stdout.fnmatch_lines(
        [
            "incomplete: 4 of 8 planned cases passed (shortened: not submission-valid)",
            "14 in the matrix = 4 pass + 0 fail + 2 unplaced + 2 error + 6 dropped",
            "node-one, *: incomplete",
            "node-two, *: incomplete",
        ]
    )
    folder = any_session.pytester.path
    page = pages.read(folder / "all.html")
    assert {f"node-{name}/{GOOD}" for name in ("one", "two")} <= set(page.rows)
    links = dict(page.details(f"node-two/{GOOD}")["links"])
    assert (folder / links["logs/mlperf_log_summary.txt"]).is_file()
    named = [case.get("name") for case in ET.parse(folder / "all.xml").iter("testcase")]  # noqa: S314  ours
    assert len(named) == len(set(named)) == 8
    assert f"node-one/{GOOD}" in named
    with (folder / "all/metrics.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["Metric Name"] == GOOD.partition("-")[2]]
    assert [(row["Scenario"], row["Value"], row["Host"]) for row in rows] == [
        ("good", "1.0", "node-one"),
        ("good", "1.0", "node-two"),
    ]


def drop_lines(session: Session, name: str, word: str) -> None:
    """Take the lines with a word out of the records of a session, as if it had been killed before them."""
    path = session.pytester.path / name / "records.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if word not in line), encoding="utf-8")


def test_a_case_of_a_chain_is_told_by_the_last_session_that_ran_it(session: Session) -> None:
    session.run("-k", "good or bad", "--mlperf-output", "one")
    session.run("-k", "good", "--mlperf-resume", "one", "--mlperf-output", "two")
    for folder in ("one", "two"):
        # As artefacts of CI, which keep no paths.
        session.pytester.mkdir(f"{folder}-artefacts")
        source = session.pytester.path / folder / "records.jsonl"
        source.rename(session.pytester.path / f"{folder}-artefacts/records.jsonl")
    result = session.run("--mlperf-merge", "one-artefacts", "two-artefacts", *REPORTS)
    result.assert_outcomes(passed=2, failed=2, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "not conformant: 2 of 5 planned cases passed (*taken over: from one*",
            "*: not conformant, and was gone on with",
            "*: incomplete",
        ]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_chain_is_one_where_its_middle_is_not_there(session: Session) -> None:
    session.run("-k", "good", "--mlperf-output", "one")
    session.run("-k", "good", "--mlperf-resume", "one", "--mlperf-output", "two")
    session.run("-k", "good", "--mlperf-resume", "two", "--mlperf-output", "three")
    session.run("--mlperf-merge", "one", "three", *REPORTS).assert_outcomes(passed=2, skipped=1)


def test_copies_of_a_session_are_told_once(session: Session) -> None:
    session.run("-k", "good", "--mlperf-output", "tree/one")
    shutil.copytree(session.pytester.path / "tree/one", session.pytester.path / "tree/two")
    drop_lines(session, "tree/two", '"footer"')
    result = session.run("--mlperf-merge", "tree", *REPORTS)
    result.assert_outcomes(passed=2, skipped=1)


@pytest.mark.parametrize("same_start", [False, True])
def test_sessions_of_machines_with_one_name_are_told_apart(session: Session, *, same_start: bool) -> None:
    for name, cases in (("one", "good and CPU"), ("two", "(good or bad) and CPU")):
        session.run("-k", cases, "--mlperf-output", name)
        path = session.pytester.path / name / "records.jsonl"
        first, _, rest = path.read_text(encoding="utf-8").partition("\n")
        line = json.loads(first)
        line["header"]["host"] = "localhost"
        line["header"]["started_at"] = f"2026-01-0{1 if same_start else len(name + cases)}T00:00:00+00:00"
        path.write_text(f"{json.dumps(line)}\n{rest}", encoding="utf-8")
    result = session.run("--mlperf-merge", "one", "two", *REPORTS)
    result.assert_outcomes(passed=4, failed=2)
    result.stdout.fnmatch_lines(["not conformant: 4 of 6 planned cases passed*"])
    assert len(pages.read(session.pytester.path / "all.html").rows) == 14


def test_a_session_that_did_not_end_is_an_error(session: Session) -> None:
    session.run("-k", "(good or bad) and CPU", "--mlperf-output", "one")
    for word in ('"footer"', '"benchmark": "bad"'):
        drop_lines(session, "one", word)
    shutil.rmtree(session.pytester.path / "one/cases")
    result = session.run("--mlperf-merge", "one", *REPORTS)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*/one: the session ended before its end; 2 of 4 cases were not run: bad-*, bad-*",
            "incomplete: 2 of 2 planned cases passed (shortened*)",
            "*, *: ended before its end (2 cases were not run)",
        ]
    )
    suite = ET.parse(session.pytester.path / "all.xml").find("testsuite")  # noqa: S314  ours
    assert suite is not None
    assert suite.get("errors") == "1"


def test_a_session_that_was_killed_behind_its_last_case_is_whole(session: Session) -> None:
    session.run("-k", "good and CPU", "--mlperf-output", "one")
    drop_lines(session, "one", '"footer"')
    result = session.run("--mlperf-merge", "one", *REPORTS)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["conformant: 2 of 2 planned cases passed (shortened*)"])


def test_what_was_left_in_the_folder_of_a_case_is_told(session: Session) -> None:
    session.run("-k", "good and CPU", "--mlperf-output", "one")
    for word in ('"footer"', '"AccuracyOnly"'):
        drop_lines(session, "one", word)
    torn = session.pytester.path / "one/cases/torn/record.json"
    torn.parent.mkdir()
    torn.touch()
    session.run("--mlperf-merge", "one", *REPORTS).assert_outcomes(passed=2)


def test_a_merge_of_nothing_is_refused(session: Session) -> None:
    session.pytester.mkdir("empty")
    result = session.run("--mlperf-merge", "empty")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*empty: --mlperf-merge: found no records.jsonl in or below it, allowed: *"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}\n", "*records.jsonl:1: found no 'header'*"),
        (
            '{"header": "x"}\n',
            "*records.jsonl: found a header that is no object, allowed: records of a session",
        ),
        (f'{{"header": {json.dumps({**WHOLE, "asked": 5})}}}\n', "*records.jsonl: *"),
        ('{"header": {}}\nhalf\n{}\n', "*records.jsonl: line 2 is damaged: Expecting value*"),
        ("\xff", "*records.jsonl: *"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_beside_the_rest(
    session: Session, text: str, said: str
) -> None:
    session.run("-k", "good and CPU", "--mlperf-output", "tree/one")
    folder = session.pytester.mkdir("tree/other")
    (folder / "records.jsonl").write_text(text, encoding="latin-1")
    result = session.run("--mlperf-merge", "tree", *REPORTS)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines([said, "incomplete: 2 of 2 planned cases passed*"])


@pytest.mark.parametrize("folder", ["run[1]", "a::b", "build", "gr\u00f6\u00dfe 1", "x@2"])
def test_folders_may_have_any_name(session: Session, folder: str) -> None:
    session.run("-k", "good and CPU", "--mlperf-output", "one")
    (session.pytester.path / "one").rename(session.pytester.path / folder)
    session.run("--mlperf-merge", folder, *REPORTS).assert_outcomes(passed=2)
    links = pages.read(session.pytester.path / "all.html").details(f"{platform.node()}/{GOOD}")["links"]
    address = dict(links)["logs/mlperf_log_summary.txt"]
    assert (session.pytester.path / unquote(address)).is_file()


def test_links_lead_through_a_linked_folder(session: Session) -> None:
    session.run("-k", "good and CPU", "--mlperf-output", "one")
    elsewhere = session.pytester.mkdir("elsewhere") / "deep"
    elsewhere.mkdir()
    (session.pytester.path / "all").symlink_to(elsewhere)
    session.run("--mlperf-merge", "one", *REPORTS).assert_outcomes(passed=2)
    links = pages.read(session.pytester.path / "all.html").details(f"{platform.node()}/{GOOD}")["links"]
    assert (session.pytester.path / unquote(dict(links)["logs/mlperf_log_summary.txt"])).is_file()


def test_records_name_no_files_but_those_of_cases(session: Session) -> None:
    session.run("-k", "good and CPU", "--mlperf-output", "one")
    path = session.pytester.path / "one/records.jsonl"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'"folder": "cases[^"]*"', '"folder": "/etc"', text), encoding="utf-8")
    session.run("--mlperf-merge", "one", *REPORTS)
    details = pages.read(session.pytester.path / "all.html").details(f"{platform.node()}/{GOOD}")
    assert "links" not in details


def test_an_inventory_of_another_version_is_no_hindrance(session: Session) -> None:
    session.run("-k", "good and CPU", "--mlperf-output", "one")
    path = session.pytester.path / "one/records.jsonl"
    first, _, rest = path.read_text(encoding="utf-8").partition("\n")
    line = json.loads(first)
    line["header"]["inventory"] = {}
    path.write_text(f"{json.dumps(line)}\n{rest}", encoding="utf-8")
    session.run("--mlperf-merge", "one", *REPORTS).assert_outcomes(passed=2)
    assert "hardware that this version cannot read" in pages.read(session.pytester.path / "all.html").text


def test_a_selection_of_the_project_is_not_of_a_merge(session: Session) -> None:
    session.run("-k", "good and CPU", "--mlperf-output", "one")
    session.pytester.makeini("[pytest]\naddopts = -k nothing\n")
    session.run("--mlperf-merge", "one", *REPORTS).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--mlperf-metrics", "parquet"), "--mlperf-merge: found --mlperf-metrics too, allowed: one of them"),
        (
            ("--mlperf-history", "h.sqlite"),
            "--mlperf-merge: found --mlperf-history too, allowed: one of them",
        ),
        (("--mlperf-output", "one"), "*one: --mlperf-output: found * in it, allowed: a new or empty folder"),
    ],
)
def test_what_does_not_go_with_a_merge_is_refused(
    session: Session, options: tuple[str, ...], said: str
) -> None:
    session.run("-k", "good and CPU", "--mlperf-output", "one")
    result = session.run("--mlperf-merge", "one", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{said}*"])
