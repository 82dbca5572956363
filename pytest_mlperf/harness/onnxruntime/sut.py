"""The system under test: takes LoadGen's queries, has the task predict, and answers.

LoadGen cannot survive a Python exception: raised in a callback it ends in an abort without a trace, raised
in a worker thread it leaves LoadGen waiting for ever. So each entry point ends the process itself.
"""

from __future__ import annotations

import functools
import os
import queue
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

import numpy as np

from pytest_mlperf.harness.onnxruntime.responses import Responder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_mlperf.harness.onnxruntime.tasks import Task

EXIT_CRASHED = 70

Sample: TypeAlias = "tuple[int, int]"
"""A sample's id in LoadGen, and its index in the evaluation set."""

Batch: TypeAlias = "tuple[list[int], list[int]]"
"""The ids of several samples, and their indices."""

Waiting = TypeVar("Waiting")
A = TypeVar("A")
B = TypeVar("B")


def ends_process(function: Callable[[A, B], None]) -> Callable[[A, B], None]:
    """Make an exception in the function print its traceback and end the process with `EXIT_CRASHED`."""

    # Two arguments by name: passing on any number of them doubles the cost, and this is paid by every query.
    @functools.wraps(function)
    def guarded(first: A, second: B) -> None:
        try:
            function(first, second)
        except BaseException:  # noqa: BLE001  whatever it is, it must not reach LoadGen
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(EXIT_CRASHED)

    return guarded


class Lane:
    """The way of one thread from samples to responses; counts what has passed."""

    def __init__(self, task: Task) -> None:
        self._predict = task.predict
        self._send = Responder().send
        self.batch_size = task.batch_size
        self.batches = 0
        self.samples = 0

    def answer(self, ids: Sequence[int], indices: Sequence[int]) -> None:
        """Predict one batch and complete its samples."""
        outputs = self._predict(indices)
        # Counted before the answer, which lets LoadGen end the test.
        self.batches += 1
        self.samples += len(ids)
        self._send(ids, outputs)


class Sut(Protocol):
    """What LoadGen's callback needs, and what is known after the test."""

    lanes: Sequence[Lane]

    def issue(self, ids: list[int], indices: list[int]) -> None:
        """Take a query: the samples' ids in LoadGen, and their indices in the evaluation set."""
        ...


class Inline:
    """Answers within the callback: SingleStream, MultiStream, and Offline with one worker."""

    def __init__(self, task: Task) -> None:
        self.lanes: Sequence[Lane] = (Lane(task),)
        self._answer = self.lanes[0].answer
        self._batches = Batches(task)
        self._batch_size = task.batch_size

    def issue(self, ids: list[int], indices: list[int]) -> None:
        """Answer the query before returning."""
        if len(ids) <= self._batch_size:
            self._answer(ids, indices)
            return
        for batch_ids, batch_indices in self._batches.cut(ids, indices):
            self._answer(batch_ids, batch_indices)


class Shared:
    """Lets threads share the batches of one large query: Offline with several workers."""

    def __init__(self, task: Task, workers: int) -> None:
        self._batches = Batches(task)
        self._queue: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        self.lanes: Sequence[Lane] = [
            _start(_answer_batches, Lane(task), self._queue) for _ in range(workers)
        ]

    def issue(self, ids: list[int], indices: list[int]) -> None:
        """Queue the batches of the query, and return."""
        for batch in self._batches.cut(ids, indices):
            self._queue.put(batch)


def _answer_batches(lane: Lane, batches: queue.SimpleQueue[Batch]) -> None:
    while True:
        lane.answer(*batches.get())


class Queued:
    """Lets threads take what has arrived, without waiting for more: Server."""

    def __init__(self, task: Task, workers: int) -> None:
        self._queue: queue.SimpleQueue[Sample] = queue.SimpleQueue()
        self.lanes: Sequence[Lane] = [
            _start(_answer_waiting, Lane(task), self._queue) for _ in range(workers)
        ]

    def issue(self, ids: list[int], indices: list[int]) -> None:
        """Queue the samples of the query, and return."""
        for sample in zip(ids, indices):  # noqa: B905  LoadGen hands over lists of one length
            self._queue.put(sample)


def _answer_waiting(lane: Lane, samples: queue.SimpleQueue[Sample]) -> None:
    while True:
        lane.answer(*_take(samples, limit=lane.batch_size))


def _take(samples: queue.SimpleQueue[Sample], *, limit: int) -> Batch:
    """Wait for a sample; return it with those that wait behind it, up to the limit."""
    sample, index = samples.get()
    ids, indices = [sample], [index]
    try:
        while len(ids) < limit:
            sample, index = samples.get_nowait()
            ids.append(sample)
            indices.append(index)
    except queue.Empty:
        pass
    return ids, indices


class Batches:
    """Cuts a query into batches; where samples are uneven, the like go together, the longest first.

    With the longest first, no thread is left with a long batch when the others have finished.
    """

    def __init__(self, task: Task) -> None:
        self._size = task.batch_size
        self._ranks = (
            -np.array([task.cost(index) for index in range(task.sample_count)]) if task.uneven else None
        )

    def cut(self, ids: list[int], indices: list[int]) -> Iterator[Batch]:
        """Yield the ids and indices of each batch."""
        if self._ranks is not None:
            order = np.argsort(self._ranks[indices], kind="stable").tolist()
            ids, indices = [ids[place] for place in order], [indices[place] for place in order]
        for start in range(0, len(ids), self._size):
            yield ids[start : start + self._size], indices[start : start + self._size]


def _start(work: Callable[[Lane, Waiting], None], lane: Lane, waiting: Waiting) -> Lane:
    """Start a thread, which ends with the process, and return its lane."""
    threading.Thread(target=ends_process(work), args=(lane, waiting), daemon=True).start()
    return lane
