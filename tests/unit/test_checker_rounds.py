from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf import rounds
from pytest_mlperf.rounds import Seeds, checker
from pytest_mlperf.rounds.checker import Benchmark, TokenLimits

ROUNDS = ("v2.0", "v2.1", "v3.0", "v3.1", "v4.0", "v4.1", "v5.0", "v5.1", "v6.0", "v6.1")

# A JSON file of what the checkers' own tables say, by round. It is no part of the project.
TABLES = os.environ.get("MLPERF_RULES_TABLES")

EVERY = [(name, benchmark) for name in ROUNDS for benchmark in checker.load(name).benchmarks]


def of(round_name: str, benchmark: str) -> Benchmark:
    return checker.load(round_name).benchmarks[benchmark]


def test_the_rounds_that_are_known() -> None:
    assert checker.names() == ROUNDS
    assert set(rounds.names()) <= set(ROUNDS)


@pytest.mark.parametrize("name", ["v1.1", "patterns", "", "../v2.0"])
def test_an_unknown_round_is_a_key_error(name: str) -> None:
    with pytest.raises(KeyError):
        checker.load(name)


def test_a_round_for_planning_and_its_checker_agree() -> None:
    assert checker.load("v2.0").seeds == rounds.load("v2.0").seeds
    assert checker.load("v2.0").min_duration_ms == rounds.load("v2.0").min_duration_s * 1000


# How many benchmarks a round has, its seed of the samples' order, and TEST05's.
FACTS = {
    "v2.0": (10, 15863379492028895792, None),
    "v2.1": (9, 4163916728725999944, 471397156132239067),
    "v3.0": (9, 17183018601990103738, 1207248993894122914),
    "v3.1": (13, 520418551913322573, 255610748586851044),
    "v4.0": (14, 198141574272810017, 11176391829184272374),
    "v4.1": (14, 10688027786191513374, 5453809927556429288),
    "v5.0": (16, 15036839855038426416, None),
    "v5.1": (19, 14771362308971278857, None),
    "v6.0": (23, 14276810075590677512, None),
    "v6.1": (21, 2747215439041700203, None),
}


@pytest.mark.parametrize("name", ROUNDS)
def test_a_round_has_its_benchmarks_and_seeds(name: str) -> None:
    round_ = checker.load(name)
    benchmarks, order, test05 = FACTS[name]
    assert len(round_.benchmarks) == benchmarks
    assert round_.seeds.sample_index == order
    assert (round_.test05_seeds.sample_index if round_.test05_seeds else None) == test05


def test_no_two_rounds_have_the_same_seeds() -> None:
    assert len({checker.load(name).seeds for name in ROUNDS}) == len(ROUNDS)


@pytest.mark.parametrize(("name", "benchmark"), EVERY)
def test_every_metric_has_a_pattern(name: str, benchmark: str) -> None:
    terms, patterns = of(name, benchmark), checker.load(name).patterns
    for scenario in ("Offline", "Server", "Interactive"):
        assert terms.accuracy_targets(scenario).keys() <= patterns.keys()
    assert terms.accuracy_limit.keys() <= patterns.keys()


@pytest.mark.parametrize(("name", "benchmark"), EVERY)
def test_every_benchmark_is_complete(name: str, benchmark: str) -> None:
    terms = of(name, benchmark)
    assert terms.name == benchmark
    assert terms.performance_samples > 0
    assert any(terms.required.values())
    for metric, limit in terms.accuracy_limit.items():
        assert limit > terms.accuracy.get(metric, 0)
    assert set(terms.compliance) <= {
        *("TEST01", "TEST04", "TEST04-A", "TEST04-B", "TEST05", "TEST06", "TEST07", "TEST08", "TEST09")
    }


