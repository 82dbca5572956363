"""Every case ends in one of five ways, leaves one record, and they add up, whoever runs beside us."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from tests import pages

if TYPE_CHECKING:
    from sessions import Session

ALL = {
    "good CPU MaxP AccuracyOnly": "pass",
    "good CPU MaxP PerformanceOnly": "pass",
    "bad CPU MaxP AccuracyOnly": "fail",
    "bad CPU MaxP PerformanceOnly": "fail",
    "broken CPU MaxP PerformanceOnly": "error",
    "good A2x2 MaxP PerformanceOnly": "unplaced",
    "good CPU MaxQ PerformanceOnly": "dropped",
}


@pytest.fixture(scope="module")
def _whole() -> dict[tuple[str, ...], tuple[Session, pytest.RunResult]]:
    return {}


@pytest.fixture
def whole(
    any_session: Session, _whole: dict[tuple[str, ...], tuple[Session, pytest.RunResult]]
) -> tuple[Session, pytest.RunResult]:
    """Return a session over the whole matrix: run once, and looked at by several tests."""
    key = any_session.neighbours
    if key not in _whole:
        _whole[key] = (any_session, any_session.run("--mlperf-output", "out"))
    return _whole[key]


def test_endings_when_everything_runs(whole: tuple[Session, pytest.RunResult]) -> None:
    session, result = whole

    result.assert_outcomes(passed=2, failed=2, errors=1, skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert session.endings() == ALL
    result.stdout.fnmatch_lines(
        [
            "not conformant: 2 of 6 planned cases passed (shortened: not submission-valid)",
            "7 in the matrix = 2 pass + 2 fail + 1 unplaced + 1 error + 1 dropped",
            "  1 unplaced: needs 2x A2, found *",
            "  1 error: *stderr.txt: step 'run' exited with 1 after * s: the engine is missing: *",
            "  1 dropped: power setting MaxQ is not asked for: --mlperf-power MaxQ",
            "results: out",
        ]
    )


def test_records_have_header_and_footer(whole: tuple[Session, pytest.RunResult]) -> None:
    session, _ = whole

    header, *lines, footer = session.lines()
    assert [line["record"]["labels"] for line in lines] == [["shortened: not submission-valid"]] * len(lines)
    assert header["header"]["format"] == 1
    assert header["header"]["inventory"]["host"]["cores"] >= 1
    assert footer["footer"] == {
        "conformance": "not conformant",
        "labels": ["shortened: not submission-valid"],
        "endings": {"pass": 2, "fail": 2, "unplaced": 1, "error": 1, "dropped": 1},
    }


def test_failing_items_show_constraint_expected_observed_file_and_advice(
    whole: tuple[Session, pytest.RunResult],
) -> None:
    _, result = whole

    result.stdout.fnmatch_lines_random(
        [
            "bad-CPU_SCRIPT-scripted_k_99_MaxP-Offline-PerformanceMode: INVALID, 1234.5 samples/s (short*)",
            "  result_validity",
            "    expected: VALID",
            "    observed: INVALID",
            "    in: *mlperf_log_detail.txt:4",
            "    LoadGen recommends: Increase expected QPS so the loadgen pre-generates a larger query.",
            "  Min duration satisfied",
            "    expected: >= 600000 ms",
            "bad-CPU_SCRIPT-scripted_k_99_MaxP-Offline-AccuracyMode: FAIL, 80.5 % (shortened: not *)",
            "    expected: >= 89.1 % (99 % of the FP32 reference 90 %)",
            "    observed: 80.5 %",
        ]
    )


def test_conformant_only_if_everything_planned_passed(any_session: Session) -> None:
    result = any_session.run("-m", "good and CPU", "--mlperf-output", "out")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "conformant: 2 of 2 planned cases passed (shortened: not submission-valid)",
            "  4 dropped: not selected by -m 'good and CPU'",
        ]
    )


def test_nothing_executed_is_exit_code_5(any_session: Session) -> None:
    result = any_session.run("-m", "A2x2", "--mlperf-output", "out")

    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(
        [
            "incomplete: 0 of 1 planned cases passed*",
            "no case was executed",
        ]
    )


def test_strict_turns_absent_hardware_into_failure(any_session: Session) -> None:
    result = any_session.run("-m", "A2x2 or good", "--mlperf-strict", "--mlperf-output", "out")

    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    record = next(
        r for r in any_session.records().values() if r["case"]["sku"] == "A2x2" and r["ending"] == "fail"
    )
    assert record["findings"][0]["expected"] == "2x A2"
    rows = (any_session.pytester.path / "out" / "metrics.csv").read_text(encoding="utf-8")
    assert "A2x2" not in rows  # nothing was measured there


def test_cases_after_a_stop_are_recorded_as_not_run(any_session: Session) -> None:
    any_session.run("-x", "-m", "bad or broken", "--mlperf-output", "out")

    records = [r for r in any_session.records().values() if r["case"]["benchmark"] in ("bad", "broken")]
    assert len(records) == 3
    not_run = [r for r in records if r["reason"] == "not run: the session ended before its turn"]
    assert not_run
    assert all(r["ending"] == "error" for r in not_run)


def test_skip_by_the_site_is_dropped_with_its_reason(any_session: Session) -> None:
    source = (any_session.pytester.path / "conftest.py").read_text(encoding="utf-8")
    source += """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        if "bad" in item.name:
            item.add_marker(pytest.mark.skip(reason="rack 7 is being rewired"))
