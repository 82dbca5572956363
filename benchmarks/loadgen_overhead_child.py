"""One measurement of `loadgen_overhead.py`, in a process of its own: `MEASUREMENT FOLDER`.

Each measures what `specification.json` in the folder describes, and writes what it found to a file:

pace:     how long a sample of the miniature takes, without LoadGen
batches:  which batches the test makes
test:     what the test costs, and a plain loop over its batches
null:     what a test without a model costs, and
floor:    what it costs when Python does as little as it can
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlperf_loadgen
import numpy as np

from pytest_mlperf.harness.onnxruntime import child, miniatures, settings
from pytest_mlperf.harness.onnxruntime.calibration import Targets
from pytest_mlperf.harness.onnxruntime.specification import Specification
from pytest_mlperf.harness.onnxruntime.stopwatch import measure_pace
from pytest_mlperf.harness.onnxruntime.sut import Batches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_mlperf.harness.onnxruntime.tasks import Responses, Score, Task

BATCH = 32
Found = dict[str, Any]


@dataclass(kw_only=True)
class NullTask:
    """Answers each batch with what it has prepared, and remembers it; makes batches as a miniature does."""

    sample_count: int = 1024
    batch_size: int = BATCH
    uneven: bool = False
    costs: Sequence[int] = ()
    batches: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._answers = [np.zeros((count, 1), np.int64) for count in range(self.batch_size + 1)]

    def cost(self, index: int) -> int:
        """Return the miniature's cost."""
        return self.costs[index]

    def predict(self, indices: Sequence[int]) -> Responses:
        """Return zeros."""
        return self._answers[len(indices)]

    def score(self, responses: Mapping[int, bytes]) -> Score:
        """Raise NotImplementedError: nothing is scored here."""
        raise NotImplementedError


class DryTask(NullTask):
    """Remembers the batches."""

    def predict(self, indices: Sequence[int]) -> Responses:
        """Return zeros."""
        self.batches.append(list(indices))
        return super().predict(indices)


@dataclass(kw_only=True)
class TimedTask:
    """A miniature that adds up the time spent in it; that costs a few tenths of a microsecond a batch."""

    task: Task
    sample_count: int
    batch_size: int
    uneven: bool
    busy_s: float = 0.0

    def cost(self, index: int) -> int:
        """Return the miniature's cost."""
        return self.task.cost(index)

    def predict(self, indices: Sequence[int]) -> Responses:
        """Return what the miniature answers."""
        started_s = time.perf_counter()
        answers = self.task.predict(indices)
        self.busy_s += time.perf_counter() - started_s
        return answers

    def score(self, responses: Mapping[int, bytes]) -> Score:
        """Return the miniature's score."""
        return self.task.score(responses)


def pace(specification: Specification, _: Path) -> Found:
    """Return the time of a sample in microseconds, by scenario."""
    task = miniatures.load(specification.miniature, specification.precision)
    everything = list(range(task.sample_count))
    batches = {
        "Offline": [indices for _, indices in Batches(task).cut(everything, everything)],
        "SingleStream": [[index] for index in everything],
    }
    paces = {
        scenario: measure_pace(task, cut, threads=1, budget_s=0.5).best for scenario, cut in batches.items()
    }
    return {scenario: 1e6 / best for scenario, best in paces.items()}


def batches(specification: Specification, path: Path) -> Found:
    """Return the batches, which the seeds and the count of queries decide."""
    task = miniatures.load(specification.miniature, specification.precision)
    dry = DryTask(
        sample_count=task.sample_count,
        batch_size=task.batch_size,
        uneven=task.uneven,
        costs=[task.cost(index) for index in range(task.sample_count)],
    )
    _run_child(path, dry)
    return {"batches": dry.batches}


