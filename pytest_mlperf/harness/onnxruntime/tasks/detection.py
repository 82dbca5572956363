"""Object detection: boxes with digits in them, scored by COCO's mean average precision."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_mlperf.harness.onnxruntime.tasks import Score
from pytest_mlperf.harness.onnxruntime.tasks.answers import read_answer, require_all
from pytest_mlperf.harness.onnxruntime.tasks.assets import open_session, read_arrays
from pytest_mlperf.harness.onnxruntime.tasks.mean_average_precision import Boxes, mean_average_precision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

COLUMNS = 7
"""As in MLPerf: sample index, ymin, xmin, ymax, xmax (fractions of the image), score, label."""


class Detection:
    """A detector whose graph ends in suppressing overlaps: images in, rows of seven float32 out."""

    batch_size = 32
    uneven = False

    def __init__(self, model_files: Sequence[Path], dataset_files: Sequence[Path]) -> None:
        (model,), (dataset,) = model_files, dataset_files
        arrays = read_arrays(dataset)
        images = arrays["images"]
        self._session = open_session(model)
        self._images = (images.astype(np.float32) / np.float32(arrays["white"]))[:, None]
        self._expected = _expected(arrays, image_size=images.shape[-1])
        self.sample_count = len(images)

    def cost(self, index: int) -> int:  # noqa: ARG002
        """Return 1: all images have the same size."""
        return 1

    def predict(self, indices: Sequence[int]) -> list[np.ndarray[Any, Any]]:
        """Return for each sample float32 rows (detections, 7); none is an array of no rows."""
        rows: np.ndarray[Any, Any] = self._session.run(None, {"image": self._images.take(indices, axis=0)})[0]
        # The graph gives rows in the order of the batch, their first column being the place in it.
        place = rows[:, 0].astype(np.intp)
        ends = np.bincount(place, minlength=len(indices)).cumsum().tolist()
        rows[:, 0] = np.asarray(indices)[place]
        return [rows[start:end] for start, end in pairwise([0, *ends])]

    def score(self, responses: Mapping[int, bytes]) -> Score:
        """Return the mean average precision, in percent. Raises ValueError as `Task.score` says."""
        require_all(responses, count=self.sample_count)
        rows = [
            read_answer(index, responses[index], dtype=np.float32, shape=(-1, COLUMNS))
            for index in range(self.sample_count)
        ]
        found = [
            Boxes(corners=each[:, 1:5], scores=each[:, 5], labels=each[:, 6].astype(np.intp)) for each in rows
        ]
        text = f"{100 * mean_average_precision(found, self._expected):.6f}"
        return Score(value=float(text), line=f"mAP={text}%")


def _expected(arrays: Mapping[str, np.ndarray[Any, Any]], *, image_size: int) -> list[Boxes]:
    """Return the true boxes per image, as fractions of it."""
    corners, labels, starts = arrays["boxes"] / np.float32(image_size), arrays["labels"], arrays["starts"]
    spans = [slice(start, end) for start, end in pairwise(starts)]
    return [
        Boxes(corners=corners[span], labels=labels[span], scores=np.ones(len(labels[span]))) for span in spans
    ]
