"""What a case is told when the machine is not its SKU, and what it gets when it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_mlperf.hardware import Device, Host, Inventory, skus
from pytest_mlperf.hardware.matching import Identity, Match, identify
from pytest_mlperf.placement import Unplaced, found_devices, place

GIB = 2**30
HOST = Host(cores=8, cpu="Made-up CPU", memory_bytes=64 * GIB, board=None, architecture="x86_64")
A100 = Device(
    vendor="NVIDIA",
    name="NVIDIA A100-SXM4-80GB",
    uuid="GPU-0",
    pci_device="20B2",
    memory_bytes=80 * GIB,
    power_limit_w=400,
    compute_capability="8.0",
)
STATION = replace(A100, power_limit_w=275)
A2 = replace(
    A100,
    name="NVIDIA A2",
    pci_device="25B6",
    memory_bytes=15 * GIB,
    power_limit_w=60,
    compute_capability="8.6",
)
GEFORCE = replace(
    A100, name="NVIDIA GeForce RTX 4090", pci_device="2684", memory_bytes=24 * GIB, power_limit_w=450
)
XAVIER = Device(vendor="NVIDIA", integrated=True, name="NVIDIA Jetson Xavier NX Developer Kit")


def inventory(*devices: Device, blind: tuple[str, ...] = (), hidden: tuple[str, ...] = ()) -> Inventory:
    numbered = tuple(replace(device, uuid=f"GPU-{number}") for number, device in enumerate(devices))
    return Inventory(host=HOST, devices=numbered, blind=blind, hidden=hidden)


def known(machine: Inventory) -> Identity:
    return identify(machine, skus.load().values())


# SKU, machine, and what is said.
LACKING = {
    "a DGX Station for a DGX A100": (
        "A100-SXM-80GBx8",
        inventory(*[STATION] * 4),
        (
            "needs 8x A100-SXM-80GB (400 W), found 4x A100-SXM-80GB (275 W): "
            "this is DGX-Station-A100_A100-SXM-80GBx4"
        ),
    ),
    "a DGX A100 for a DGX Station": (
        "A100-SXM-80GBx4",
        inventory(*[A100] * 8),
        "needs 4x A100-SXM-80GB (275 W), found 8x A100-SXM-80GB (400 W): this is DGX-A100_A100-SXM-80GBx8",
    ),
    "seven of eight": (
        "A100-SXM-80GBx8",
        inventory(*[A100] * 7, blind=("NVML: device 5: GPU is lost",)),
        "needs 8x A100-SXM-80GB, found 7x A100-SXM-80GB (NVML: device 5: GPU is lost)",
    ),
    "hidden ones": (
        "A2x2",
        inventory(A2, hidden=("1 of 2 devices: CUDA_VISIBLE_DEVICES=1",)),
        "needs 2x A2, found 1x A2 (hidden: 1 of 2 devices: CUDA_VISIBLE_DEVICES=1): this is A2x1",
    ),
    "a power limit that no SKU has": (
        "A100-SXM-80GBx4",
        inventory(*[replace(A100, power_limit_w=500)] * 4),
        "needs 4x A100-SXM-80GB (275 W), found 4x A100-SXM-80GB (500 W)",
    ),
    "one of them at less power": (
        "A100-SXM-80GBx8",
        inventory(*[A100] * 5, STATION, *[A100] * 2),
        (
            "needs 8x A100-SXM-80GB (400 W), found 7x NVIDIA A100-SXM4-80GB (80 GiB, 400 W), "
            "1x NVIDIA A100-SXM4-80GB (80 GiB, 275 W)"
        ),
    ),
    "memory unknown": (
        "A100-SXM-80GBx1",
        inventory(replace(A100, memory_bytes=None)),
        "needs 1x A100-SXM-80GB (80 GiB), found 1x A100-SXM-80GB (memory unknown)",
    ),
    "another accelerator": (
        "A2x2",
        inventory(*[STATION] * 4),
        "needs 2x A2, found 4x A100-SXM-80GB: this is ",
    ),
    "an unknown accelerator": (
        "A2x2",
        inventory(GEFORCE, GEFORCE),
        "needs 2x A2, found 2x NVIDIA GeForce RTX 4090 (24 GiB, 450 W)",
    ),
    "a foreign one beside": (
        "A2x2",
        inventory(A2, GEFORCE),
        "needs 2x A2, found 1x A2: this is A2x1",
    ),
    "none": ("A2x1", inventory(), "needs 1x A2, found no accelerator"),
    "none that could be looked at": (
        "A2x1",
        inventory(blind=("NVML: Driver/library version mismatch",)),
        "needs 1x A2, found no accelerator that can be seen (NVML: Driver/library version mismatch)",
    ),
    "another board": ("Orin", inventory(XAVIER), "needs 1x Orin, found 1x Xavier NX: this is Xavier_NX"),
    "a GPU for a board": ("Xavier_NX", inventory(A2), "needs 1x Xavier NX, found 1x A2: this is A2x1"),
}


@pytest.mark.parametrize("name", LACKING)
def test_a_case_is_unplaced_with_what_is_needed_and_found(name: str) -> None:
    sku, machine, said = LACKING[name]
    unplaced = place(skus.load()[sku], machine, known(machine))
    assert isinstance(unplaced, Unplaced)
    assert str(unplaced).startswith(said)
    assert str(unplaced) == said or said.endswith(": this is ")


@pytest.mark.parametrize("allowed", ["exact", "partial"])
def test_a_partial_match_is_placed_only_where_it_is_asked_for(allowed: str) -> None:
    machine = inventory(*[replace(A100, power_limit_w=500)] * 4)
    placed = place(skus.load()["A100-SXM-80GBx4"], machine, known(machine), allowed=allowed)  # type: ignore[arg-type]
    if allowed == "exact":
        assert isinstance(placed, Unplaced)
    else:
        assert isinstance(placed, Match)
        assert [str(delta) for delta in placed.deltas] == ["power limit: needs 275 W, found 500 W"]
        assert placed.devices == machine.devices


def test_too_few_devices_are_never_a_partial_match() -> None:
    machine = inventory(*[A100] * 7)
    placed = place(skus.load()["A100-SXM-80GBx8"], machine, known(machine), allowed="partial")
    assert isinstance(placed, Unplaced)


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        pytest.param(inventory(A2), "1x NVIDIA A2 (15 GiB, 60 W)", id="one"),
        pytest.param(
            inventory(A2, replace(A100, memory_bytes=None), A2),
            "2x NVIDIA A2 (15 GiB, 60 W), 1x NVIDIA A100-SXM4-80GB (? GiB, 400 W)",
            id="two kinds, counted",
        ),
        pytest.param(
            inventory(replace(A2, power_limit_w=62.5)), "1x NVIDIA A2 (15 GiB, 62.5 W)", id="half a watt"
        ),
        pytest.param(
            inventory(replace(A100, name="NVIDIA A100", mig_profile="1g.10gb", memory_bytes=9728 * 2**20)),
            "1x NVIDIA A100 MIG 1g.10gb (9.5 GiB, 400 W)",
            id="MIG",
        ),
        pytest.param(
            inventory(blind=("a: x", "b: y")),
            "no accelerator that can be seen (a: x) (b: y)",
            id="two blind probes",
        ),
    ],
)
def test_devices_in_words(machine: Inventory, words: str) -> None:
    assert found_devices(machine) == words
