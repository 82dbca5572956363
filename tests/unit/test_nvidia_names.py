"""What NVIDIA's harness calls its configurations: some by hand, all of them by their properties."""

from __future__ import annotations

import csv
import os
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf import rounds
from pytest_mlperf.harness.nvidia.editions import EDITIONS
from pytest_mlperf.harness.nvidia.names import Names, parse
from pytest_mlperf.harness.nvidia.registry import registered
from pytest_mlperf.matrix import MODES, Registration

if TYPE_CHECKING:
    from pytest_mlperf.matrix import Mode

CONFIGS = "MLPERF_REGISTERED_CONFIGS"
"""A configs_v2.0.csv that was made from the published code; results_v2.0.csv may stand beside it."""

BENCHMARKS = rounds.load("v2.0").benchmarks


def names(
    system_id: str, benchmark: str, *, harness: str, target: str = "99 MaxP", scenario: str = "Offline"
) -> Names:
    accuracy, power = target.split()
    return Names(
        system_id=system_id,
        benchmark=benchmark,
        harness=harness,
        accuracy=accuracy,
        power=power,
        scenario=scenario,
        several_levels=len(BENCHMARKS[benchmark].accuracy_levels) > 1,
    )


@cache
def every_name() -> list[Names]:
    """Return the names of all configurations of v2.0."""
    return [
        names(
            row.system_id,
            row.benchmark,
            harness=row.harness,
            target=f"{row.accuracy} {row.power}",
            scenario=row.scenario,
        )
        for row in registered("v2.0")
    ]


def registration(found: Names) -> Registration:
    return Registration(
        system_id=found.system_id,
        benchmark=found.benchmark,
        harness=found.harness,
        accuracy=found.accuracy,  # type: ignore[arg-type]
        power=found.power,  # type: ignore[arg-type]
        scenario=found.scenario,  # type: ignore[arg-type]
    )


