from __future__ import annotations

from dataclasses import replace
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.errors import Place
from pytest_mlperf.matrix import Settings
from pytest_mlperf.record import Measurement
from pytest_mlperf.report.explanation import MOST_CHARACTERS, MOST_LINES, explain, headline, nearest, summary
from pytest_mlperf.verdict import Finding, Margin

if TYPE_CHECKING:
    from tests.unit.conftest import MakeCase, MakeRecord

ID = "bert-A2x2_TRT-custom_k_99_MaxP-Offline-PerformanceMode"
QPS = Measurement(name="result_samples_per_second", value=1234.5, unit="samples/s")
HOLDS = Finding(rule="LoadGen errors", expected="none", observed="none", satisfied=True, source="LoadGen")
BROKEN = Finding(
    rule="result_validity",
    expected="VALID",
    observed="INVALID",
    satisfied=False,
    source="MLPerf Inference Rules, LoadGen",
    place=Place(path="loadgen/mlperf_log_detail.txt", line=12),
    advice="Increase expected QPS.",
)
PLAIN = Finding(rule="quality", expected=">= 2", observed="1", satisfied=False, source="Rules")


def lines(text: str) -> str:
    return dedent(text).strip("\n")


def test_a_passed_case(make_record: MakeRecord) -> None:
    record = make_record(findings=(HOLDS,), measurements=(QPS,))
    assert explain(record) == lines(f"""
        {ID}: VALID, 1234.5 samples/s
          result_samples_per_second: 1234.5 samples/s
          logs: cases/{ID}
    """)


def test_a_failed_case_says_what_was_expected_and_observed_of_each_broken_rule(
    make_record: MakeRecord,
) -> None:
    record = make_record(
        ending="fail", reason="not shown", findings=(HOLDS, BROKEN, PLAIN), measurements=(QPS,)
    )
    assert explain(record) == lines(f"""
        {ID}: INVALID, 1234.5 samples/s
          result_validity
            expected: VALID
            observed: INVALID
            in: loadgen/mlperf_log_detail.txt:12
            LoadGen recommends: Increase expected QPS.
            rule of: MLPerf Inference Rules, LoadGen
          quality
            expected: >= 2
            observed: 1
            rule of: Rules
          result_samples_per_second: 1234.5 samples/s
          logs: cases/{ID}
    """)


NEAR = replace(HOLDS, rule="latency", margin=Margin(percent=3, bound="most"))


def test_a_passed_case_says_its_tightest_margin(make_record: MakeRecord) -> None:
    record = make_record(findings=(HOLDS, NEAR), folder="here")
    assert (
        explain(record)
        == f"{ID}: VALID\n  tightest margin: latency, 3.0 % below the limit (none; none)\n  logs: here"
    )


def test_the_nearest_case_is_a_passed_measurement(make_record: MakeRecord, make_case: MakeCase) -> None:
    nearer = replace(NEAR, margin=Margin(percent=1, bound="most"))
    records = [
        make_record(findings=(NEAR,), case=make_case(id="far")),
        make_record(findings=(HOLDS, NEAR, replace(NEAR, margin=Margin(percent=2, bound="most")))),
        make_record(findings=(nearer,), case=make_case(mode="AccuracyOnly")),
        make_record(findings=(nearer, BROKEN), ending="fail"),
    ]
    assert nearest(records) == f"nearest to its limit: {ID}: latency, 2.0 % below the limit"
    assert nearest([make_record(findings=(HOLDS,))]) is None


def test_a_broken_rule_says_its_margin_and_what_to_do(make_record: MakeRecord) -> None:
    over = replace(PLAIN, margin=Margin(percent=-50, bound="least"), next_step="turn it")
    record = make_record(ending="fail", findings=(NEAR, over), folder="here")
    assert explain(record) == lines(f"""
        {ID}: INVALID
          quality
            expected: >= 2
            observed: 1
            margin: 50.0 % below the limit
            next: turn it
            rule of: Rules
          logs: here
    """)


