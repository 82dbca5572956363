"""AMD devices, on made-up machines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.hardware import Device, Driver, Process, Sighting
from pytest_mlperf.hardware.amd import Amdgpu
from tests import machines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def look(root: Path, **environment: str) -> Sighting:
    return Amdgpu(root, environment).detect()


def render_nodes(sighting: Sighting) -> list[str | None]:
    return [device.render_node for device in sighting.devices]


def test_a_server_with_eight_instincts(tmp_path: Path) -> None:
    machines.instinct_server(tmp_path)
    seen = look(tmp_path)
    assert seen.devices[7] == Device(
        vendor="AMD",
        name="AMD Instinct MI300X OAM",
        uuid="GPU-dc91284879207f27",
        pci_device="74A1",
        pci_bus="0000:07:00.0",
        memory_bytes=206141652992,
        power_limit_w=750,
        power_cap_w=750,
        compute_capability="gfx942",
        ecc=True,
        numa_node=0,
        render_node="renderD135",
        processes=(),
    )
    assert render_nodes(seen) == [f"renderD{128 + number}" for number in range(8)]
    assert len({device.key for device in seen.devices}) == 8
    assert (seen.driver, seen.blind, seen.hidden) == (Driver(vendor="AMD", version="6.8.5"), (), ())


def radeon(root: Path) -> None:
    machines.amd_card(root, 1, machines.RADEON)
    machines.nvidia_card(root, 0)


def old_instinct(root: Path) -> None:
    """Make a half of an MI250X that says neither name nor number, without topology."""
    facts = {**machines.INSTINCT, "device": "0x7408", "product_name": "", "numa_node": "3"}
    for name in ("unique_id", "current_compute_partition", "ras/features", "hwmon/hwmon3/power1_cap"):
        del facts[name]
    machines.amd_card(root, 0, {**facts, "hwmon/hwmon3/power1_cap_max": "0"})


# A machine with one device of AMD, and some facts of it.
FACTS: dict[str, tuple[Callable[[Path], object], Mapping[str, object]]] = {
    "display card beside an NVIDIA card": (
        radeon,
        {
            "name": "AMD 1638",
            "pci_device": "1638",
            "memory_bytes": 2**29,
            "numa_node": None,
            "compute_capability": None,
            "processes": None,
        },
    ),
    "MI250X that says little": (
        old_instinct,
        {
            "name": "AMD Instinct MI250X",
            "uuid": None,
            "pci_bus": "0000:00:00.0",
            "power_limit_w": None,
            "power_cap_w": None,
            "ecc": None,
            "numa_node": 3,
        },
    ),
    "no watch over the memory": (
        lambda root: machines.amd_card(root, 0, {**machines.INSTINCT, "ras/features": "feature mask: 0x4"}),
        {"ecc": False},
    ),
    "words where numbers are": (
        lambda root: machines.amd_card(
            root,
            0,
            {
                "mem_info_vram_total": "much",
                "numa_node": "",
                "ras/features": "feature mask: none",
                "hwmon/hwmon0/power1_cap_max": "N/A",
            },
        ),
        {"name": "AMD", "memory_bytes": None, "numa_node": None, "ecc": None, "power_limit_w": None},
    ),
    "short unique id": (
        lambda root: machines.amd_card(root, 0, {**machines.INSTINCT, "unique_id": "C9128"}),
        {"uuid": "GPU-00000000000c9128"},
    ),
    "lowered power": (
        lambda root: machines.amd_card(
            root, 0, {**machines.INSTINCT, "hwmon/hwmon3/power1_cap": "562500000"}
        ),
        {"power_limit_w": 750, "power_cap_w": 562.5},
    ),
    "unknown board": (
        lambda root: machines.amd_card(root, 0, {"device": "0x74a9", "mem_info_vram_total": "1"}),
        {"name": "AMD 74a9", "pci_device": "74A9"},
    ),
}


@pytest.mark.parametrize("name", FACTS)
def test_facts_of_a_device(name: str, tmp_path: Path) -> None:
    build, facts = FACTS[name]
    build(tmp_path)
    (device,) = look(tmp_path).devices
    assert {fact: getattr(device, fact) for fact in facts} == facts


@pytest.mark.parametrize(
    ("version", "architecture"),
    [
        (90402, "gfx942"),
        (90010, "gfx90a"),
        (90500, "gfx950"),
        (100300, "gfx1030"),
        (110501, "gfx1151"),
        (0, None),
    ],
)
def test_the_architecture_is_named_as_compilers_name_it(
    version: int, architecture: str | None, tmp_path: Path
) -> None:
    machines.amd_card(tmp_path, 0, machines.INSTINCT)
    machines.kfd_gpu(tmp_path, 1, card=0, version=version)
    assert look(tmp_path).devices[0].compute_capability == architecture


# What stands in the tree, and the driver's version.
VERSIONS = {
    "that of AMD's package": (
        {"sys/module/amdgpu/version": "6.8.5", "opt/rocm/.info/version": "6.2.4-139"},
        "6.8.5",
    ),
    "the kernel's own, with ROCm": ({"opt/rocm/.info/version": "6.2.4-139"}, "ROCm 6.2.4-139"),
    "the kernel's own": ({}, None),
}


@pytest.mark.parametrize("name", VERSIONS)
def test_the_version_of_the_driver(name: str, tmp_path: Path) -> None:
    files, version = VERSIONS[name]
    machines.amd_card(tmp_path, 0, machines.INSTINCT)
    machines.write(tmp_path, files)
    assert look(tmp_path).driver == Driver(vendor="AMD", version=version)


@pytest.mark.parametrize(
    "build", [machines.x86_server, lambda root: machines.nvidia_card(root, 0), lambda _: None]
)
def test_where_nothing_is_of_amd_nothing_is_seen(build: Callable[[Path], None], tmp_path: Path) -> None:
    build(tmp_path)
    assert look(tmp_path) == Sighting()


@pytest.mark.parametrize("facts", [{"device": "0x9501"}, {**machines.INSTINCT, "vendor": "0x1ed5"}])
def test_a_card_of_another_driver_or_vendor_is_no_device(facts: dict[str, str], tmp_path: Path) -> None:
    machines.amd_card(tmp_path, 0, facts)
    assert look(tmp_path) == Sighting()


def test_devices_come_in_the_order_of_rocm_and_then_others(tmp_path: Path) -> None:
    for number in (2, 10, 11):
        machines.amd_card(tmp_path, number, machines.INSTINCT)
    machines.kfd_gpu(tmp_path, 9, card=11)
    machines.kfd_gpu(tmp_path, 10, card=2)
    assert render_nodes(look(tmp_path)) == ["renderD139", "renderD130", "renderD138"]


def test_without_rocm_devices_come_in_the_order_of_their_cards(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        machines.amd_card(tmp_path, number, machines.INSTINCT)
    assert render_nodes(look(tmp_path)) == ["renderD129", "renderD130", "renderD138"]


def split(root: Path) -> None:
    """Make three devices, the second of which is split into four, and so counted four times by ROCm."""
    for number in range(3):
        mode = "QPX" if number == 1 else "SPX"
        machines.amd_card(root, number, {**machines.INSTINCT, "current_compute_partition": mode})
    for number in (3, 4, 5):
        machines.amd_partition(root, number)
    for node, card in enumerate((0, 1, 3, 4, 5, 2)):
        machines.kfd_gpu(root, node, card=card)


def test_a_split_device_is_named_and_left_out(tmp_path: Path) -> None:
    split(tmp_path)
    seen = look(tmp_path)
    assert render_nodes(seen) == ["renderD128", "renderD130"]
    assert seen.blind == ("card1: compute partition QPX, allowed: SPX (amd-smi set --compute-partition SPX)",)


def test_the_parts_of_a_split_device_count_in_the_variables(tmp_path: Path) -> None:
    split(tmp_path)
    seen = look(tmp_path, ROCR_VISIBLE_DEVICES="2,5")
    assert render_nodes(seen) == ["renderD130"]
    assert seen.hidden == ("4 of 6 devices: ROCR_VISIBLE_DEVICES=2,5",)


def test_a_device_that_does_not_answer_is_named_and_left_out(tmp_path: Path) -> None:
    machines.instinct_server(tmp_path, count=2)
    memory = tmp_path / "sys/class/drm/card0/device/mem_info_vram_total"
    memory.unlink()
    memory.mkdir()
    seen = look(tmp_path)
    assert render_nodes(seen) == ["renderD129"]
    assert seen.blind == ("card0: mem_info_vram_total: Is a directory",)
    assert look(tmp_path, ROCR_VISIBLE_DEVICES="1").devices == seen.devices


@pytest.mark.parametrize(
    ("environment", "left", "hidden"),
    [
        ({"ROCR_VISIBLE_DEVICES": "3,1"}, [129, 131], ["6 of 8 devices: ROCR_VISIBLE_DEVICES=3,1"]),
        (
            {"ROCR_VISIBLE_DEVICES": "GPU-dc91284879207f25"},
            [133],
            ["7 of 8 devices: ROCR_VISIBLE_DEVICES=GPU-dc91284879207f25"],
        ),
        (
            {"ROCR_VISIBLE_DEVICES": "6,7", "HIP_VISIBLE_DEVICES": "1"},
            [135],
            ["6 of 8 devices: ROCR_VISIBLE_DEVICES=6,7", "1 of 2 devices: HIP_VISIBLE_DEVICES=1"],
        ),
    ],
)
def test_variables_hide_devices(
    environment: dict[str, str], left: list[int], hidden: list[str], tmp_path: Path
) -> None:
    machines.instinct_server(tmp_path)
    seen = look(tmp_path, **environment)
    assert render_nodes(seen) == [f"renderD{minor}" for minor in left]
    assert seen.hidden == tuple(hidden)


def test_a_container_has_the_devices_whose_files_it_has(tmp_path: Path) -> None:
    machines.instinct_server(tmp_path)
    for number in (0, 1, 2, 3, 5, 7):
        (tmp_path / f"dev/dri/renderD{128 + number}").unlink()
    seen = look(tmp_path, ROCR_VISIBLE_DEVICES="1")
    assert render_nodes(seen) == ["renderD134"]
    assert seen.hidden == (
        "6 of 8 devices: not in /dev/dri",
        "1 of 2 devices: ROCR_VISIBLE_DEVICES=1",
    )


def test_the_environment_is_that_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machines.instinct_server(tmp_path, count=2)
    probe = Amdgpu(tmp_path)
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "1")
    assert render_nodes(probe.detect()) == ["renderD129"]


def busy(root: Path) -> None:
    """Let a stranger use the first of two devices, and this process both."""
    machines.instinct_server(root, count=2)
    machines.process(root, 4711, "python3", {"50002": 2**33, "50003": 0})
    machines.process(root, os.getpid(), "pytest", {"50002": 2**20, "50003": 2**20})


def test_processes_of_a_device(tmp_path: Path) -> None:
    busy(tmp_path)
    machines.first_pid_namespace(tmp_path)
    stranger = Process(pid=4711, name="python3", memory_bytes=2**33)
    assert [device.processes for device in look(tmp_path).devices] == [(stranger,), ()]


def test_in_a_container_processes_have_no_names(tmp_path: Path) -> None:
    busy(tmp_path)
    first, second = (device.processes or () for device in look(tmp_path).devices)
    assert Process(pid=4711, name=None, memory_bytes=2**33) in first
    assert {process.pid for process in second} == {os.getpid()}


def test_memory_of_a_process_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    machines.instinct_server(tmp_path, count=1)
    (tmp_path / "sys/class/kfd/kfd/proc/4711/vram_50002").mkdir(parents=True)
    assert look(tmp_path).devices[0].processes == (Process(pid=4711, name=None, memory_bytes=None),)


def test_loops_and_noise_in_the_tree_stop_nobody(tmp_path: Path) -> None:
    machines.instinct_server(tmp_path, count=1)
    drm = tmp_path / "sys/class/drm"
    (drm / "card7").symlink_to("card7")
    (drm / "card8").mkdir()
    (drm / "card8/device").symlink_to("device")
    machines.write(tmp_path, {"sys/class/kfd/kfd/topology/nodes/7/properties": b"\xff\xfe\x00simd_count"})
    assert render_nodes(look(tmp_path)) == ["renderD128"]


def test_what_this_machine_says_can_be_read() -> None:
    assert all(device.vendor == "AMD" and device.key for device in Amdgpu().detect().devices)
