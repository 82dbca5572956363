from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf.errors import Place
from pytest_mlperf.hardware.matching import Delta
from pytest_mlperf.matrix import Settings
from pytest_mlperf.record import ENDINGS, Measurement, from_json
from pytest_mlperf.verdict import Finding

if TYPE_CHECKING:
    from tests.unit.conftest import MakeCase, MakeRecord

# Ending, mode, whether it ran, and the verdict.
VERDICTS: list[tuple[str, str, bool, str | None]] = [
    ("pass", "AccuracyOnly", True, "PASS"),
    ("fail", "AccuracyOnly", True, "FAIL"),
    ("pass", "PerformanceOnly", True, "VALID"),
    ("fail", "PerformanceOnly", True, "INVALID"),
    ("fail", "PerformanceOnly", False, None),
    ("error", "AccuracyOnly", True, None),
    ("error", "PerformanceOnly", False, None),
    ("unplaced", "PerformanceOnly", False, None),
    ("dropped", "AccuracyOnly", False, None),
]


def test_there_are_five_endings() -> None:
    assert ENDINGS == ("pass", "fail", "unplaced", "error", "dropped")


@pytest.mark.parametrize(("ending", "mode", "ran", "verdict"), VERDICTS)
def test_a_verdict_is_of_a_case_that_was_judged(
    ending: str, mode: str, *, ran: bool, verdict: str | None, request: pytest.FixtureRequest
) -> None:
    make_record: MakeRecord = request.getfixturevalue("make_record")
    make_case: MakeCase = request.getfixturevalue("make_case")
    record = make_record(case=make_case(mode=mode), ending=ending, folder="f" if ran else None)
    assert record.verdict == verdict


@pytest.mark.parametrize(
    ("conformance", "labels"), [("round", ()), ("smoke", ("shortened: not submission-valid",))]
)
def test_a_shortened_case_is_labelled(
    conformance: str, labels: tuple[str, ...], make_record: MakeRecord, make_case: MakeCase
) -> None:
    assert make_record(case=make_case(conformance=conformance)).labels == labels


def test_a_record_comes_back_from_json_as_it_was(make_record: MakeRecord, make_case: MakeCase) -> None:
    finding = Finding(
        rule="r",
        expected=">= 1 %",
        observed="caf\u00e9 \U0001f600 <b>",
        satisfied=False,
        source="s",
        place=Place(path="f", line=3),
        advice="more",
    )
    record = make_record(
        case=make_case(settings=Settings(target_qps=0.1, share_host=True, expected_failure="x")),
        ending="fail",
        reason="line one\nline two",
        findings=(finding,),
        measurements=(Measurement(name="m", value=1e300, unit="ns"),),
        devices=("GPU-0", "GPU-1"),
        deltas=(Delta(trait="power limit", expected="400 W", found="275 W"),),
        neighbours=("other",),
        started_at="2026-01-02T03:04:05+00:00",
        duration_s=1.5,
        waited_s=0.25,
    )
    assert from_json(json.loads(json.dumps(record.to_json()))) == record
    assert from_json(record.to_json()) == record


def test_a_record_of_little_comes_back_too(make_record: MakeRecord) -> None:
    record = make_record(ending="dropped", folder=None)
    assert from_json(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="nothing"),
        pytest.param([], id="list"),
        pytest.param({}, id="no case"),
        pytest.param({"case": 1, "ending": "pass"}, id="no case but a number"),
    ],
)
def test_what_is_no_record_is_a_value_error(content: Any) -> None:
    with pytest.raises(ValueError, match="Record"):
        from_json(content)


def test_another_ending_is_a_value_error(make_record: MakeRecord) -> None:
    with pytest.raises(ValueError, match="ending"):
        from_json({**make_record().to_json(), "ending": "skipped"})
