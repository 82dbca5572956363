"""Trends: what each run measured, beside the runs before it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf.errors import ConfigurationError
from pytest_mlperf.hardware.matching import Delta
from pytest_mlperf.history.counted import Choice, Run
from pytest_mlperf.history.past import Past
from pytest_mlperf.history.rates import rates
from pytest_mlperf.history.store import open_history
from pytest_mlperf.history.trend import Series, series, trend
from pytest_mlperf.history.trend_words import words
from pytest_mlperf.record import Attempt, Measurement

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mlperf.history.store import History
    from pytest_mlperf.record import Record
    from tests.unit.conftest import MakeCase, MakeRecord

QPS = "result_samples_per_second"
WIDTH = 100
METRIC = "A2x2_TRT-custom_k_99_MaxP-Offline-PerformanceMode"


def run(number: int, value: float | None, **changes: Any) -> Run:
    usual: dict[str, Any] = {
        "benchmark": "bert",
        "metric": METRIC,
        "words": "VALID/INVALID",
        "sku": "A2x2",
        "conformance": "round",
        "passed": True,
        "session": f"{number:08d}-more",
        "host": "node-7",
        "started_at": f"2026-11-{number:02d}T08:00:30+00:00",
    }
    measured = {} if value is None else {"quantity": QPS, "value": value, "unit": "samples/s"}
    return Run(**{**usual, **measured, **changes})


def only(runs: list[Run]) -> Series:
    (found,) = series(runs, {})
    return found


@pytest.mark.parametrize(
    ("values", "before", "changes"),
    [
        ([100.0], [None], [None]),
        ([100.0, 110.0, 90.0], [None, 100.0, 105.0], [None, 10.0, -100 / 7]),
        ([100.0, None, 120.0], [None, None, 100.0], [None, None, 20.0]),
        ([None, 100.0], [None, None], [None, None]),
        ([0.0, 5.0], [None, 0.0], [None, None]),
        ([1.0, 9.0, 5.0, 5.0], [None, 1.0, 5.0, 5.0], [None, 800.0, 0.0, 0.0]),
    ],
)
def test_a_point_stands_beside_the_median_of_those_before(
    values: list[float | None], before: list[float | None], changes: list[float | None]
) -> None:
    points = only([run(number, value) for number, value in enumerate(values, 1)]).points
    assert [point.before for point in points] == before
    assert [point.change_percent for point in points] == pytest.approx(changes)


@pytest.mark.parametrize(
    ("values", "median", "mad", "last_change"),
    [
        ([None], None, None, None),
        ([100.0], 100.0, 0.0, 0.0),
        ([100.0, 104.0, 90.0], 100.0, 4.0, -10.0),
        ([100.0, 104.0, 90.0, 120.0, None], 102.0, 7.0, 100 * 18 / 102),
    ],
)
def test_a_series_has_median_and_deviation(
    values: list[float | None], median: float | None, mad: float | None, last_change: float | None
) -> None:
    found = only([run(number, value) for number, value in enumerate(values, 1)])
    assert (found.n, found.median, found.mad) == (len(values), median, mad)
    assert found.last_change_percent == pytest.approx(last_change)


def test_values_of_another_kind_are_not_compared() -> None:
    other = run(2, 7.0, quantity="AccuracyValue", unit="%")
    found = only([run(1, 100.0), other, run(3, 110.0)])
    assert [point.before for point in found.points] == [None, None, 100.0]
    assert found.values == (100.0, 110.0)


def test_words_are_lined_up_and_the_newest_is_last() -> None:
    runs = [
        run(1, 24750.25),
        run(2, 24000.0, passed=False),
        run(3, None, passed=False),
        run(4, 27225.0),
        run(5, 24370.0, host="node-12"),
    ]
    text = words(series(runs, {"00000004-more": "550.54.15"}))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.splitlines() == [
        f"bert: {METRIC}",
        "A2x2, round",
        "node-12:",
        "  when (UTC)        session   verdict  value            before  change  driver",
        "  2026-11-05 08:00  00000005  VALID    24370 samples/s  -       -       -",
        "  n 1, passed 1; median 24370 samples/s, MAD 0 samples/s; last +0.0 % from the median",
        "node-7:",
        "  when (UTC)        session   verdict  value              before             change   driver",
        "  2026-11-01 08:00  00000001  VALID    24750.2 samples/s  -                  -        -",
        "  2026-11-02 08:00  00000002  INVALID  24000 samples/s    24750.2 samples/s  -3.0 %   -",
        "  2026-11-03 08:00  00000003  INVALID  -                  -                  -        -",
        "  2026-11-04 08:00  00000004  VALID    27225 samples/s    24375.1 samples/s  +11.7 %  550.54.15",
        "  n 4, passed 2; median 24750.2 samples/s, MAD 750.25 samples/s; last +10.0 % from the median",
        "all 2 hosts:",
        "  n 5, passed 3; median 24560.1 samples/s, MAD 375.125 samples/s; last -0.8 % from the median",
    ]


def test_latencies_are_told_in_a_unit_of_their_size() -> None:
    latencies = [
        run(day, value, quantity="result_90.00_percentile_latency_ns", unit="ns")
        for day, value in ((1, 1_650_000.0), (2, 990_000.0))
    ]
    *_, last, summed = words(series(latencies, {})).splitlines()
    assert last.endswith("  VALID    990 us   1.65 ms  -40.0 %  -")
    assert summed.strip() == "n 2, passed 2; median 1.32 ms, MAD 330 us; last -25.0 % from the median"


def test_what_measured_nothing_says_so() -> None:
    assert words(series([run(1, None)], {})).endswith("  n 1, passed 1; nothing measured")


def test_configurations_stand_apart() -> None:
    kinds = [
        {"conformance": "smoke (shortened: not submission-valid)"},
        {"benchmark": "rnnt"},
        {"metric": "another"},
        {"sku": "A30x8"},
        {},
    ]
    found = list(series([run(day, 1.0, **kind) for day, kind in enumerate(kinds, 1)], {}))
    assert [one.configuration for one in found] == [
        ("round", "bert", METRIC, "A2x2"),
        ("round", "bert", METRIC, "A30x8"),
        ("round", "bert", "another", "A2x2"),
        ("round", "rnnt", METRIC, "A2x2"),
        ("smoke (shortened: not submission-valid)", "bert", METRIC, "A2x2"),
    ]


A_SESSION = Past(
    id="a",
    started_at="2026-11-24T08:00:00+00:00",
    host="node-7",
    version="0.1.0",
    inventory={},
    conformance="conformant",
    records=(),
)


def add(
    history: History, day: int, *records: Record, host: str = "node-7", driver: str | None = None
) -> None:
    """Add a session of a day in November."""
    drivers = [{"vendor": "nvidia", "version": driver, "cuda_version": None}] if driver else []
    history.add(
        replace(
            A_SESSION,
            id=f"{day}-{host}",
            started_at=f"2026-11-{day:02d}T08:00:00+00:00",
            host=host,
            inventory={"drivers": drivers},
            records=records,
        )
    )


def qps(value: float) -> tuple[Measurement, ...]:
    """Return what a run measured: the headline, and more."""
    return (
        Measurement(name=QPS, value=value, unit="samples/s"),
        Measurement(name="result_99.00_percentile_latency_ns", value=1e6, unit="ns"),
    )


def attempt(ending: str, value: float, started_at: str) -> Attempt:
    return Attempt(
        ending=ending,  # type: ignore[arg-type]
        reason=None,
        findings=(),
        measurements=qps(value),
        devices=(),
        neighbours=None,
        folder="cases/c",
        started_at=started_at,
        duration_s=2.5,
    )


def told(found: Series) -> list[tuple[str, float | None, float | None]]:
    return [(point.run.started_at[8:10], point.run.value, point.before) for point in found.points]


def test_the_newest_is_last_whenever_it_was_added(history: History, make_record: MakeRecord) -> None:
    for day, value in ((3, 30.0), (1, 10.0), (2, 20.0)):
        add(history, day, make_record(measurements=qps(value)), driver="550.54.15" if day > 1 else None)
    (found,) = trend(history)
    assert told(found) == [("01", 10.0, None), ("02", 20.0, 10.0), ("03", 30.0, 15.0)]
    assert [point.driver for point in found.points] == [None, "550.54.15", "550.54.15"]
    assert [point.run.quantity for point in found.points] == [f"A2x2_TRT-custom_k_99_MaxP-Offline-{QPS}"] * 3
    assert (found.hosts, found.configuration) == (("node-7",), ("round", "bert", METRIC, "A2x2"))


@pytest.mark.parametrize(
    ("inventory", "driver"),
    [
        ({"drivers": [{"vendor": "nvidia", "version": "550.54.15"}]}, "550.54.15"),
        ({"drivers": [{"version": "550.54.15"}, {"version": None}, {"version": "6.1"}]}, "550.54.15, 6.1"),
        ({"drivers": [{"vendor": "nvidia", "version": None}]}, None),
        ({"drivers": ["odd", {}]}, None),
        ({"drivers": None}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_driver_is_that_of_the_machine(
    make_record: MakeRecord, tmp_path: Path, inventory: Any, driver: str | None
) -> None:
    history = open_history(f"sqlite:///{tmp_path}/h.sqlite")
    history.add(replace(A_SESSION, inventory=inventory, records=(make_record(),)))
    assert [point.driver for found in trend(history) for point in found.points] == [driver]


def test_a_host_may_be_unknown() -> None:
    found = list(series([run(1, 1.0, host=None), run(2, 2.0)], {}))
    assert [one.hosts for one in found] == [(None,), ("node-7",), (None, "node-7")]
    assert "unknown host:" in words(found).splitlines()


def test_what_counts_is_what_rates_count(history: History, make_record: MakeRecord) -> None:
    first, second = "2026-11-01T08:10:00+00:00", "2026-11-01T08:20:00+00:00"
    attempts = (attempt("fail", 10.0, first), attempt("pass", 20.0, second))
    add(history, 1, make_record(attempts=attempts))
    add(history, 2, make_record(attempts=attempts, resumed="out"))
    add(history, 3, make_record(measurements=qps(99.0), replayed="out"))
    add(history, 4, make_record(ending="error", measurements=qps(99.0)))
    add(history, 5, make_record(ending="unplaced"))
    (found,) = trend(history)
    assert told(found) == [("01", 10.0, None), ("01", 20.0, 10.0)]
    assert [point.verdict for point in found.points] == ["INVALID", "VALID"]
    assert [(rate.passed, rate.n) for rate in rates(history)] == [(found.passed, found.n)] == [(1, 2)]


def test_hosts_have_series_of_their_own_and_one_together(history: History, make_record: MakeRecord) -> None:
    for day, host, value in ((1, "node-7", 10.0), (2, "node-12", 30.0), (3, "node-7", 11.0)):
        add(history, day, make_record(measurements=qps(value)), host=host)
    assert {found.hosts: told(found) for found in trend(history)} == {
        ("node-12",): [("02", 30.0, None)],
        ("node-7",): [("01", 10.0, None), ("03", 11.0, 10.0)],
        ("node-12", "node-7"): [("01", 10.0, None), ("02", 30.0, 10.0), ("03", 11.0, 20.0)],
    }


def test_a_partial_match_and_a_short_run_stand_apart(
    history: History, make_record: MakeRecord, make_case: MakeCase
) -> None:
    delta = Delta(trait="memory", expected="16 GiB", found="15 GiB")
    add(history, 1, make_record(measurements=qps(1.0)))
    add(history, 2, make_record(measurements=qps(2.0), deltas=(delta,)))
    add(history, 3, make_record(measurements=qps(3.0), case=make_case(conformance="smoke")))
    assert [(found.conformance, found.n) for found in trend(history)] == [
        ("round", 1),
        ("round (partial match)", 1),
        ("smoke (shortened: not submission-valid)", 1),
    ]


def test_only_what_is_asked_for_is_told(
    history: History, make_record: MakeRecord, make_case: MakeCase
) -> None:
    assert trend(history, Choice(skus=("whatever",))) == []
    records = [
        make_record(case=make_case(id=f"{benchmark}-{sku}", benchmark=benchmark, sku=sku))
        for benchmark in ("bert", "rnnt")
        for sku in ("A2x2", "A30x8", "CPU")
    ]
    add(history, 1, *records)

    def asked(**names: tuple[str, ...]) -> list[tuple[str, str]]:
        return [(found.benchmark, found.sku) for found in trend(history, Choice(**names))]

    assert len(asked()) == len(records)
    assert asked(benchmarks=("rnnt",), skus=("CPU",)) == [("rnnt", "CPU")]
    assert asked(skus=("CPU", "A2x2"), benchmarks=("bert",)) == [("bert", "A2x2"), ("bert", "CPU")]
    assert [rate.n for rate in rates(history, Choice(skus=("CPU",)))] == [1, 1]


@pytest.mark.parametrize("report", [rates, trend])
def test_a_name_that_the_history_has_not_is_refused(
    history: History, make_record: MakeRecord, report: Any
) -> None:
    # One that never ran is known all the same.
    case = replace(make_record().case, id="c", sku="A30x8", benchmark="rnnt")
    add(history, 1, make_record(), make_record(case=case, ending="unplaced"))
    with pytest.raises(ConfigurationError) as raised:
        report(history, Choice(skus=("A2x3", "A30x8"), benchmarks=("resnet50", "bert")))
    assert str(raised.value).splitlines() == [
        "--mlperf-sku: found 'A2x3', allowed: A2x2, A30x8 (did you mean 'A2x2'?)",
        "--mlperf-benchmark: found 'resnet50', allowed: bert, rnnt",
    ]
    assert report(history, Choice(skus=("A30x8",))) == []