# Configuration, its key, its folder of logs, its folder of engines, and the word that asks for it.
BY_HAND = {
    "bert at 99.9 and MaxQ": (
        names("DGX-A100_A100-SXM-80GBx8", "bert", harness="custom", target="99.9 MaxQ", scenario="Server"),
        "DGX-A100_A100-SXM-80GBx8_TRT_MaxQ-custom_k_99_9_MaxQ-Server",
        "DGX-A100_A100-SXM-80GBx8_TRT_MaxQ/bert-99.9/Server",
        "build/engines/DGX-A100_A100-SXM-80GBx8/bert/Server",
        "high_accuracy_maxq",
    ),
    "the usual": (
        names("A2x2", "bert", harness="custom"),
        "A2x2_TRT-custom_k_99_MaxP-Offline",
        "A2x2_TRT/bert-99/Offline",
        "build/engines/A2x2/bert/Offline",
        "default",
    ),
    "one target": (
        names("A2x2", "rnnt", harness="custom"),
        "A2x2_TRT-custom_k_99_MaxP-Offline",
        "A2x2_TRT/rnnt/Offline",
        "build/engines/A2x2/rnnt/Offline",
        "default",
    ),
    "triton": (
        names("DGX-A100_A100-SXM4-40GBx8", "bert", harness="triton"),
        "DGX-A100_A100-SXM4-40GBx8_TRT_Triton-triton_k_99_MaxP-Offline",
        "DGX-A100_A100-SXM4-40GBx8_TRT_Triton/bert-99/Offline",
        "build/engines/DGX-A100_A100-SXM4-40GBx8/bert/Offline",
        "triton",
    ),
    "triton at 99.9 and MaxQ": (
        names("DGX-Station-A100_A100-SXM-80GBx4", "dlrm", harness="triton", target="99.9 MaxQ"),
        "DGX-Station-A100_A100-SXM-80GBx4_TRT_Triton_MaxQ-triton_k_99_9_MaxQ-Offline",
        "DGX-Station-A100_A100-SXM-80GBx4_TRT_Triton_MaxQ/dlrm-99.9/Offline",
        "build/engines/DGX-Station-A100_A100-SXM-80GBx4/dlrm/Offline",
        "high_accuracy_triton_maxq",
    ),
    "hetero on a MIG instance": (
        names("A30-MIG_1x1g.6gb", "3d-unet", harness="hetero", target="99.9 MaxP"),
        "A30-MIG_1x1g.6gb_TRT_HeteroMultiUse-hetero_k_99_9_MaxP-Offline",
        "A30-MIG_1x1g.6gb_TRT_HeteroMultiUse/3d-unet-99.9/Offline",
        "build/engines/A30-MIG_1x1g.6gb/3d-unet/Offline",
        "hetero_high_accuracy",
    ),
    "triton without TensorRT": (
        names("Triton_CPU_2S_8380x1", "resnet50", harness="triton", scenario="Server"),
        "Triton_CPU_2S_8380x1-triton_k_99_MaxP-Server",
        "Triton_CPU_2S_8380x1/resnet50/Server",
        "build/engines/Triton_CPU_2S_8380x1/resnet50/Server",
        "triton",
    ),
    "ssd on a Jetson": (
        names("Xavier_NX", "ssd-mobilenet", harness="lwis", target="99 MaxQ", scenario="MultiStream"),
        "Xavier_NX_TRT_MaxQ-lwis_k_99_MaxQ-MultiStream",
        "Xavier_NX_TRT_MaxQ/ssd-mobilenet/MultiStream",
        "build/engines/Xavier_NX/ssd-mobilenet/MultiStream",
        "maxq",
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_configuration_is_called_what_the_harness_calls_it(name: str) -> None:
    found, config, log_tree, engines, word = BY_HAND[name]
    assert (found.config, found.log_tree, found.engines, found.config_ver) == (
        config,
        log_tree,
        engines,
        word,
    )
    assert registration(found) in registered("v2.0")


def test_every_configuration_of_the_round_is_known() -> None:
    assert len(every_name()) == 1774
    assert len({found.system_id for found in every_name()}) == 42


def test_every_configuration_has_a_name_of_its_own() -> None:
    assert max(Counter((found.benchmark, found.config) for found in every_name()).values()) == 1


def test_every_configuration_has_a_folder_of_its_own_for_logs() -> None:
    assert max(Counter(found.log_tree for found in every_name()).values()) == 1


def test_configurations_share_engines_where_they_differ_in_harness_target_and_power_alone() -> None:
    shared = {(found.engines, found.system_id, found.benchmark, found.scenario) for found in every_name()}
    assert max(Counter(folder for folder, *_ in shared).values()) == 1
    assert len(shared) < len(every_name())


def asked_for(word: str, benchmark: str) -> tuple[str, str, str]:
    """Return harness, accuracy and power that the harness takes a word for (code/common/constants.py)."""
    lwis = ("resnet50", "ssd-mobilenet", "ssd-resnet34")
    harness = "lwis" if benchmark in lwis else "custom"
    if "triton" in word or "openvino" in word:
        harness = "triton"
    elif "hetero" in word:
        harness = "hetero"
    accuracy = "99.9" if "high_accuracy" in word else "99"
    return harness, accuracy, "MaxQ" if "maxq" in word else "MaxP"


def test_every_word_asks_for_the_configuration_that_it_stands_for() -> None:
    wrong = [
        found
        for found in every_name()
        if asked_for(found.config_ver, found.benchmark) != (found.harness, found.accuracy, found.power)
    ]
    assert wrong == []


@pytest.mark.parametrize("mode", MODES)
def test_the_name_of_a_metric_says_what_it_is_of(mode: Mode) -> None:
    for found in every_name():
        name = found.metric(mode)
        again = parse(name, benchmark=found.benchmark, several_levels=found.several_levels)
        assert again == (found, mode), name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("A2x2_TRT-custom_k_99_MaxP-Offline", "not the name of a metric of NVIDIA's harness"),
        ("A2x2_TRT-custom_k_98_MaxP-Offline-AccuracyMode", "not the name of a metric of NVIDIA's harness"),
        ("A2x2_TRT-custom_k_99_MaxP-Offline-AccuracyOnly", "not the name of a metric of NVIDIA's harness"),
        ("A2x2_TRT_MaxQ-custom_k_99_MaxP-Offline-AccuracyMode", "its parts do not fit together"),
        ("A2x2_TRT-custom_k_99_MaxQ-Offline-AccuracyMode", "its parts do not fit together"),
        ("A2x2_TRT_Triton-custom_k_99_MaxP-Offline-AccuracyMode", "its parts do not fit together"),
        ("A2x2_TRT_HeteroMultiUse-lwis_k_99_MaxP-Offline-AccuracyMode", "its parts do not fit together"),
        ("A2x2-custom_k_99_MaxP-Offline-AccuracyMode", "its parts do not fit together"),
    ],
)
def test_the_name_of_another_metric_is_refused(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: {said}$"):
        parse(name, benchmark="bert", several_levels=True)


def test_a_round_that_does_not_name_triton_has_names_without_it() -> None:
    name = "B200-SXM-180GBx8_TRT_MaxQ-triton_k_99_MaxQ-Server-PerformanceMode"
    found, mode = parse(name, benchmark="bert", several_levels=True)
    assert (found.system_id, found.harness, found.triton_named) == ("B200-SXM-180GBx8", "triton", False)
    assert found.metric(mode) == name
    assert {name: edition.suffix("triton") for name, edition in EDITIONS.items()} == {
        "v2.0": "_TRT_Triton",
        "v4.1": "_TRT_Triton",
        "v5.1": "_TRT",
    }


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        pytest.skip(f"{path}: no such file")
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def published() -> Path:
    """Return the table of configurations that was made from the published code."""
    path = os.environ.get(CONFIGS)
    if not path:
        pytest.skip(f"{CONFIGS} names no CSV file of the configurations that v2.0 registers")
    return Path(path)


def test_the_configurations_are_those_of_the_published_code(published: Path) -> None:
    columns = ("system_id", "benchmark", "workload_shortname", "scenario")
    rows = [tuple(row[column] for column in columns) for row in _rows(published)]
    ours = [(found.system_id, found.benchmark, found.workload, found.scenario) for found in every_name()]
    assert sorted(rows) == sorted(ours)


def test_published_results_are_of_configurations_that_are_known(published: Path) -> None:
    rows = [
        row
        for row in _rows(published.with_name("results_v2.0.csv"))
        if (row["division"], row["submitter"], row["mode"]) == ("closed", "NVIDIA", "PerformanceOnly")
    ]
    assert len(rows) == 624
    configs = {(found.config, found.log_tree) for found in every_name()}
    folders = ["/".join(row["path"].split("/")[3:6]) for row in rows]
    pairs = {(row["config_name_derived"], folder) for row, folder in zip(rows, folders, strict=True)}
    assert len(pairs & configs) == 600
    assert {folder.split("/")[0] for config, folder in pairs - configs if not config} == {
        "Triton_CPU_2S_8380x1",
        "Triton_CPU_4S_8380Hx1",
        "Triton_Inferentia_INF1_2XLARGEx1",
        "Triton_Inferentia_INF1_6XLARGEx1",
    }
    assert set(folders) <= {found.log_tree for found in every_name()}