def test(specification: Specification, path: Path) -> Found:
    """Run the plain loop before and after the test, so that a drift cancels out."""
    cut = json.loads(path.with_name("batches.json").read_text(encoding="utf-8"))["batches"]
    task = miniatures.load(specification.miniature, specification.precision)
    timed = TimedTask(
        task=task, sample_count=task.sample_count, batch_size=task.batch_size, uneven=task.uneven
    )
    loops = [_loop(task, cut)]
    _run_child(path, timed)
    loops.append(_loop(task, cut))
    cost = _cost(specification)
    in_model_us = 1e6 * timed.busy_s / sum(len(batch) for batch in cut)
    drift = abs(loops[1]["wall_us"] / loops[0]["wall_us"] - 1)
    return {
        "under_loadgen": {**cost, "in_model": in_model_us / cost["wall_us"], "drift": drift},
        "plain": {kind: sum(loop[kind] for loop in loops) / 2 for kind in loops[0]},
    }


def null(specification: Specification, path: Path) -> Found:
    """Run the harness without a model."""
    _run_child(path, NullTask())
    return {"under_loadgen": _cost(specification)}


def floor(specification: Specification, _: Path) -> Found:
    """Give LoadGen its own ids back."""
    size = BATCH if specification.scenario == "Offline" else 1
    responses = [mlperf_loadgen.QuerySampleResponse(0, 0, 0) for _ in range(size)]

    def issue(ids: list[int], _: list[int]) -> None:
        for start in range(0, len(ids), size):
            for response, sample in zip(responses, ids[start : start + size]):  # noqa: B905  as short as can be
                response.id = sample
            mlperf_loadgen.QuerySamplesComplete(responses)

    count = NullTask.sample_count
    targets = Targets(qps=None, expected_latency_ms=specification.expected_latency_ms, reason="given")
    user_conf = settings.write_user_conf(specification, targets, sample_count=count)
    loadgen_settings = settings.load_settings(specification, user_conf)
    sut = mlperf_loadgen.ConstructFastSUT(issue, lambda: None)
    qsl = mlperf_loadgen.ConstructQSL(count, count, lambda _: None, lambda _: None)
    cpu_s = time.process_time()
    mlperf_loadgen.StartTestWithLogSettings(
        sut, qsl, loadgen_settings, settings.log_settings(specification.log_dir)
    )
    return {"under_loadgen": _cost(specification, cpu_s=time.process_time() - cpu_s)}


def _run_child(path: Path, task: Task) -> None:
    code = child.main([str(path)], lambda *_: task)
    if code != 0:
        sys.exit(code)


def _loop(task: Task, cut: Sequence[Sequence[int]]) -> dict[str, float]:
    samples = sum(len(batch) for batch in cut)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    for batch in cut:
        task.predict(batch)
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    return {"wall_us": 1e6 * wall_s / samples, "cpu_us": 1e6 * cpu_s / samples}


def _cost(specification: Specification, *, cpu_s: float | None = None) -> dict[str, float]:
    """Return what LoadGen has measured: times in microseconds for a sample, or a query in SingleStream."""
    if cpu_s is None:
        record = json.loads((specification.log_dir / "run.json").read_text(encoding="utf-8"))
        cpu_s = record["test_cpu_s"]
    lines = (specification.log_dir / "mlperf_log_detail.txt").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line.removeprefix(":::MLLOG ")) for line in lines]
    values = {entry["key"]: entry["value"] for entry in entries}
    cpu_us = 1e6 * cpu_s / (specification.min_query_count or 1)
    if specification.scenario == "Offline":
        wall_us = 1e6 / values["result_samples_per_second"]
        return {"latency_us": wall_us, "wall_us": wall_us, "cpu_us": cpu_us}
    latency_us = values["result_50.00_percentile_latency_ns"] / 1e3
    wall_us = 1e6 / values["result_qps_with_loadgen_overhead"]
    return {"latency_us": latency_us, "wall_us": wall_us, "cpu_us": cpu_us}


MEASUREMENTS = {measure.__name__: measure for measure in (pace, batches, test, null, floor)}


def main(measurement: str, folder: str) -> None:
    """Take the measurement, with an empty log folder, and write it down."""
    path = Path(folder, "specification.json")
    specification = Specification.read(path)
    shutil.rmtree(specification.log_dir, ignore_errors=True)
    specification.log_dir.mkdir()
    found = MEASUREMENTS[measurement](specification, path)
    Path(folder, f"{measurement}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
