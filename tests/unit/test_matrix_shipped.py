"""The matrices that are shipped, and the schema that describes them to editors."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]
import pydantic
import pytest
import yaml

from pytest_mlperf import catalogue, rounds
from pytest_mlperf.matrix.loading import check_distinct, load

if TYPE_CHECKING:
    from pytest_mlperf.matrix import Case, Matrix

ROOT = Path(__file__).parents[2]
MATRICES = sorted((ROOT / "matrices").glob("*.yaml"))
REGISTERED = ROOT / "tests" / "data" / "registered_v2.0.csv"
SCHEMA = ROOT / "pytest_mlperf" / "matrix" / "matrix.schema.json"
OTHER_REGISTERED = "MLPERF_REGISTERED_CONFIGS"

Row = tuple[str, str, str, str]

DGX_A100_40GB = [
    "bert-DGX-A100_A100-SXM4-40GBx8_TRT-custom_k_99_MaxP-Offline-AccuracyMode",
    "bert-DGX-A100_A100-SXM4-40GBx8_TRT-custom_k_99_MaxP-Offline-PerformanceMode",
    "bert-DGX-A100_A100-SXM4-40GBx8_TRT-custom_k_99_MaxP-Server-AccuracyMode",
    "bert-DGX-A100_A100-SXM4-40GBx8_TRT-custom_k_99_MaxP-Server-PerformanceMode",
    "bert-DGX-A100_A100-SXM4-40GBx8_TRT-custom_k_99_9_MaxP-Offline-AccuracyMode",
    "bert-DGX-A100_A100-SXM4-40GBx8_TRT-custom_k_99_9_MaxP-Offline-PerformanceMode",
    "bert-DGX-A100_A100-SXM4-40GBx8_TRT-custom_k_99_9_MaxP-Server-AccuracyMode",
    "bert-DGX-A100_A100-SXM4-40GBx8_TRT-custom_k_99_9_MaxP-Server-PerformanceMode",
    "bert-DGX-A100_A100-SXM4-40GBx8_TRT_Triton-triton_k_99_MaxP-Offline-AccuracyMode",
    "bert-DGX-A100_A100-SXM4-40GBx8_TRT_Triton-triton_k_99_MaxP-Offline-PerformanceMode",
    "bert-DGX-A100_A100-SXM4-40GBx8_TRT_Triton-triton_k_99_MaxP-Server-AccuracyMode",
    "bert-DGX-A100_A100-SXM4-40GBx8_TRT_Triton-triton_k_99_MaxP-Server-PerformanceMode",
    "bert-DGX-A100_A100-SXM4-40GBx8_TRT_Triton-triton_k_99_9_MaxP-Offline-AccuracyMode",
    "bert-DGX-A100_A100-SXM4-40GBx8_TRT_Triton-triton_k_99_9_MaxP-Offline-PerformanceMode",
    "bert-DGX-A100_A100-SXM4-40GBx8_TRT_Triton-triton_k_99_9_MaxP-Server-AccuracyMode",
    "bert-DGX-A100_A100-SXM4-40GBx8_TRT_Triton-triton_k_99_9_MaxP-Server-PerformanceMode",
    "rnnt-DGX-A100_A100-SXM4-40GBx8_TRT-custom_k_99_MaxP-Offline-AccuracyMode",
    "rnnt-DGX-A100_A100-SXM4-40GBx8_TRT-custom_k_99_MaxP-Offline-PerformanceMode",
    "rnnt-DGX-A100_A100-SXM4-40GBx8_TRT-custom_k_99_MaxP-Server-AccuracyMode",
    "rnnt-DGX-A100_A100-SXM4-40GBx8_TRT-custom_k_99_MaxP-Server-PerformanceMode",
    "ssd-mobilenet-DGX-A100_A100-SXM4-40GBx8_TRT-lwis_k_99_MaxP-Offline-AccuracyMode",
    "ssd-mobilenet-DGX-A100_A100-SXM4-40GBx8_TRT-lwis_k_99_MaxP-Offline-PerformanceMode",
    "ssd-mobilenet-DGX-A100_A100-SXM4-40GBx8_TRT_Triton-triton_k_99_MaxP-Offline-AccuracyMode",
    "ssd-mobilenet-DGX-A100_A100-SXM4-40GBx8_TRT_Triton-triton_k_99_MaxP-Offline-PerformanceMode",
    "ssd-resnet34-DGX-A100_A100-SXM4-40GBx8_TRT-lwis_k_99_MaxP-Offline-AccuracyMode",
    "ssd-resnet34-DGX-A100_A100-SXM4-40GBx8_TRT-lwis_k_99_MaxP-Offline-PerformanceMode",
    "ssd-resnet34-DGX-A100_A100-SXM4-40GBx8_TRT-lwis_k_99_MaxP-Server-AccuracyMode",
    "ssd-resnet34-DGX-A100_A100-SXM4-40GBx8_TRT-lwis_k_99_MaxP-Server-PerformanceMode",
    "ssd-resnet34-DGX-A100_A100-SXM4-40GBx8_TRT_Triton-triton_k_99_MaxP-Offline-AccuracyMode",
    "ssd-resnet34-DGX-A100_A100-SXM4-40GBx8_TRT_Triton-triton_k_99_MaxP-Offline-PerformanceMode",
    "ssd-resnet34-DGX-A100_A100-SXM4-40GBx8_TRT_Triton-triton_k_99_MaxP-Server-AccuracyMode",
    "ssd-resnet34-DGX-A100_A100-SXM4-40GBx8_TRT_Triton-triton_k_99_MaxP-Server-PerformanceMode",
]


@cache
def loaded(name: str) -> Matrix:
    vocabularies = catalogue.vocabularies(catalogue.HARNESSES)
    return load(ROOT / "matrices" / f"{name}.yaml", vocabularies, rounds.names())


def registered_cases() -> list[Case]:
    """Return the cases of the matrices that follow NVIDIA's submission."""
    return [case for name in ("datacenter", "edge") for case in loaded(name).cases]


