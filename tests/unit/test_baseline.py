"""A regression is what crosses both thresholds; what stands on too little is unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_mlperf.errors import Place
from pytest_mlperf.verdict import Finding, Verdict, tightest
from pytest_mlperf.verdict.baseline import Baseline, Kind, baseline, compare, hold

RATE = ("result_samples_per_second", "samples/s")
LATENCY = ("result_90.00_percentile_latency_ns", "ns")
STEADY = (99.9, 99.95, 100.0, 100.05, 100.1)  # MAD 0.05
NOISY = (94.0, 97.0, 100.0, 103.0, 106.0)  # MAD 3: 3.5 deviations are 15.6
EQUAL = (100.0,) * 5
NEARLY_EQUAL = (100.0, 100.0, 100.0, 100.0, 90.0)  # MAD 0, mean deviation 2: 3.5 deviations are 8.8
WILD = (20.0, 60.0, 100.0, 140.0, 180.0)


def own(values: tuple[float, ...], metric: tuple[str, str] = RATE, kind: Kind = "own") -> Baseline:
    return baseline(kind, metric=metric, values=values, source="earlier runs")


@pytest.mark.parametrize(
    ("values", "metric", "observed", "satisfied"),
    [
        pytest.param(STEADY, RATE, 100.0, True, id="as good"),
        pytest.param(STEADY, RATE, 98.0, True, id="no noise, and too little to matter"),
        pytest.param(STEADY, RATE, 94.9, False, id="both"),
        pytest.param(STEADY, RATE, 95.0, True, id="at the practical threshold"),
        pytest.param(STEADY, RATE, 150.0, True, id="better"),
        pytest.param(NOISY, RATE, 90.0, True, id="matters, and is noise"),
        pytest.param(NOISY, RATE, 84.3, False, id="both, where there is noise"),
        pytest.param(EQUAL, RATE, 95.1, True, id="no deviation, and too little to matter"),
        pytest.param(EQUAL, RATE, 94.9, False, id="no deviation, and it matters"),
        pytest.param(NEARLY_EQUAL, RATE, 92.0, True, id="MAD of 0, and noise"),
        pytest.param(NEARLY_EQUAL, RATE, 91.0, False, id="MAD of 0, and both"),
        pytest.param(STEADY, LATENCY, 105.1, False, id="a latency that is longer"),
        pytest.param(STEADY, LATENCY, 104.9, True, id="a latency that is a little longer"),
        pytest.param(STEADY, LATENCY, 50.0, True, id="a latency that is shorter"),
        pytest.param(NOISY, LATENCY, 110.0, True, id="a latency that is noise"),
        pytest.param(STEADY[:4], RATE, 1.0, None, id="too few"),
        pytest.param((), RATE, 1.0, None, id="none"),
        pytest.param(WILD, RATE, 0.1, None, id="so far apart that half as good would be no outlier"),
        pytest.param(WILD, LATENCY, 1000.0, None, id="so far apart, of latencies"),
    ],
)
def test_a_regression_crosses_both_thresholds(
    values: tuple[float, ...], metric: tuple[str, str], observed: float, *, satisfied: bool | None
) -> None:
    comparison = compare(own(values, metric), observed)
    assert hold(comparison, None).satisfied is satisfied
    assert comparison.regression is (None if satisfied is None else not satisfied)


@pytest.mark.parametrize(
    ("metric", "observed", "ratio"),
    [
        (RATE, 97.0, 0.97),
        (RATE, 110.0, 1.1),
        (LATENCY, 80.0, 1.25),
        (LATENCY, 125.0, 0.8),
        (LATENCY, 0.0, None),
        (RATE, 0.0, None),
        (RATE, 1e308, None),
    ],
)
def test_more_than_one_is_better(metric: tuple[str, str], observed: float, ratio: float | None) -> None:
    assert compare(own(STEADY, metric), observed).ratio == (None if ratio is None else pytest.approx(ratio))


def test_without_values_there_is_no_ratio() -> None:
    assert compare(own(()), 1.0).ratio is None


@pytest.mark.parametrize(
    ("base", "observed", "said"),
    [
        (own(STEADY), 97.0, "97 % of the median of 5 sessions (MAD 0.05 %)"),
        (own(NOISY, LATENCY), 103.5, "latency 103.5 % of the median of 5 sessions (MAD 3 %)"),
        (
            own(STEADY[2:3]),
            50.0,
            "50 % of the median of 1 session (MAD 0 %); no baseline: fewer than 5 sessions",
        ),
        (own(WILD), 50.0, "50 % of the median of 5 sessions (MAD 40 %); no baseline: they differ too much"),
        (own(()), 50.0, "no baseline: 0 sessions, at least 5 needed"),
        (
            own((), kind="published"),
            50.0,
            "no baseline: 0 published figures, at least 4 needed",
        ),
        (replace(own(()), problem="history h: no such file"), 50.0, "no baseline: history h: no such file"),
    ],
)
def test_a_comparison_is_said(base: Baseline, observed: float, said: str) -> None:
    assert str(compare(base, observed)).startswith(said)


def test_published_figures_may_be_fewer() -> None:
    few = own(STEADY[:4], kind="published")
    assert compare(few, 90.0).regression
    assert compare(own(STEADY[:3], kind="published"), 90.0).regression is None


def test_a_regression_says_why_and_what_to_do() -> None:
    base = replace(own(STEADY), caveats=("this one has 4",))
    place = Place(path="loadgen/mlperf_log_detail.txt", line=80)
    finding = hold(compare(base, 90.0), place)
    assert finding.broken
    assert str(finding) == (
        "own baseline is broken: expected >= 95 samples/s: not both 5 % and 3.5 deviations below the median "
        "100 samples/s of 5 sessions, observed 90 samples/s, 90 % of the median of 5 sessions (MAD 0.05 %) "
        "[loadgen/mlperf_log_detail.txt:80]; next: look at what has changed since: clocks, power limit, "
        "temperature, other programs; run it again"
    )
    assert finding.source == "--mlperf-baseline own: earlier runs; this one has 4"


def test_a_latency_is_held_from_above() -> None:
    finding = hold(compare(own(tuple(1e6 * value for value in STEADY), LATENCY), 1.2e8), None)
    assert finding.expected.startswith("<= 105 ms: not both 5 % and 3.5 deviations above the median 100 ms")


def test_what_is_unknown_neither_holds_nor_is_broken() -> None:
    finding = hold(compare(own(STEADY[:2]), 1.0), None)
    assert (finding.word, finding.broken, finding.next_step) == ("unknown", False, None)
    assert str(finding) == (
        "own baseline is unknown: expected as good as 5 or more sessions, observed no baseline: 2 sessions, "
        "at least 5 needed"
    )


@pytest.mark.parametrize(
    ("base", "satisfied"),
    [
        pytest.param(replace(own(()), problem="history h: gone"), False, id="one that was not found out"),
        pytest.param(own(STEADY[:4]), None, id="too few"),
        pytest.param(own(WILD), None, id="too far apart"),
        pytest.param(own(STEADY), True, id="one that holds"),
    ],
)
def test_strictly_a_baseline_must_be_found_out(base: Baseline, *, satisfied: bool | None) -> None:
    finding = hold(compare(base, 100.0), None, strict=True)
    assert finding.satisfied is satisfied
    assert finding.source.startswith("--mlperf-baseline own, --mlperf-strict: ") is (satisfied is False)


def test_what_is_unknown_is_no_verdict() -> None:
    unknown = hold(compare(own(()), 1.0), None)
    holds = Finding(rule="r", expected="1", observed="1", satisfied=True, source="s")
    broken = replace(holds, satisfied=False)
    assert tightest([unknown]) is None
    verdicts = [Verdict(findings=found).passed for found in [(unknown,), (unknown, holds), (unknown, broken)]]
    assert verdicts == [False, True, False]
    assert replace(unknown, relaxed=True).word == "unknown"
