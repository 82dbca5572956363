"""A stand-in for the harness: it drives the real LoadGen with a system that only knows how to wait.

`machine.json` beside it says which system it knows, how many GPUs that has, how fast it is and how well it
answers.
"""

from __future__ import annotations

import argparse
import array
import json
import os
import queue
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlperf_loadgen as lg

MACHINE = json.loads((Path(__file__).parent / "machine.json").read_text(encoding="utf-8"))
ROUND = MACHINE.get("round", "v2.0")
SUFFIXES = {"triton": "_TRT_Triton"}
TARGETS = {"bert": 90.874, "rnnt": 92.54775, "whisper": 97.9329, "3d-unet": 0.86331}
LEVELS = {"k_99": 0.99, "k_99_9": 0.999}
SAMPLES = 1000
SEVERAL_LEVELS = ("bert", "3d-unet")
HEADLINES = {
    "Offline": ("result_samples_per_second",),
    "Server": ("result_scheduled_samples_per_sec", "result_completed_samples_per_sec"),
    "SingleStream": ("result_90.00_percentile_latency_ns",),
    "MultiStream": ("result_99.00_percentile_per_query_latency_ns",),
}
SEEDS = {
    "v2.0": (6655344265603136530, 15863379492028895792, 12662793979680847247),
    "v4.1": (3066443479025735752, 10688027786191513374, 14962580496156340209),
    "v5.1": (1780908523862526354, 14771362308971278857, 18209322760996052031),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for flag in ("benchmarks", "scenarios", "action"):
        parser.add_argument(f"--{flag}", required=True)
    parser.add_argument("--config_ver", default="default")
    parser.add_argument("--test_mode", choices=("AccuracyOnly", "PerformanceOnly"), default="PerformanceOnly")
    parser.add_argument("--fast" if ROUND == "v2.0" else "--test_run", dest="short", action="store_true")
    parser.add_argument("--harness_type", default="custom")
    parser.add_argument("--accuracy_target", default="0.99")
    parser.add_argument("--power_setting", default="MaxP")
    for flag in ("offline_expected_qps", "server_target_qps"):
        parser.add_argument(f"--{flag}", type=float)
    for flag in ("min_duration", "min_query_count", "server_target_latency_ns"):
        parser.add_argument(f"--{flag}", type=int)
    return parser.parse_known_args()[0]  # a flag that it does not know is passed over


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is run."""

    benchmark: str
    scenario: str
    harness: str
    level: str
    power: str

    @property
    def system(self) -> str:
        suffix = "_TRT" if ROUND == "v5.1" else SUFFIXES.get(self.harness, "_TRT")
        return str(MACHINE["system_id"]) + suffix + ("_MaxQ" if self.power == "MaxQ" else "")

    @property
    def name(self) -> str:
        return f"{self.system}-{self.harness}_{self.level}_{self.power}-{self.scenario}"

    @property
    def folder(self) -> str:
        level = "-" + self.level[2:].replace("_", ".") if self.benchmark in SEVERAL_LEVELS else ""
        return f"{self.system}/{self.benchmark}{level}/{self.scenario}"

    @property
    def plan(self) -> Path:
        folder = Path("build/engines", str(MACHINE["system_id"]), self.benchmark, self.scenario)
        workload = f"{self.harness}_{self.level}_{self.power}"
        return folder / f"{self.benchmark}-{self.scenario}-gpu-b64-int8.{workload}.plan"


def configuration(args: argparse.Namespace) -> Config:
    if ROUND == "v5.1":
        return Config(
            benchmark=args.benchmarks,
            scenario=args.scenarios,
            harness=args.harness_type,
            level={"0.99": "k_99", "0.999": "k_99_9"}[args.accuracy_target],
            power=args.power_setting,
        )
    word = args.config_ver
    default = "lwis" if args.benchmarks in ("resnet50", "ssd-mobilenet", "ssd-resnet34") else "custom"
    return Config(
        benchmark=args.benchmarks,
        scenario=args.scenarios,
        harness="triton" if "triton" in word else default,
        level="k_99_9" if "high_accuracy" in word else "k_99",
        power="MaxQ" if "maxq" in word else "MaxP",
    )


def settings(args: argparse.Namespace, config: Config) -> Any:
    asked = lg.TestSettings()
    asked.scenario = getattr(lg.TestScenario, config.scenario)
    asked.mode = getattr(lg.TestMode, args.test_mode)
    asked.min_duration_ms = args.min_duration or (60_000 if args.short else 600_000)
    asked.min_query_count = args.min_query_count or 1
    asked.qsl_rng_seed, asked.sample_index_rng_seed, asked.schedule_rng_seed = SEEDS[ROUND]
    asked.offline_expected_qps = args.offline_expected_qps or MACHINE["qps"]["Offline"]
    asked.server_target_qps = args.server_target_qps or MACHINE["qps"]["Server"]
    asked.server_target_latency_ns = args.server_target_latency_ns or 130_000_000
    asked.server_target_latency_percentile = 0.99
    return asked


@dataclass(frozen=True, kw_only=True)
class System:
    """Answers after a while; `right` of a hundred answers are right."""

    latency_s: float
    qps: float
    right: float
    offline: bool
    waiting: queue.SimpleQueue[tuple[float, list[int], list[int]] | None] = field(
        default_factory=queue.SimpleQueue
    )

    def start(self) -> threading.Thread:
        """Start to answer; a thread for each query could not keep up beside a busy neighbour."""
        thread = threading.Thread(target=self._answer_in_time)
        thread.start()
        return thread

    def issue(self, ids: list[int], indices: list[int]) -> None:
        if self.offline:
            time.sleep(len(ids) / self.qps)
            self._answer(ids, indices)
        else:
            self.waiting.put((time.monotonic() + self.latency_s, ids, indices))

    def stop(self) -> None:
        """Answer nothing more."""
        self.waiting.put(None)

    def _answer_in_time(self) -> None:
        while (query := self.waiting.get()) is not None:
            due_s, ids, indices = query
            time.sleep(max(0, due_s - time.monotonic()))
            self._answer(ids, indices)

    def _answer(self, ids: list[int], indices: list[int]) -> None:
        answers = array.array("B", [self._is_right(index) for index in indices])
        address = answers.buffer_info()[0]
        lg.QuerySamplesComplete([lg.QuerySampleResponse(s, address + n, 1) for n, s in enumerate(ids)])

    def _is_right(self, index: int) -> int:
        return int(index * 7919 % 100_000 < self.right * 1000)


def run(args: argparse.Namespace, config: Config, log_dir: Path) -> None:
    count = SAMPLES
    behaviour = MACHINE.get(config.benchmark, {})
    asked = settings(args, config)
    system = System(
        latency_s=behaviour.get("latency_s", 0.001),
        qps=1_000_000 if args.test_mode == "AccuracyOnly" else asked.offline_expected_qps,
        right=behaviour.get("right", 100),
        offline=config.scenario == "Offline",
    )
    sut = lg.ConstructFastSUT(system.issue, lambda: None)
    qsl = lg.ConstructQSL(count, count, lambda _: None, lambda _: None)
    output = lg.LogOutputSettings()
    output.outdir = str(log_dir)
    logging = lg.LogSettings()
    logging.log_output = output
    answering = system.start()
    lg.StartTestWithLogSettings(sut, qsl, asked, logging)
    system.stop()
    answering.join()  # LoadGen must have taken the last answer
    lg.DestroyQSL(qsl)
    lg.DestroyFastSUT(sut)


def performance(config: Config, log_dir: Path) -> str:
    facts = {}
    for line in (log_dir / "mlperf_log_detail.txt").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line.removeprefix(":::MLLOG "))
        facts[entry["key"]] = entry["value"]
    if "result_validity" not in facts:
        return "Cannot find performance result. Maybe you are running in AccuracyOnly mode."
    key = next(key for key in HEADLINES[config.scenario] if key in facts)
    return f"{key}: {facts[key]}, Result is {facts['result_validity']}"


def score(config: Config, log_dir: Path) -> tuple[float | None, float]:
    """Return how good the answers are, None where the script does not say it, and how good they must be."""
    answers = json.loads((log_dir / "mlperf_log_accuracy.json").read_text(encoding="utf-8"))
    value = 100 * sum(answer["data"] == "01" for answer in answers) / len(answers)
    lines = {
        "bert": f'{{"exact_match": {value - 7}, "f1": {value}}}',
        "rnnt": f"Word Error Rate: {100 - value}%, accuracy={value}%",
        "3d-unet": f"Accuracy: mean = {MACHINE.get('made_up', value / 100):.5f}, kidney = 1, tumor = 1",
        "whisper": f"Word Error Rate: {100 - value}%, accuracy={value}%",
    }
    said = "" if MACHINE.get("accuracy_script") == "silent" else lines[config.benchmark] + "\n"
    (log_dir / "accuracy.txt").write_text(said, encoding="utf-8")
    return value if said else None, TARGETS[config.benchmark] * LEVELS[config.level]


def accuracy(config: Config, log_dir: Path) -> str:
    """Stop when the answers are not good enough, before anything is written of it, as v2.0 does."""
    found, threshold = score(config, log_dir)
    if config.benchmark == "3d-unet" and found is not None:
        found /= 100
    passed = found is not None and found >= threshold
    verdict = "PASSED" if passed else "FAILED"
    text = f"Accuracy = {found:.3f}, Threshold = {threshold:.3f}. Accuracy test {verdict}"
    if not passed:
        raise RuntimeError(f"{text}!")
    return f"{text}."


def metadata(args: argparse.Namespace, config: Config, log_dir: Path) -> dict[str, Any]:
    """Return what later rounds write of a run."""
    words: dict[str, Any] = {
        "benchmark_short": config.benchmark,
        "scenario": config.scenario,
        "system_name": config.system,
        "test_mode": args.test_mode,
    }
    if ROUND == "v5.1":
        level = {"k_99": "990", "k_99_9": "999"}[config.level]
        words["workload_setting_code"] = f"{config.harness[0]}{config.power[-1].lower()}{level}"
    else:
        words["config_name"] = config.name
    if args.test_mode == "AccuracyOnly":
        value, threshold = score(config, log_dir)
        passed = value is not None and value >= threshold
        result = {"name": "quality", "value": value, "threshold": threshold, "pass": passed}
        verdict = "PASSED" if passed else "FAILED"
        text = f"[{verdict}] quality: {value:.3f} (Threshold={threshold:.3f})"
        return {**words, "accuracy": [result], "accuracy_pass": passed, "summary_string": text}
    text = performance(config, log_dir)
    return {**words, "result_validity": text.rpartition(" ")[2], "summary_string": text}


def add(path: Path, config: Config, text: str) -> None:
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    content.setdefault(config.name, {})[config.benchmark] = text
    path.write_text(json.dumps(content), encoding="utf-8")


def main() -> None:
    args = arguments()
    config = configuration(args)
    visible = os.environ.get("NVIDIA_VISIBLE_DEVICES", "").split(",")
    gpus = sum(uuid.startswith("GPU-") for uuid in visible)
    if gpus != MACHINE["gpus"]:
        sys.stdout.write(f"WARNING: no known system has {gpus} GPUs like these\n")
        return
    if args.action == "generate_engines":
        config.plan.parent.mkdir(parents=True, exist_ok=True)
        config.plan.write_text("engine", encoding="utf-8")
        return
    if not config.plan.exists():
        raise RuntimeError(f"File {config.plan} does not exist.")
    logs = Path(os.environ["LOG_DIR"])
    log_dir = logs / config.folder
    log_dir.mkdir(parents=True, exist_ok=True)
    run(args, config, log_dir)
    if ROUND != "v2.0":
        text = json.dumps(metadata(args, config, log_dir))
        (log_dir / "metadata.json").write_text(text, encoding="utf-8")
        return
    add(logs / "perf_harness_summary.json", config, performance(config, log_dir))
    checked = args.test_mode == "AccuracyOnly"
    text = accuracy(config, log_dir) if checked else "No accuracy results in PerformanceOnly mode."
    add(logs / "accuracy_summary.json", config, text)


if __name__ == "__main__":
    main()