def row(case: Case) -> Row:
    """Return a case as NVIDIA's harness registers it."""
    system_id = catalogue.vocabularies(catalogue.HARNESSES)(case.round).system_ids[case.sku]
    short_name = f"{case.harness}_k_{case.accuracy.replace('.', '_')}_{case.power}"
    return system_id, case.benchmark, short_name, case.scenario


def rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as stream:
        return [
            (line["system_id"], line["benchmark"], line["workload_shortname"], line["scenario"])
            for line in csv.DictReader(stream)
        ]


@pytest.mark.parametrize("mode", ["AccuracyOnly", "PerformanceOnly"])
def test_the_matrices_name_what_is_registered_and_nothing_else(mode: str) -> None:
    registered = rows(REGISTERED)
    assert len(registered) == len(set(registered)) == 565
    assert sorted(row(case) for case in registered_cases() if case.mode == mode) == sorted(registered)


def test_the_list_of_what_is_registered_is_that_of_the_published_code() -> None:
    path = os.environ.get(OTHER_REGISTERED)
    if not path:
        pytest.skip(f"{OTHER_REGISTERED} names no CSV file of the configurations that v2.0 registers")
    ours = {row[0] for row in rows(REGISTERED)}
    assert {row for row in rows(Path(path)) if row[0] in ours} == set(rows(REGISTERED))


@pytest.mark.parametrize(
    ("name", "count", "count_of_skus"),
    [pytest.param("datacenter", 564, 6, id="datacenter"), pytest.param("edge", 566, 6, id="edge")],
)
def test_each_matrix_has_its_share(name: str, count: int, count_of_skus: int) -> None:
    matrix = loaded(name)
    assert len(matrix.cases) == count
    assert len({case.sku for case in matrix.cases}) == count_of_skus
    assert {(case.category, case.round, case.conformance) for case in matrix.cases} == {
        (name, "v2.0", "round")
    }


