"""Comparisons with baselines, as reports tell them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_mlperf.report.comparisons import summary
from pytest_mlperf.report.explanation import explain
from pytest_mlperf.report.properties import properties
from pytest_mlperf.verdict.baseline import baseline, compare, hold

if TYPE_CHECKING:
    from pytest_mlperf.record import Record
    from pytest_mlperf.verdict.baseline import Kind
    from tests.unit.conftest import MakeRecord

METRIC = ("result_samples_per_second", "samples/s")
CAVEAT = "per accelerator: figures of systems with 8 accelerators, this one has 4"


def held(
    record: Record, observed: float, *, n: int = 7, kind: Kind = "own", problem: str | None = None
) -> Record:
    base = baseline(kind, metric=METRIC, values=[100.0] * n, source="s", caveats=(CAVEAT,))
    comparison = compare(replace(base, problem=problem), observed)
    return replace(record, comparisons=(comparison,), findings=(hold(comparison, None),))


def test_a_comparison_is_told_with_its_caveats(make_record: MakeRecord) -> None:
    record = held(make_record(), 97.0, kind="published")
    words = f"97 % of the median of 7 published figures (MAD 0 %); {CAVEAT}"
    assert [value for name, value in properties(record) if name == "baseline"] == [f"published: {words}"]
    assert f"  published baseline: {words}" in explain(record).splitlines()


def test_without_a_baseline_there_are_no_caveats(make_record: MakeRecord) -> None:
    record = held(make_record(), 97.0, n=0)
    words = "no baseline: 0 sessions, at least 5 needed"
    assert [value for name, value in properties(record) if name == "baseline"] == [f"own: {words}"]
    assert f"  own baseline: {words}" in explain(record).splitlines()


def test_a_session_is_added_up(make_record: MakeRecord) -> None:
    good, bad, few = (held(make_record(), 100.0), held(make_record(), 90.0), held(make_record(), 90.0, n=2))
    assert list(summary([good, good, bad, few, few, make_record()])) == [
        "own baseline: 2 hold, 1 broken, 2 no baseline (fewer than 5 sessions)"
    ]


def test_each_reason_is_counted(make_record: MakeRecord) -> None:
    few, silent = held(make_record(), 1.0, n=2), held(make_record(), 1.0, n=0, problem="history h: gone")
    assert list(summary([few, few, silent])) == [
        "own baseline: 0 hold, 0 broken, 3 no baseline (2: fewer than 5 sessions; 1: history h: gone)"
    ]


def test_what_is_only_compared_is_not_added_up(make_record: MakeRecord) -> None:
    record = replace(held(make_record(), 100.0, kind="published"), findings=())
    assert list(summary([record])) == []
