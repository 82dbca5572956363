from __future__ import annotations

import pytest

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence import Fact, Summary
from pytest_mlperf.evidence.summary import parse

FILE = "loadgen/mlperf_log_summary.txt"
RULE = "=" * 48

HEAD = f"""\
{RULE}
MLPerf Results Summary
{RULE}
SUT name : made up
Scenario : {{}}
Mode     : PerformanceOnly
"""
FOOT = f"""\

{RULE}
Additional Stats
{RULE}
Min latency (ns)                : 900

{RULE}
Test Parameters Used
{RULE}
samples_per_query : 1
target_qps : 10

No warnings encountered during test.

"""
NO_ERRORS = "No errors encountered during test.\n"

VALID = (
    HEAD.format("Offline")
    + """\
Samples per second: 12.5
Result is : VALID
  Min duration satisfied : Yes
  Min queries satisfied : Yes
  Early stopping satisfied: Yes
"""
    + FOOT
    + NO_ERRORS
)
INVALID = (
    HEAD.format("Server")
    + """\
Scheduled samples per second : 9.50
Result is : INVALID
  Performance constraints satisfied : NO
  Min duration satisfied : Yes
  Min queries satisfied : NO
  Early stopping satisfied: NO
Recommendations:
 * Reduce target QPS to improve latency.
 * The test exited early, before enough queries were issued.
   See the detailed log for why this may have occurred.
Early Stopping Result:
 * Run unsuccessful.
"""
    + FOOT
    + NO_ERRORS
)


def fact(key: str, value: object, line: int) -> Fact:
    return Fact(key=key, value=value, place=Place(path=FILE, line=line))


def test_a_valid_summary() -> None:
    assert parse(VALID, FILE) == Summary(
        validity=fact("Result is", "VALID", 8),
        constraints={
            "Min duration satisfied": fact("Min duration satisfied", value=True, line=9),
            "Min queries satisfied": fact("Min queries satisfied", value=True, line=10),
            "Early stopping satisfied": fact("Early stopping satisfied", value=True, line=11),
        },
        recommendations=(),
        warnings=fact("warnings", 0, 24),
        errors=fact("errors", 0, 26),
    )


def test_an_invalid_summary_has_broken_constraints_and_recommendations() -> None:
    summary = parse(INVALID, FILE)
    assert summary.validity == fact("Result is", "INVALID", 8)
    assert {name: found.value for name, found in summary.constraints.items()} == {
        "Performance constraints satisfied": False,
        "Min duration satisfied": True,
        "Min queries satisfied": False,
        "Early stopping satisfied": False,
    }
    assert summary.constraints["Min queries satisfied"].place.line == 11
    # What stands under "Early Stopping Result:" is none.
    assert summary.recommendations == (
        fact("recommendation", "Reduce target QPS to improve latency.", 14),
        fact("recommendation", "The test exited early, before enough queries were issued.", 15),
    )


def test_recommendations_may_be_none() -> None:
    text = INVALID.replace(" * Reduce target QPS to improve latency.\n", "")
    text = text.replace(" * The test exited early, before enough queries were issued.\n", "")
    text = text.replace("   See the detailed log for why this may have occurred.\n", "")
    assert parse(text, FILE).recommendations == ()


@pytest.mark.parametrize(
    ("footer", "errors"),
    [
        ("No errors encountered during test.", 0),
        ("1 ERROR encountered. See detailed log.", 1),
        ("12 ERRORS encountered. See detailed log.", 12),
    ],
)
@pytest.mark.parametrize("end", ["\n", "", "\r\n"], ids=["LF", "no line end", "CRLF"])
def test_the_summary_of_an_accuracy_run_is_a_footer(footer: str, errors: int, end: str) -> None:
    text = f"\nNo warnings encountered during test.\n\n{footer}{end}"
    assert parse(text, FILE) == Summary(
        validity=None,
        constraints={},
        recommendations=(),
        warnings=fact("warnings", 0, 2),
        errors=fact("errors", errors, 4),
    )


def test_windows_line_ends_are_read() -> None:
    assert parse(INVALID.replace("\n", "\r\n"), FILE) == parse(INVALID, FILE)


@pytest.mark.parametrize("word", ["valid", "VALID?", "MAYBE", ""])
def test_another_verdict_is_none(word: str) -> None:
    assert parse(VALID.replace("VALID", word), FILE).validity is None


DIED = " (did the harness die? see stderr.txt of the case)"
CUT = ": the file is cut: its footer is missing" + DIED
BAD = {
    "empty": ("", ": the file is empty" + DIED),
    "blank": ("\n\n", ": the file is empty" + DIED),
    "without its footer": (VALID.removesuffix(NO_ERRORS), CUT),
    "cut in the footer": (VALID.removesuffix("countered during test.\n"), CUT),
    "cut in the last word": (VALID.removesuffix(" test.\n"), CUT),
    "cut before its last mark": (VALID.removesuffix(".\n"), CUT),
    "without its warnings": (VALID.replace("No warnings encountered during test.", ""), CUT),
    "more errors than can be": (VALID.replace("No errors", f"{'9' * 5000} ERRORS"), CUT),
    "cut in the middle": (VALID[: len(VALID) // 2], CUT),
    "NULs": ("\0" * 4096, CUT),
    "NULs in place of the footer": (VALID.replace(NO_ERRORS, "\0" * len(NO_ERRORS)), CUT),
    "something else": ("Traceback (most recent call last):\n", CUT),
}


@pytest.mark.parametrize("name", BAD)
def test_a_summary_without_its_end_is_an_error(name: str) -> None:
    text, said = BAD[name]
    with pytest.raises(EvidenceError) as caught:
        parse(text, FILE)
    assert str(caught.value) == FILE + said


TWO_RUNS = " (are they logs of two runs?)"
AGAIN = {
    "a verdict": ("Result is : INVALID\n", "Result is: found 'INVALID', but 'VALID' in line 8"),
    "a constraint": (
        "  Min queries satisfied : NO\n",
        "Min queries satisfied: found False, but True in line 10",
    ),
    "errors": ("1 ERROR encountered. See detailed log.\n", "errors: found 1, but 0 in line 26"),
}


@pytest.mark.parametrize("name", AGAIN)
def test_what_is_said_twice_and_otherwise_is_an_error(name: str) -> None:
    line, said = AGAIN[name]
    assert parse(VALID + VALID, FILE) == parse(VALID, FILE)
    with pytest.raises(EvidenceError) as caught:
        parse(VALID + line, FILE)
    assert str(caught.value) == f"{FILE}:27: {said}{TWO_RUNS}"
