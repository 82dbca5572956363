"""The system under test: takes LoadGen's queries, has the task predict, and answers.

LoadGen cannot survive a Python exception: raised in a callback it ends in an abort with the logs cut, raised
in a worker thread it leaves LoadGen waiting for ever. So a failure to answer ends the process at once.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import traceback
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeAlias, TypeVar

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


def end_process() -> NoReturn:
    """Print the traceback of the exception being handled, and end the process with `EXIT_CRASHED`."""
    traceback.print_exc()
    sys.stderr.flush()
    os._exit(EXIT_CRASHED)


class Lane:
    """The way of one thread from samples to responses; counts what has passed."""

    def __init__(self, task: Task) -> None:
        self._predict = task.predict
        self._send = Responder().send
        self.batch_size = task.batch_size
        self.batches = 0
        self.samples = 0

    def answer(self, ids: list[int], indices: list[int]) -> None:
        """Predict one batch and complete its samples."""
        try:
            outputs = self._predict(indices)
            # Counted before the answer, which lets LoadGen end the test.
            self.batches += 1
            self.samples += len(ids)
            self._send(ids, outputs)
        except BaseException:  # noqa: BLE001  whatever it is, it must not reach LoadGen
            end_process()


class Sut(Protocol):
    """What LoadGen calls, and what is known after the test.

    issue: takes the ids in LoadGen of a query's samples, and their indices in the evaluation set
    """

    lanes: Sequence[Lane]

    @property
    def issue(self) -> Callable[[list[int], list[int]], None]:
        """Take a query."""
        ...


class Direct:
    """Answers a query, if it fits into one batch, within LoadGen's call: SingleStream, MultiStream."""

    def __init__(self, task: Task) -> None:
        self.lanes: Sequence[Lane] = (Lane(task),)
        # No function of its own: each one more is felt when its code has left the cache.
        self.issue = self.lanes[0].answer


class Inline:
    """Answers a query of any size, batch by batch, within LoadGen's call: Offline with one worker."""

    def __init__(self, task: Task) -> None:
        self.lanes: Sequence[Lane] = (Lane(task),)
        self._batches = Batches(task)

    def issue(self, ids: list[int], indices: list[int]) -> None:
        """Answer the query before returning."""
        for batch_ids, batch_indices in self._batches.cut(ids, indices):
            self.lanes[0].answer(batch_ids, batch_indices)


Waiting = TypeVar("Waiting")


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
    threading.Thread(target=work, args=(lane, waiting), daemon=True).start()
    return lane
