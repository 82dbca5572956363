"""What was published, and which of it a case is compared with."""

from __future__ import annotations

import csv
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf import published, rounds
from pytest_mlperf.baselines import Standards, of_published
from pytest_mlperf.hardware import Host, Inventory, skus
from pytest_mlperf.hardware.matching import Delta
from pytest_mlperf.record import Measurement

if TYPE_CHECKING:
    from pytest_mlperf.record import Record
    from pytest_mlperf.verdict.baseline import Baseline
    from tests.unit.conftest import MakeCase, MakeRecord

RESULTS = "MLPERF_PUBLISHED"
OFFLINE = "result_samples_per_second"
SINGLE_STREAM = "result_90.00_percentile_latency_ns"
ROUNDS = ("v2.0", "v4.1", "v5.1")
NOWHERE = Inventory(host=Host(cores=1, cpu=None, memory_bytes=None, board=None), devices=(), blind=())


@pytest.mark.parametrize("round_name", ROUNDS)
def test_figures_are_of_accelerators_that_skus_have(round_name: str) -> None:
    known = {sku.accelerator for sku in skus.load().values()}
    figures = published.load(round_name)
    assert {figure.accelerator for figure in figures} <= known
    assert all(figure.value > 0 < figure.count for figure in figures)
    keys = Counter((f.submitter, f.system, f.benchmark, f.accuracy, f.scenario) for f in figures)
    assert max(keys.values()) == 1


@pytest.mark.parametrize("round_name", ROUNDS)
def test_figures_are_of_benchmarks_that_rounds_have(round_name: str) -> None:
    assert set(rounds.load(round_name).benchmarks) <= {f.benchmark for f in published.load(round_name)}


@pytest.mark.parametrize(
    ("machine", "accelerator", "count"),
    [
        ("ND96asr_v4", "A100-SXM4-40GB", 8),
        ("ND96amsr_A100_v4", "A100-SXM-80GB", 8),
        ("NC24ads_A100_v4", "A100-PCIe-80GB", 1),
        ("NC48ads_A100_v4", "A100-PCIe-80GB", 2),
        ("NC96ads_A100_v4", "A100-PCIe-80GB", 4),
    ],
)
def test_virtual_machines_of_azure_are_there(machine: str, accelerator: str, count: int) -> None:
    figures = [f for f in published.load("v2.0") if f.submitter == "Azure" and f.system == f"{machine}_TRT"]
    assert {(f.accelerator, f.count, f.power, f.harness) for f in figures} == {
        (accelerator, count, "MaxP", "")
    }


def test_of_a_round_without_results_there_are_none() -> None:
    assert published.load("v0.5") == ()


@pytest.fixture
def measured(make_record: MakeRecord, make_case: MakeCase) -> Record:
    case = make_case(sku="A100-SXM-80GBx8", benchmark="resnet50", harness="lwis")
    return make_record(case=case, measurements=(Measurement(name=OFFLINE, value=3e5, unit="samples/s"),))


def base(record: Record, **changes: object) -> Baseline:
    case = replace(record.case, **changes)  # type: ignore[arg-type]
    return of_published(replace(record, case=case), skus.load()[case.sku])


def test_figures_are_of_as_many_accelerators_where_there_are_enough(measured: Record) -> None:
    found = base(measured)
    # ND96amsr_A100_v4, G492, R5500G5, NF5488A5, NF5688M6, DGX A100, DGX A100 on aarch64, X660 G45, AS-4124GO
    assert found.n == 9
    assert found.median == pytest.approx(313_000, rel=0.02)
    assert found.source == "MLPerf Inference v2.0, closed division, A100-SXM-80GB"
    assert found.caveats == ("power limit: 400 W here, of some published systems it is not known",)


@pytest.mark.parametrize(
    ("changes", "n", "caveat"),
    [
        pytest.param({"sku": "A100-SXM-80GBx4"}, 1, None, id="a lower power limit: the DGX Station alone"),
        pytest.param({"sku": "A30x8", "harness": "triton"}, 2, None, id="nothing else"),
        pytest.param({"sku": "A100-SXM4-40GBx8"}, 2, None, id="too few in all"),
        pytest.param(
            {"sku": "A2x2"},
            8,
            "per accelerator: figures of systems with 1, 2, 4 accelerators, this one has 2",
            id="too few have as many",
        ),
        pytest.param({"power": "MaxQ"}, 2, None, id="less power"),
        pytest.param({"harness": "triton"}, 4, None, id="Triton"),
        pytest.param({"scenario": "SingleStream"}, 0, None, id="a metric of another scenario"),
        pytest.param({"accuracy": "99.9"}, 0, None, id="another accuracy"),
        pytest.param({"benchmark": "resnet8-digits"}, 0, None, id="a miniature"),
        pytest.param({"round": "v4.1"}, 0, None, id="another round"),
        pytest.param({"sku": "CPU"}, 0, None, id="a processor"),
    ],
)
def test_figures_are_chosen(measured: Record, changes: dict[str, object], n: int, caveat: str | None) -> None:
    found = base(measured, **changes)
    divided = [caveat for caveat in found.caveats if caveat.startswith("per accelerator")]
    assert (found.n, divided) == (n, [caveat] if caveat else [])


