from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_mlperf.errors import RunError
from pytest_mlperf.harness.onnxruntime import calibration, memory
from pytest_mlperf.harness.onnxruntime.calibration import Targets, find_targets
from pytest_mlperf.harness.onnxruntime.specification import Specification
from pytest_mlperf.harness.onnxruntime.stopwatch import measure_pace
from pytest_mlperf.harness.onnxruntime.sut import Batches
from pytest_mlperf.rounds import Seeds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_mlperf.harness.onnxruntime.tasks import Score


class Fake:
    """Computes a millisecond for any batch; now and then a neighbour takes the CPU from it."""

    sample_count = 16
    batch_size = 4

    def __init__(self, *, uneven: bool = False) -> None:
        self.uneven = uneven
        self._calls = 0

    def cost(self, index: int) -> int:
        return index % 4

    def predict(self, indices: Sequence[int]) -> np.ndarray[Any, Any]:
        self._calls += 1
        if self._calls % 7 == 0:
            time.sleep(0.005)
        started_s = time.thread_time()
        while time.thread_time() < started_s + 0.001:
            pass
        return np.array(indices)

    def score(self, responses: Mapping[int, bytes]) -> Score:
        raise NotImplementedError


class Undisturbed(Fake):
    """Has the CPU to itself, as far as it can tell."""

    def predict(self, indices: Sequence[int]) -> np.ndarray[Any, Any]:
        self._calls = 0
        return super().predict(indices)


class Waiting(Fake):
    """Waits for something other than the CPU."""

    def predict(self, indices: Sequence[int]) -> np.ndarray[Any, Any]:
        time.sleep(0.002)
        return np.array(indices)


class Crowded(Fake):
    """Takes eight times as long when two threads are in it."""

    inside = 0

    def predict(self, indices: Sequence[int]) -> np.ndarray[Any, Any]:
        self.inside += 1
        time.sleep(0.001 * self.inside**3)
        self.inside -= 1
        return np.array(indices)


def specification(scenario: str, **changes: Any) -> Specification:
    terms: dict[str, Any] = {
        "miniature": "fake",
        "model": "fake",
        "precision": "fp32",
        "scenario": scenario,
        "mode": "PerformanceOnly",
        "log_dir": Path("/nowhere"),
        "seeds": Seeds(qsl=1, sample_index=2, schedule=3),
        "min_duration_ms": 1000,
        "workers": 1,
    }
    return Specification(**{**terms, **changes})


def test_the_best_pace_forgets_the_neighbour() -> None:
    batches = [[4 * place] * 4 for place in range(4)]
    pace = measure_pace(Fake(), batches, threads=1, budget_s=0.3)
    # A batch of four takes a millisecond; one in seven is disturbed.
    assert pace.usual < pace.best <= 4000


def test_not_all_waiting_is_blamed_on_the_neighbour() -> None:
    pace = measure_pace(Waiting(), [[0, 1, 2, 3]], threads=1, budget_s=0.1)
    assert pace.best <= 4000


def test_offline_expects_more_than_the_best_pace() -> None:
    targets = find_targets(specification("Offline"), Undisturbed())
    assert targets.pace
    # Made for one second, with one second to spare.
    assert targets.qps == pytest.approx(2 * min(1.2 * targets.pace.best, 2 * targets.pace.usual))
    assert targets.qps
    assert targets.qps > 2 * 1.1 * targets.pace.usual
    assert targets.workers == 1


def test_offline_does_not_expect_the_impossible_on_a_busy_machine() -> None:
    targets = find_targets(specification("Offline", min_duration_ms=100_000), Waiting())
    assert targets.pace
    assert targets.qps == pytest.approx(1.01 * 2 * targets.pace.usual)


def test_single_stream_expects_less_than_the_best_latency() -> None:
    targets = find_targets(specification("SingleStream"), Fake())
    assert targets.pace
    assert targets.expected_latency_ms == pytest.approx(0.7e3 / targets.pace.best)


def test_a_query_of_several_batches_is_expected_whole() -> None:
    targets = find_targets(specification("MultiStream", samples_per_query=8), Fake())
    assert targets.pace
    assert targets.expected_latency_ms == pytest.approx(8 * 0.7e3 / targets.pace.best)


def test_several_workers_are_used_where_they_help() -> None:
    targets = find_targets(specification("Offline", workers=2), Waiting())
    assert targets.workers == 2


def test_a_worker_alone_is_used_where_several_hinder_each_other() -> None:
    targets = find_targets(specification("Offline", workers=2), Crowded())
    assert targets.workers == 1


def test_an_accuracy_test_measures_nothing() -> None:
    assert find_targets(specification("Offline", mode="AccuracyOnly", workers=2), Fake()) == Targets(
        workers=2, reason="an accuracy test has no speed to meet"
    )
    assert find_targets(specification("Server", mode="AccuracyOnly"), Fake()).qps == 100_000


def test_scarce_memory_lengthens_the_latency_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    # Room for the queries of one second at a latency of 0.95 ms; no batch of the fake takes less than 1 ms.
    monkeypatch.setattr(calibration, "available_bytes", lambda: 2 * 400 * 2 * 1000 / 0.95)
    targets = find_targets(specification("SingleStream"), Fake())
    assert targets.pace
    assert targets.expected_latency_ms == pytest.approx(max(0.95, 0.7e3 / targets.pace.best))


def test_scarce_memory_slows_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    # Far less than any machine reaches, however busy.
    monkeypatch.setattr(calibration, "available_bytes", lambda: 8_000)
    assert find_targets(specification("Server"), Fake()).qps == 10


@pytest.mark.parametrize("scenario", ["Offline", "SingleStream", "MultiStream"])
def test_too_little_memory_is_refused(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "available_bytes", lambda: 80_000)
    with pytest.raises(RunError, match=f"fake: {scenario}: found .* allowed 100 in the free memory"):
        find_targets(specification(scenario), Fake())


def test_the_kernel_tells_the_free_memory() -> None:
    assert 1e6 < memory.available_bytes() < 1e15


def test_like_samples_share_a_batch_and_the_longest_come_first() -> None:
    ids, indices = list(range(100, 116)), list(range(16))
    batches = list(Batches(Fake(uneven=True)).cut(ids, indices))
    assert [batch for _, batch in batches] == [[3, 7, 11, 15], [2, 6, 10, 14], [1, 5, 9, 13], [0, 4, 8, 12]]
    assert all([sample - 100 for sample in batch] == indices for batch, indices in batches)


def test_even_samples_keep_their_order_and_the_rest_makes_a_batch() -> None:
    batches = list(Batches(Fake()).cut([7, 8, 9, 10, 11], [1, 1, 0, 2, 3]))
    assert batches == [([7, 8, 9, 10], [1, 1, 0, 2]), ([11], [3])]
