from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_mlperf.hardware import Device, Host, Inventory, Sku, skus
from pytest_mlperf.placement import Placement, Unplaced, found_devices, place

GIB = 2**30
HOST = Host(cores=8, cpu="Made-up CPU", memory_bytes=64 * GIB, board=None)
A100 = Device(
    name="NVIDIA A100-SXM4-80GB",
    uuid="GPU-0",
    pci_device="20B2",
    memory_bytes=80 * GIB,
    power_limit_w=400,
)
STATION = replace(A100, power_limit_w=275)
A2 = Device(name="NVIDIA A2", uuid="GPU-9", pci_device="25B6", memory_bytes=15 * GIB, power_limit_w=60)


def inventory(*devices: Device, board: str | None = None, blind: tuple[str, ...] = ()) -> Inventory:
    return Inventory(host=replace(HOST, board=board), devices=devices, blind=blind)


def memory(gib: float | None) -> Device:
    return replace(A100, memory_bytes=None if gib is None else round(gib * GIB))


# SKU and machine.
FITTING = {
    "eight of eight": ("A100-SXM-80GBx8", inventory(*[A100] * 8)),
    "one": ("A100-SXM-80GBx1", inventory(A100)),
    "four at the power of a DGX Station": ("A100-SXM-80GBx4", inventory(*[STATION] * 4)),
    "memory 4 % below": ("A100-SXM-80GBx1", inventory(memory(76.8))),
    "memory 4 % above": ("A100-SXM-80GBx1", inventory(memory(83.2))),
    "without a UUID": ("A2x1", inventory(replace(A2, uuid=None))),
    "beside a probe that sees nothing": ("A2x2", inventory(A2, A2, blind=("TPU: no driver",))),
}


@pytest.mark.parametrize("name", FITTING)
def test_a_case_gets_the_devices_of_its_sku(name: str) -> None:
    sku, machine = FITTING[name]
    assert place(skus.load()[sku], machine) == Placement(sku=sku, devices=machine.devices)


EIGHT = "needs 8x A100-SXM-80GB (80 GiB, 400 W), found "
ONE = "needs 1x A100-SXM-80GB (80 GiB, 400 W), found "

# SKU, machine, and what is said.
LACKING = {
    "seven of eight": (
        "A100-SXM-80GBx8",
        inventory(*[A100] * 7),
        EIGHT + "7x NVIDIA A100-SXM4-80GB (80 GiB, 400 W)",
    ),
    "nine of eight": (
        "A100-SXM-80GBx8",
        inventory(*[A100] * 9),
        EIGHT + "9x NVIDIA A100-SXM4-80GB (80 GiB, 400 W)",
    ),
    "eight for one": (
        "A100-SXM-80GBx1",
        inventory(*[A100] * 8),
        ONE + "8x NVIDIA A100-SXM4-80GB (80 GiB, 400 W)",
    ),
    "a DGX A100 for a DGX Station": (
        "A100-SXM-80GBx4",
        inventory(*[A100] * 4),
        "needs 4x A100-SXM-80GB (80 GiB, 275 W), found 4x NVIDIA A100-SXM4-80GB (80 GiB, 400 W)",
    ),
    "one of them at less power": (
        "A100-SXM-80GBx8",
        inventory(*[A100] * 5, STATION, *[A100] * 2),
        EIGHT + "7x NVIDIA A100-SXM4-80GB (80 GiB, 400 W), 1x NVIDIA A100-SXM4-80GB (80 GiB, 275 W)",
    ),
    "memory 6 % below": (
        "A100-SXM-80GBx1",
        inventory(memory(75.2)),
        ONE + "1x NVIDIA A100-SXM4-80GB (75 GiB, 400 W)",
    ),
    "memory 6 % above": (
        "A100-SXM-80GBx1",
        inventory(memory(84.8)),
        ONE + "1x NVIDIA A100-SXM4-80GB (85 GiB, 400 W)",
    ),
    "memory unknown": (
        "A100-SXM-80GBx1",
        inventory(memory(None)),
        ONE + "1x NVIDIA A100-SXM4-80GB (? GiB, 400 W)",
    ),
    "power unknown": (
        "A100-SXM-80GBx1",
        inventory(replace(A100, power_limit_w=None)),
        ONE + "1x NVIDIA A100-SXM4-80GB (80 GiB, ? W)",
    ),
    "another kind": (
        "A2x2",
        inventory(A100, A100),
        "needs 2x A2 (15 GiB, 60 W), found 2x NVIDIA A100-SXM4-80GB (80 GiB, 400 W)",
    ),
    "a foreign one beside": (
        "A2x2",
        inventory(A2, A100, A2),
        (
            "needs 2x A2 (15 GiB, 60 W), found 2x NVIDIA A2 (15 GiB, 60 W), "
            "1x NVIDIA A100-SXM4-80GB (80 GiB, 400 W)"
        ),
    ),
    "none": ("A2x1", inventory(), "needs 1x A2 (15 GiB, 60 W), found no accelerator"),
    "none that could be looked at": (
        "A2x1",
        inventory(blind=("NVML: Driver/library version mismatch",)),
        "needs 1x A2 (15 GiB, 60 W), found no accelerator (NVML: Driver/library version mismatch)",
    ),
    "no board": ("Orin", inventory(), "needs 1x Orin, found no accelerator"),
    "another board": (
        "Orin",
        inventory(board="NVIDIA Jetson Xavier NX Developer Kit"),
        "needs 1x Orin, found NVIDIA Jetson Xavier NX Developer Kit",
    ),
    "a GPU for a board": (
        "Xavier_NX",
        inventory(A2),
        "needs 1x Xavier NX, found 1x NVIDIA A2 (15 GiB, 60 W)",
    ),
}


