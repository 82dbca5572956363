"""Reading comprehension: where in a passage the answer to a question is, scored by F1 as SQuAD's script does.

Words are whole numbers here, one for one, so an answer's words are compared as such.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_mlperf.harness.onnxruntime.tasks import Score
from pytest_mlperf.harness.onnxruntime.tasks.answers import read_answer, require_all
from pytest_mlperf.harness.onnxruntime.tasks.assets import open_session, read_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LONGEST_ANSWER = 6
"""In words."""


class Language:
    """A span finder: question and passage in, float32 logits of start and end per word out."""

    batch_size = 32
    uneven = True

    def __init__(self, model_files: Sequence[Path], dataset_files: Sequence[Path]) -> None:
        (model,), (dataset,) = model_files, dataset_files
        arrays = read_arrays(dataset)
        self._session = open_session(model)
        self._lengths = np.diff(arrays["starts"].astype(np.int64))
        self._contexts = arrays["contexts"]
        self._answers = arrays["answers"]
        self.sample_count = len(self._lengths)
        place = np.arange(self._lengths.max())
        self._mask = (place < self._lengths[:, None]).astype(np.int32)
        self._segments = self._mask * (place >= self._contexts[:, None])
        self._words = np.zeros_like(self._mask)
        self._words[self._mask == 1] = arrays["words"]

    def cost(self, index: int) -> int:
        """Return the number of words."""
        return int(self._lengths[index])

    def predict(self, indices: Sequence[int]) -> list[np.ndarray[Any, Any]]:
        """Return for each sample float32 logits of start and end, of shape (words, 2)."""
        lengths = self._lengths.take(indices).tolist()
        longest = max(lengths)
        words = {
            "input_ids": self._words.take(indices, axis=0)[:, :longest],
            "input_mask": self._mask.take(indices, axis=0)[:, :longest],
            "segment_ids": self._segments.take(indices, axis=0)[:, :longest],
        }
        logits = self._session.run(None, words)[0]
        return [row[:length] for row, length in zip(logits, lengths, strict=True)]

    def score(self, responses: Mapping[int, bytes]) -> Score:
        """Return the mean F1 of the words, in percent. Raises ValueError as `Task.score` says."""
        require_all(responses, count=self.sample_count)
        pairs = [self._answer_pair(index, responses[index]) for index in range(self.sample_count)]
        return span_f1([found for found, _ in pairs], [expected for _, expected in pairs])

    def _answer_pair(self, index: int, response: bytes) -> tuple[list[int], list[int]]:
        """Return the words of the answer that was given, and those of the right one."""
        logits = read_answer(index, response, dtype=np.float32, shape=(self.cost(index), 2))
        context = int(self._contexts[index])
        # The passage ends with a separator, which is no word.
        first, last = best_span(logits[context:-1])
        words = self._words[index]
        start, end = self._answers[index]
        return words[context + first : context + last + 1].tolist(), words[start : end + 1].tolist()


def best_span(logits: np.ndarray[Any, Any]) -> tuple[int, int]:
    """Return the first and last word of the span whose logits of start and end have the highest sum."""
    total = logits[:, :1] + logits[None, :, 1]
    allowed = np.triu(np.ones(total.shape, bool)) & ~np.triu(np.ones(total.shape, bool), LONGEST_ANSWER)
    first, last = divmod(int(np.where(allowed, total, -np.inf).argmax()), len(logits))
    return first, last


def span_f1(found: Sequence[Sequence[int]], expected: Sequence[Sequence[int]]) -> Score:
    """Return the mean over samples of the F1 of the answer's words, in percent."""
    pairs = list(zip(found, expected, strict=True))
    exact = round(100 * sum(guess == truth for guess, truth in pairs) / len(pairs), 6)
    f1 = round(100 * sum(_f1(guess, truth) for guess, truth in pairs) / len(pairs), 6)
    return Score(value=f1, line=json.dumps({"exact_match": exact, "f1": f1}))


def _f1(found: Sequence[int], expected: Sequence[int]) -> float:
    shared = sum((Counter(found) & Counter(expected)).values())
    return 2 * shared / (len(found) + len(expected))
