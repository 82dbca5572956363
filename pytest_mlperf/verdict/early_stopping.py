"""Early stopping: how many queries may exceed a latency so that it still holds with 99 % confidence.

A latency percentile p of n queries, t of which took longer, is taken as shown when chance alone would leave t
or fewer late ones, were the true share of late queries 1 - p, in at most 1 % of all runs: the condition is
P[Binomial(n, 1 - p) <= t] <= 0.01. Source: MLPerf Inference Rules, appendix on early stopping;
mlcommons/inference, loadgen/early_stopping.cc.
"""

from __future__ import annotations

import math
from functools import lru_cache

CONFIDENCE = 0.99

_NORMAL = 2.3263
"""So many standard deviations below the mean, chance alone comes in one of a hundred runs."""

_NEGLIGIBLE = 1e-17
_MOST_QUERIES = 10**9
"""No run has more; searches end here."""


def holds(queries: int, late: int, percentile: float) -> bool:
    """Return whether a percentile (0.99) is shown by these queries when `late` of them exceed the latency."""
    chance = 1 - percentile
    # With the expected number of late queries or more, chance explains them in a quarter of all runs.
    return late < queries * chance and _at_most(late, queries, chance) <= 1 - CONFIDENCE


@lru_cache(maxsize=1024)
def tolerated(queries: int, percentile: float) -> int | None:
    """Return how many late queries are allowed among these, or None when they are too few at all."""
    if not holds(queries, 0, percentile):
        return None
    mean = queries * (1 - percentile)
    low, high = 0, math.ceil(mean)
    # By the normal distribution, which is off by a query or two; from there in growing steps.
    tried, step = int(mean - _NORMAL * math.sqrt(mean * percentile)), 1
    while high - low > 1:
        middle = min(max(tried, low + 1), high - 1)
        if holds(queries, middle, percentile):
            low, tried = middle, middle + step
        else:
            high, tried = middle, middle - step
        step *= 2
    return low


@lru_cache(maxsize=64)
def least_queries(late: int, percentile: float) -> int:
    """Return how many queries there must be, at least, with so many late ones among them."""
    low, high = late, late + 1
    while not holds(high, late, percentile):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle, late, percentile) else (middle, high)
    return high


def queries_at_share(queries: int, late: int, percentile: float) -> int | None:
    """Return how many queries there must be if that share of them is late, or None if no number will do."""
    if late >= queries * (1 - percentile):
        return None
    low, high = 0, queries
    while not holds(high, -(-late * high // queries), percentile):
        low, high = high, 2 * high
        if high > _MOST_QUERIES:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        enough = holds(middle, -(-late * middle // queries), percentile)
        low, high = (low, middle) if enough else (middle, high)
    return high


def _at_most(successes: int, trials: int, chance: float) -> float:
    """Return P[Binomial(trials, chance) <= successes], for fewer successes than expected.

    Summed from the last term down, which is the largest, as far as the terms matter.
    """
    odds = chance / (1 - chance)
    total = term = _probability(successes, trials, chance)
    for count in range(successes, 0, -1):
        term *= count / (trials - count + 1) / odds
        total += term
        if term <= total * _NEGLIGIBLE:
            break
    return total


def _probability(successes: int, trials: int, chance: float) -> float:
    failures = trials - successes
    ways = math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(failures + 1)
    return math.exp(ways + successes * math.log(chance) + failures * math.log1p(-chance))
