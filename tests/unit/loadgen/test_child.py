from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf.harness.onnxruntime import miniatures, score

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.loadgen.conftest import Run, Write

SCENARIOS = ("SingleStream", "MultiStream", "Server", "Offline")
LOGS = (
    "mlperf_log_accuracy.json",
    "mlperf_log_detail.txt",
    "mlperf_log_summary.txt",
    "mlperf_log_trace.json",
    "run.json",
    "user.conf",
)


def read_detail(log_dir: Path) -> dict[str, Any]:
    lines = (log_dir / "mlperf_log_detail.txt").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line.removeprefix(":::MLLOG ")) for line in lines]
    assert [entry["value"] for entry in entries if entry["metadata"]["is_error"]] == []
    return {entry["key"]: entry["value"] for entry in entries}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_performance_test_is_valid_and_as_asked_for(
    scenario: str, write: Write, run: Run, log_dir: Path
) -> None:
    ended = run("child", write(scenario=scenario, mode="PerformanceOnly"))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert tuple(sorted(path.name for path in log_dir.iterdir())) == LOGS
    detail = read_detail(log_dir)
    assert detail["result_validity"] == "VALID"
    assert detail["effective_scenario"] == scenario
    assert detail["effective_test_mode"] == "PerformanceOnly"
    assert detail["effective_min_duration_ms"] == 300
    # The benchmark's own count would reach beyond the end of the evaluation set.
    assert detail["effective_performance_sample_count"] == 500
    assert detail["effective_qsl_rng_seed"] == 6655344265603136530
    assert detail["effective_sample_index_rng_seed"] == 15863379492028895792
    assert detail["effective_schedule_rng_seed"] == 12662793979680847247
    assert (log_dir / "mlperf_log_trace.json").read_bytes() == b""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_an_accuracy_test_has_the_score_of_the_manifest(
    scenario: str, write: Write, run: Run, log_dir: Path
) -> None:
    specification = write(scenario=scenario, mode="AccuracyOnly")
    assert run("child", specification).returncode == 0
    detail = read_detail(log_dir)
    assert detail["effective_test_mode"] == "AccuracyOnly"
    assert detail["effective_schedule_rng_seed"] == 12662793979680847247
    ended = run("score", specification)
    assert (ended.returncode, ended.stderr) == (0, "")
    line, checksum = (log_dir / "accuracy.txt").read_text(encoding="utf-8").splitlines()
    assert line.startswith(f"accuracy={miniatures.find('resnet8-digits').quality['fp32']:.3f}%, ")
    assert checksum == "hash=" + score.read_responses(log_dir / "mlperf_log_accuracy.json")[1]


def test_the_record_tells_what_was_measured_and_why(write: Write, run: Run, log_dir: Path) -> None:
    run("child", write(scenario="Server", mode="PerformanceOnly", min_duration_ms=100, workers=3))
    record = json.loads((log_dir / "run.json").read_text(encoding="utf-8"))
    targets = record["calibration"]
    assert targets["qps"] == pytest.approx(0.35 * targets["pace"]["usual"])
    assert targets["reason"] == "0.35 x usual pace, or less to save memory"
    assert targets["pace"]["best"] >= targets["pace"]["usual"] > 0
    assert record["workers"] == 3
    assert record["mean_batch"] >= 1
    assert record["samples"] >= 700
    assert record["setup_s"] > 0
    assert record["test_s"] >= 0.1
    assert record["test_cpu_s"] > 0
    assert record["max_rss_bytes"] > 20e6
    assert record["cpus"] >= 1
    assert record["versions"].keys() == {"mlcommons-loadgen", "onnxruntime", "numpy"}
    assert record["threads"] == dict.fromkeys(
        ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"
    )


def test_what_is_given_is_not_measured(write: Write, run: Run, log_dir: Path) -> None:
    given = {"target_qps": 2000.0, "target_latency_ms": 77, "min_query_count": 800, "min_duration_ms": 100}
    run("Even", write(scenario="Server", mode="PerformanceOnly", model="fake", **given))
    record = json.loads((log_dir / "run.json").read_text(encoding="utf-8"))
    assert record["calibration"]["pace"] is None
    assert record["calibration"]["reason"] == "given"
    detail = read_detail(log_dir)
    assert detail["effective_target_qps"] == 2000
    assert detail["effective_target_latency_ns"] == 77_000_000
    assert detail["effective_min_query_count"] == 800
    assert detail["result_validity"] == "VALID"


def test_the_latency_expected_may_be_below_a_millisecond(write: Write, run: Run, log_dir: Path) -> None:
    run("Even", write(mode="PerformanceOnly", expected_latency_ms=0.0005, min_duration_ms=10))
    assert read_detail(log_dir)["effective_target_qps"] == 2_000_000


def test_the_count_of_the_benchmark_does_not_prolong_offline(write: Write, run: Run, log_dir: Path) -> None:
    run("Even", write(scenario="Offline", mode="PerformanceOnly", target_qps=10, model="resnet50"))
    assert read_detail(log_dir)["effective_samples_per_query"] == 3


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("kind", ["Even", "Lists", "Widening"])
def test_every_byte_of_every_response_is_logged(
    kind: str, scenario: str, write: Write, run: Run, log_dir: Path
) -> None:
    ended = run(kind, write(scenario=scenario, mode="AccuracyOnly"))
    assert (ended.returncode, ended.stderr) == (0, "")
    responses, _ = score.read_responses(log_dir / "mlperf_log_accuracy.json")
    assert responses.keys() == set(range(16))
    for index, response in responses.items():
        number = index.to_bytes(4 if kind == "Widening" else 8, "little")
        assert response == number * (len(response) // len(number))
        if kind == "Lists":
            assert len(response) == 8 * (index % 5)
        else:
            assert response


def test_responses_keep_their_own_types(write: Write, run: Run, log_dir: Path) -> None:
    ended = run("Mixed", write(scenario="MultiStream", mode="AccuracyOnly"))
    assert (ended.returncode, ended.stderr) == (0, "")
    responses, _ = score.read_responses(log_dir / "mlperf_log_accuracy.json")
    assert sorted(len(response) for response in responses.values()) == [4] * 8 + [8] * 8
