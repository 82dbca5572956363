"""NVIDIA's harness without a container, as on Jetson: the stand-in's targets are made on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf import catalogue, rounds
from pytest_mlperf.hardware import Device, Host, Inventory, skus
from pytest_mlperf.harness import Installation
from pytest_mlperf.matrix.loading import load
from pytest_mlperf.pipeline import run_case
from pytest_mlperf.replay import Replay
from pytest_mlperf.site import Site
from tests.nvidia import tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_mlperf.record import Record

ORIN = Device(vendor="NVIDIA", name="NVIDIA Jetson AGX Orin Developer Kit", integrated=True)
HOST = Host(cores=12, cpu=None, memory_bytes=64 * 2**30, board=ORIN.name, architecture="aarch64")
MACHINE = {
    "system_id": "Orin",
    "gpus": 0,  # none that has a UUID
    "qps": {"Offline": 2000, "Server": 1},
    "bert": {"right": 91},
    "3d-unet": {"right": 87},
}


def no_image(name: str) -> None:
    raise AssertionError(name)


def records(
    folder: Path, machine: dict[str, Any], axes: str, *, replay: Replay | None = None
) -> Sequence[Record]:
    """Run the cases of a matrix on an Orin."""
    folder.mkdir()
    (folder / "scratch").mkdir()
    checkout = tree.write(folder / "checkout", machine)
    harnesses = catalogue.harnesses(Installation(trees={"v2.0": checkout}, scratch=folder / "scratch"))
    site = Site(
        inventory=Inventory(host=HOST, devices=(ORIN,), blind=()),
        skus=skus.load(),
        rounds={"v2.0": rounds.load("v2.0")},
        harnesses=harnesses,
        execute=catalogue.execute,
        find_image=no_image,
        output=folder / "out",
        strict=True,
        replay=replay,
    )
    matrix = folder / "m.yaml"
    matrix.write_text(
        "round: v2.0\ncategory: edge\nconformance: smoke\ndefaults: {min_duration_s: 0.3}\n"
        f"axes: {{sku: Orin, harness: custom, scenario: Offline, {axes}}}\n",
        encoding="utf-8",
    )
    cases = load(matrix, catalogue.vocabularies(harnesses), rounds.names()).cases
    return [run_case(case, site) for case in cases]


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the stand-in find the Python that has LoadGen."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


def test_both_modes_pass_without_a_container(tmp_path: Path) -> None:
    found = records(tmp_path / "bert", MACHINE, "benchmark: bert, mode: [AccuracyOnly, PerformanceOnly]")
    assert [(record.ending, record.reason) for record in found] == [("pass", None)] * 2
    assert [step.name for step in found[0].steps] == [
        *("link_dirs", "download_data", "download_model", "preprocess_data"),
        *("build", "generate_engines", "run_harness"),
    ]
    assert {step.image for record in found for step in record.steps} == {None}
    assert [step.name for step in found[1].steps if step.done_at is None] == ["run_harness"]


def test_an_accuracy_that_was_made_up_is_no_verdict(tmp_path: Path) -> None:
    axes = "benchmark: 3d-unet, mode: AccuracyOnly"
    (record,) = records(tmp_path / "honest", MACHINE, axes)
    assert (record.ending, record.verdict) == ("pass", "PASS"), record.reason
    (record,) = records(tmp_path / "made-up", {**MACHINE, "made_up": 1.0}, axes)
    assert (record.ending, record.error) == ("error", "EvidenceError")
    assert str(record.statement).endswith("Accuracy test PASSED.")
    assert "the accuracy was not checked: the harness made up 1.000" in str(record.reason)
    replay = Replay(folder=tmp_path / "made-up" / "out", name="out")
    (record,) = records(tmp_path / "replayed", MACHINE, axes, replay=replay)
    assert (record.ending, record.error) == ("error", "EvidenceError")
    assert "the accuracy was not checked: the harness made up 1.000" in str(record.reason)
