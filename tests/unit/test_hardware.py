"""What the machine of these tests says of itself: little can be asserted, but that it is plausible."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf import catalogue, rounds
from pytest_mlperf.errors import HostError
from pytest_mlperf.hardware import host
from pytest_mlperf.hardware.nvidia import Nvml
from pytest_mlperf.harness.nvidia import Nvidia

if TYPE_CHECKING:
    from tests.unit.conftest import MakeCase


def test_the_host_is_this_one() -> None:
    found = host.detect()
    assert found.cores == len(os.sched_getaffinity(0))
    assert found.memory_bytes is not None
    assert found.memory_bytes > 2**20
    assert found.cpu is None or found.cpu == found.cpu.strip() != ""


def test_devices_are_found_or_there_is_no_driver() -> None:
    try:
        seen = Nvml().detect()
    except HostError as error:
        pytest.skip(f"the driver does not answer: {error}")
    assert catalogue.inventory().devices[: len(seen.devices)] == seen.devices
    assert all(device.name for device in seen.devices)


def test_the_inventory_is_taken_once() -> None:
    assert catalogue.inventory() is catalogue.inventory()
    assert catalogue.inventory().host == host.detect()


# Case, and how long it will take.
DURATIONS = {
    "published": ({"benchmark": "bert", "scenario": "Offline"}, 649),
    "not published: the shortest": ({"benchmark": "bert", "scenario": "Server"}, 600),
    "accuracy is not known": ({"benchmark": "bert", "mode": "AccuracyOnly"}, None),
}


@pytest.mark.parametrize("name", DURATIONS)
def test_a_case_of_nvidias_harness_has_a_duration(name: str, make_case: MakeCase) -> None:
    changes, duration_s = DURATIONS[name]
    mlperf_round = catalogue.vocabularies(catalogue.HARNESSES)("v2.0").round
    assert Nvidia(name="custom").estimated_duration_s(make_case(**changes), mlperf_round) == duration_s


def test_nvidias_harness_says_what_is_to_be_named() -> None:
    said = "no tree of v2.0: name it with --mlperf-nvidia v2.0=FOLDER"
    mlperf_round = rounds.load("v2.0")
    assert {name: harness.missing(mlperf_round) for name, harness in catalogue.HARNESSES.items()} == {
        "lwis": said,
        "custom": said,
        "triton": said,
        "onnxruntime": None,
        "onnxruntime-int8": None,
        "command": None,
    }


@pytest.mark.parametrize(
    ("name", "suffix", "benchmarks"),
    [
        ("lwis", "_TRT", {"resnet50", "ssd-mobilenet", "ssd-resnet34"}),
        ("custom", "_TRT", {"bert", "dlrm", "rnnt", "3d-unet"}),
        (
            "triton",
            "_TRT_Triton",
            {"bert", "dlrm", "3d-unet", "resnet50", "ssd-mobilenet", "ssd-resnet34"},
        ),
    ],
)
def test_nvidias_harness_runs_what_is_registered_for_it(name: str, suffix: str, benchmarks: set[str]) -> None:
    terms = catalogue.vocabularies(catalogue.HARNESSES)("v2.0").harnesses[name]
    assert (terms.system_suffix, set(terms.benchmarks)) == (suffix, benchmarks)
