"""Sessions that hold measurements to baselines, seen from outside."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.history.past import read
from pytest_mlperf.history.store import open_history

if TYPE_CHECKING:
    from sessions import Session

HISTORY = ("--mlperf-history", "h.sqlite")
OWN = (*HISTORY, "--mlperf-baseline", "own")
MEASURED = ("-k", "good and PerformanceMode and not A2x2")
CASE = "good-CPU_SCRIPT-scripted_k_99_MaxP-Offline-PerformanceMode"
SAMPLES_PER_SECOND = (1000.0, 1001.0, 999.0, 1002.0, 998.0)


@pytest.fixture(autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


def remember(session: Session, values: tuple[float, ...]) -> None:
    """Run the case once, and remember it as if it had been run in a session for each value."""
    assert session.run(*MEASURED, "--mlperf-output", "earlier").ret == pytest.ExitCode.OK
    earlier = read(session.pytester.path / "earlier")
    (record,) = (record for record in earlier.planned if record.verdict)
    history = open_history(f"sqlite:///{session.pytester.path}/h.sqlite")
    for value in values:
        headline, *more = record.measurements
        measured = replace(record, measurements=(replace(headline, value=value), *more))
        history.add(replace(earlier, id=f"as-{value}", records=(measured,)))


def test_a_regression_fails_with_its_reason(any_session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(any_session, SAMPLES_PER_SECOND)
    monkeypatch.setenv("SCRIPTED_SAMPLES_PER_SECOND", "900")
    result = any_session.run(*OWN, *MEASURED, "--mlperf-output", "out", "--junitxml=j.xml", "--html=r.html")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*own baseline",
            "*expected: >= 950 samples/s: not both 5 % and 3.5 deviations below the median 1000 samples/s *",
            "*observed: 900 samples/s, 90 % of the median of 5 sessions (MAD 0.1 %)",
            "*in: logs/mlperf_log_detail.txt:*",
            "*next: look at what has changed since: *; run it again",
            "*rule of: --mlperf-baseline own: earlier runs on *, history sqlite:///*",
            "not conformant: 0 of 1 planned cases passed*",
            "own baseline: 0 hold, 1 broken, 0 no baseline",
            "history *: 1 records",
        ]
    )
    record = any_session.records()[CASE]
    assert (record["ending"], record["findings"][-1]["satisfied"]) == ("fail", False)
    (comparison,) = record["comparisons"]
    assert (comparison["observed"], comparison["ratio"], comparison["baseline"]["n"]) == (900, 0.9, 5)
    junit = ET.fromstring((any_session.pytester.path / "j.xml").read_text(encoding="utf-8"))  # noqa: S314  pytest wrote it
    properties = junit.findall(".//property[@name='baseline']")
    assert [p.get("value") for p in properties] == ["own: 90 % of the median of 5 sessions (MAD 0.1 %)"]
    assert "own baseline" in (any_session.pytester.path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("value", ["960", "1000", "2000"])
def test_what_is_as_good_passes(session: Session, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    remember(session, SAMPLES_PER_SECOND)
    monkeypatch.setenv("SCRIPTED_SAMPLES_PER_SECOND", value)
    result = session.run(*OWN, *MEASURED, "--mlperf-output", "out")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["own baseline: 1 hold, 0 broken, 0 no baseline"])


def test_a_run_is_no_baseline_of_itself(session: Session) -> None:
    """With too few sessions there is none, which is said and is no success of the rule."""
    remember(session, SAMPLES_PER_SECOND[:4])
    result = session.run(*OWN, *MEASURED, "--mlperf-output", "out", "--mlperf-attempts", "2/2")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["own baseline: 0 hold, 0 broken, 1 no baseline (fewer than 5 sessions)"])
    finding = session.records()[CASE]["findings"][-1]
    assert (finding["satisfied"], finding["observed"]) == (None, "no baseline: 4 sessions, at least 5 needed")


def test_what_failed_is_no_baseline(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a machine that got slower would soon be as good as it ever was."""
    remember(session, SAMPLES_PER_SECOND)
    monkeypatch.setenv("SCRIPTED_SAMPLES_PER_SECOND", "900")
    for number in range(2):
        session.run(*OWN, *MEASURED, "--mlperf-output", f"slow-{number}")
    base = session.records("slow-1")[CASE]["comparisons"][0]["baseline"]
    assert (base["n"], base["median"]) == (5, 1000)


def test_only_measurements_are_held_to_baselines(any_session: Session) -> None:
    result = any_session.run(*OWN, "--mlperf-baseline", "published", "--mlperf-output", "out")
    result.stdout.fnmatch_lines(
        [
            "published baseline: 0 hold, 0 broken, 2 no baseline (fewer than 4 published figures)",
            "own baseline: 0 hold, 0 broken, 2 no baseline (fewer than 5 sessions)",
        ]
    )
    held = {
        named: [f["rule"] for f in record["findings"] if "baseline" in f["rule"]]
        for named, record in any_session.records().items()
    }
    assert {named for named, rules in held.items() if rules} == {CASE, CASE.replace("good", "bad")}
    assert held[CASE] == ["published baseline", "own baseline"]


