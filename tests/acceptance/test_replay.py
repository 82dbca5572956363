"""Logs that exist are judged as if their cases had just run, and say that nothing was run."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sessions import PROGRAMS

from tests import pages
from tests.submissions import SUMMARY, accuracy_facts, log_text, run_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sessions import Session

ROOT = Path(__file__).parents[2]
REAL = "smoke and (resnet8-digits or dlrm-clicks) and Offline"
KEPT = ("ending", "reason", "error", "findings", "measurements", "verdict", "case")


def _suites(output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    plugins = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    argv = [sys.executable, "-m", "pytest", "suites", *plugins, "--mlperf-output", str(output)]
    return subprocess.run([*argv, *options], cwd=ROOT, capture_output=True, text=True, check=False)


def _judged(output: Path) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in (output / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    records = [line["record"] for line in lines if "record" in line]
    return {r["case"]["id"]: {key: r[key] for key in KEPT} for r in records if r["folder"]}


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run LoadGen once for the tests below."""
    output = tmp_path_factory.mktemp("real") / "out"
    done = _suites(output, "-m", REAL, "-n2")
    assert done.returncode == 0, done.stdout
    return output


@pytest.mark.parametrize("options", [("-p", "no:xdist"), ("-n0",), ("-n2",)], ids=" ".join)
def test_real_logs_are_judged_again_as_they_were(
    real: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    done = _suites(tmp_path / "again", "-m", REAL, "--mlperf-replay", str(real), *options)

    assert done.returncode == 0, done.stdout
    words = f"shortened: not submission-valid; replayed: logs of {real}, nothing was run"
    assert f"conformant: 4 of 4 planned cases passed ({words})" in done.stdout
    assert len(_judged(real)) == 4
    assert _judged(tmp_path / "again") == _judged(real)


def test_the_logs_that_were_judged_are_in_the_new_output(real: Path, tmp_path: Path) -> None:
    earlier = shutil.copytree(real, tmp_path / "earlier")
    _suites(tmp_path / "again", "-m", REAL, "--mlperf-replay", str(earlier))
    shutil.rmtree(earlier)

    done = _suites(tmp_path / "third", "-m", REAL, "--mlperf-replay", str(tmp_path / "again"))

    assert done.returncode == 0, done.stdout
    assert _judged(tmp_path / "third") == _judged(real)


PERFORMANCE = "good-CPU_SCRIPT-scripted_k_99_MaxP-Offline-PerformanceMode"
LABELS = ["shortened: not submission-valid", "replayed: logs of first, nothing was run"]


def _left(session: Session, *scripts: str) -> Path:
    """Leave logs as an earlier session leaves them, in `first`; return the folder of its cases."""
    cases = session.pytester.path / "first" / "cases"
    for script, mode in itertools.product(scripts, ("PerformanceOnly", "AccuracyOnly")):
        word = mode.replace("Only", "Mode")
        logs = cases / f"{script}-CPU_SCRIPT-scripted_k_99_MaxP-Offline-{word}" / "logs"
        logs.mkdir(parents=True)
        program = (sys.executable, PROGRAMS / "scripted_run.py", script, "Offline", mode, logs)
        subprocess.run(program, check=True)
    return cases


def test_every_ending_of_a_replay(any_session: Session) -> None:
    _left(any_session, "good", "bad")

    result = any_session.run("--mlperf-replay", "first", "--mlperf-output", "out")

    result.assert_outcomes(passed=2, failed=2, skipped=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert any_session.endings() == {
        "good CPU MaxP AccuracyOnly": "pass",
        "good CPU MaxP PerformanceOnly": "pass",
        "bad CPU MaxP AccuracyOnly": "fail",
        "bad CPU MaxP PerformanceOnly": "fail",
        "broken CPU MaxP PerformanceOnly": "unplaced",
        "good A2x2 MaxP PerformanceOnly": "unplaced",
        "good CPU MaxQ PerformanceOnly": "dropped",
    }
    result.stdout.fnmatch_lines(
        [
            "not conformant: 2 of 6 planned cases passed (shortened: *; replayed: logs of first, *)",
            "  2 unplaced: needs logs of the case in first, found none",
        ]
    )


def test_a_record_says_that_nothing_was_run(session: Session) -> None:
    session.run("-k", PERFORMANCE, "--mlperf-output", "first")

    session.run("--mlperf-replay", "first", "-k", PERFORMANCE, "--mlperf-output", "out")

    first, record = (session.records(name)[PERFORMANCE] for name in ("first", "out"))
    assert record["labels"] == LABELS
    assert record["verdict"] == "VALID"
    assert record["devices"] == []
    assert (record["neighbours"], record["waited_s"]) == (None, None)
    assert record["started_at"] >= first["started_at"]
    header = session.lines()[0]["header"]["inventory"]
    assert header["devices"] == []
    assert header["blind"] == ["logs are replayed: no device was looked for"]


def test_the_label_stands_beside_every_result(session: Session) -> None:
    _left(session, "good")

    options = ("--junitxml=j.xml", "--html=r.html", "--self-contained-html")
    session.run("--mlperf-replay", "first", "-m", "good and CPU", "--mlperf-output", "out", *options)

    folder = session.pytester.path
    with (folder / "out" / "metrics.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert rows
    assert all(f"({'; '.join(LABELS)})" in row["Conformance"] for row in rows)
    said = [p.get("value") for p in ET.parse(folder / "j.xml").iter("property")]  # noqa: S314  our own file
    assert said.count(f"smoke ({'; '.join(LABELS)})") == 2
    verdicts = {row["verdict"] for row in pages.read(folder / "r.html").rows.values()}
    assert "VALID; shortened; replayed" in verdicts


def test_logs_that_changed_since_are_judged_as_they_are(session: Session) -> None:
    logs = _left(session, "good") / PERFORMANCE / "logs"
    for name in ("mlperf_log_detail.txt", "mlperf_log_summary.txt"):
        text = (logs / name).read_text(encoding="utf-8")
        (logs / name).write_text(text.replace("VALID", "INVALID"), encoding="utf-8")

    result = session.run("--mlperf-replay", "first", "-m", "good and CPU", "--mlperf-output", "out")

    result.assert_outcomes(passed=1, failed=1)
    assert session.records()[PERFORMANCE]["verdict"] == "INVALID"


@pytest.mark.parametrize("damage", ["detail-cut-before-verdict", "detail-missing", "summary-of-another-run"])
def test_damaged_logs_are_an_error(session: Session, damage: str) -> None:
    logs = _left(session, "good") / PERFORMANCE / "logs"
    subprocess.run([sys.executable, PROGRAMS / "spoil.py", damage, logs], check=True)

    session.run("--mlperf-replay", "first", "-k", PERFORMANCE, "--mlperf-output", "out")

    assert session.records()[PERFORMANCE]["error"] == "EvidenceError"


def test_strict_turns_missing_logs_into_failure(session: Session) -> None:
    session.pytester.mkdir("empty")

    options = ("-k", PERFORMANCE, "--mlperf-output", "out")
    result = session.run("--mlperf-replay", "empty", "--mlperf-strict", *options)

    result.assert_outcomes(failed=1)
    assert session.records()[PERFORMANCE]["reason"] == (
        "promised logs is broken: expected logs of the case in empty, observed none [matrices/matrix.yaml:5]"
    )


def test_nothing_replayed_is_exit_code_5(session: Session) -> None:
    session.pytester.mkdir("empty")

    result = session.run("--mlperf-replay", "empty", "--mlperf-output", "out")

    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["incomplete: 0 of 6 planned cases passed*", "no case was executed"])


def _is_refused(session: Session, why: str) -> None:
    result = session.run("--mlperf-replay", "logs", "--mlperf-output", "out")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: *logs: --mlperf-replay: cannot be read: {why}, allowed: a folder *"]
    )
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert not (session.pytester.path / "out").exists()


def test_a_folder_that_is_missing_is_refused_at_once(any_session: Session) -> None:
    _is_refused(any_session, "No such file or directory")


def test_a_file_is_no_folder_of_logs(session: Session) -> None:
    (session.pytester.path / "logs").touch()
    _is_refused(session, "Not a directory")


def test_a_harness_that_died_behind_good_logs_stays_an_error(session: Session) -> None:
    session.run("-k", PERFORMANCE, "--mlperf-output", "first")
    path = session.pytester.path / "first" / "cases" / PERFORMANCE / "record.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record |= {"ending": "error", "error": "RunError", "reason": "step 'run' was ended by SIGSEGV"}
    path.write_text(json.dumps(record), encoding="utf-8")

    session.run("--mlperf-replay", "first", "-k", PERFORMANCE, "--mlperf-output", "out")

    again = session.records()[PERFORMANCE]
    assert (again["ending"], again["error"]) == ("error", "RunError")
    assert again["reason"].endswith(
        "the run that left these logs went wrong: step 'run' was ended by SIGSEGV"
    )


# What a DGX A100 leaves: benchmark as its folders and as a checker call it, scenario, and the score.
SYSTEM = "DGX-A100_A100-SXM-80GBx8_TRT"
RUNS = (
    ("bert-99", "bert-99", "Offline", '{"exact_match": 83.09, "f1": 90.376}'),
    ("resnet50", "resnet", "Server", "accuracy=76.040%, good=38020, total=50000"),
    ("3d-unet-99.9", "3d-unet-99.9", "Offline", "Accuracy: mean = 0.86339, kidney = 0.9349, tumor = 0.7919"),
)
SAMPLES = '[\n{ "seq_id" : 0, "qsl_idx" : 0, "data" : "00" }\n]\n'


def _nvidia(log_dir: Path, mode: str) -> Path:
    """Write the log folder of NVIDIA's harness after a run of some configurations in one mode."""
    for folder, benchmark, scenario, score in RUNS:
        logs = {"mlperf_log_accuracy.json": ""}
        if mode == "PerformanceOnly":
            logs["mlperf_log_detail.txt"] = log_text(run_facts("v2.0", benchmark, scenario))
            logs["mlperf_log_summary.txt"] = SUMMARY
        else:
            logs["mlperf_log_detail.txt"] = log_text(accuracy_facts("v2.0", benchmark, scenario))
            logs["mlperf_log_summary.txt"] = SUMMARY.partition("\n")[2]
            logs["mlperf_log_accuracy.json"] = SAMPLES
            logs["accuracy.txt"] = f"{score}\n"
        _write(log_dir / SYSTEM / folder / scenario, logs)
    return log_dir


def _write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


DATACENTER = ("--mlperf-matrix", str(ROOT / "matrices" / "datacenter.yaml"), "--mlperf-output", "out")
CASES = [
    f"bert-{SYSTEM}-custom_k_99_MaxP-Offline",
    f"resnet50-{SYSTEM}-lwis_k_99_MaxP-Server",
    f"3d-unet-{SYSTEM}-custom_k_99_9_MaxP-Offline",
]


def test_logs_of_nvidia_are_judged_without_its_hardware(any_session: Session) -> None:
    logs = any_session.pytester.path / "logs"
    _nvidia(logs / "2026.11.22-09.00.00", "PerformanceOnly")
    _nvidia(logs / "2026.11.22-11.00.00", "AccuracyOnly")

    result = any_session.run("--mlperf-replay", "logs", *DATACENTER)

    planned = [r for r in any_session.records().values() if r["ending"] != "dropped"]
    result.assert_outcomes(passed=6, skipped=len(planned) - 6)
    assert result.ret == pytest.ExitCode.OK
    verdicts = {r["case"]["id"]: r["verdict"] for r in any_session.records().values() if r["folder"]}
    assert verdicts == {
        **{f"{case}-PerformanceMode": "VALID" for case in CASES},
        **{f"{case}-AccuracyMode": "PASS" for case in CASES},
    }
    assert {tuple(r["labels"]) for r in planned} == {("replayed: logs of logs, nothing was run",)}
    result.stdout.fnmatch_lines(["incomplete: 6 of * planned cases passed (replayed: logs of logs, *"])


def test_logs_of_one_mode_are_none_of_the_other(session: Session) -> None:
    _nvidia(session.pytester.path / "logs", "AccuracyOnly")

    session.run("--mlperf-replay", "logs", "-k", CASES[0], *DATACENTER)

    records = session.records()
    assert records[f"{CASES[0]}-AccuracyMode"]["ending"] == "pass"
    missed = records[f"{CASES[0]}-PerformanceMode"]
    assert missed["ending"] == "unplaced"
    assert missed["reason"] == "needs logs of the case in logs, found those of AccuracyOnly"


def test_logs_of_another_scenario_are_a_failure(session: Session) -> None:
    logs = _nvidia(session.pytester.path / "logs", "PerformanceOnly") / SYSTEM / "resnet50"
    (logs / "Server").rename(logs / "Offline")

    result = session.run(
        "--mlperf-replay", "logs", "-k", "resnet50 and lwis and PerformanceMode", *DATACENTER
    )

    result.stdout.fnmatch_lines(["  effective_scenario", "    expected: Offline", "    observed: Server"])


def test_two_runs_of_one_case_are_an_error_that_names_both(session: Session) -> None:
    for name in ("monday", "tuesday"):
        _nvidia(session.pytester.path / "logs" / name, "PerformanceOnly")

    session.run("--mlperf-replay", "logs", "-k", CASES[0], *DATACENTER)

    record = session.records()[f"{CASES[0]}-PerformanceMode"]
    assert record["ending"] == "error"
    for name in ("monday", "tuesday"):
        assert f"logs/{name}/{SYSTEM}/bert-99/Offline" in record["reason"]


def test_a_quality_below_the_target_fails(session: Session) -> None:
    logs = _nvidia(session.pytester.path / "logs", "AccuracyOnly") / SYSTEM / "bert-99" / "Offline"
    (logs / "accuracy.txt").write_text('{"exact_match": 80.1, "f1": 89.9}\n', encoding="utf-8")

    result = session.run("--mlperf-replay", "logs", "-k", CASES[0], *DATACENTER)

    assert session.records()[f"{CASES[0]}-AccuracyMode"]["verdict"] == "FAIL"
    result.stdout.fnmatch_lines(["    observed: 89.9 %"])


def test_the_plan_of_a_replay_says_what_has_logs(session: Session) -> None:
    _nvidia(session.pytester.path / "logs", "PerformanceOnly")

    session.run("--mlperf-replay", "logs", "--mlperf-plan", "plan.json", *DATACENTER)

    plan = json.loads((session.pytester.path / "plan.json").read_text(encoding="utf-8"))
    would = {case["id"] for case in plan["cases"] if case["would"] == "run"}
    assert would == {f"{case}-PerformanceMode" for case in CASES}


def test_the_doctor_is_not_asked_about_logs(session: Session) -> None:
    result = session.run("--mlperf-replay", ".", "--mlperf-doctor")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
