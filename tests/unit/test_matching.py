"""Which machine is which SKU, which nearly, and by what they differ."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_mlperf.hardware import Device, Host, Inventory, skus
from pytest_mlperf.hardware.matching import differences, identify, match, refusals

GIB = 2**30
HOST = Host(
    cores=256,
    cpu="AMD EPYC 7742 64-Core Processor",
    memory_bytes=1024 * GIB,
    board=None,
    architecture="x86_64",
)
DGX = Device(
    vendor="NVIDIA",
    name="NVIDIA A100-SXM4-80GB",
    pci_device="20B2",
    memory_bytes=80 * GIB,
    power_limit_w=400,
    compute_capability="8.0",
)
STATION = replace(DGX, power_limit_w=275)
DELL = replace(DGX, power_limit_w=500)
PCIE = replace(DGX, name="NVIDIA A100 80GB PCIe", pci_device="20B5", power_limit_w=300)
INSTANCE = replace(DGX, memory_bytes=9728 * 2**20, mig_profile="1g.10gb")
T4 = replace(
    DGX, name="Tesla T4", pci_device="1EB8", memory_bytes=15 * GIB, power_limit_w=70, compute_capability="7.5"
)
DISPLAY = replace(
    DGX,
    name="NVIDIA DGX Display",
    pci_device="1FB0",
    memory_bytes=4 * GIB,
    power_limit_w=50,
    compute_capability="7.5",
)
MI300X = Device(
    vendor="AMD",
    name="AMD Instinct MI300X",
    pci_device="74A1",
    memory_bytes=192 * GIB,
    power_limit_w=750,
    compute_capability="gfx942",
)
ORIN = Device(vendor="NVIDIA", name="NVIDIA Jetson AGX Orin Developer Kit", memory_bytes=64 * GIB)


def machine(*devices: Device, **host: Any) -> Inventory:
    numbered = tuple(replace(device, uuid=f"GPU-{number}") for number, device in enumerate(devices))
    return Inventory(host=replace(HOST, **host), devices=numbered, blind=())


# SKU, machine, level, and the differences in words.
TABLE: dict[str, tuple[str, Inventory, str, list[str]]] = {
    "eight": ("A100-SXM-80GBx8", machine(*[DGX] * 8), "match", []),
    "one of eight": ("A100-SXM-80GBx1", machine(*[DGX] * 8), "match", []),
    "a DGX Station": ("A100-SXM-80GBx4", machine(*[STATION] * 4), "match", []),
    "a DGX A100 is no DGX Station": (
        "A100-SXM-80GBx4",
        machine(*[DGX] * 8),
        "partial",
        ["power limit: needs 275 W, found 400 W"],
    ),
    "a DGX Station is no DGX A100": (
        "A100-SXM-80GBx8",
        machine(*[STATION] * 4),
        "no",
        ["power limit: needs 400 W, found 275 W", "count: needs 8, found 4"],
    ),
    "one of eight lost": ("A100-SXM-80GBx8", machine(*[DGX] * 7), "no", ["count: needs 8, found 7"]),
    "one of eight capped": (
        "A100-SXM-80GBx8",
        machine(*[DGX] * 7, STATION),
        "partial",
        ["power limit: needs 400 W, found 275 W"],
    ),
    "enough without the capped one": ("A100-SXM-80GBx1", machine(STATION, DGX), "match", []),
    "memory 5 % below": ("A100-SXM-80GBx1", machine(replace(DGX, memory_bytes=76 * GIB)), "match", []),
    "memory 5 % above": ("A100-SXM-80GBx1", machine(replace(DGX, memory_bytes=84 * GIB)), "match", []),
    "memory a little less": (
        "A100-SXM-80GBx1",
        machine(replace(DGX, memory_bytes=76 * GIB - 1)),
        "partial",
        ["memory: needs 80 GiB, found 76 GiB"],
    ),
    "everything unknown but the PCI id": (
        "A100-SXM-80GBx1",
        machine(replace(DGX, memory_bytes=None, power_limit_w=None, compute_capability=None)),
        "partial",
        [
            "memory: needs 80 GiB, found unknown",
            "power limit: needs 400 W, found unknown",
            "compute capability: needs 8.0, found unknown",
        ],
    ),
    "PCI id unknown": (
        "A100-SXM-80GBx1",
        machine(replace(DGX, pci_device=None)),
        "partial",
        ["PCI id: needs 20B2, found unknown"],
    ),
    "another board of the chip": ("A100-SXM-80GBx1", machine(PCIE), "no", ["count: needs 1, found 0"]),
    "two kinds that nearly match": (
        "A100-SXM-80GBx4",
        machine(*[DGX] * 4, *[DELL] * 4),
        "partial",
        ["power limit: needs 275 W, found 400 W"],
    ),
    "another chip": ("A100-SXM-80GBx1", machine(T4), "no", ["count: needs 1, found 0"]),
    "a T4 of the cloud": ("T4x1", machine(T4), "partial", ["memory: needs 16 or 32 GiB, found 15 GiB"]),
    "seven instances": ("A100-SXM-80GB-MIG_7x1g.10gb", machine(*[INSTANCE] * 7), "match", []),
    "one instance of seven": ("A100-SXM-80GB-MIG_1x1g.10gb", machine(*[INSTANCE] * 7), "match", []),
    "instances for a whole GPU": ("A100-SXM-80GBx1", machine(INSTANCE), "no", ["count: needs 1, found 0"]),
    "a whole GPU for instances": (
        "A100-SXM-80GB-MIG_1x1g.10gb",
        machine(DGX),
        "no",
        ["count: needs 1, found 0"],
    ),
    "an ARM host": (
        "A100-SXM-80GBx1",
        machine(DGX, architecture="aarch64"),
        "no",
        ["count: needs 1, found 0"],
    ),
    "the SKU of an ARM host": ("A100-SXM-80GB_aarch64x1", machine(DGX, architecture="aarch64"), "match", []),
    "eight of AMD": ("MI300Xx8", machine(*[MI300X] * 8), "match", []),
    "two of AMD's eight": ("MI300Xx2", machine(*[MI300X] * 8), "match", []),
    "AMD's for NVIDIA's": ("A100-SXM-80GBx8", machine(*[MI300X] * 8), "no", ["count: needs 8, found 0"]),
    "a board": ("Orin", machine(ORIN, architecture="aarch64"), "match", []),
    "another board": ("Xavier_NX", machine(ORIN, architecture="aarch64"), "no", ["count: needs 1, found 0"]),
    "no device": ("A2x1", machine(), "no", ["count: needs 1, found 0"]),
    "the processor": ("CPU", machine(), "match", []),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_machine_is_a_sku_or_differs_by_what_is_named(name: str) -> None:
    sku, inventory, level, deltas = TABLE[name]
    found = match(skus.load()[sku], inventory)
    assert (found.level, [str(delta) for delta in found.deltas]) == (level, deltas)


def test_devices_of_one_kind_are_offered_where_there_are_enough() -> None:
    found = match(skus.load()["A100-SXM-80GBx4"], machine(*[DELL] * 3, *[DGX] * 4))
    assert [device.power_limit_w for device in found.devices] == [400] * 4


def test_the_differences_are_those_of_the_devices() -> None:
    sku, inventory = skus.load()["A100-SXM-80GBx4"], machine(DELL, STATION)
    said = [[str(delta) for delta in differences(sku, [device], inventory)] for device in inventory.devices]
    assert said == [["power limit: needs 275 W, found 500 W"], []]


def test_the_devices_of_a_match_keep_their_order() -> None:
    inventory = machine(DGX, STATION, DGX)
    found = match(skus.load()["A100-SXM-80GBx1"], inventory)
    assert [device.key for device in found.devices] == ["GPU-0", "GPU-2"]


# Machine, and the systems that it is as a whole.
MACHINES = {
    "DGX A100": (machine(*[DGX] * 8), ["DGX-A100_A100-SXM-80GBx8"]),
    "DGX Station": (machine(*[STATION] * 4), ["DGX-Station-A100_A100-SXM-80GBx4"]),
    "DGX Station with its display": (
        machine(STATION, STATION, DISPLAY, STATION, STATION),
        ["DGX-Station-A100_A100-SXM-80GBx4"],
    ),
    "seven of a DGX A100": (machine(*[DGX] * 7), []),
    "a T4 of the cloud": (machine(T4), []),
    "no device": (machine(), []),
}


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_is_known_by_all_of_its_devices(name: str) -> None:
    inventory, systems = MACHINES[name]
    assert [sku.system_id for sku in identify(inventory, skus.load().values()).skus] == systems


A30 = replace(DGX, name="NVIDIA A30", pci_device="20B7", memory_bytes=24 * GIB, power_limit_w=165)

# SKU, host, and why NVIDIA's harness of v2.0 would not know it.
HOSTS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "its own": ("A30x1", {}, []),
    "another processor": (
        "A30x1",
        {"cpu": "Intel(R) Xeon(R) Platinum 8480C"},
        ["host CPU: needs AMD EPYC 7742 64-Core Processor, found Intel(R) Xeon(R) Platinum 8480C"],
    ),
    "a processor that the hypervisor hides": (
        "A30x1",
        {"cpu": None},
        ["host CPU: needs AMD EPYC 7742 64-Core Processor, found unknown"],
    ),
    "memory 5 % less": ("A30x1", {"memory_bytes": int(512 * 0.95 * GIB) + 1}, []),
    "too little memory": (
        "A30x1",
        {"memory_bytes": 480 * GIB},
        ["host memory: needs at least 512 GiB, found 480 GiB"],
    ),
    "any of two vendors": ("A100-SXM-80GBx1", {"cpu": "Intel(R) Xeon(R) Platinum 8480C"}, []),
    "neither of two vendors": (
        "A100-SXM-80GBx1",
        {"cpu": "Ampere"},
        ["host CPU: needs any of AMD or any of Intel, found Ampere"],
    ),
}


@pytest.mark.parametrize("name", HOSTS)
def test_nvidias_harness_looks_at_the_host_too(name: str) -> None:
    sku, host, said = HOSTS[name]
    found = refusals(skus.load()[sku], machine(A30, **host))
    assert [str(delta) for delta in found.get("v2.0", ())] == said
