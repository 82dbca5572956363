"""A program as a site may have one: it drives the real LoadGen, and knows nothing of pytest.

python commanded.py --scenario S --output DIR [--accuracy] [--quality Q] [--qps Q] [--seeds A B C]
"""

from __future__ import annotations

import argparse
import array
import os
import time
from pathlib import Path
from typing import Any

import mlperf_loadgen

SAMPLES = 64
DELAY_S = 0.001
EXPECTED_NS = 500_000
_ANSWER = array.array("i", [7])


def main() -> None:
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    settings = mlperf_loadgen.TestSettings()
    settings.scenario = getattr(mlperf_loadgen.TestScenario, options.scenario)
    mode = "AccuracyOnly" if options.accuracy else "PerformanceOnly"
    settings.mode = getattr(mlperf_loadgen.TestMode, mode)
    settings.min_duration_ms = round(1000 * options.min_duration_s)
    settings.min_query_count = 1 if options.scenario == "Offline" else 64
    settings.single_stream_expected_latency_ns = EXPECTED_NS
    if options.qps:
        settings.offline_expected_qps = options.qps
    settings.qsl_rng_seed, settings.sample_index_rng_seed, settings.schedule_rng_seed = options.seeds
    logs = mlperf_loadgen.LogSettings()
    logs.enable_trace = False
    logs.log_output.outdir = str(options.output)
    logs.log_output.copy_summary_to_stdout = False
    sut = mlperf_loadgen.ConstructSUT(_complete, _nothing)
    samples = mlperf_loadgen.ConstructQSL(SAMPLES, SAMPLES, _nothing, _nothing)
    mlperf_loadgen.StartTestWithLogSettings(sut, samples, settings, logs)
    mlperf_loadgen.DestroyQSL(samples)
    mlperf_loadgen.DestroySUT(sut)
    (options.output / "devices.txt").write_text(os.environ["CUDA_VISIBLE_DEVICES"], encoding="utf-8")
    if options.quality is not None:
        text = f"accuracy={options.quality}%, good=1, total=2\n"
        (options.output / "accuracy.txt").write_text(text, encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--scenario", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--accuracy", action="store_true")
    parser.add_argument("--quality", type=float)
    parser.add_argument("--qps", type=float)
    parser.add_argument("--min-duration-s", type=float, required=True)
    parser.add_argument("--seeds", type=int, nargs=3, required=True)
    return parser.parse_args()


def _complete(samples: list[Any]) -> None:
    time.sleep(DELAY_S)
    address = _ANSWER.buffer_info()[0]
    responses = [mlperf_loadgen.QuerySampleResponse(s.id, address, _ANSWER.itemsize) for s in samples]
    mlperf_loadgen.QuerySamplesComplete(responses)


def _nothing(*_: Any) -> None:
    pass


if __name__ == "__main__":
    main()