def test_some_limits() -> None:
    assert of("v2.0", "bert-99").latency_ns == {"Server": 130_000_000}
    assert of("v2.0", "ssd-large").required["edge"] == ("SingleStream", "MultiStream", "Offline")
    assert of("v2.0", "ssd-small").required["datacenter"] is None
    assert of("v5.1", "llama2-70b-99").token_limits == {
        "Server": TokenLimits(first_ns=2_000_000_000, each_ns=200_000_000),
        "Interactive": TokenLimits(first_ns=450_000_000, each_ns=40_000_000),
    }
    assert of("v5.1", "llama3.1-8b-edge").token_limits == {}
    assert of("v5.1", "resnet").token_limits is None
    assert of("v5.1", "resnet").required["both"] == ("SingleStream", "MultiStream", "Server", "Offline")
    assert of("v4.1", "stable-diffusion-xl").accuracy_delta_percent == {"CLIP_SCORE": 1, "FID_SCORE": 2}
    assert of("v6.1", "qwen3-vl-235b-a22b").accuracy_targets("Interactive") == {
        "F1_HIERARCHICAL": 0.7799219999999999
    }
    assert of("v6.1", "qwen3-vl-235b-a22b").accuracy_sample_count("Interactive") == 8000
    assert of("v6.0", "gpt-oss-120b").accuracy_sample_count("Offline") == 4395
    assert of("v5.1", "dlrm-v2-99").accuracy_sample_count("Offline") == 330067
    assert of("v2.0", "resnet").accuracy_sample_count("Offline") is None


# The first round in which breaking a rule rejects a result, and the rounds after which it no longer does.
SEVERITIES = {
    "validity": ("v2.0", "v5.1"),
    "errors": ("v2.0", "v5.1"),
    "accuracy": ("v2.0", "v6.1"),
    "performance_samples": ("v2.0", "v6.1"),
    "compliance": ("v2.1", "v6.1"),
    "seeds": ("v3.1", "v6.1"),
    "server_latency": ("v3.1", "v6.1"),
    "offline_samples": ("v3.1", "v6.1"),
    "measurements": ("v3.1", "v6.1"),
    "token_latency": ("v4.0", "v6.1"),
    "duration": ("v4.1", "v6.1"),
    "equal_issue": ("v5.0", "v5.1"),
    "early_stopping": ("v6.0", "v6.1"),
    "dataset": ("v6.0", "v6.1"),
}


@pytest.mark.parametrize("rule", SEVERITIES)
def test_which_rounds_reject_for_a_rule(rule: str) -> None:
    first, last = SEVERITIES[rule]
    for name in ROUNDS:
        assert (checker.load(name).severity(rule) == "fail") is (first <= name <= last)


@pytest.mark.parametrize(
    ("name", "directory", "benchmark"),
    [
        ("v2.0", "resnet50", "resnet"),
        ("v2.0", "ssd-resnet34", "ssd-large"),
        ("v2.1", "ssd-resnet34", "retinanet"),
        ("v2.0", "mobilenet-v1-1.0-224", "resnet"),
        ("v2.0", "ssd-mobilenet-edgetpu", "ssd-small"),
        ("v2.0", "efficientnet-lite0", "resnet"),
        ("v4.1", "bert-large-base-none-bert-99", "bert-99"),
        ("v4.1", "bert-large-base-none-bert-99.9", "bert-99.9"),
        ("v5.1", "llama3_1-8b", "llama3.1-8b"),
        ("v5.1", "llama3.1-8b", "llama3.1-8b"),
        ("v5.1", "resnet_of_ours", "resnet"),
        ("v5.1", "nothing", None),
        ("v2.0", "", None),
    ],
)
def test_the_benchmark_of_a_directory(name: str, directory: str, benchmark: str | None) -> None:
    found = checker.load(name).benchmark(directory, {"resnet_of_ours": "resnet"})
    assert (found.name if found else None) == benchmark


