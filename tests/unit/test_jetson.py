"""Jetson modules, by made-up device trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.hardware import Device, Driver, Sighting, host
from pytest_mlperf.hardware.jetson import Jetson
from tests import machines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Model, names from board to chip, and processor; then the GPU's capability, and the processor's name.
MODULES = {
    "AGX Orin": (
        "NVIDIA Jetson AGX Orin Developer Kit",
        "nvidia,p3737-0000+p3701-0005 nvidia,p3701-0005 nvidia,tegra234",
        "0x41 0xd42",
        "8.7",
        "Cortex-A78AE",
    ),
    "Orin NX": (
        "NVIDIA Jetson Orin NX Engineering Reference Developer Kit",
        "nvidia,p3768-0000+p3767-0000 nvidia,p3767-0000 nvidia,tegra234",
        "0x41 0xd42",
        "8.7",
        "Cortex-A78AE",
    ),
    "Xavier NX": (
        "NVIDIA Jetson Xavier NX Developer Kit",
        "nvidia,p3509-0000+p3668-0000 nvidia,p3668-0000 nvidia,tegra194",
        "0x4e 0x004",
        "7.2",
        "Carmel",
    ),
    "AGX Xavier": ("Jetson-AGX", "nvidia,galen nvidia,tegra194", "0x4e 0x004", "7.2", "Carmel"),
    "AGX Thor": (
        "NVIDIA Jetson AGX Thor Developer Kit",
        "nvidia,p4071-0000+p3834-0008 nvidia,p3834-0008 nvidia,tegra264",
        "0x41 0xd83",
        None,
        "Neoverse-V3AE",
    ),
}
R36 = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 2025"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_one_device_with_the_memory_of_its_host(name: str, tmp_path: Path) -> None:
    model, compatible, cpu, compute_capability, processor = MODULES[name]
    machines.jetson(tmp_path, model=model, compatible=compatible, release=R36, cpu=cpu)
    memory_bytes = 32112124 * 1024
    device = Device(
        vendor="NVIDIA",
        name=model,
        memory_bytes=memory_bytes,
        compute_capability=compute_capability,
        integrated=True,
    )
    driver = Driver(vendor="NVIDIA", version="L4T 36.4.3")
    assert Jetson(tmp_path).detect() == Sighting(devices=(device,), driver=driver)
    found = host.detect(tmp_path)
    assert (found.board, found.cpu, found.memory_bytes) == (model, processor, memory_bytes)


@pytest.mark.parametrize("value", ["", "-1"])
def test_a_module_may_be_hidden(value: str, tmp_path: Path) -> None:
    model, compatible, cpu, _, _ = MODULES["Xavier NX"]
    machines.jetson(tmp_path, model=model, compatible=compatible, release=R36, cpu=cpu)
    seen = Jetson(tmp_path, {"CUDA_VISIBLE_DEVICES": value}).detect()
    assert seen.devices == ()
    assert seen.hidden[0] == f"1 of 1 devices: CUDA_VISIBLE_DEVICES={value}"


# The file of the release, and what is said of it.
RELEASES = {
    "JetPack 4": ("# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t186ref", "L4T 32.7.1"),
    "JetPack 7": ("# R38 (release), REVISION: 2.0, GCID: 41844464, BOARD: generic", "L4T 38.2.0"),
    "of another system": ("meta-tegra", None),
    "empty": ("", None),
}


@pytest.mark.parametrize("name", RELEASES)
def test_the_driver_is_of_the_release(name: str, tmp_path: Path) -> None:
    release, version = RELEASES[name]
    model, compatible, cpu, *_ = MODULES["AGX Orin"]
    machines.jetson(tmp_path, model=model, compatible=compatible, release=release, cpu=cpu)
    assert Jetson(tmp_path).detect().driver == Driver(vendor="NVIDIA", version=version)


def test_a_module_without_model_and_memory_is_still_there(tmp_path: Path) -> None:
    machines.write(tmp_path, {"proc/device-tree/compatible": b"nvidia,p3701-0005\0nvidia,tegra234\0"})
    (device,) = Jetson(tmp_path).detect().devices
    assert (device.name, device.memory_bytes, device.compute_capability) == ("nvidia,tegra234", None, "8.7")


def other_board(root: Path) -> None:
    compatible = b"raspberrypi,4-model-b\0brcm,bcm2711\0"
    machines.write(
        root, {"proc/device-tree/model": b"Raspberry Pi 4\0", "proc/device-tree/compatible": compatible}
    )


def only_a_part_of_a_tegra(root: Path) -> None:
    machines.write(root, {"proc/device-tree/compatible": b"nvidia,tegra234-gpcdma\0"})


def unreadable(root: Path) -> None:
    (root / "proc/device-tree/compatible").mkdir(parents=True)


@pytest.mark.parametrize(
    "build", [machines.x86_server, other_board, only_a_part_of_a_tegra, unreadable, lambda _: None]
)
def test_any_other_machine_has_no_module(build: Callable[[Path], None], tmp_path: Path) -> None:
    build(tmp_path)
    assert Jetson(tmp_path).detect() == Sighting()
