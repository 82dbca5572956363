from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.report.conformance import add_up

if TYPE_CHECKING:
    from pytest_mlperf.record import Record
    from tests.unit.conftest import MakeCase, MakeRecord

# How many records end how, the word for it, and how many were planned.
SESSIONS: dict[str, tuple[dict[str, int], str, int]] = {
    "all passed": ({"pass": 3}, "conformant", 3),
    "all that was planned passed": ({"pass": 3, "dropped": 5}, "conformant", 3),
    "one failed": ({"pass": 2, "fail": 1}, "not conformant", 3),
    "one failed, nothing else ran": ({"fail": 1, "unplaced": 2, "error": 2}, "not conformant", 5),
    "one unplaced": ({"pass": 2, "unplaced": 1}, "incomplete", 3),
    "one error": ({"pass": 2, "error": 1}, "incomplete", 3),
    "all unplaced": ({"unplaced": 4}, "incomplete", 4),
    "all dropped": ({"dropped": 4}, "incomplete", 0),
    "nothing at all": ({}, "incomplete", 0),
    "every ending": (
        {"pass": 5, "fail": 4, "unplaced": 3, "error": 2, "dropped": 1},
        "not conformant",
        14,
    ),
}


def _records(make_record: MakeRecord, endings: dict[str, int]) -> list[Record]:
    return [make_record(ending=ending) for ending, count in endings.items() for _ in range(count)]


@pytest.mark.parametrize("name", SESSIONS)
def test_the_word_for_a_session(name: str, make_record: MakeRecord) -> None:
    endings, word, planned = SESSIONS[name]
    conformance = add_up(_records(make_record, endings))
    assert conformance.word == word
    assert conformance.planned == planned
    assert conformance.total == sum(endings.values())
    assert str(conformance) == f"{word}: {endings.get('pass', 0)} of {planned} planned cases passed"


def test_the_five_endings_add_up_to_the_matrix(make_record: MakeRecord) -> None:
    endings = {"error": 2, "pass": 5, "dropped": 1, "fail": 4}
    conformance = add_up(_records(make_record, endings))
    assert conformance.counts == {"pass": 5, "fail": 4, "unplaced": 0, "error": 2, "dropped": 1}
    assert conformance.sum() == "12 in the matrix = 5 pass + 4 fail + 0 unplaced + 2 error + 1 dropped"


def test_shortened_runs_are_said_to_be_so_once(make_record: MakeRecord, make_case: MakeCase) -> None:
    smoke = make_case(conformance="smoke")
    conformance = add_up([make_record(case=smoke), make_record(case=smoke), make_record()])
    assert conformance.labels == ("shortened: not submission-valid",)
    assert str(conformance) == ("conformant: 3 of 3 planned cases passed (shortened: not submission-valid)")


def test_dropped_cases_label_nothing(make_record: MakeRecord, make_case: MakeCase) -> None:
    records = [make_record(), make_record(case=make_case(conformance="smoke"), ending="dropped")]
    assert add_up(records).labels == ()


def test_records_are_counted_as_they_come(make_record: MakeRecord) -> None:
    assert add_up(make_record() for _ in range(2)).counts["pass"] == 2
