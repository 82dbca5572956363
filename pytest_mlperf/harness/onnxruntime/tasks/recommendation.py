"""Recommendation: the chance of a click per user and item, scored by the area under the ROC curve.

As in MLPerf, a sample is a block of pairs that are asked for at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_mlperf.harness.onnxruntime.tasks import Score
from pytest_mlperf.harness.onnxruntime.tasks.answers import read_answers
from pytest_mlperf.harness.onnxruntime.tasks.assets import open_session, read_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

EVEN_CHANCE = 0.5


class Recommendation:
    """A click model: dense and sparse features in, float32 chances out."""

    batch_size = 32
    uneven = False

    def __init__(self, model_files: Sequence[Path], dataset_files: Sequence[Path]) -> None:
        (model,), (dataset,) = model_files, dataset_files
        arrays = read_arrays(dataset)
        self._session = open_session(model)
        self._dense = arrays["dense"].astype(np.float32) * arrays["dense_step"]
        self._sparse = arrays["sparse"].astype(np.int32)
        self._clicked = arrays["clicked"]
        self.sample_count, self._pairs = self._clicked.shape

    def cost(self, index: int) -> int:  # noqa: ARG002
        """Return 1: all samples have the same number of pairs."""
        return 1

    def predict(self, indices: Sequence[int]) -> np.ndarray[Any, Any]:
        """Return float32 chances of a click, of shape (samples, pairs)."""
        dense, sparse = self._dense.take(indices, axis=0), self._sparse.take(indices, axis=0)
        features = {
            "dense": dense.reshape(-1, dense.shape[-1]),
            "sparse": sparse.reshape(-1, sparse.shape[-1]),
        }
        chances: np.ndarray[Any, Any] = self._session.run(None, features)[0]
        return chances.reshape(len(indices), self._pairs)

    def score(self, responses: Mapping[int, bytes]) -> Score:
        """Return the area under the ROC curve, in percent. Raises ValueError as `Task.score` says."""
        chances = read_answers(responses, count=self.sample_count, dtype=np.float32, shape=(self._pairs,))
        return roc_auc(chances.ravel(), self._clicked.ravel(), queries=self.sample_count)


def roc_auc(chances: np.ndarray[Any, Any], clicked: np.ndarray[Any, Any], *, queries: int) -> Score:
    """Return how often a clicked pair has a higher chance than another, in percent; a tie counts half."""
    _, place, sizes = np.unique(chances, return_inverse=True, return_counts=True)
    last_rank = np.cumsum(sizes)
    rank = (last_rank - (sizes - 1) / 2)[place]
    positive = int(np.count_nonzero(clicked))
    above = float(rank[clicked == 1].sum()) - positive * (positive + 1) / 2
    auc = f"{100 * above / (positive * (len(clicked) - positive)):.6f}"
    good, total = int(np.count_nonzero((chances > EVEN_CHANCE) == (clicked == 1))), len(clicked)
    accuracy = f"accuracy={100 * good / total:.3f}%, good={good}, total={total}"
    return Score(value=float(auc), line=f"AUC={auc}%, {accuracy}, queries={queries}")