def test_figures_of_other_counts_are_brought_to_this_one(measured: Record) -> None:
    each = sorted(
        figure.value / figure.count
        for figure in published.load("v2.0")
        if (figure.accelerator, figure.benchmark, figure.metric) == ("A2", "resnet50", OFFLINE)
        and (figure.power, figure.harness) == ("MaxP", "")
    )
    assert base(measured, sku="A2x2").median == pytest.approx(each[3] + each[4])


def test_a_latency_is_not_divided(measured: Record) -> None:
    latency = replace(measured, measurements=(Measurement(name=SINGLE_STREAM, value=5e5, unit="ns"),))
    one = base(latency, sku="A100-PCIe-80GBx1", scenario="SingleStream")
    two = base(latency, sku="A2x2", scenario="SingleStream")
    assert (one.n, two.n, one.caveats, two.caveats) == (3, 1, (), ())


def test_what_a_result_is_not_good_for_is_a_caveat(measured: Record) -> None:
    delta = Delta(trait="power limit", expected="400 W", found="275 W")
    caveats = base(replace(measured, deltas=(delta,)), conformance="smoke").caveats
    assert caveats[1:] == ("shortened: not submission-valid", f"partial match: {delta}")


@pytest.mark.parametrize(
    ("held", "benchmark", "findings", "comparisons"),
    [
        ((), "resnet50", 0, 1),
        ((), "resnet8-digits", 0, 0),
        (("published",), "resnet50", 1, 1),
        (("published",), "resnet8-digits", 1, 1),
    ],
)
def test_figures_are_told_also_where_they_are_not_held_to(
    measured: Record, held: tuple[str, ...], benchmark: str, findings: int, comparisons: int
) -> None:
    standards = Standards(held=held)  # type: ignore[arg-type]
    record = replace(measured, case=replace(measured.case, benchmark=benchmark))
    found = tuple(standards.compare(record, skus.load()[record.case.sku], NOWHERE))
    assert len(found) == comparisons
    assert len(standards.hold(found, None)) == findings


@pytest.mark.parametrize(("mode", "measured_at_all"), [("AccuracyOnly", True), ("PerformanceOnly", False)])
def test_what_was_not_measured_is_not_compared(measured: Record, mode: str, *, measured_at_all: bool) -> None:
    record = replace(measured, case=replace(measured.case, mode=mode))  # type: ignore[arg-type]
    if not measured_at_all:
        record = replace(record, measurements=())
    standards = Standards(held=["published"])
    assert not tuple(standards.compare(record, skus.load()[record.case.sku], NOWHERE))


@pytest.mark.parametrize("round_name", ROUNDS)
def test_figures_are_those_of_the_results(round_name: str) -> None:
    """Each value is one of the results', and of NVIDIA's own systems with TensorRT none is missing."""
    folder = os.environ.get(RESULTS)
    if not folder:
        pytest.skip(f"compares with tables of results, where {RESULTS} names their folder")
    with (Path(folder) / f"results_{round_name}.csv").open(encoding="utf-8", newline="") as stream:
        rows = [
            r for r in csv.DictReader(stream) if (r["division"], r["test_mode"]) == ("closed", "performance")
        ]
    values: dict[tuple[str, ...], set[float]] = {}
    for r in rows:
        key = (
            r["submitter"],
            r["system"],
            r["benchmark"].replace("3_1", "3.1"),
            r["scenario"].lower(),
            r["metric"],
        )
        values.setdefault(key, set()).add(float(r["metric_value"]))
    found = set()
    for f in published.load(round_name):
        for name in (f"{f.benchmark}-{f.accuracy}", f.benchmark):
            key = (f.submitter, f.system, name, f.scenario.lower(), f.metric)
            if key in values:
                found.add(key)
                assert f.value in values[key]
                break
        else:
            pytest.fail(f"not published: {f}")
    systems = {f.system for f in published.load(round_name)}
    assert {key for key in values if key[1] in systems and not _is_inferred(key)} == found


def _is_inferred(key: tuple[str, ...]) -> bool:
    return "90.00" in key[4] and key[3] != "singlestream"
