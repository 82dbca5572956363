"""Speech recognition: the digits that are said, scored by the word error rate, as in MLPerf."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_mlperf.harness.onnxruntime.tasks import Score
from pytest_mlperf.harness.onnxruntime.tasks.answers import read_answer, require_all
from pytest_mlperf.harness.onnxruntime.tasks.assets import open_session, read_arrays
from pytest_mlperf.harness.onnxruntime.tasks.spectrum import features

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

BLANK = 10
"""What the network says for a frame in which no digit ends."""


class Speech:
    """A transducer whose graph decodes greedily: features in, one uint8 digit or blank per frame out.

    Features are computed when the evaluation set is read, not while it is measured.
    """

    batch_size = 32
    uneven = True

    def __init__(self, model_files: Sequence[Path], dataset_files: Sequence[Path]) -> None:
        (model,), (dataset,) = model_files, dataset_files
        arrays = read_arrays(dataset)
        self._session = open_session(model)
        heard = [features(sound) for sound in _split(arrays["sounds"], arrays["sound_starts"])]
        self._lengths = np.array([len(frames) for frames in heard])
        self._features = _padded(heard, self._lengths)
        self._said = [digits.tolist() for digits in _split(arrays["digits"], arrays["digit_starts"])]
        self.sample_count = len(self._said)

    def cost(self, index: int) -> int:
        """Return the number of frames."""
        return int(self._lengths[index])

    def predict(self, indices: Sequence[int]) -> list[np.ndarray[Any, Any]]:
        """Return for each sample the digits, uint8 of shape (digits,); silence is an array of none."""
        lengths = self._lengths.take(indices)
        frames = lengths.max()
        symbols = self._session.run(None, {"features": self._features.take(indices, axis=0)[:, :frames]})[0]
        said = (symbols != BLANK) & (np.arange(frames) < lengths[:, None])
        digits, ends = symbols[said], said.sum(axis=1).cumsum().tolist()
        return [digits[start:end] for start, end in pairwise([0, *ends])]

    def score(self, responses: Mapping[int, bytes]) -> Score:
        """Return 100 minus the word error rate, in percent. Raises ValueError as `Task.score` says."""
        require_all(responses, count=self.sample_count)
        heard = [self._digits(index, responses[index]) for index in range(self.sample_count)]
        return word_accuracy(heard, self._said)

    def _digits(self, index: int, response: bytes) -> list[int]:
        digits: list[int] = read_answer(index, response, dtype=np.uint8, shape=(-1,)).tolist()
        most = self.cost(index)
        if len(digits) > most:
            hint = "a response is one byte per digit, at most one per frame"
            raise ValueError(
                f"sample {index}: response: found {len(digits)} bytes, allowed {most} ; hint: {hint}"
            )
        return digits


def word_accuracy(heard: Sequence[Sequence[int]], said: Sequence[Sequence[int]]) -> Score:
    """Return 100 minus the word error rate.

    The rate is the least number of insertions, deletions and substitutions, in percent of the words said.
    """
    errors = sum(edit_distance(guess, truth) for guess, truth in zip(heard, said, strict=True))
    rate = round(100 * errors / sum(len(truth) for truth in said), 6)
    accuracy = round(100 - rate, 6)
    return Score(value=accuracy, line=f"Word Error Rate: {rate:.6f}%, accuracy={accuracy:.6f}%")


def edit_distance(one: Sequence[int], other: Sequence[int]) -> int:
    """Return the least number of insertions, deletions and substitutions that turn one into the other."""
    distances = list(range(len(other) + 1))
    for row, left in enumerate(one, start=1):
        diagonal, distances[0] = distances[0], row
        for column, right in enumerate(other, start=1):
            steps = distances[column] + 1, distances[column - 1] + 1, diagonal + (left != right)
            diagonal, distances[column] = distances[column], min(steps)
    return distances[-1]


def _split(values: np.ndarray[Any, Any], starts: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    return [values[start:end] for start, end in pairwise(starts)]


def _padded(heard: Sequence[np.ndarray[Any, Any]], lengths: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the features as one array, with zeros after the end of the shorter ones."""
    padded = np.zeros((len(heard), int(lengths.max()), heard[0].shape[1]), np.float32)
    for row, frames in zip(padded, heard, strict=True):
        row[: len(frames)] = frames
    return padded
