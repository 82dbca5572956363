"""The lines of real sessions are what their published schema says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

import pytest_mlperf.report

if TYPE_CHECKING:
    from sessions import Session

SCHEMA = Path(pytest_mlperf.report.__file__).with_name("records.schema.json")


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    content = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(content)
    return Draft202012Validator(content)


def test_all_five_endings_are_as_published(any_session: Session, validator: Draft202012Validator) -> None:
    any_session.run("--mlperf-output=out")
    lines = any_session.lines()
    assert {line["record"]["ending"] for line in lines if "record" in line} == {
        "pass",
        "fail",
        "unplaced",
        "error",
        "dropped",
    }
    for line in lines:
        validator.validate(line)


def test_attempts_and_sessions_that_go_on_are_as_published(
    session: Session, validator: Draft202012Validator
) -> None:
    session.run("--mlperf-output=first", "--mlperf-attempts=2", "-k", "good and CPU")
    session.run("--mlperf-output=out", "--mlperf-attempts=2", "--mlperf-resume=first")
    for line in session.lines("first") + session.lines():
        validator.validate(line)


def test_the_snippet_of_the_page_names_broken_rules(session: Session) -> None:
    session.run("--mlperf-output=out")
    page = (Path(__file__).parents[2] / "docs" / "records.md").read_text(encoding="utf-8")
    snippet = page.partition("```python\n")[2].partition("```")[0]
    done = session.pytester.run(sys.executable, "-c", snippet)
    name = "bad-CPU_SCRIPT-scripted_k_99_MaxP-Offline"
    assert sorted(done.outlines) == [
        f"{name}-AccuracyMode ['quality (accuracy)']",
        f"{name}-PerformanceMode ['result_validity', 'Min duration satisfied']",
    ]


SPOILED: dict[str, tuple[str, Any]] = {
    "another format": ("header", {"format": 2}),
    "an ending that there is not": ("record", {"ending": "passed"}),
    "a case that is a name": ("record", {"case": "bert"}),
    "a measurement in words": ("record", {"measurements": [{"name": "a", "value": "1.5", "unit": "s"}]}),
    "a duration in words": ("record", {"duration_s": "2 s"}),
    "a count that is missing": ("footer", {"endings": {"pass": 1}}),
}


@pytest.mark.parametrize("name", SPOILED)
def test_anything_else_is_not(session: Session, validator: Draft202012Validator, name: str) -> None:
    session.run("--mlperf-output=out", "-k", "good and CPU and Accuracy")
    kind, change = SPOILED[name]
    line = next(line for line in session.lines() if kind in line)
    assert validator.is_valid(line)
    assert not validator.is_valid({kind: line[kind] | change})
