"""The arithmetic of early stopping, against tables, and against exact sums of binomial coefficients."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from pytest_mlperf.verdict.early_stopping import holds, least_queries, queries_at_share, tolerated

# Late queries and percentile, and the least number of queries. Those with one late query are what LoadGen
# asks for in SingleStream (0.9) and MultiStream (0.99).
LEAST = {
    (0, 0.9): 44,
    (1, 0.9): 64,
    (0, 0.99): 459,
    (1, 0.99): 662,
    (2, 0.99): 838,
    (0, 0.999): 4603,
    (1, 0.999): 6636,
}


@pytest.mark.parametrize(("late", "percentile"), LEAST)
def test_the_least_number_of_queries(late: int, percentile: float) -> None:
    least = LEAST[late, percentile]
    assert least_queries(late, percentile) == least
    assert holds(least, late, percentile)
    assert not holds(least - 1, late, percentile)


# Queries and percentile, and how many of them may be late.
TOLERATED = {
    (458, 0.99): None,
    (459, 0.99): 0,
    (661, 0.99): 0,
    (662, 0.99): 1,
    (63, 0.9): 0,
    (64, 0.9): 1,
    (1024, 0.9): 80,
    (24576, 0.99): 209,
    (270336, 0.99): 2583,
    (1, 0.99): None,
    (0, 0.99): None,
}


@pytest.mark.parametrize(("queries", "percentile"), TOLERATED)
def test_how_many_queries_may_be_late(queries: int, percentile: float) -> None:
    assert tolerated(queries, percentile) == TOLERATED[queries, percentile]


def _exactly(queries: int, late: int, percentile: Fraction) -> bool:
    chance = 1 - percentile
    terms = (comb(queries, k) * chance**k * percentile ** (queries - k) for k in range(late + 1))
    return sum(terms, Fraction(0)) <= Fraction(1, 100)


@pytest.mark.parametrize("percentile", [Fraction(9, 10), Fraction(99, 100)])
@pytest.mark.parametrize("queries", [10, 44, 64, 100, 460, 662, 700, 999])
def test_the_sum_is_that_of_exact_numbers(queries: int, percentile: Fraction) -> None:
    for late in range(min(queries, 12)):
        assert holds(queries, late, float(percentile)) == _exactly(queries, late, percentile)


def test_what_is_tolerated_is_the_most_that_holds() -> None:
    for queries in range(459, 20_000, 487):
        most = tolerated(queries, 0.99)
        assert most is not None
        assert holds(queries, most, 0.99)
        assert not holds(queries, most + 1, 0.99)
        assert least_queries(most, 0.99) <= queries < least_queries(most + 1, 0.99)


def test_long_runs_are_no_work() -> None:
    assert tolerated(10**8, 0.99) == 997_685


# Queries and late ones of a run, and how many queries hold 0.99 at the same share of late ones.
AT_SHARE = {(100, 0): 459, (460, 2): 1596, (460, 5): None, (6000, 59): 1_930_842, (700, 1): 662}


@pytest.mark.parametrize(("queries", "late"), AT_SHARE)
def test_how_many_queries_show_the_same_share(queries: int, late: int) -> None:
    needed = queries_at_share(queries, late, 0.99)
    assert needed == AT_SHARE[queries, late]
    if needed:
        assert holds(needed, -(-late * needed // queries), 0.99)
