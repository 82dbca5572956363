"""GitHub's page and annotations: hostile text, and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mlperf.report.conformance import add_up
from pytest_mlperf.report.github import MOST_ANNOTATIONS, MOST_BYTES, MOST_CHARACTERS, commands, page

if TYPE_CHECKING:
    from tests.unit.conftest import MakeRecord

HOSTILE = "<img src=x onerror=alert(1)> | [a](javascript:b) `c` @team\n## d\r\n::error::e 100%"


def test_nothing_from_a_log_is_markup(make_record: MakeRecord) -> None:
    records = [make_record(ending="error", reason=HOSTILE), make_record(ending="unplaced", reason=HOSTILE)]
    text = page(add_up(records), records)
    shown = (
        "&lt;img src=x onerror=alert(1)&gt; &#124; &#91;a&#93;(javascript:b) &#96;c&#96; &#64;team<br>## d"
        "<br>::error::e 100%"
    )
    assert text.count(shown) == 2
    (row,) = [line for line in text.splitlines() if shown in line and line.startswith("| ")]
    assert row.count("|") == 5


def test_a_command_is_one_line(make_record: MakeRecord) -> None:
    (command,) = commands([make_record(ending="error", reason=HOSTILE)])
    assert len(command.splitlines()) == 1
    assert command.endswith("%0A  ::error::e 100%25") or "100%25" in command


def test_no_more_is_said_than_github_takes(make_record: MakeRecord) -> None:
    records = [make_record(ending="error", reason="x" * 1000)] * 2000
    text = page(add_up(records), records)
    assert len(text.encode()) <= MOST_BYTES + 100
    shown = sum(line.startswith("| ") for line in text.splitlines()) - 1
    assert text.endswith(f"\n{2000 - shown} more are left out here: they stand in records.jsonl\n")
    said = list(commands(records))
    assert len(said) == MOST_ANNOTATIONS
    assert said[-1] == "::error title=MLPerf::and 1991 more cases that did not pass: see the summary"
    assert len(list(commands(records[:MOST_ANNOTATIONS]))) == MOST_ANNOTATIONS


def test_one_case_takes_no_more_than_its_share(make_record: MakeRecord) -> None:
    records = [make_record(ending="error", reason="\n".join(["x" * 100_000] * 50)) for _ in range(2)]
    rows = [line for line in page(add_up(records), records).splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 2
    for command in commands(records):
        assert MOST_CHARACTERS < len(command) < MOST_CHARACTERS + 1000


def test_a_failure_that_is_expected_is_no_annotation(make_record: MakeRecord) -> None:
    assert list(commands([make_record(ending="pass"), make_record(ending="unplaced")])) == []