"""
    any_session.pytester.makeconftest(source)

    any_session.run("--mlperf-output", "out")

    record = next(r for r in any_session.records().values() if r["case"]["benchmark"] == "bad")
    assert record["ending"] == "dropped"
    assert "rack 7 is being rewired" in record["reason"]


def test_worker_that_dies_leaves_an_error_and_the_others_run(session: Session) -> None:
    session.write_matrix(
        """\
round: v2.0
category: smoke
axes: {sku: CPU, harness: scripted, scenario: [Offline, Server], mode: [AccuracyOnly, PerformanceOnly]}
include: [{benchmark: good}, {benchmark: crash, scenario: Offline, mode: PerformanceOnly}]
"""
    )

    result = session.pytester.runpytest_subprocess("-n2", "--mlperf-output", "out", timeout=120)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    endings = session.endings()
    assert endings.pop("crash CPU MaxP PerformanceOnly") == "error"
    assert set(endings.values()) == {"pass"}
    crashed = next(r for r in session.records().values() if r["case"]["benchmark"] == "crash")
    assert "crashed while running" in crashed["reason"]


def test_killed_session_keeps_every_record_written_so_far(session: Session) -> None:
    session.write_matrix(
        """\
round: v2.0
category: smoke
axes: {sku: CPU, harness: scripted, scenario: Offline, mode: [AccuracyOnly, PerformanceOnly]}
include: [{benchmark: good}, {benchmark: slow, mode: PerformanceOnly}]
"""
    )
    argv = [sys.executable, "-m", "pytest", "-p", "no:xdist", "--mlperf-output", "out"]
    with subprocess.Popen(argv, cwd=session.pytester.path, stdout=subprocess.DEVNULL) as process:
        records = session.pytester.path / "out" / "records.jsonl"
        deadline = time.monotonic() + 60
        while not records.exists() or len(records.read_text(encoding="utf-8").splitlines()) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    lines = session.lines()
    assert [line["record"]["ending"] for line in lines[1:]] == ["pass", "pass"]
    assert not any("footer" in line for line in lines)


def test_expected_failure_is_known_and_still_not_conformant(any_session: Session) -> None:
    any_session.write_matrix(
        """\
round: v2.0
category: smoke
axes: {sku: CPU, harness: scripted, scenario: Offline, mode: AccuracyOnly}
include: [{benchmark: [good, bad]}]
overrides: [{match: {benchmark: bad}, expected_failure: the INT8 model loses 9 points}]
"""
    )

    result = any_session.run("--mlperf-output", "out")

    result.assert_outcomes(passed=1, xfailed=1)
    assert result.ret == pytest.ExitCode.OK
    assert any_session.endings()["bad CPU MaxP AccuracyOnly"] == "fail"
    result.stdout.fnmatch_lines(["not conformant: 1 of 2 planned cases passed*"])


def test_expected_failure_that_passes_fails(any_session: Session) -> None:
    any_session.write_matrix(
        """\
