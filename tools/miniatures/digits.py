"""The UCI digits that scikit-learn carries: 1797 images of 8x8 pixels, split once for all miniatures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits

WHITE = 16
TRAINING_COUNT = 1297
LICENCE = (
    "Data: Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, 1998, UCI Machine Learning "
    "Repository, https://doi.org/10.24432/C50P49, CC BY 4.0; changed: see dataset. Weights: Apache-2.0."
)


@dataclass(frozen=True, kw_only=True)
class Digits:
    """Images (count, 8, 8) of 0 (black) to 16 (white) with their labels."""

    images: np.ndarray
    labels: np.ndarray


def split() -> tuple[Digits, Digits]:
    """Return the training and the held-out digits."""
    bunch = load_digits()
    # RandomState's streams are frozen, unlike those of default_rng.
    order = np.random.RandomState(0).permutation(len(bunch.target))
    return _subset(bunch, order[:TRAINING_COUNT]), _subset(bunch, order[TRAINING_COUNT:])


def _subset(bunch, chosen: np.ndarray) -> Digits:
    return Digits(images=bunch.images[chosen].astype(np.uint8), labels=bunch.target[chosen].astype(np.uint8))