def test_without_the_option_nothing_is_held(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(session, SAMPLES_PER_SECOND)
    monkeypatch.setenv("SCRIPTED_SAMPLES_PER_SECOND", "1")
    result = session.run(*HISTORY, *MEASURED, "--mlperf-output", "out")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*baseline*")
    assert session.records()[CASE]["comparisons"] == []


def test_strictly_a_history_that_cannot_be_asked_is_no_success(any_session: Session) -> None:
    asked = ("--mlperf-history", "nowhere/h.sqlite", "--mlperf-baseline", "own", "--mlperf-strict")
    result = any_session.run(*asked, *MEASURED, "--mlperf-output", "out")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*observed: no baseline: history sqlite:///*: unable to open database file",
            "*rule of: --mlperf-baseline own, --mlperf-strict: earlier runs on *",
            "own baseline: 0 hold, 1 broken, 0 no baseline (history sqlite:///*: *)",
        ]
    )


def test_strictly_a_verdict_without_its_baseline_is_not_taken_over(session: Session) -> None:
    asked = ("--mlperf-history", "here/h.sqlite", "--mlperf-baseline", "own", *MEASURED)
    assert session.run(*asked, "--mlperf-output", "monday").ret == pytest.ExitCode.OK
    session.pytester.mkdir("here")
    resumed = (*asked, "--mlperf-resume", "monday")
    result = session.run(*resumed, "--mlperf-strict", "--mlperf-output", "tuesday")
    result.stdout.fnmatch_lines(["*1 not taken over: its baseline could not be found out"])
    result = session.run(*resumed, "--mlperf-output", "wednesday")
    result.stdout.fnmatch_lines(["1 taken over from monday"])


def test_strictly_too_few_sessions_are_no_failure(session: Session) -> None:
    result = session.run(*OWN, *MEASURED, "--mlperf-strict", "--mlperf-output", "out")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["own baseline: 0 hold, 0 broken, 1 no baseline (fewer than 5 sessions)"])


@pytest.mark.parametrize("hostile", ["a folder that is not there", "no database"])
def test_a_history_that_cannot_be_asked_does_not_end_the_session(session: Session, hostile: str) -> None:
    path = Path("nowhere/h.sqlite")
    if hostile == "no database":
        path = session.pytester.path / "h.sqlite"
        path.write_text("\0not a database at all\n" * 100)
    asked = ("--mlperf-history", str(path), "--mlperf-baseline", "own")
    result = session.run(*asked, *MEASURED, "--mlperf-output", "out")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["own baseline: 0 hold, 0 broken, 1 no baseline (history sqlite:///*: *)"])
    assert session.records()[CASE]["findings"][-1]["satisfied"] is None


def test_a_verdict_that_was_held_to_other_baselines_is_not_taken_over(session: Session) -> None:
    remember(session, SAMPLES_PER_SECOND[:1])
    resumed = ("--mlperf-resume", "earlier", *MEASURED)
    result = session.run(*OWN, *resumed, "--mlperf-output", "held")
    result.stdout.fnmatch_lines(["*1 not taken over: held to was no baseline, is own baseline"])
    result = session.run(*HISTORY, *resumed, "--mlperf-output", "taken")
    result.stdout.fnmatch_lines(["1 taken over from earlier"])
    assert session.records("taken")[CASE]["resumed"] == "earlier"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--mlperf-baseline", "own"),
            "own: found no history, allowed: one named by --mlperf-history or the",
        ),
        ((*OWN, "--mlperf-replay", "."), "own: found --mlperf-replay too, allowed: one of them"),
        (("--mlperf-baseline", "mine"), "argument --mlperf-baseline: invalid choice: 'mine'"),
    ],
)
def test_what_cannot_be_is_refused(any_session: Session, options: tuple[str, ...], said: str) -> None:
    result = any_session.run(*options, "--mlperf-output", "out")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert re.search(re.escape(said), "\n".join([*result.outlines, *result.errlines]))
    assert not (any_session.pytester.path / "out/records.jsonl").exists()


def test_a_regression_can_be_looked_at_again(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(session, SAMPLES_PER_SECOND)
    monkeypatch.setenv("SCRIPTED_SAMPLES_PER_SECOND", "900,1000")
    result = session.run(*OWN, *MEASURED, "--mlperf-attempts", "2", "--mlperf-output", "out")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["own baseline: 1 hold, 0 broken, 0 no baseline"])
    assert [attempt["ending"] for attempt in session.records()[CASE]["attempts"]] == ["fail", "pass"]