round: v2.0
category: smoke
axes: {sku: CPU, harness: scripted, scenario: Offline, mode: AccuracyOnly, benchmark: good}
overrides: [{match: {benchmark: good}, expected_failure: it used to fail}]
"""
    )

    result = any_session.run("--mlperf-output", "out")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*It passed: take the expected failure out of the matrix."])


def test_expected_failure_does_not_hide_an_error(any_session: Session) -> None:
    any_session.write_matrix(
        """\
round: v2.0
category: smoke
axes: {sku: CPU, harness: scripted, scenario: Offline, mode: PerformanceOnly, benchmark: broken}
overrides: [{match: {benchmark: broken}, expected_failure: it is slow here}]
"""
    )

    result = any_session.run("--mlperf-output", "out")

    result.assert_outcomes(errors=1)


def test_case_that_is_asked_for_by_two_tests_is_refused(any_session: Session) -> None:
    any_session.pytester.makepyfile(test_again="def test_again(mlperf_record): pass")

    result = any_session.run("-m", "good and accuracy", "--mlperf-output", "out")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*asks for cases of test_*"])
    assert not (any_session.pytester.path / "out").exists()


def test_parameters_beside_the_case_are_refused(any_session: Session) -> None:
    any_session.pytester.makepyfile(
        test_suite="""
        import pytest

        @pytest.mark.parametrize("attempt", [1])
        def test_conformance(mlperf_record, attempt):
            pass
        """
    )

    result = any_session.run("--mlperf-output", "out")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_conformance: has parameters beside the case, allowed: none *"])
    assert not (any_session.pytester.path / "out").exists()


def test_groups_of_xdist_do_not_lose_records(session: Session) -> None:
    session.pytester.makepyfile(
        test_suite="""
        import pytest
        from pytest_mlperf.plugin import check

        @pytest.mark.xdist_group("rack")
        def test_conformance(mlperf_record):
            check(mlperf_record)
        """
    )

    options = ("-n2", "--dist", "loadgroup", "--mlperf-output", "out")
    session.pytester.runpytest_subprocess(*options, timeout=120)

    assert session.endings() == ALL


def test_failure_that_no_test_checks_is_not_green(any_session: Session) -> None:
    any_session.pytester.makepyfile(test_suite="def test_conformance(mlperf_record): pass")

    result = any_session.run("-m", "good or bad", "--mlperf-output", "out")

    result.assert_outcomes(passed=4, skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_test_that_runs_no_case_leaves_an_error(any_session: Session) -> None:
    any_session.pytester.makepyfile(test_suite="def test_conformance(mlperf_case): pass")

    result = any_session.run("-m", "good and accuracy", "--mlperf-output", "out")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    reasons = {r["reason"] for r in any_session.records().values() if r["ending"] == "error"}
    assert reasons == {"its test ended without asking for mlperf_record"}


def test_metrics_have_the_columns_and_names_of_dashboards(whole: tuple[Session, pytest.RunResult]) -> None:
    session, _ = whole

    with (session.pytester.path / "out" / "metrics.csv").open(encoding="utf-8") as stream:
        rows = [(r["Scenario"], r["Metric Name"], r["Value"], r["Unit"]) for r in csv.DictReader(stream)]
    name = "CPU_SCRIPT-scripted_k_99_MaxP-Offline"
    assert sorted(rows) == [
        ("bad", f"{name}-Accuracy Threshold Ratio", "0.903479", "1"),
        ("bad", f"{name}-AccuracyMode", "0.0", "PASS/FAIL"),
        ("bad", f"{name}-AccuracyValue", "80.5", "%"),
        ("bad", f"{name}-PerformanceMode", "0.0", "VALID/INVALID"),
        ("bad", f"{name}-ThresholdValue", "89.1", "%"),
        ("bad", f"{name}-result_samples_per_second", "1234.5", "samples/s"),
        ("good", f"{name}-Accuracy Threshold Ratio", "1.0101", "1"),
        ("good", f"{name}-AccuracyMode", "1.0", "PASS/FAIL"),
        ("good", f"{name}-AccuracyValue", "90", "%"),
        ("good", f"{name}-PerformanceMode", "1.0", "VALID/INVALID"),
        ("good", f"{name}-ThresholdValue", "89.1", "%"),
        ("good", f"{name}-result_samples_per_second", "1234.5", "samples/s"),
    ]


def _properties(path: str) -> dict[str, dict[str, str]]:
    """Return the properties of each case, but for the neighbours that it happened to have."""
    cases = ET.parse(path).getroot().iter("testcase")  # noqa: S314  written by pytest here
    found = {
        case.attrib["name"]: {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")}
        for case in cases
    }
    for properties in found.values():
        properties.pop("neighbours", None)
    return found


def test_junit_properties_are_the_same_with_and_without_xdist(session: Session) -> None:
    session.run("--mlperf-output", "one", "--junitxml=one.xml")
    session.pytester.runpytest_subprocess("-n2", "--mlperf-output", "two", "--junitxml=two.xml", timeout=120)

    one, two = (_properties(str(session.pytester.path / f"{name}.xml")) for name in ("one", "two"))
    assert one == two
    case = "test_conformance[bad-CPU_SCRIPT-scripted_k_99_MaxP-Offline-PerformanceMode]"
    assert one[case] == {
        "metric": "CPU_SCRIPT-scripted_k_99_MaxP-Offline-PerformanceMode",
        "value": "0.0",
        "unit": "VALID/INVALID",
        "benchmark": "bad",
        "scenario": "Offline",
        "mode": "PerformanceOnly",
        "SKU": "CPU",
        "round": "v2.0",
        "conformance": "smoke (shortened: not submission-valid)",
        "ending": "fail",
        "result_samples_per_second": "1234.5 samples/s",
        "broken": "Min duration satisfied: expected >= 600000 ms, observed not satisfied",
    }
    assert (
        one["test_conformance[good-A2x2_SCRIPT-scripted_k_99_MaxP-Offline-PerformanceMode]"]["ending"]
        == "unplaced"
    )


def test_site_hook_gets_each_record_once(any_session: Session) -> None:
    source = (any_session.pytester.path / "conftest.py").read_text(encoding="utf-8")
    source += """
