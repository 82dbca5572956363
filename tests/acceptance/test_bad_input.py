"""What is wrong is said with its place, before anything runs, and nothing that was written is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sessions import Session

GOOD = """\
round: v2.0
category: smoke
axes: {sku: CPU, harness: scripted, scenario: Offline, mode: AccuracyOnly}
"""

BAD = {
    "not YAML": ("round: [", "matrices/matrix.yaml:2: not YAML: *"),
    "empty": ("", "matrices/matrix.yaml: found nothing, allowed: a mapping *"),
    "wrong type": (
        GOOD + "include: [{benchmark: good}]\ndefaults: {min_duration_s: soon}\n",
        "matrices/matrix.yaml:5: defaults.min_duration_s: found 'soon', allowed: *number*",
    ),
    "unknown SKU": (
        GOOD + "include: [{benchmark: good, sku: A30x9}]\n",
        "matrices/matrix.yaml:4: include[[]0].sku: found 'A30x9', allowed: *(did you mean 'A30x8'?)",
    ),
    "unknown benchmark": (
        GOOD + "include: [{benchmark: goood}]\n",
        "matrices/matrix.yaml:4: include[[]0].benchmark: found 'goood', allowed: *(did you mean 'good'?)",
    ),
    "unknown harness": (
        GOOD.replace("scripted", "scriped") + "include: [{benchmark: good}]\n",
        "matrices/matrix.yaml:3: axes.harness: found 'scriped', allowed: *(did you mean 'scripted'?)",
    ),
    "unknown key": (
        GOOD + "include: [{benchmrk: good}]\n",
        "matrices/matrix.yaml:4: include[[]0]: unknown key 'benchmrk', allowed: *(did you mean 'benchmark'?)",
    ),
    "duplicate case": (
        GOOD + "include:\n- {benchmark: good}\n- {benchmark: good}\n",
        "matrices/matrix.yaml:6: include[[]1]: case good-* is named twice: first at matrices/matrix.yaml:5",
    ),
    "no case": (
        GOOD + "include: [{benchmark: good}]\nexclude: [{benchmark: good}]\n",
        "matrices/matrix.yaml:1: matrix: the matrix expands to no case",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_matrix_that_is_wrong_is_refused_and_nothing_runs(session: Session, what: str) -> None:
    text, message = BAD[what]
    session.write_matrix(text)

    result = session.run("--mlperf-output", "out")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert not (session.pytester.path / "out").exists()


def test_matrix_that_is_wrong_is_refused_under_xdist_too(any_session: Session) -> None:
    any_session.write_matrix("round: v9\ncategory: smoke\n")

    result = any_session.run("--mlperf-output", "out")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: matrices/matrix.yaml:1: round: found 'v9', allowed: v2.0, v4.1, v5.1"]
    )
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert not (any_session.pytester.path / "out").exists()


def test_two_matrices_with_the_same_case_are_refused(any_session: Session) -> None:
    for name in ("one", "two"):
        any_session.write_matrix(GOOD + "include: [{benchmark: good}]\n", name)

    result = any_session.run("--mlperf-matrix", "matrices/one.yaml", "--mlperf-matrix", "matrices/two.yaml")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: matrices/two.yaml:4: case * is named twice: first at matrices/one.yaml:4"]
    )


@pytest.mark.parametrize("selection", [(), ("-m", "bert")], ids=["all", "by marker"])
def test_matrix_that_is_missing_is_named(any_session: Session, selection: tuple[str, ...]) -> None:
    result = any_session.run("--mlperf-matrix", "nowhere.yaml", *selection)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: nowhere.yaml: cannot read: No such file or directory *"])


def test_project_without_matrix_is_told_so(session: Session) -> None:
    (session.pytester.path / "matrices" / "matrix.yaml").unlink()

    result = session.run()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *: no matrix: found no file matrices/[*].yaml *"])


def test_output_folder_with_something_in_it_is_refused(any_session: Session) -> None:
    folder = any_session.pytester.path / "out"
    folder.mkdir()
    (folder / "records.jsonl").write_text("ten hours of results\n", encoding="utf-8")

    result = any_session.run("--mlperf-output", "out")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *out: --mlperf-output: found records.jsonl in it, allowed: a new or empty *"]
    )
    assert [path.name for path in folder.iterdir()] == ["records.jsonl"]
    assert (folder / "records.jsonl").read_text(encoding="utf-8") == "ten hours of results\n"


def test_output_folder_that_cannot_be_written_is_refused(any_session: Session) -> None:
    (any_session.pytester.path / "file").write_text("", encoding="utf-8")

    result = any_session.run("--mlperf-output", "file/out")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *file/out: --mlperf-output: cannot be written: Not a directory"])


def test_plan_that_cannot_be_written_is_refused(session: Session) -> None:
    result = session.run("--mlperf-plan", "nowhere/plan.json")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *plan.json: --mlperf-plan: cannot be written: No such file or directory"]
    )


def test_plan_of_nothing_is_refused(session: Session) -> None:
    session.pytester.makepyfile(test_suite="def test_nothing(): pass")

    result = session.run("--mlperf-plan", "plan.json")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --mlperf-plan: no test that was collected asks for a case *"])


def test_a_misspelt_marker_leaves_nothing(session: Session) -> None:
    result = session.run("--strict-markers", "-m", "smok", "--mlperf-output", "out")
    assert result.ret != 0
    assert "planned cases" not in result.stdout.str()
    assert not (session.pytester.path / "out").exists()


def test_a_round_without_an_audit_is_refused(session: Session) -> None:
    result = session.run("--mlperf-round", "v9")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*--mlperf-round: found no --mlperf-results beside it, allowed: with an audit*"]
    )


def test_a_selection_of_nothing_is_no_missing_audit(session: Session) -> None:
    session.pytester.makepyfile(
        test_suite="""
        def test_conformance(mlperf_record):
            pass

        def test_audit(mlperf_audited):
            pass
        """
    )
    result = session.run("-k", "nothing")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
