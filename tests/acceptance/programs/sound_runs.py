"""Makes the logs of a short test that is as it should be: `python sound_runs.py NAME LOG_DIR`.

LoadGen is told what a case of the round v2.0 is told, but for the duration and the number of queries.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlperf_loadgen
from pitfalls import Harness, complete, score

from pytest_mlperf import rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEAST_MS = 20
LATENCY_MS = 2000

_SEEDS = rounds.load("v2.0").seeds
_TOLD = {
    "min_duration_ms": LEAST_MS,
    "qsl_rng_seed": _SEEDS.qsl,
    "sample_index_rng_seed": _SEEDS.sample_index,
    "schedule_rng_seed": _SEEDS.schedule,
}
_SERVER = {
    "scenario": mlperf_loadgen.TestScenario.Server,
    "server_target_qps": 5000.0,
    "server_target_latency_ns": LATENCY_MS * 1_000_000,
    "min_query_count": 700,
}
_OFFLINE = {
    "scenario": mlperf_loadgen.TestScenario.Offline,
    "offline_expected_qps": 1000.0,
    "min_query_count": 1,
}


def after(duration_s: float) -> Callable[[list[Any]], None]:
    """Return what answers a query after a time."""

    def issue(samples: list[Any]) -> None:
        time.sleep(duration_s)
        complete(samples)

    return issue


_ACCURACY = {**_TOLD, "mode": mlperf_loadgen.TestMode.AccuracyOnly}
RUNS: Mapping[str, Callable[[Path], object]] = {
    "SingleStream": Harness(
        issue=after(0.0002), settings={**_TOLD, "single_stream_expected_latency_ns": 100_000}
    ).start,
    "Server": Harness(settings={**_TOLD, **_SERVER}).start,
    "Offline": Harness(issue=after(1.5e-3 * LEAST_MS), settings={**_TOLD, **_OFFLINE}).start,
    "accuracy": lambda log_dir: score(log_dir, Harness(settings=_ACCURACY)),
    "too few": Harness(settings={**_TOLD, **_SERVER, "min_query_count": 10}).start,
}


if __name__ == "__main__":
    RUNS[sys.argv[1]](Path(sys.argv[2]))
