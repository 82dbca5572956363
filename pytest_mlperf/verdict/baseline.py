"""Whether a measured value is as good as others were: baselines, comparisons, and the rule for a regression.

A regression is there only when two thresholds are crossed in the worse direction: the statistical one says
that it is no noise, the practical one that it matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING, Literal

from pytest_mlperf.units import format_number, format_quantity
from pytest_mlperf.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_mlperf.errors import Place

Kind = Literal["published", "own"]

MOST_Z = 3.5
"""The modified z-score from which on a value is an outlier.

B. Iglewicz and D. C. Hoaglin, How to Detect and Handle Outliers, ASQC Quality Press (1993).
"""
OF_MAD = 0.6745
"""MAD of a normal distribution, in standard deviations (as above)."""
OF_MEAN_DEVIATION = 1.2533
"""Standard deviation of a normal distribution, in mean absolute deviations: the root of pi / 2."""
LEAST_LOSS_PERCENT = 5.0
"""A smaller loss is no regression, however sure it is.

Where three or more like systems have published figures (244 groups), MAD is 0.75 % of the median in the
middle, and at most 1.6 % in three of four groups. To have no reruns, targets are set 3 to 6 % lower
(mlcommons/inference#1633).
"""
LEAST_RATIO = 0.5
"""Where values differ so much that one half as good as the median were no outlier, they are no baseline."""
LEAST_VALUES: Mapping[Kind, int] = {"published": 4, "own": 5}
"""How many values a baseline stands on at least.

A normal value scores worse than -3.5 against three others in 13 of 100 cases, four in 7, five in 6
(simulated). Like systems have four or more published figures in 144 of 1,183 groups, five or more in 76 only.
"""
_MOST_VALUE = 1e30
"""Beyond what anything measures; sums and ratios of such values are still finite."""
_NOUNS: Mapping[Kind, str] = {"published": "published figures", "own": "sessions"}
_NEXT_STEPS: Mapping[Kind, str] = {
    "published": "compare clocks, power limits, cooling and settings with those of the published systems",
    "own": "look at what has changed since: clocks, power limit, temperature, other programs; run it again",
}


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What a value is compared with.

    kind:            published, by others; or own: earlier runs of the same
    metric:          LoadGen's key
    n:               how many values it stands on
    median:          in `unit`, as are the deviations; None where there is no value
    mad:             median absolute deviation from the median
    mean_deviation:  mean absolute deviation from the median, which takes the place of a MAD of 0
    source:          what these values are, and from where
    caveats:         in what they are not the same as what is compared with them
    problem:         why they could not be found out; None: they could
    """

    kind: Kind
    metric: str
    unit: str
    n: int
    source: str
    median: float | None = None
    mad: float | None = None
    mean_deviation: float | None = None
    caveats: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def deviation(self) -> float | None:
        """The standard deviation that the values have, were they normal."""
        if self.mad:
            return self.mad / OF_MAD
        return None if self.mean_deviation is None else OF_MEAN_DEVIATION * self.mean_deviation

    @property
    def limit(self) -> float | None:
        """The worst value that is no regression; None where there are values too few, or too far apart."""
        if self.median is None or self.deviation is None or self.n < LEAST_VALUES[self.kind]:
            return None
        loss = max(LEAST_LOSS_PERCENT / 100 * self.median, MOST_Z * self.deviation)
        limit = self.median + loss if self.unit == "ns" else self.median - loss
        return limit if _ratio(limit, self.median, self.unit) > LEAST_RATIO else None

    @property
    def lack(self) -> str | None:
        """Why there is no limit; None where there is one."""
        if self.problem is not None:
            return self.problem
        if self.n < LEAST_VALUES[self.kind]:
            return f"fewer than {LEAST_VALUES[self.kind]} {_NOUNS[self.kind]}"
        return "they differ too much from each other" if self.limit is None else None


def baseline(
    kind: Kind,
    *,
    metric: tuple[str, str],
    values: Sequence[float],
    source: str,
    caveats: tuple[str, ...] = (),
) -> Baseline:
    """Return the baseline of values.

    metric: its key and unit
    """
    key, unit = metric
    middle = median(values) if values else None
    away = [abs(value - middle) for value in values] if middle is not None else []
    return Baseline(
        kind=kind,
        metric=key,
        unit=unit,
        n=len(values),
        median=middle,
        mad=median(away) if away else None,
        mean_deviation=fmean(away) if away else None,
        source=source,
        caveats=caveats,
    )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A value beside a baseline.

    ratio: 1.00 is as good as the median, and more is better, of latencies too; None without a median
    """

    baseline: Baseline
    observed: float
    ratio: float | None

    @property
    def regression(self) -> bool | None:
        """Whether both thresholds are crossed; None where it cannot be told."""
        limit = self.baseline.limit
        if limit is None:
            return None
        return self.observed > limit if self.baseline.unit == "ns" else self.observed < limit

    def __str__(self) -> str:
        """Return `97 % of the median of 7 published figures (MAD 1.2 %)`."""
        base = self.baseline
        if base.median and base.mad is not None:
            share = "latency " if base.unit == "ns" else ""
            share += f"{_percentage(self.observed, base.median)} of the median of {_counted(base)}"
            share += f" (MAD {_percentage(base.mad, base.median)})"
            lack = f"; no baseline: {base.lack}" if base.lack else ""
            return f"{share}{lack}"
        return _without(base)


def compare(base: Baseline, observed: float) -> Comparison:
    """Compare a value with a baseline of the same metric."""
    ratio = _ratio(observed, base.median, base.unit) if base.median and is_value(observed) else None
    return Comparison(baseline=base, observed=observed, ratio=ratio)


def _ratio(value: float, middle: float, unit: str) -> float:
    """Return how good a value is beside the median: 0.5 is half the rate, or twice the latency."""
    return middle / value if unit == "ns" else value / middle


def rule(kind: Kind) -> str:
    """Return what the rule of a kind of baseline is called."""
    return f"{kind} baseline"


def hold(comparison: Comparison, place: Place | None, *, strict: bool = False) -> Finding:
    """Hold a value to its baseline.

    place:   where the value stands
    strict:  a baseline that could not be found out is broken, not unknown
    """
    base, regression = comparison.baseline, comparison.regression
    known = base.limit is not None
    missed = strict and base.problem is not None
    options = f"--mlperf-baseline {base.kind}{', --mlperf-strict' if missed else ''}"
    return Finding(
        rule=rule(base.kind),
        expected=_expected(base),
        observed=f"{format_quantity(comparison.observed, base.unit)}, {comparison}"
        if known
        else _without(base),
        satisfied=False if missed else None if regression is None else not regression,
        source=f"{options}: {'; '.join((base.source, *base.caveats))}",
        place=place,
        next_step=_NEXT_STEPS[base.kind] if regression else None,
    )


def _expected(base: Baseline) -> str:
    if base.limit is None or base.median is None:
        return f"as good as {LEAST_VALUES[base.kind]} or more {_NOUNS[base.kind]}"
    worse, bound = ("above", "<=") if base.unit == "ns" else ("below", ">=")
    limit, middle = (format_quantity(value, base.unit) for value in (base.limit, base.median))
    return (
        f"{bound} {limit}: not both {LEAST_LOSS_PERCENT:g} % and {MOST_Z:g} deviations {worse} the median "
        f"{middle} of {_counted(base)}"
    )


def _without(base: Baseline) -> str:
    if base.problem or base.n >= LEAST_VALUES[base.kind]:
        return f"no baseline: {base.lack}"
    return f"no baseline: {_counted(base)}, at least {LEAST_VALUES[base.kind]} needed"


def _percentage(part: float, whole: float) -> str:
    percent = 100 * part / whole
    return f"{format_number(round(percent, 1 if percent >= 1 else 2))} %"


def _counted(base: Baseline) -> str:
    return f"{base.n} {_NOUNS[base.kind][: None if base.n != 1 else -1]}"


def is_value(value: object) -> bool:
    """Return whether this is what a measurement can be: a number above zero that can be reckoned with."""
    return isinstance(value, int | float) and 1 / _MOST_VALUE < value < _MOST_VALUE
