"""Submission trees of our own making, in which everything passes until a test spoils it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_mlperf.rounds import checker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUBMITTER = "Acme"
SYSTEM = "Roadrunner_x1"

SUMMARY = "Result is : VALID\n\nNo warnings encountered during test.\n\nNo errors encountered during test.\n"
LOGS = {"mlperf_log_summary.txt": SUMMARY, "mlperf_log_accuracy.json": "[\n]\n"}


def run_facts(round_name: str, benchmark: str, scenario: str) -> dict[str, Any]:
    """Return what the detail log of a performance run says that reaches every limit of a round exactly."""
    round_ = checker.load(round_name)
    terms = round_.benchmarks[benchmark]
    logged = "Server" if scenario == "Interactive" else scenario
    tokens = (terms.token_limits or {}).get(scenario)
    return {
        "sut_name": "Acme Network SUT",
        "effective_scenario": logged,
        "effective_test_mode": "PerformanceOnly",
        "effective_min_duration_ms": round_.min_duration_ms,
        "effective_min_query_count": terms.min_queries.get(logged, 1),
        "effective_samples_per_query": terms.offline_samples or 1,
        "effective_performance_sample_count": terms.performance_samples,
        "effective_target_latency_percentile": 0.9 if logged == "SingleStream" else 0.99,
        "effective_target_latency_ns": terms.latency_ns.get(logged, 0),
        "effective_sample_concatenate_permutation": True,
        **{f"effective_{name}_rng_seed": seed for name, seed in asdict(round_.seeds).items()},
        "requested_use_token_latencies": terms.token_limits is not None,
        "result_validity": "VALID",
        "early_stopping_met": True,
        "early_stopping_latency_ss": 1000000,
        "early_stopping_latency_ms": 2000000,
        "result_qps_without_loadgen_overhead": 900.5,
        "result_mean_query_latency_ns": 8000000,
        "result_first_token_99.00_percentile_latency_ns": tokens.first_ns - 1 if tokens else 0,
        "result_time_per_output_token_99.00_percentile_ns": tokens.each_ns - 1 if tokens else 0,
        **{
            key: 123.5
            for key in (*round_.results.values(), *terms.results.values())
            if "second" in key or "_sec" in key
        },
        "result_90.00_percentile_latency_ns": 1000000,
        "result_99.90_percentile_latency_ns": 1000000,
    }


def accuracy_facts(round_name: str, benchmark: str, scenario: str) -> dict[str, Any]:
    """Return what the detail log of an accuracy run says that covers the data set."""
    terms = checker.load(round_name).benchmarks[benchmark]
    return {
        "effective_scenario": scenario,
        "effective_test_mode": "AccuracyOnly",
        "qsl_reported_total_count": terms.accuracy_sample_count(scenario) or 100,
    }


def log_text(facts: Mapping[str, Any], *, errors: tuple[str, ...] = ()) -> str:
    """Return a detail log with facts, and with messages that LoadGen marked as errors."""
    lines = [*facts.items(), *(("error_runtime", error) for error in errors)]
    return "".join(_line(key, value, is_error=key == "error_runtime") for key, value in lines)


def _line(key: str, value: Any, *, is_error: bool) -> str:
    metadata = {"is_error": is_error, "is_warning": False, "file": "written.cc", "line_no": 1}
    entry = {"key": key, "value": value, "time_ms": 0.5, "metadata": metadata}
    return f":::MLLOG {json.dumps(entry)}\n"


def score_text(round_name: str, benchmark: str, scenario: str) -> str:
    """Return an accuracy.txt that reaches every target exactly."""
    targets = checker.load(round_name).benchmarks[benchmark].accuracy_targets(scenario)
    forms = {
        "acc": "accuracy={}%, good=1, total=1",
        "mAP": "mAP={}%",
        "F1": '{{"exact_match": 80.0, "f1": {}}}',
        "AUC": "AUC={}%",
        "WER": "Word Error Rate: 7.1%, accuracy={}%",
        "ACCURACY": "Word Error Rate: 7.1%, accuracy={}%",
        "DICE": "Accuracy: mean = {}, kidney = 0.9",
    }
    keys = {
        "ROUGE1": "rouge1",
        "ROUGE2": "rouge2",
        "ROUGEL": "rougeL",
        "ROUGELSUM": "rougeLsum",
        "gsm8k_accuracy": "gsm8k",
        "mbxp_accuracy": "mbxp",
    }
    lines = [forms[metric].format(repr(value)) for metric, value in targets.items() if metric in forms]
    rest = {keys.get(m, m if "SCORE" in m else m.lower()): v for m, v in targets.items() if m not in forms}
    return "\n".join([*lines, repr(rest), f"hash={'0a' * 32}", ""])


@dataclass(kw_only=True)
class Submission:
    """A tree with one closed result, as files by path; change them, then write."""

    round: str
    benchmark: str = "resnet"
    scenarios: tuple[str, ...] = ("Server", "Offline")
    division: str = "closed"
    category: str = "datacenter"
    files: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        root = f"{self.division}/{SUBMITTER}"
        self.files[f"{root}/systems/{SYSTEM}.json"] = json.dumps(self._description())
        for scenario in self.scenarios:
            self._add(scenario)

    def results(self, scenario: str) -> str:
        return f"{self.division}/{SUBMITTER}/results/{SYSTEM}/{self.benchmark}/{scenario}"

    def run(self, scenario: str) -> str:
        return f"{self.results(scenario)}/performance/run_1"

    def compliance(self, scenario: str) -> str:
        return self._beside("compliance", scenario)

    def measurements(self, scenario: str) -> str:
        return self._beside("measurements", scenario)

    def write(self, tree: Path) -> Path:
        for name, text in self.files.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        return tree

    def spoil_run(self, scenario: str, **facts: Any) -> None:
        """Change facts of the performance run; None takes one away."""
        usual = {**run_facts(self.round, self.benchmark, scenario), **facts}
        kept = {key: value for key, value in usual.items() if value is not None}
        self.files[f"{self.run(scenario)}/mlperf_log_detail.txt"] = log_text(kept)

    def _beside(self, folder: str, scenario: str) -> str:
        inside = checker.load(self.round).layout == "v6.0"
        return self.results(scenario).replace("/results/", "/results/" if inside else f"/{folder}/", 1)

    def _description(self) -> dict[str, str]:
        division = self.division
        round_ = checker.load(self.round)
        over = round_.network_fields if division == "network" else ()
        described = {"submitter": SUBMITTER, "division": division, "status": "available"}
        rest = {"system_type": self.category, **({"is_network": "true"} if over else {})}
        return {**dict.fromkeys((*round_.system_fields, *over), "words"), **described, **rest}

    def _add(self, scenario: str) -> None:
        name, benchmark = self.round, self.benchmark
        facts = run_facts(name, benchmark, scenario)
        run, accuracy = self.run(scenario), f"{self.results(scenario)}/accuracy"
        self._put(run, {**LOGS, "mlperf_log_detail.txt": log_text(facts)})
        scores = {"accuracy.txt": score_text(name, benchmark, scenario)}
        detail = {"mlperf_log_detail.txt": log_text(accuracy_facts(name, benchmark, scenario))}
        self._put(accuracy, {**LOGS, **scores, **detail})
        for test in checker.load(name).benchmarks[benchmark].compliance:
            self._put(f"{self.compliance(scenario)}/{test}", self._test(test, facts))
        self._put(self.measurements(scenario), self._measured(scenario))

    def _measured(self, scenario: str) -> dict[str, str]:
        keys = ("input_data_types", "retraining", "starting_weights_filename", "weight_data_types")
        said = json.dumps(dict.fromkeys((*keys, "weight_transformations"), "int8"))
        inside = checker.load(self.round).layout == "v6.0"
        name = "measurements.json" if inside else f"{SYSTEM}_{scenario}.json"
        needed = checker.load(self.round).measurement_files
        return {name: said, **dict.fromkeys(needed, "words\n")}

    def _test(self, test: str, facts: Mapping[str, Any]) -> dict[str, str]:
        seeds = checker.load(self.round).test05_seeds
        if test == "TEST05" and seeds:
            facts = {**facts, **{f"effective_{name}_rng_seed": seed for name, seed in asdict(seeds).items()}}
        checks = ("First token check pass", "EOS check pass", "Sample length check pass")
        words = "".join(f"{check}: True\n" for check in checks)
        return {
            "performance/run_1/mlperf_log_summary.txt": "",
            "performance/run_1/mlperf_log_detail.txt": log_text(facts),
            "accuracy/accuracy.txt": "",
            "accuracy/mlperf_log_accuracy.json": "",
            "verify_performance.txt": "TEST PASS\n",
            "verify_accuracy.txt": f"{words}TEST PASS\n",
            "verify_output_len.txt": "TEST PASS\n",
        }

    def _put(self, folder: str, files: Mapping[str, str]) -> None:
        self.files.update({f"{folder}/{name}": text for name, text in files.items()})
