"""`--mlperf-resume DIR`: what an earlier session finished is taken over, but for what has changed."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sessions import Session

MATRIX = """\
round: v2.0
category: smoke
axes: {sku: CPU, harness: scripted, scenario: Offline}
include:
  - {benchmark: good, mode: [AccuracyOnly, PerformanceOnly]}
  - {benchmark: bad, mode: PerformanceOnly}
  - {benchmark: broken, mode: PerformanceOnly}
"""
GOOD = "good-CPU_SCRIPT-scripted_k_99_MaxP-Offline-PerformanceMode"


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where results are kept that several tests begin with."""
    return tmp_path_factory.mktemp("earlier")


@pytest.fixture
def first(any_session: Session, earlier: Path) -> Session:
    """Run a session to its end, in which two cases pass, one fails, and one is an error."""
    return _begun(any_session, earlier)


@pytest.fixture
def alone(session: Session, earlier: Path) -> Session:
    """Do the same without xdist."""
    return _begun(session, earlier)


def _begun(session: Session, earlier: Path) -> Session:
    session.write_matrix(MATRIX)
    results, kept = session.pytester.path / "first", earlier / "".join(session.neighbours)
    if kept.exists():
        shutil.copytree(kept, results)
    else:
        session.run("--mlperf-output=first")
        shutil.copytree(results, kept)
    return session


def resumed(session: Session, output: str = "out") -> dict[str, str | None]:
    """Return which session ran each case, None for this one."""
    return {r["case"]["id"]: r["resumed"] for r in session.records(output).values()}