def test_a_relaxed_rule_is_not_among_the_broken_ones(make_record: MakeRecord) -> None:
    record = make_record(findings=(HOLDS, replace(PLAIN, relaxed=True)), folder="here")
    assert explain(record) == f"{ID}: VALID\n  logs: here"


def test_an_error_says_its_reason_line_by_line(make_record: MakeRecord) -> None:
    record = make_record(ending="error", reason="stderr.txt: step 'run' exited with 2\nsecond line")
    assert explain(record) == lines(f"""
        {ID}: error
          stderr.txt: step 'run' exited with 2
          second line
          logs: cases/{ID}
    """)


def test_an_unplaced_case(make_record: MakeRecord) -> None:
    record = make_record(ending="unplaced", folder=None, reason="needs 2x A2, found no accelerator")
    assert explain(record) == f"{ID}: unplaced\n  needs 2x A2, found no accelerator"


def test_a_shortened_case_says_so(make_record: MakeRecord, make_case: MakeCase) -> None:
    record = make_record(case=make_case(conformance="smoke"), folder="here")
    assert explain(record) == f"{ID}: VALID (shortened: not submission-valid)\n  logs: here"


def test_an_expected_failure_says_why(make_record: MakeRecord, make_case: MakeCase) -> None:
    case = make_case(mode="AccuracyOnly", settings=Settings(expected_failure="the fan is broken"))
    record = make_record(case=case, ending="fail", folder="here")
    assert explain(record) == f"{ID}: FAIL\n  expected to fail: the fan is broken\n  logs: here"


HEADLINES: dict[str, tuple[str, str, tuple[Measurement, ...]]] = {
    "VALID, 1234.5 samples/s": ("pass", "PerformanceOnly", (QPS,)),
    "INVALID, 1234.5 samples/s": ("fail", "PerformanceOnly", (QPS,)),
    # Of several measurements the first.
    "PASS, 90.874 %": (
        "pass",
        "AccuracyOnly",
        (Measurement(name="AccuracyValue", value=90.874, unit="%"), QPS),
    ),
    "VALID, 7.051 ms": (
        "pass",
        "PerformanceOnly",
        (Measurement(name="latency", value=7_051_234, unit="ns"),),
    ),
    "FAIL": ("fail", "AccuracyOnly", ()),
    "error": ("error", "AccuracyOnly", ()),
    "unplaced": ("unplaced", "PerformanceOnly", ()),
}


@pytest.mark.parametrize("words", HEADLINES)
def test_the_headline(words: str, make_record: MakeRecord, make_case: MakeCase) -> None:
    ending, mode, measurements = HEADLINES[words]
    record = make_record(case=make_case(mode=mode), ending=ending, measurements=measurements)
    assert headline(record) == words


def test_a_case_says_no_more_than_readers_take(make_record: MakeRecord) -> None:
    findings = tuple(replace(PLAIN, observed="x" * 5000) for _ in range(100))
    text = explain(make_record(ending="fail", findings=findings, folder="here"))
    said = text.splitlines()
    assert said[-1] == "  302 more lines are left out here: they stand in records.jsonl"
    assert len(said) == MOST_LINES + 1
    assert max(map(len, said)) == MOST_CHARACTERS + len("...")


def test_the_summary_of_a_passed_case_is_a_line_with_its_tightest_margin(make_record: MakeRecord) -> None:
    record = make_record(findings=(NEAR,), measurements=(QPS,))
    assert summary(record) == f"{ID}: VALID, 1234.5 samples/s; tightest margin: {NEAR.rule}, {NEAR.margin}"


def test_the_summary_of_any_other_case_is_its_explanation(make_record: MakeRecord) -> None:
    record = make_record(ending="fail", findings=(PLAIN,))
    assert summary(record) == explain(record)
