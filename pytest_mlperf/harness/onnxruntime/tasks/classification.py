"""Image classification: one label per image, scored by top-1 accuracy as MLPerf's ImageNet script does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_mlperf.harness.onnxruntime.tasks import Score
from pytest_mlperf.harness.onnxruntime.tasks.answers import read_answers
from pytest_mlperf.harness.onnxruntime.tasks.assets import open_session, read_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Classification:
    """A classifier whose graph ends in the arg max: images in, int64 labels out."""

    batch_size = 32
    uneven = False

    def __init__(self, model_files: Sequence[Path], dataset_files: Sequence[Path]) -> None:
        (model,), (dataset,) = model_files, dataset_files
        arrays = read_arrays(dataset)
        self._session = open_session(model)
        self._images = (arrays["images"].astype(np.float32) / np.float32(arrays["white"]))[:, None]
        self._labels = arrays["labels"]
        self.sample_count = len(self._labels)

    def cost(self, index: int) -> int:  # noqa: ARG002
        """Return 1: all images have the same size."""
        return 1

    def predict(self, indices: Sequence[int]) -> np.ndarray[Any, Any]:
        """Return int64 labels of shape (samples, 1)."""
        labels: np.ndarray[Any, Any] = self._session.run(None, {"image": self._images.take(indices, axis=0)})[
            0
        ]
        return labels

    def score(self, responses: Mapping[int, bytes]) -> Score:
        """Return the share of right labels, in percent. Raises ValueError as `Task.score` says."""
        labels = read_answers(responses, count=self.sample_count, dtype=np.int64, shape=(1,))
        return top_1(labels[:, 0], self._labels)


def top_1(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> Score:
    """Return the share of equal labels, in percent."""
    good, total = int(np.count_nonzero(found == expected)), len(expected)
    text = f"{100 * good / total:.3f}"
    return Score(value=float(text), line=f"accuracy={text}%, good={good}, total={total}")