def pytest_mlperf_record(record):
    with open("seen.txt", "a") as stream:
        stream.write(f"{record.case.benchmark} {record.ending}\\n")
"""
    any_session.pytester.makeconftest(source)

    any_session.run("-m", "good or broken", "--mlperf-output", "out")

    seen = (any_session.pytester.path / "seen.txt").read_text(encoding="utf-8").splitlines()
    assert sorted(seen) == sorted(
        f"{r['case']['benchmark']} {r['ending']}" for r in any_session.records().values()
    )


def test_html_tells_of_every_case_and_has_no_markup_from_yaml(any_session: Session) -> None:
    any_session.write_matrix(
        """\
round: v2.0
category: smoke
axes: {sku: CPU, harness: scripted, scenario: Offline, mode: PerformanceOnly}
include: [{benchmark: [good, bad]}]
overrides: [{match: {benchmark: bad}, expected_failure: "<script>alert(1)</script>"}]
"""
    )

    any_session.run("--mlperf-output", "out", "--html=r.html", "--self-contained-html")

    page = pages.read(any_session.pytester.path / "r.html")
    assert "MLPerf conformance" in page.text
    assert "NOT CONFORMANT 1 of 2 planned cases passed (shortened: not submission-valid)" in page.text
    verdicts = {row["benchmark"]: row["verdict"] for row in page.rows.values()}
    assert verdicts == {"good": "VALID; shortened", "bad": "INVALID; shortened"}
    assert "LoadGen recommends" in page.text
    assert "expected to fail: <script>alert(1)</script>" in page.text
    assert "Other tests" not in page.text


def test_html_leaves_to_pytest_what_no_record_tells(any_session: Session) -> None:
    any_session.pytester.makepyfile(
        test_suite="""
        from pytest_mlperf.plugin import check

        def test_conformance(mlperf_record):
            check(mlperf_record)
            assert mlperf_record.ending != "pass", "our own rule"

        def test_of_another_kind():
            pass
        """
    )
    selection = ("-k", "good or another")
    any_session.run("--mlperf-output", "out", "--html=r.html", "--self-contained-html", *selection)
    page = pages.read(any_session.pytester.path / "r.html")
    assert "Other tests" in page.text
    text = (any_session.pytester.path / "r.html").read_text(encoding="utf-8")
    assert text.count("our own rule") > 1
    assert "test_suite.py::test_of_another_kind" in text
    assert [row["ending"] for row in page.rows.values()].count("pass") == 2
