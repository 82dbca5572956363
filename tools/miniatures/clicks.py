"""A click log with a known cause: users and items have hidden tastes, and clicks are drawn from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEED = 0
PAIRS = 120_000
USERS, ITEMS, CONTEXTS, CATEGORIES = 1000, 2000, 24, 16
CARDINALITIES = (USERS, ITEMS, CONTEXTS, CATEGORIES)
DENSE, TASTES = 8, 6
DENSE_STEP = 1 / 32
"""Dense features are multiples of this, so that they fit in a byte."""


@dataclass(frozen=True, kw_only=True)
class Log:
    """Pairs of a user and an item.

    dense:      int8 (count, 8), in steps of DENSE_STEP
    sparse:     user, item, context and category of the item, uint16 (count, 4)
    clicked:    0 or 1, uint8 (count,)
    """

    dense: np.ndarray
    sparse: np.ndarray
    clicked: np.ndarray

    def part(self, chosen) -> Log:
        return Log(dense=self.dense[chosen], sparse=self.sparse[chosen], clicked=self.clicked[chosen])


def generate() -> Log:
    """Return the whole log; the order of its pairs is random."""
    random = np.random.RandomState(SEED)
    sparse, item_category = _features(random)
    dense = np.clip(np.round(random.randn(PAIRS, DENSE) / DENSE_STEP), -127, 127).astype(np.int8)
    user, item, context = sparse
    taste = (random.randn(USERS, TASTES)[user] * random.randn(ITEMS, TASTES)[item]).sum(1)
    popularity, moment = random.randn(ITEMS)[item] * 0.7, random.randn(CONTEXTS)[context] * 0.5
    urge = 0.55 * taste + popularity + moment + dense * DENSE_STEP @ (random.randn(DENSE) * 0.3) - 0.8
    clicked = random.rand(PAIRS) < 1 / (1 + np.exp(-urge))
    columns = np.stack([user, item, context, item_category[item]], axis=1).astype(np.uint16)
    return Log(dense=dense, sparse=columns, clicked=clicked.astype(np.uint8))


def _features(random: np.random.RandomState) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    frequency = 1 / np.arange(1, ITEMS + 1) ** 0.8
    item = random.choice(ITEMS, PAIRS, p=frequency / frequency.sum())
    sparse = random.randint(0, USERS, PAIRS), item, random.randint(0, CONTEXTS, PAIRS)
    return sparse, random.randint(0, CATEGORIES, ITEMS)
