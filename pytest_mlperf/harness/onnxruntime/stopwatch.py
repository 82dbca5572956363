"""How fast a task predicts at its best, found in a fraction of a second on a machine that others use too."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_mlperf.harness.onnxruntime.tasks import Task

_PASSES = 3
_MOST_WAITING = 0.5
"""The largest share of a batch's wall time that is put down to others who had the CPU."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The rate of one or more threads over the same batches, in samples/s.

    best:   from the shortest time of each batch, without the time that the thread waited for the CPU
    usual:  from all the time that was spent
    """

    best: float
    usual: float


def measure_pace(task: Task, batches: Sequence[Sequence[int]], *, threads: int, budget_s: float) -> Pace:
    """Predict a spread of the batches at least three times in each thread, for about `budget_s`."""
    middle = batches[len(batches) // 2]
    task.predict(middle)
    started_s = time.perf_counter()
    task.predict(middle)
    count = int(budget_s / _PASSES / (time.perf_counter() - started_s))
    chosen = _spread(batches, max(1, min(count, len(batches))))
    with ThreadPoolExecutor(threads) as pool:
        paces = list(pool.map(lambda _: _time_passes(task, chosen, budget_s), range(threads)))
    return Pace(best=sum(pace.best for pace in paces), usual=sum(pace.usual for pace in paces))


def _time_passes(task: Task, batches: Sequence[Sequence[int]], budget_s: float) -> Pace:
    shortest_s = [float("inf")] * len(batches)
    passes = 0
    started_s = time.perf_counter()
    while passes < _PASSES or time.perf_counter() - started_s < budget_s:
        for place, batch in enumerate(batches):
            wall_s, cpu_s = time.perf_counter(), time.thread_time()
            task.predict(batch)
            cpu_s, wall_s = time.thread_time() - cpu_s, time.perf_counter() - wall_s
            # A batch longer than the scheduler's time slice hardly ever passes undisturbed.
            shortest_s[place] = min(shortest_s[place], max(cpu_s, _MOST_WAITING * wall_s))
        passes += 1
    samples = sum(len(batch) for batch in batches)
    return Pace(best=samples / sum(shortest_s), usual=passes * samples / (time.perf_counter() - started_s))


def _spread(batches: Sequence[Sequence[int]], count: int) -> Sequence[Sequence[int]]:
    """Return that many of the batches, at even distances from each other and from the ends."""
    return [batches[(2 * place + 1) * len(batches) // (2 * count)] for place in range(count)]