@pytest.mark.parametrize(
    ("name", "metric", "line", "value"),
    [
        ("v2.0", "acc", "accuracy=76.078%, good=38039, total=50000", "76.078"),
        ("v4.1", "acc", '{"accuracy": 76.1}', None),
        ("v5.1", "acc", '{"accuracy": 76.1}', "76.1"),
        ("v2.0", "F1", "{'exact_match': 83.9, 'f1': 90.97}", "90.97"),
        ("v2.0", "F1", '{"exact_match": 83.9, "f1": 90.97}', "90.97"),
        ("v2.0", "WER", "Word Error Rate: 7.4%, accuracy=92.56%", "92.56"),
        ("v5.1", "ACCURACY", "Word Error Rate: 3.0%, accuracy=97.0%", "97.0"),
        ("v2.0", "AUC", "AUC=80.185%, accuracy=96.608%", "80.185"),
        ("v2.0", "DICE", "Accuracy: mean = 0.86339, kidney = 0.9", "0.86339"),
        ("v5.0", "mAP", " mAP=37.1%", None),
        ("v5.1", "mAP", " mAP=37.1%", "37.1"),
        ("v5.1", "ROUGE1", "{'rouge1': '38.49'}", "38.49"),
        ("v4.1", "ROUGE1", "{'rouge1': '38.49'}", None),
        ("v4.1", "CLIP_SCORE", "Accuracy Results: {'FID_SCORE': 23.62, 'CLIP_SCORE': 31.79}", "31.79"),
        ("v5.1", "FID_SCORE", "Accuracy Results: {'FID_SCORE': '23.62', 'CLIP_SCORE': '31.79'}", "23.62"),
        ("v6.1", "DLRM_AUC", "I0 metric/lifetime_gauc/rating: 0.79", "0.79"),
        ("v6.1", "E2E_ACCURACY", "Accuracy: 98.1", "98.1"),
    ],
)
def test_the_lines_of_accuracy_txt(name: str, metric: str, line: str, value: str | None) -> None:
    match = checker.load(name).patterns[metric].match(line)
    assert (match[1] if match else None) == value


@pytest.mark.skipif(TABLES is None, reason="MLPERF_RULES_TABLES names no file")
@pytest.mark.parametrize("name", ROUNDS)
def test_a_round_says_what_the_tables_of_its_checker_say(name: str) -> None:
    table = json.loads(Path(TABLES or "").read_text(encoding="utf-8"))[name]
    round_ = checker.load(name)
    assert round_.seeds == _seeds(table["seeds"])
    assert round_.test05_seeds == (_seeds(table["test05_seeds"]) if table["test05_seeds"] else None)
    assert round_.min_duration_ms == table["min_duration_ms"]
    assert round_.names == table["model_mapping"]
    assert round_.accuracy_files == set(table["required_accuracy_files"])
    assert round_.performance_files == set(table["required_performance_files"])
    assert round_.measurement_files == set(table["required_measurement_files"])
    assert round_.max_accuracy_log_bytes == table["max_accuracy_log_bytes"]
    assert round_.benchmarks.keys() == table["models"].keys()
    overwritten = table["result_field_overwrite"] or {}
    for benchmark, terms in table["models"].items():
        found = round_.benchmarks[benchmark]
        _compare(found, terms)
        usual = {key: value for key, value in table["result_field"].items() if "Legacy" not in key}
        assert found.results == {**usual, **overwritten.get(benchmark, {})}


def _seeds(table: dict[str, int]) -> Seeds:
    return Seeds(**{key.removesuffix("_rng_seed"): value for key, value in table.items()})


def _compare(found: Benchmark, table: dict[str, Any]) -> None:
    targets = table["accuracy_target"]
    for scenario, pairs in targets.items() if isinstance(targets, dict) else [("Offline", targets)]:
        assert found.accuracy_targets(scenario) == dict(pairs)
    assert found.accuracy_limit == dict(table["accuracy_upper_limit"] or [])
    assert found.accuracy_delta_percent == (table["accuracy_delta_perc"] or {})
    assert found.performance_samples == table["performance_sample_count"]
    assert found.dataset == table["dataset_size"]
    assert found.latency_ns == (table["latency_constraint_ns"] or {})
    assert found.offline_samples == table["offline_min_samples_per_query"]
    assert found.min_queries.items() >= table["min_queries"].items()
    assert list(found.compliance) == table["compliance_tests"]
    categories = {"datacenter": "datacenter", "edge": "edge", "both": "datacenter-edge"}
    for ours, theirs in categories.items():
        assert set(found.required[ours] or ()) == set(table[f"required_{theirs}"] or ())
        assert set(found.optional[ours] or ()) == set(table[f"optional_{theirs}"] or ())
