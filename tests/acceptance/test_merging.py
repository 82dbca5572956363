"""Several sessions, of several machines, are told as one."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from tests import pages

if TYPE_CHECKING:
    from sessions import Session

REPORTS = ("--html=all.html", "--self-contained-html", "--junitxml=all.xml", "--mlperf-output=all")
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


def test_sessions_of_one_machine_are_told_apart(session: Session) -> None:
    for name in ("one", "two"):
        session.run("-k", "good", "--mlperf-output", f"tree/{name}")
    path = session.pytester.path / "tree/two/records.jsonl"
    text = path.read_text(encoding="utf-8")
    started_at = json.loads(text.partition("\n")[0])["header"]["started_at"]
    path.write_text(text.replace(started_at, "2026-01-01T00:00:00+00:00", 1), encoding="utf-8")
    assert session.run("--mlperf-merge", "tree", *REPORTS).parseoutcomes()["passed"] == 4
    found = [
        case for case in pages.read(session.pytester.path / "all.html").rows if case.endswith(f"/{GOOD}")
    ]
    assert len(found) == 2
    assert "@2026-01-01T00:00:00+00:00" in found[1]


def test_a_session_that_was_gone_on_with_is_told_once(session: Session) -> None:
    session.run("-k", "good or broken", "--mlperf-output", "one")
    session.run("-k", "good", "--mlperf-resume", "one", "--mlperf-output", "two")
    result = session.run("--mlperf-merge", "one", "two", *REPORTS)
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["incomplete: 2 of 3 planned cases passed (*taken over: from one*"])


def test_a_session_that_did_not_end_is_not_conformant(session: Session) -> None:
    session.run("-k", "good and CPU", "--mlperf-output", "one")
    path = session.pytester.path / "one/records.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if '"footer"' not in line), encoding="utf-8")
    result = session.run("--mlperf-merge", "one", *REPORTS)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["incomplete: 2 of 2 planned cases passed (shortened*)", "*, *: ended before its end"]
    )


def test_a_merge_of_nothing_is_refused(session: Session) -> None:
    session.pytester.mkdir("empty")
    result = session.run("--mlperf-merge", "empty")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*empty: --mlperf-merge: found no records.jsonl in or below it, allowed: *"])


def test_a_merge_of_something_else_is_refused(session: Session) -> None:
    folder = session.pytester.mkdir("other")
    (folder / "records.jsonl").write_text("{}\n", encoding="utf-8")
    result = session.run("--mlperf-merge", "other")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--mlperf-merge: *records.jsonl:1: found no 'header'*"])
