"""Segmentation of volumes: a label per voxel, scored by the mean DICE of kidney and tumour, as in MLPerf."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_mlperf.harness.onnxruntime.tasks import Score
from pytest_mlperf.harness.onnxruntime.tasks.answers import read_answers
from pytest_mlperf.harness.onnxruntime.tasks.assets import open_session, read_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

KIDNEY, TUMOUR = 1, 2


class Segmentation:
    """A segmenter whose graph ends in the arg max: volumes in, a uint8 label per voxel out."""

    batch_size = 2
    uneven = False

    def __init__(self, model_files: Sequence[Path], dataset_files: Sequence[Path]) -> None:
        (model,), (dataset,) = model_files, dataset_files
        arrays = read_arrays(dataset)
        self._session = open_session(model)
        self._volumes = (arrays["volumes"].astype(np.float32) / np.float32(arrays["white"]))[:, None]
        self._labels = arrays["labels"]
        self.sample_count = len(self._labels)

    def cost(self, index: int) -> int:  # noqa: ARG002
        """Return 1: all volumes have the same size."""
        return 1

    def predict(self, indices: Sequence[int]) -> np.ndarray[Any, Any]:
        """Return uint8 labels of shape (samples, depth, height, width)."""
        labels: np.ndarray[Any, Any] = self._session.run(
            None, {"volume": self._volumes.take(indices, axis=0)}
        )[0]
        return labels

    def score(self, responses: Mapping[int, bytes]) -> Score:
        """Return the mean DICE, a fraction. Raises ValueError as `Task.score` says."""
        shape = self._labels.shape[1:]
        return mean_dice(
            read_answers(responses, count=self.sample_count, dtype=np.uint8, shape=shape), self._labels
        )


def mean_dice(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> Score:
    """Return the DICE of kidney and of tumour, means over the volumes (first axis), and the mean of both."""
    kidney, tumour = (_dice(found == label, expected == label) for label in (KIDNEY, TUMOUR))
    mean = f"{(kidney + tumour) / 2:.6f}"
    return Score(
        value=float(mean), line=f"Accuracy: mean = {mean}, kidney = {kidney:.6f}, tumor = {tumour:.6f}"
    )


def _dice(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> float:
    """Return the mean over volumes of twice the overlap by the sum of both; 1 where both are empty."""
    voxels = tuple(range(1, found.ndim))
    overlap = np.count_nonzero(found & expected, axis=voxels)
    both = np.count_nonzero(found, axis=voxels) + np.count_nonzero(expected, axis=voxels)
    return float(np.mean(np.where(both == 0, 1.0, 2 * overlap / np.maximum(both, 1))))
