"""One LoadGen test from its first setting to its last line of log, and the record of it."""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import mlperf_loadgen

from pytest_mlperf.harness.onnxruntime.calibration import Targets, find_targets
from pytest_mlperf.harness.onnxruntime.settings import load_settings, log_settings, write_user_conf
from pytest_mlperf.harness.onnxruntime.specification import available_cpus
from pytest_mlperf.harness.onnxruntime.surroundings import AUDIT_CONFIG, THREAD_VARIABLES
from pytest_mlperf.harness.onnxruntime.sut import Direct, Inline, Queued, Shared, Sut, end_process

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_mlperf.harness.onnxruntime.specification import Specification
    from pytest_mlperf.harness.onnxruntime.tasks import Task

RECORD = "run.json"

_DISTRIBUTIONS = ("mlcommons-loadgen", "onnxruntime", "numpy")


@dataclass(frozen=True, kw_only=True)
class Record:
    """What LoadGen does not log.

    calibration:  the targets set, what was measured for them, and why
    mean_batch:   samples for each call of `predict`
    setup_s:      from the start of the child to the start of the test
    test_s:       wall time of the test, and test_cpu_s: time of all threads on the CPU in it
    """

    calibration: Targets
    workers: int
    samples: int
    mean_batch: float
    setup_s: float
    test_s: float
    test_cpu_s: float
    max_rss_bytes: int
    versions: Mapping[str, str]
    cpus: int
    threads: Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class _Cost:
    wall_s: float
    cpu_s: float


def execute(specification: Specification, task: Task, *, started_s: float) -> None:
    """Run the test; leave LoadGen's logs, `user.conf` and the record in the log folder.

    `started_s` is when the child began, by `time.perf_counter`.

    Raises RunError when the test cannot be set up. An exception in the task ends the process.
    """
    targets = find_targets(specification, task)
    user_conf = write_user_conf(specification, targets, sample_count=task.sample_count)
    settings = load_settings(specification, user_conf)
    sut = _build(specification, task, targets.workers)
    setup_s = time.perf_counter() - started_s
    cost = _start_test(sut, settings, task.sample_count, specification.log_dir)
    record = _record(sut, targets, setup_s, cost)
    text = json.dumps(asdict(record), indent=2) + "\n"
    (specification.log_dir / RECORD).write_text(text, encoding="utf-8")


def _build(specification: Specification, task: Task, workers: int) -> Sut:
    if specification.scenario == "Server":
        return Queued(task, workers)
    if specification.scenario == "Offline" and workers > 1:
        return Shared(task, workers)
    query = {"SingleStream": 1, "MultiStream": specification.samples_per_query}
    fits = query.get(specification.scenario, sys.maxsize) <= task.batch_size
    return Direct(task) if fits else Inline(task)


def _start_test(sut: Sut, settings: Any, sample_count: int, log_dir: Path) -> _Cost:
    # The fast kind hands over plain numbers, the other an object for each sample.
    sut_handle = mlperf_loadgen.ConstructFastSUT(sut.issue, _nothing)
    qsl_handle = mlperf_loadgen.ConstructQSL(sample_count, sample_count, _nothing, _nothing)
    logs = log_settings(log_dir)
    # A collection would stop all threads to look through millions of numbers, and find nothing.
    gc.collect()
    gc.freeze()
    gc.disable()
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    try:
        mlperf_loadgen.StartTestWithLogSettings(
            sut_handle, qsl_handle, settings, logs, audit_config_filename=str(log_dir / AUDIT_CONFIG)
        )
    except BaseException:  # noqa: BLE001  LoadGen is in no state to be left in order
        end_process()
    cost = _Cost(wall_s=time.perf_counter() - wall_s, cpu_s=time.process_time() - cpu_s)
    gc.enable()
    mlperf_loadgen.DestroyQSL(qsl_handle)
    mlperf_loadgen.DestroyFastSUT(sut_handle)
    return cost


def _nothing(*_: Any) -> None:
    """Do nothing: the samples stay in memory, and no query is held back to be flushed."""


def _record(sut: Sut, targets: Targets, setup_s: float, cost: _Cost) -> Record:
    samples = sum(lane.samples for lane in sut.lanes)
    return Record(
        calibration=targets,
        workers=len(sut.lanes),
        samples=samples,
        mean_batch=samples / max(1, sum(lane.batches for lane in sut.lanes)),
        setup_s=setup_s,
        test_s=cost.wall_s,
        test_cpu_s=cost.cpu_s,
        max_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        versions={name: version(name) for name in _DISTRIBUTIONS},
        cpus=available_cpus(),
        threads={name: os.environ.get(name) for name in THREAD_VARIABLES},
    )
