"""Harnesses that a matrix describes: a real program, started by a command, judged by its real logs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from sessions import PROGRAMS

if TYPE_CHECKING:
    from sessions import Session

MATRIX = f"""\
round: v2.0
category: smoke
defaults: {{min_duration_s: 0.5}}
harnesses:
  trivial:
    argv:
      - {sys.executable}
      - {PROGRAMS / "commanded.py"}
      - --scenario
      - "{{scenario}}"
      - --output
      - "{{folder}}/logs"
      - --min-duration-s
      - "{{min_duration_s}}"
      - [--qps, "{{target_qps}}"]
      - [--seeds, "{{qsl_rng_seed}}", "{{sample_index_rng_seed}}", "{{schedule_rng_seed}}"]
      - ["{{accuracy_flag}}", --quality, "{{quality}}"]
    words:
      accuracy_flag: {{mode: {{AccuracyOnly: --accuracy}}}}
      quality: {{scenario: {{SingleStream: 76.4, Offline: 75.6}}}}
@
axes:
  sku: CPU
  benchmark: resnet50
  harness: trivial
  scenario: SingleStream
  mode: [AccuracyOnly, PerformanceOnly]
"""


def matrix(harness: str = "") -> str:
    """Return the matrix, with more lines about its harness."""
    return MATRIX.replace("@\n", harness and f"{harness.rstrip()}\n")


def verdicts(session: Session) -> dict[str, str | None]:
    return {f"{r['case']['scenario']} {r['case']['mode']}": r["verdict"] for r in session.records().values()}


def reason(session: Session, harness: str) -> str:
    """Return why the accuracy case could not be judged."""
    session.write_matrix(matrix(harness))
    session.run("--mlperf-output", "out", "-m", "accuracy")
    (record,) = (r for r in session.records().values() if r["ending"] != "dropped")
    assert (record["ending"], record["error"]) == ("error", "EvidenceError")
    return str(record["reason"])


def test_both_modes_are_judged_by_real_logs(any_session: Session) -> None:
    any_session.write_matrix(matrix().replace("scenario: SingleStream", "scenario: [SingleStream, Offline]"))
    done = any_session.run("--mlperf-output", "out")
    done.assert_outcomes(passed=2, failed=2)
    assert verdicts(any_session) == {
        "SingleStream AccuracyOnly": "PASS",
        "SingleStream PerformanceOnly": "VALID",
        # Of a lower quality; and its only query is over too soon.
        "Offline AccuracyOnly": "FAIL",
        "Offline PerformanceOnly": "INVALID",
    }


def test_a_case_sees_no_devices_but_its_own(session: Session) -> None:
    session.write_matrix(matrix())
    session.run("--mlperf-output", "out")
    for record in session.records().values():
        logs = session.pytester.path / "out" / record["folder"] / "logs"
        assert (logs / "devices.txt").read_text(encoding="utf-8") == "-1"


def test_another_program_scores_and_its_output_is_read_by_a_pattern(session: Session) -> None:
    harness = f"""\
    score: [{sys.executable}, -c, "print('top-1 of {{benchmark}} = 76.40')"]
    accuracy_file: "{{folder}}/stdout.txt"
    accuracy_pattern: '^top-1 of resnet50 = (\\d+\\.\\d+)$'
"""
    session.write_matrix(
        matrix(harness).replace(', --quality, "{quality}"', "").replace("      quality:", "      q:")
    )
    session.run("--mlperf-output", "out").assert_outcomes(passed=2)
    (values,) = (r["measurements"] for r in session.records().values() if r["case"]["mode"] == "AccuracyOnly")
    assert values[0]["value"] == 76.4


def test_a_shell_runs_a_line_only_when_asked(session: Session) -> None:
    line = f'"X={{mode}}; test $X = PerformanceOnly || cd / && exec {sys.executable} {PROGRAMS}/commanded.py'
    line += " --scenario {scenario} --output {log_dir} --min-duration-s {min_duration_s}"
    line += ' --seeds {qsl_rng_seed} {sample_index_rng_seed} {schedule_rng_seed}"'
    text = matrix()
    start, end = text.index("    argv:"), text.index("axes:")
    session.write_matrix(f"{text[:start]}    shell: true\n    argv: {line}\n{text[end:]}")
    session.run("--mlperf-output", "out with blanks", "-m", "performance").assert_outcomes(passed=1)


def test_logs_in_a_folder_of_unknown_name_are_found(session: Session) -> None:
    text = matrix('    log_dir: "{folder}/results/*/run_1"').replace(
        "{folder}/logs", "{folder}/results/x86/run_1"
    )
    session.write_matrix(text)
    session.run("--mlperf-output", "out").assert_outcomes(passed=2)
    # What was judged is with the case, where a replay finds it.
    session.run("--mlperf-output", "again", "--mlperf-replay", "out").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("harness", "said"),
    [
        pytest.param(
            '    log_dir: "{folder}/elsewhere"',
            "elsewhere/mlperf_log_detail.txt: the file is missing in the case's folder: "
            "matrices/matrix.yaml:5 says that LoadGen's logs will be there",
            id="logs",
        ),
        pytest.param(
            '    log_dir: "{folder}/*/run_1"',
            "*/run_1/mlperf_log_detail.txt: the file is missing in the case's folder: matrices/matrix.yaml:5 "
            "says that LoadGen's logs will be there",
            id="logs by pattern",
        ),
        pytest.param(
            '    accuracy_file: "{log_dir}/scores/{mode}.txt"',
            "logs/scores/AccuracyOnly.txt: the file is missing in the case's folder: matrices/matrix.yaml:5 "
            "says that the accuracy will be there",
            id="accuracy",
        ),
        pytest.param(
            "    accuracy_pattern: '^top-1=(.*)$'",
            "logs/accuracy.txt: no line with accuracy (accuracy_pattern '^top-1=(.*)$')",
            id="pattern",
        ),
        pytest.param(
            '    accuracy_file: "{folder}/stdout.txt"',
            "logs/accuracy.txt: is there too, "
            "but matrices/matrix.yaml:5 says that the accuracy is in stdout.txt",
            id="two accuracies",
        ),
    ],
)
def test_what_is_not_where_the_matrix_says_is_named(harness: str, said: str, session: Session) -> None:
    assert said in reason(session, harness)


def test_the_doctor_and_an_export_know_the_harness(session: Session) -> None:
    session.write_matrix(matrix())
    done = session.run("--mlperf-doctor")
    assert done.ret == 0
    done.stdout.fnmatch_lines(["*2 cases*"])
    options = ("--mlperf-export", "tree", "--mlperf-submitter", "Us")
    done = session.run("--mlperf-output", "out", "-m", "accuracy", *options)
    done.assert_outcomes(passed=1)


def test_a_program_that_is_not_there_is_named(session: Session) -> None:
    session.write_matrix(matrix().replace(f"- {sys.executable}", "- no-such-program"))
    session.run("--mlperf-output", "out").assert_outcomes(errors=2)
    reasons = {r["reason"] for r in session.records().values()}
    assert reasons == {"step 'run': cannot start no-such-program: No such file or directory"}


def test_a_wrong_command_stops_before_anything_runs(any_session: Session) -> None:
    any_session.write_matrix(matrix().replace("{scenario}", "{scenaro}"))
    done = any_session.run("--mlperf-output", "out")
    assert done.ret == 4
    done.stderr.fnmatch_lines(
        ["*matrices/matrix.yaml:10: harnesses.trivial.argv[[]3]: unknown field '{scenaro}', allowed: *"]
    )
    assert not (any_session.pytester.path / "out" / "cases").exists()
