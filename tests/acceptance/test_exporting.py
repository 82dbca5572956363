"""The export of a submission tree, from the options to the tree."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sessions import PROGRAMS

from pytest_mlperf.submission import audit
from tests.submissions import SUMMARY, accuracy_facts, log_text, run_facts, score_text

if TYPE_CHECKING:
    from sessions import Session

ROOT = Path(__file__).parents[2]

CONFTEST = f"""
import sys
sys.path.insert(0, {str(PROGRAMS)!r})

import copying_harness

def pytest_mlperf_harnesses(config):
    return {{"copying": copying_harness.Copying()}}
"""

MATRIX = """\
round: v2.0
category: datacenter
axes: {sku: CPU, harness: copying, benchmark: bert}
include:
  - {scenario: Offline, mode: [AccuracyOnly, PerformanceOnly]}
  - {scenario: Server, mode: AccuracyOnly}
"""

EXPORT = ("--mlperf-output", "out", "--mlperf-export", "tree", "--mlperf-submitter", "Acme")
SYSTEM = "CPU_COPY"
OFFLINE = f"results/{SYSTEM}/bert-99/Offline"

SAMPLE = '{ "seq_id" : 0, "qsl_idx" : 0, "data" : "00" }'
SATISFIED = "Min duration satisfied : Yes\n  Min queries satisfied : Yes\n  Early stopping satisfied: Yes\n"


def write_logs(folder: Path) -> str:
    """Write the logs that the harness copies, of Offline, and return the hash of the accuracy log."""
    accuracy, performance = folder / "logs/AccuracyOnly", folder / "logs/PerformanceOnly"
    samples = "[\n" + ",\n".join([SAMPLE] * 1000) + "\n]\n"
    sha256 = hashlib.sha256(samples.encode()).hexdigest()
    scores = score_text("v2.0", "bert-99", "Offline").replace("0a" * 32, sha256)
    footer = SUMMARY.partition("\n\n")[2]
    for path, text in {
        accuracy / "mlperf_log_accuracy.json": samples,
        accuracy / "accuracy.txt": scores,
        accuracy / "mlperf_log_detail.txt": log_text(accuracy_facts("v2.0", "bert-99", "Offline")),
        accuracy / "mlperf_log_summary.txt": footer,
        performance / "mlperf_log_detail.txt": log_text(run_facts("v2.0", "bert-99", "Offline")),
        performance / "mlperf_log_summary.txt": SUMMARY.replace("\n\n", f"\n  {SATISFIED}\n", 1),
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return sha256


@pytest.fixture
def exporting(any_session: Session) -> Session:
    """A project whose Offline cases can be submitted, and whose Server case fails."""
    any_session.pytester.makeconftest(CONFTEST)
    any_session.write_matrix(MATRIX)
    write_logs(any_session.pytester.path)
    return any_session


def test_what_passed_becomes_a_tree_and_the_rest_is_listed(exporting: Session) -> None:
    result = exporting.run(*EXPORT)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    tree = exporting.pytester.path / "tree"
    root = tree / "closed/Acme"
    text = result.stdout.str()
    before, _, after = text.partition("test session starts")[2].partition("MLPerf conformance")
    for shown in (before, after):
        assert f"run it by hand)\n  closed/Acme/compliance/{SYSTEM}/bert-99/Server/TEST01\n" in shown, shown
        assert 'missing: "cooling", "framework", ' in shown
        assert f"  closed/Acme/results/{SYSTEM}/bert-99/Server/performance/run_1" in shown
    assert "submission: " in after
    assert "exported: 2 runs, v2.0, closed: NOT complete, " in after
    listed = (exporting.pytester.path / "out/export-missing.txt").read_text(encoding="utf-8").splitlines()
    assert f"NOT complete, {len(listed)} things are missing" in after
    assert any(line.startswith(f"closed/Acme/results/{SYSTEM}/bert-99/Server/accuracy: ") for line in listed)

    assert not (root / f"results/{SYSTEM}/bert-99/Server").exists()
    sha256 = hashlib.sha256(
        (exporting.pytester.path / "logs/AccuracyOnly/mlperf_log_accuracy.json").read_bytes()
    ).hexdigest()
    assert f"hash={sha256}" in (root / OFFLINE / "accuracy/accuracy.txt").read_text(encoding="utf-8")
    assert (root / OFFLINE / "accuracy/mlperf_log_accuracy.json").stat().st_size == 2 * 4096 + 7
    modes = {result.mode: result.outcome for result in audit(tree, round="v2.0")}
    assert modes["performance"] == modes["accuracy"] == "valid"


def test_a_second_export_does_not_write_over_the_first(exporting: Session) -> None:
    exporting.run(*EXPORT)
    tree = exporting.pytester.path / "tree"
    before = {path: path.stat().st_mtime_ns for path in tree.rglob("*")}

    result = exporting.run(*EXPORT[2:], "--mlperf-output", "out2")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *tree: --mlperf-export: found closed in it, allowed: a new or empty folder *"]
    )
    assert {path: path.stat().st_mtime_ns for path in tree.rglob("*")} == before
    assert not (exporting.pytester.path / "out2").exists()


def test_an_export_of_a_session_without_cases_is_not_green(any_session: Session) -> None:
    any_session.pytester.makepyfile(test_suite="def test_nothing(): pass")

    result = any_session.run(*EXPORT)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["nothing was exported: no run of this session can be submitted"])
    assert not (any_session.pytester.path / "tree").exists()


def test_a_tree_that_cannot_be_written_is_said(exporting: Session) -> None:
    exporting.pytester.makeconftest(
        f"{CONFTEST}\ndef pytest_mlperf_record(config, record):\n"
        "    (config.rootpath / 'tree').mkdir(exist_ok=True)\n"
        "    (config.rootpath / 'tree/other').touch()\n"
    )
    result = exporting.run(*EXPORT)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["not exported: *tree: found other in it, allowed: a new or empty folder"])
    assert [path.name for path in (exporting.pytester.path / "tree").iterdir()] == ["other"]


WRONG = {
    "no submitter": (["--mlperf-export", "tree"], "--mlperf-export: whose submission? *"),
    "a path": (
        ["--mlperf-export", "tree", "--mlperf-submitter", "a/b"],
        "--mlperf-submitter: found 'a/b', *",
    ),
    "dots": (["--mlperf-export", "tree", "--mlperf-submitter", ".."], "--mlperf-submitter: found '..', *"),
    "a space": (
        ["--mlperf-export", "tree", "--mlperf-submitter", "A B"],
        "--mlperf-submitter: found 'A B', *",
    ),
    "no name": (["--mlperf-export", "tree", "--mlperf-submitter", ""], "--mlperf-submitter: found '', *"),
    "no export": (["--mlperf-submitter", "Acme"], "--mlperf-submitter, --mlperf-division: allowed with *"),
    "a division alone": (["--mlperf-division", "open"], "--mlperf-submitter, --mlperf-division: allowed *"),
    "a plan": ([*EXPORT, "--mlperf-plan", "plan.json"], "--mlperf-export: found --mlperf-plan, *"),
    "the output": ([*EXPORT, "--mlperf-output", "tree"], "*tree: --mlperf-export: found the folder of *"),
    "in the output": (
        [*EXPORT, "--mlperf-export", "out/t"],
        "*out/t: --mlperf-export: found the folder of *",
    ),
    "a file": ([*EXPORT, "--mlperf-export", "test_suite.py"], "*: --mlperf-export: cannot be written: *"),
    "in a file": (
        [*EXPORT, "--mlperf-export", "test_suite.py/t"],
        "*: --mlperf-export: cannot be written: *",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_option_is_refused_before_anything_runs(session: Session, what: str) -> None:
    options, message = WRONG[what]

    result = session.run(*options)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert not (session.pytester.path / "out").exists()


@pytest.mark.parametrize("neighbours", [["-p", "no:xdist"], ["-n2"]], ids=["alone", "n2"])
def test_runs_of_miniatures_are_never_a_submission(neighbours: list[str], tmp_path: Path) -> None:
    selection = ["-m", "smoke and dlrm-clicks and accuracy"]
    tree = tmp_path / "tree"
    options = ["--mlperf-output", str(tmp_path / "out"), "--mlperf-export", str(tree)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "suites", "-p", "no:cacheprovider"),
            *(*neighbours, *selection, *options, "--mlperf-submitter", "Acme"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1, done.stdout
    assert "conformant: 2 of 2 planned cases passed" in done.stdout
    assert done.stdout.count("and 1 more: shortened: not submission-valid") == 2
    assert "nothing that is selected can be exported" in done.stdout
    assert "nothing was exported: no run of this session can be submitted" in done.stdout
    assert not tree.exists()