@pytest.mark.parametrize("name", LACKING)
def test_a_case_is_unplaced_with_what_is_needed_and_found(name: str) -> None:
    sku, machine, said = LACKING[name]
    unplaced = place(skus.load()[sku], machine)
    assert isinstance(unplaced, Unplaced)
    assert str(unplaced) == said


@pytest.mark.parametrize("pci_device", ["20B0", None])
def test_another_pci_device_is_named(pci_device: str | None) -> None:
    unplaced = place(skus.load()["A100-SXM-80GBx1"], inventory(replace(A100, pci_device=pci_device)))
    assert isinstance(unplaced, Unplaced)
    assert unplaced.expected not in unplaced.found
    assert "20B2" in str(unplaced)


@pytest.mark.parametrize(
    ("sku", "board"),
    [
        pytest.param("Xavier_NX", "NVIDIA Jetson Xavier NX Developer Kit", id="Xavier NX"),
        pytest.param("Orin", "Jetson AGX Orin", id="Orin"),
    ],
)
def test_a_jetson_is_known_by_its_board(sku: str, board: str) -> None:
    assert place(skus.load()[sku], inventory(board=board)) == Placement(sku=sku, devices=())


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param(inventory(), id="no accelerator"),
        pytest.param(inventory(A100), id="accelerator"),
        pytest.param(inventory(blind=("NVML: silent",)), id="nothing to see"),
    ],
)
def test_a_case_of_the_cpu_is_placed_everywhere_without_devices(machine: Inventory) -> None:
    assert place(skus.load()["CPU"], machine) == Placement(sku="CPU", devices=())


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        pytest.param(inventory(A2), "1x NVIDIA A2 (15 GiB, 60 W)", id="one"),
        pytest.param(
            inventory(A2, memory(None), A2),
            "2x NVIDIA A2 (15 GiB, 60 W), 1x NVIDIA A100-SXM4-80GB (? GiB, 400 W)",
            id="two kinds, counted",
        ),
        pytest.param(
            inventory(replace(A2, power_limit_w=62.5)), "1x NVIDIA A2 (15 GiB, 62.5 W)", id="half a watt"
        ),
        pytest.param(
            inventory(blind=("a: x", "b: y")), "no accelerator (a: x) (b: y)", id="two blind probes"
        ),
    ],
)
def test_devices_in_words(machine: Inventory, words: str) -> None:
    assert found_devices(machine) == words


def test_the_skus_that_are_known() -> None:
    assert all(sku.name == name for name, sku in skus.load().items())
    assert {name: sku.count for name, sku in skus.load().items()} == {
        "A100-SXM-80GBx8": 8,
        "A100-SXM-80GBx4": 4,
        "A100-SXM-80GBx1": 1,
        "A100-SXM4-40GBx8": 8,
        "A100-PCIe-80GBx8": 8,
        "A100-PCIe-80GBx1": 1,
        "A30x8": 8,
        "A30x1": 1,
        "A2x2": 2,
        "A2x1": 1,
        "Orin": 1,
        "Xavier_NX": 1,
        "CPU": 0,
    }


@pytest.mark.parametrize(
    ("sku", "words"),
    [
        pytest.param(skus.load()["A30x8"], "8x A30 (24 GiB, 165 W)", id="GPU"),
        pytest.param(skus.load()["Orin"], "1x Orin", id="board"),
        pytest.param(skus.load()["CPU"], "the host's CPU", id="CPU"),
        pytest.param(
            Sku(name="X", system_id="X", accelerator="X1", count=2, memory_gib=16.5),
            "2x X1 (16.5 GiB)",
            id="power unknown",
        ),
    ],
)
def test_a_sku_says_what_it_needs(sku: Sku, words: str) -> None:
    assert str(sku) == words
