"""The shipped examples of harnesses by command: they load, and say what their programs expect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from pytest_mlperf import catalogue, rounds
from pytest_mlperf.harness import Container, Mount
from pytest_mlperf.harness.command import ByCommand
from pytest_mlperf.matrix.loading import load
from pytest_mlperf.placement import Placement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_mlperf.harness import Preparation

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
NAMES = ("reference", "mlcflow", "amd")
SCHEMA = ROOT / "pytest_mlperf" / "matrix" / "matrix.schema.json"
ROUND = rounds.load("v2.0")


@pytest.fixture
def preparations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Preparation]:
    """Prepare all cases of the examples, as on a machine that has their working directories."""
    monkeypatch.setattr(Path, "is_dir", lambda _: True)
    vocabularies = catalogue.vocabularies(catalogue.HARNESSES)
    cases = [c for name in NAMES for c in load(EXAMPLES / f"{name}.yaml", vocabularies, ["v2.0"]).cases]
    return {
        case.id: ByCommand().prepare(
            case, Placement(sku=case.sku, devices=()), mlperf_round=ROUND, folder=tmp_path / case.id
        )
        for case in cases
    }


def test_the_cases_are_named_after_the_harness(preparations: Mapping[str, Preparation]) -> None:
    modes = ("AccuracyMode", "PerformanceMode")
    assert list(preparations) == [
        *(
            f"resnet50-CPU-reference_k_99_MaxP-{scenario}-{mode}"
            for scenario in ("SingleStream", "Offline")
            for mode in modes
        ),
        *(
            f"{benchmark}-CPU-mlcflow_k_99_MaxP-{scenario}-{mode}"
            for benchmark in ("resnet50", "bert")
            for scenario in ("SingleStream", "Offline")
            for mode in modes
        ),
        *(f"bert-MI300Xx1-rocm_k_99_MaxP-Offline-{mode}" for mode in modes),
    ]


def lines(preparation: Preparation, folder: Path) -> list[str]:
    """Return the steps as a person would type them, in the folder of the case."""
    return [" ".join(step.argv).replace(str(folder), ".") for step in preparation.steps]


REFERENCE = (
    "python3 python/main.py --profile resnet50-onnxruntime --model /data/models/resnet50_v1.onnx "
    "--dataset-path /data/imagenet --mlperf_conf /opt/mlperf/inference/mlperf.conf "
)
MLCFLOW = (
    "--implementation=reference --framework=onnxruntime --device=cpu --category=edge --scenario={} "
    "--execution_mode=valid --results_dir=./results"
)
BERT = "python3 run.py --backend=pytorch --scenario=Offline --mlperf_conf=/work/inference/mlperf.conf"
EXPECTED = {
    "resnet50-CPU-reference_k_99_MaxP-SingleStream-AccuracyMode": [
        f"{REFERENCE}--scenario SingleStream --output ./logs --accuracy",
        (
            "python3 tools/accuracy-imagenet.py --mlperf-accuracy-file ./logs/mlperf_log_accuracy.json "
            "--imagenet-val-file /data/imagenet/val_map.txt"
        ),
    ],
    "resnet50-CPU-reference_k_99_MaxP-Offline-PerformanceMode": [
        f"{REFERENCE}--scenario Offline --output ./logs --qps 30"
    ],
    "bert-CPU-mlcflow_k_99_MaxP-SingleStream-AccuracyMode": [
        (
            "mlcr run-mlperf,inference,_full,_r5.1,_accuracy-only --model=bert-99 "
            f"{MLCFLOW.format('SingleStream')} --target_latency=50 --quiet"
        )
    ],
    "resnet50-CPU-mlcflow_k_99_MaxP-Offline-PerformanceMode": [
        (
            "mlcr run-mlperf,inference,_full,_r5.1,_performance-only --model=resnet50 "
            f"{MLCFLOW.format('Offline')} --target_qps=20 --quiet"
        )
    ],
    "bert-MI300Xx1-rocm_k_99_MaxP-Offline-AccuracyMode": [
        f"{BERT} --accuracy",
        "python3 accuracy-squad.py --log_file=./logs/mlperf_log_accuracy.json --out_file=./predictions.json",
    ],
    "bert-MI300Xx1-rocm_k_99_MaxP-Offline-PerformanceMode": [BERT],
}


@pytest.mark.parametrize("case_id", EXPECTED)
def test_the_fields_have_their_values(
    case_id: str, preparations: Mapping[str, Preparation], tmp_path: Path
) -> None:
    assert lines(preparations[case_id], tmp_path / case_id) == EXPECTED[case_id]


@pytest.mark.parametrize(
    ("case_id", "logs", "accuracy"),
    [
        ("resnet50-CPU-reference_k_99_MaxP-Offline-AccuracyMode", "logs", "stdout.txt"),
        (
            "bert-CPU-mlcflow_k_99_MaxP-Offline-AccuracyMode",
            "results/valid_results/*/bert-99/offline/accuracy",
            "results/valid_results/*/bert-99/offline/accuracy/accuracy.txt",
        ),
        (
            "bert-CPU-mlcflow_k_99_MaxP-Offline-PerformanceMode",
            "results/valid_results/*/bert-99/offline/performance/run_1",
            None,
        ),
        ("bert-MI300Xx1-rocm_k_99_MaxP-Offline-AccuracyMode", "logs", "stdout.txt"),
    ],
)
def test_the_logs_are_looked_for_where_they_appear(
    case_id: str, logs: str, accuracy: str | None, preparations: Mapping[str, Preparation]
) -> None:
    appearance = preparations[case_id].appearance
    assert appearance is not None
    assert (appearance.logs, appearance.accuracy) == (logs, accuracy)


def test_a_container_is_given_what_it_needs_and_no_more(
    preparations: Mapping[str, Preparation], tmp_path: Path
) -> None:
    case_id = "bert-MI300Xx1-rocm_k_99_MaxP-Offline-PerformanceMode"
    (step,) = preparations[case_id].steps
    assert step.container == Container(
        image="mlperf-bert:rocm6.2",
        mounts=(Mount(source=Path("/opt/mlperf/inference"), target="/work/inference", read_only=False),),
        shm_bytes=16 * 2**30,
    )
    # The environment of the image, not of this process.
    assert step.env == {"LOG_PATH": str(tmp_path / case_id / "logs"), "SKIP_VERIFY_ACCURACY": "1"}
    assert step.cwd == Path("/work/inference/language/bert")
    assert {s.container for i, p in preparations.items() if "rocm" not in i for s in p.steps} == {None}


def test_the_example_of_a_container_allows_it_what_its_harness_needs() -> None:
    matrix = load(EXAMPLES / "amd.yaml", catalogue.vocabularies(catalogue.HARNESSES), ["v2.0"])
    assert {case.settings.privileges for case in matrix.cases} == {("seccomp=unconfined",)}


@pytest.mark.parametrize("name", NAMES)
def test_an_example_fits_the_schema(name: str) -> None:
    text = (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
    assert "matrix.schema.json" in text.splitlines()[0]
    jsonschema.validate(yaml.safe_load(text), json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_the_example_of_the_documentation_loads(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")
    path = tmp_path / "m.yaml"
    path.write_text(text.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    matrix = load(path, catalogue.vocabularies(catalogue.HARNESSES), ["v2.0"])
    assert len(matrix.cases) == 4