def test_verdicts_are_taken_over_and_errors_run_again(first: Session) -> None:
    result = first.run("--mlperf-resume=first", "--mlperf-output=out", "--junitxml=j.xml")

    result.assert_outcomes(passed=2, failed=1, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert sorted(
        name.name.partition("-")[0] for name in (first.pytester.path / "out" / "cases").iterdir()
    ) == ["broken"]
    assert {case.partition("-")[0]: folder for case, folder in resumed(first).items()} == {
        "good": "first",
        "bad": "first",
        "broken": None,
    }
    result.stdout.fnmatch_lines(
        [
            "not conformant: 2 of 4 planned cases passed (shortened: *; taken over: from first, not run *)",
            "3 taken over from first",
        ]
    )
    record, earlier = first.records()[GOOD], first.records("first")[GOOD]
    assert (first.pytester.path / "out" / record["folder"]).resolve() == (
        first.pytester.path / "first" / earlier["folder"]
    )
    assert {**record, "folder": 0, "resumed": 0, "labels": 0} == {
        **earlier,
        "folder": 0,
        "resumed": 0,
        "labels": 0,
    }
    assert "taken over: from first" in (first.pytester.path / "j.xml").read_text(encoding="utf-8")


def test_session_that_was_resumed_can_be_resumed(first: Session) -> None:
    first.run("--mlperf-resume=first", "--mlperf-output=second", "-m", "good")
    result = first.run("--mlperf-resume=second", "--mlperf-output=out", "-m", "good")

    assert result.ret == pytest.ExitCode.OK
    assert set(resumed(first).values()) == {"second", None}
    assert not (first.pytester.path / "out" / "cases").exists()
    assert (first.pytester.path / "out" / first.records()[GOOD]["folder"] / "record.json").is_file()


def _setting(folder: Path, matrix: Path) -> None:
    del folder
    matrix.write_text(matrix.read_text(encoding="utf-8") + "defaults: {target_qps: 7}\n", encoding="utf-8")


def _header(**changes: object) -> Callable[[Path, Path], None]:
    def change(folder: Path, matrix: Path) -> None:
        del matrix
        path = folder / "records.jsonl"
        first, *others = path.read_text(encoding="utf-8").splitlines(keepends=True)
        content = json.loads(first)
        content["header"] = {**content["header"], **changes}
        path.write_text("".join([json.dumps(content) + "\n", *others]), encoding="utf-8")

    return change


def _no_logs(folder: Path, matrix: Path) -> None:
    del matrix
    shutil.rmtree(folder / "cases" / GOOD)


@pytest.mark.parametrize(
    ("change", "why", "count"),
    [
        pytest.param(_setting, "target_qps was None, is 7.0", 3, id="settings"),
        pytest.param(
            _header(pytest_mlperf="0.0.9"), "version of pytest-mlperf was 0.0.9, is *", 3, id="version"
        ),
        pytest.param(_header(inventory={}), "host: cores was None, is *", 3, id="machine"),
        pytest.param(_no_logs, "its logs are gone", 1, id="logs"),
    ],
)
def test_what_has_changed_runs_again_and_says_so(
    alone: Session, change: Callable[[Path, Path], None], why: str, count: int
) -> None:
    folder = alone.pytester.path / "first"
    change(folder, alone.pytester.path / "matrices" / "matrix.yaml")

    result = alone.run("--mlperf-resume=first", "--mlperf-output=out")

    result.assert_outcomes(passed=2, failed=1, errors=1)
    assert list(resumed(alone).values()).count("first") == 3 - count
    assert alone.records()[GOOD]["resumed"] is None
    result.stdout.fnmatch_lines([f"{3 - count} taken over from first", f"  {count} not taken over: {why}"])


@pytest.mark.parametrize(
    ("attempts", "taken", "why"),
    [
        pytest.param("2", {"good"}, "  1 not taken over: attempts: 1 of at most 2 must pass now", id="1/2"),
        pytest.param("2/2", {"bad"}, "  2 not taken over: attempts: 2 of at most 2 must pass now", id="2/2"),
    ],
)
def test_case_that_was_not_run_often_enough_runs_again(
    alone: Session, attempts: str, taken: set[str], why: str
) -> None:
    result = alone.run("--mlperf-resume=first", "--mlperf-output=out", "--mlperf-attempts", attempts)

    result.assert_outcomes(passed=2, failed=1, errors=1)
    assert {case.partition("-")[0] for case, folder in resumed(alone).items() if folder} == taken
    result.stdout.fnmatch_lines([why])


def test_case_that_moved_in_its_matrix_is_taken_over(alone: Session) -> None:
    matrix = alone.pytester.path / "matrices" / "matrix.yaml"
    matrix.write_text("# A line more.\n" + matrix.read_text(encoding="utf-8"), encoding="utf-8")

    alone.run("--mlperf-resume=first", "--mlperf-output=out")

    assert alone.records()[GOOD]["resumed"] == "first"
    assert alone.records()[GOOD]["case"]["place"]["line"] == 6


def test_session_that_was_killed_is_gone_on_with(alone: Session) -> None:
    records = alone.pytester.path / "first" / "records.jsonl"
    whole = records.read_bytes()
    ends = [index for index, byte in enumerate(whole) if byte == ord("\n")]
    for cut in (ends[0] + 1, ends[1] + 40, len(whole) - 3):
        records.write_bytes(whole[:cut])

        alone.run("--mlperf-resume=first", f"--mlperf-output=out{cut}", "-m", "good or bad")

        # Cases leave their records in their folders too.
        assert list(resumed(alone, f"out{cut}").values()).count("first") == 3


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(shutil.rmtree, "No such file or directory", id="no folder"),
        pytest.param(
            lambda folder: (folder / "records.jsonl").write_text("[]\n{}\n"),
            "found no header, allowed: the folder of a session that has begun",
            id="no session",
        ),
        pytest.param(
            lambda folder: (folder / "records.jsonl").write_text(""), "found no header", id="an empty file"
        ),
        pytest.param(
            lambda folder: (folder / "cases" / GOOD / "record.json").write_text("{"),
            f"{GOOD}/record.json: --mlperf-resume: Expecting property name",
            id="a record cut short",
        ),
        pytest.param(
            lambda folder: (folder / "cases" / GOOD / "record.json").write_text('{"ending": "pass"}'),
            f"{GOOD}/record.json: --mlperf-resume: ",
            id="no record",
        ),
    ],
)
def test_folder_that_cannot_be_read_stops_the_session(
    alone: Session, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(alone.pytester.path / "first")

    result = alone.run("--mlperf-resume=first", "--mlperf-output=out")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said in result.stdout.str() + result.stderr.str()
    assert not (alone.pytester.path / "out" / "cases").exists()


def test_replay_cannot_be_resumed(alone: Session) -> None:
    result = alone.run("--mlperf-resume=first", "--mlperf-replay=first", "--mlperf-output=out")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--mlperf-resume: found --mlperf-replay too, allowed: one of them" in (
        result.stdout.str() + result.stderr.str()
    )
