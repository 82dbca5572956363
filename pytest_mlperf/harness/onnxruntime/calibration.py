"""The speed that LoadGen is told to expect, found by trying the task just before the test.

LoadGen makes all queries before it starts the clock, as many as it expects to need, and a test that runs out
of them is INVALID. So each target is set beyond the best that was seen, and not far: a surplus of queries
costs time in Offline and memory in the other scenarios.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.errors import RunError
from pytest_mlperf.harness.onnxruntime.memory import available_bytes
from pytest_mlperf.harness.onnxruntime.specification import LOADGEN_MIN_DURATION_MS
from pytest_mlperf.harness.onnxruntime.stopwatch import Pace, measure_pace
from pytest_mlperf.harness.onnxruntime.sut import Batches

if TYPE_CHECKING:
    from pytest_mlperf.harness.onnxruntime.specification import Specification
    from pytest_mlperf.harness.onnxruntime.tasks import Task

OFFLINE_SURPLUS = 1.2
BUSY_SURPLUS = 2.0
"""Of the usual pace: enough for a neighbour that leaves for good; more would only prolong the test."""

SPARE_S = 1.0
"""How much longer than asked an Offline test may take, on top of the surplus. A pace measured in less than
a second beside a neighbour can be half of what the test then reaches; a long test evens that out."""

LATENCY_SHARE = 0.7
SERVER_LOAD = 0.35
ACCURACY_QPS = 100_000.0

_LOSS = 0.9
"""Several Offline workers are given up when all together reach less than this share of the pace of one."""

_GIVEN = "given"
_BUDGET_S = 0.4
_SLACK = 2.0
"""SingleStream and MultiStream make this many times the queries that the expected latency asks for."""

_OFFLINE_SLACK = 1.1
_BYTES_PER_SAMPLE = 400
"""More than LoadGen 6.0 was seen to take: 355 in Server, 315 in SingleStream, 140 in the others."""

_MEMORY_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What LoadGen is told, and where it comes from.

    qps:                  Server's rate or Offline's expected rate, samples/s; None leaves LoadGen's default
    expected_latency_ms:  of SingleStream's and MultiStream's queries; None leaves LoadGen's default
    workers:              threads to predict with
    pace:                 samples/s in batches as the scenario makes them; None if nothing was tried
    reason:               how the target follows from it
    """

    qps: float | None = None
    expected_latency_ms: float | None = None
    workers: int = 1
    pace: Pace | None = None
    reason: str


def find_targets(specification: Specification, task: Task) -> Targets:
    """Return the targets that were asked for, and those that had to be found by trying.

    Takes about half a second where something has to be tried.
    Raises RunError when LoadGen's queries would not fit into half of the free memory.
    """
    scenario = specification.scenario
    if specification.mode == "AccuracyOnly":
        qps = specification.target_qps or ACCURACY_QPS if scenario == "Server" else None
        workers = specification.workers if scenario in {"Server", "Offline"} else 1
        return Targets(qps=qps, workers=workers, reason="an accuracy test has no speed to meet")
    if scenario == "Offline":
        return _offline(specification, task)
    return _server(specification, task) if scenario == "Server" else _stream(specification, task)


def _offline(specification: Specification, task: Task) -> Targets:
    given = specification.target_qps
    if given and specification.workers == 1:
        targets = Targets(qps=given, reason=_GIVEN)
    else:
        workers, pace = _choose_workers(specification, task)
        surplus = 1 + SPARE_S / _min_duration_s(specification)
        found = surplus * min(OFFLINE_SURPLUS * pace.best, BUSY_SURPLUS * pace.usual)
        bounds = f"{OFFLINE_SURPLUS} x best pace, at most {BUSY_SURPLUS} x usual pace, for {SPARE_S:g} s more"
        reason = _GIVEN if given else bounds
        targets = Targets(qps=given or found, workers=workers, pace=pace, reason=reason)
    _require_memory(
        specification, samples=_OFFLINE_SLACK * (targets.qps or 0) * _min_duration_s(specification)
    )
    return targets


def _choose_workers(specification: Specification, task: Task) -> tuple[int, Pace]:
    """Return all the workers, or one where it is faster alone: where they wait for the interpreter's lock."""
    everything = list(range(task.sample_count))
    batches = [indices for _, indices in Batches(task).cut(everything, everything)]
    workers = specification.workers
    if workers == 1:
        return 1, measure_pace(task, batches, threads=1, budget_s=_BUDGET_S)
    alone, together = (measure_pace(task, batches, threads=n, budget_s=_BUDGET_S / 2) for n in (1, workers))
    return (1, alone) if together.usual < _LOSS * alone.usual else (workers, together)


def _server(specification: Specification, task: Task) -> Targets:
    duration_s = _min_duration_s(specification)
    workers = specification.workers
    if specification.target_qps:
        _require_memory(specification, samples=specification.target_qps * duration_s)
        return Targets(qps=specification.target_qps, workers=workers, reason=_GIVEN)
    pace = measure_pace(task, [[index] for index in range(task.sample_count)], threads=1, budget_s=_BUDGET_S)
    # The usual pace, not the best: Server cannot end early, but on a busy machine it can fall behind.
    qps = min(SERVER_LOAD * pace.usual, _affordable_samples() / duration_s)
    reason = f"{SERVER_LOAD} x usual pace, or less to save memory"
    return Targets(qps=qps, workers=workers, pace=pace, reason=reason)


def _stream(specification: Specification, task: Task) -> Targets:
    query = specification.samples_per_query if specification.scenario == "MultiStream" else 1
    prepared = _SLACK * _min_duration_s(specification) * query
    given = specification.expected_latency_ms
    if given:
        _require_memory(specification, samples=prepared / given * 1e3)
        return Targets(expected_latency_ms=given, reason=_GIVEN)
    size = min(query, task.batch_size, task.sample_count)
    batches = [[*range(start, start + size)] for start in range(0, task.sample_count - size + 1, size)]
    pace = measure_pace(task, batches, threads=1, budget_s=_BUDGET_S)
    best_s = query / pace.best
    expected_s = max(LATENCY_SHARE * best_s, min(best_s, prepared / _affordable_samples()))
    _require_memory(specification, samples=prepared / expected_s)
    reason = f"{LATENCY_SHARE} x best latency, or up to all of it to save memory"
    return Targets(expected_latency_ms=1e3 * expected_s, pace=pace, reason=reason)


def _min_duration_s(specification: Specification) -> float:
    return (specification.min_duration_ms or LOADGEN_MIN_DURATION_MS) / 1e3


def _affordable_samples() -> float:
    return _MEMORY_SHARE * available_bytes() / _BYTES_PER_SAMPLE


def _require_memory(specification: Specification, *, samples: float) -> None:
    affordable = _affordable_samples()
    if samples > affordable:
        place = f"{specification.miniature}: {specification.scenario}"
        fact = (
            f"found {samples:.3g} samples for LoadGen to prepare, allowed {affordable:.3g} in the free memory"
        )
        raise RunError(f"{place}: {fact}", hint="set a shorter min_duration_ms, or take a larger miniature")
