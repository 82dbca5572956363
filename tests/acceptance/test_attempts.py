"""Cases that may be run more than once: every attempt is kept and told, and none is hidden by the last."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sessions import Session

MATRIX = """\
round: v2.0
category: smoke
axes: {sku: CPU, harness: scripted, scenario: Offline, mode: PerformanceOnly}
include: [{benchmark: [good, bad, flaky, shaky]}]
overrides:
  - {match: {benchmark: [good, bad, flaky, shaky]}, attempts: {max: 3, need: 1}}
"""


def name(benchmark: str) -> str:
    return f"{benchmark}-CPU_SCRIPT-scripted_k_99_MaxP-Offline-PerformanceMode"


def test_every_attempt_is_kept_and_told(any_session: Session) -> None:
    any_session.write_matrix(MATRIX)

    result = any_session.run("--mlperf-output=out", "--junitxml=j.xml", "--html=h.html")

    records = any_session.records()
    assert {record["case"]["benchmark"]: record["ending"] for record in records.values()} == {
        "good": "pass",
        "bad": "fail",
        "flaky": "pass",
        "shaky": "pass",
    }
    assert {r["case"]["benchmark"]: [a["ending"] for a in r["attempts"]] for r in records.values()} == {
        "good": ["pass"],
        "bad": ["fail", "fail", "fail"],
        "flaky": ["fail", "pass"],
        "shaky": ["error", "pass"],
    }
    for attempt in (attempt for record in records.values() for attempt in record["attempts"]):
        assert (any_session.pytester.path / "out" / attempt["folder"] / "record.json").is_file()
        assert attempt["duration_s"] > 0
    assert [m["value"] for m in records[name("flaky")]["attempts"][0]["measurements"]] == [1234.5]
    assert records[name("flaky")]["labels"] == ["shortened: not submission-valid", "attempts: VALID 1 of 2"]
    assert records[name("good")]["labels"] == ["shortened: not submission-valid"]
    result.stdout.fnmatch_lines(
        [
            "  attempts: VALID 0 of 3",
            "    1: fail, result_samples_per_second 1234.5 samples/s: result_validity is broken: *",
            "not conformant: 3 of 4 planned cases passed (*attempts: VALID 1 of 2*)",
        ]
    )


def test_metrics_have_a_row_for_each_attempt_and_junit_the_verdict(any_session: Session) -> None:
    any_session.write_matrix(MATRIX)

    any_session.run("--mlperf-output=out", "--junitxml=j.xml")

    with (any_session.pytester.path / "out" / "metrics.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["Unit"] == "VALID/INVALID"]
    values = {
        b: [row["Value"] for row in rows if row["Scenario"] == b] for b in ("good", "bad", "flaky", "shaky")
    }
    assert values == {
        "good": ["1.0"],
        "bad": ["0.0", "0.0", "0.0"],
        "flaky": ["0.0", "1.0"],
        "shaky": ["1.0"],
    }
    for case in ET.parse(any_session.pytester.path / "j.xml").iter("testcase"):  # noqa: S314  written by us
        if case.get("name") == f"test_conformance[{name('flaky')}]":
            told = {p.get("name"): p.get("value") for p in case.iter("property")}
            break
    assert (told["value"], told["attempts"]) == ("1.0", "VALID 1 of 2")


def test_option_holds_for_all_cases(session: Session) -> None:
    session.write_matrix(MATRIX)

    result = session.run("--mlperf-output=out", "--mlperf-attempts=2/3", "-m", "good or flaky")

    assert {
        r["case"]["benchmark"]: len(r["attempts"]) for r in session.records().values() if r["folder"]
    } == {
        "good": 2,
        "flaky": 3,
    }
    assert session.records()[name("flaky")]["ending"] == "fail"
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    ("attempts", "said"),
    [
        (
            "{max: 1, need: 2}",
            "need: found 2, allowed: at most max (1)",
        ),
        ("{max: 0}", "matrix.yaml:6: overrides[0].attempts.max: "),
        ("{max: 101}", "matrix.yaml:6: overrides[0].attempts.max: "),
        ("{need: 1}", "matrix.yaml:6: overrides[0].attempts: "),
        ("3", "matrix.yaml:6: overrides[0].attempts: "),
    ],
)
def test_attempts_that_are_not_possible_are_refused(session: Session, attempts: str, said: str) -> None:
    session.write_matrix(MATRIX.replace("{max: 3, need: 1}", attempts))

    result = session.run("--mlperf-output=out")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said in result.stdout.str() + result.stderr.str()


def test_option_that_says_nothing_is_refused(session: Session) -> None:
    result = session.run("--mlperf-output=out", "--mlperf-attempts=4/3")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert (
        "--mlperf-attempts: found '4/3', allowed: how many at most"
        in result.stdout.str() + result.stderr.str()
    )