def test_the_names_that_dashboards_know_are_there() -> None:
    assert len(set(DGX_A100_40GB)) == 32
    benchmarks = ("bert", "rnnt", "ssd-mobilenet", "ssd-resnet34")
    named = [
        case.id
        for case in loaded("datacenter").cases
        if case.sku == "A100-SXM4-40GBx8" and case.power == "MaxP" and case.benchmark in benchmarks
    ]
    assert sorted(named) == sorted(DGX_A100_40GB)


def test_the_metric_name_is_the_id_without_the_benchmark() -> None:
    assert {case.id for case in registered_cases()} == {
        f"{case.benchmark}-{case.metric_name}" for case in registered_cases()
    }


def test_the_smoke_matrix_is_shortened_and_needs_no_accelerator() -> None:
    matrix = loaded("smoke")
    assert matrix.category == "smoke"
    assert {(case.conformance, case.sku) for case in matrix.cases} == {("smoke", "CPU")}
    assert {case.mode for case in matrix.cases} == {"AccuracyOnly", "PerformanceOnly"}
    durations_s = {case.settings.min_duration_s for case in matrix.cases}
    assert all(duration_s is not None and duration_s <= 10 for duration_s in durations_s)


def test_no_case_stands_in_two_matrices() -> None:
    check_distinct([loaded(path.stem) for path in MATRICES])


def _schema() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return content


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(_schema())


def test_the_schema_is_current() -> None:
    if tuple(int(part) for part in pydantic.VERSION.split(".")[:2]) < (2, 10):
        pytest.skip(f"pydantic {pydantic.VERSION} says the same in other words: 2.10 or later is needed")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "make_schema.py"), "--check"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("path", MATRICES, ids=lambda path: path.stem)
def test_a_shipped_matrix_fits_the_schema(path: Path) -> None:
    assert "matrix.schema.json" in path.read_text(encoding="utf-8").splitlines()[0]
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), _schema())


AXES = "{sku: CPU, benchmark: bert, harness: custom, scenario: Offline, mode: AccuracyOnly}"
GOOD = f"{{round: v2.0, category: edge, axes: {AXES}}}"
BROKEN = {
    "no round": f"{{category: edge, axes: {AXES}}}",
    "unknown round": GOOD.replace("v2.0", "v1.9"),
    "unknown category": GOOD.replace("edge", "cloud"),
    "unknown key": GOOD.replace("axes", "axis"),
    "unknown axis": GOOD.replace("sku", "skus"),
    "unknown SKU": GOOD.replace("CPU", "TPU"),
    "unknown benchmark": GOOD.replace("bert", "brt"),
    "unknown harness": GOOD.replace("custom", "own"),
    "unknown scenario": GOOD.replace("Offline", "offline"),
    "unknown mode": GOOD.replace("AccuracyOnly", "AccuracyMode"),
    "value twice": GOOD.replace("Offline", "[Offline, Offline]"),
    "empty axis": GOOD.replace("Offline", "[]"),
    "text for a number": GOOD.replace("axes", "defaults: {target_qps: fast}, axes"),
    "fraction of a query": GOOD.replace("axes", "defaults: {min_query_count: 1.5}, axes"),
    "override without match": GOOD.replace("axes", "overrides: [{target_qps: 1}], axes"),
}


def test_a_good_matrix_fits_the_schema() -> None:
    jsonschema.validate(yaml.safe_load(GOOD), _schema())


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_matrix_does_not_fit_the_schema(name: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(BROKEN[name]), _schema())


@pytest.mark.parametrize("value", ["0", "-1.5"])
def test_a_rate_that_is_not_positive_does_not_fit_the_schema(value: str) -> None:
    text = GOOD.replace("axes", f"defaults: {{target_qps: {value}}}, axes")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), _schema())
