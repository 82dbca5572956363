"""Which devices a case gets: a `Placement`, or `Unplaced` with what was expected and what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_mlperf.hardware import Device, Inventory, Sku

_GIB = 2**30
_MEMORY_TOLERANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The devices that a case may use; none for a case on the CPU."""

    sku: str
    devices: tuple[Device, ...]


@dataclass(frozen=True, kw_only=True)
class Unplaced:
    """Why a case cannot run here."""

    expected: str
    found: str

    def __str__(self) -> str:
        return f"needs {self.expected}, found {self.found}"


def place(sku: Sku, inventory: Inventory) -> Placement | Unplaced:
    """Return the devices of this machine that are the SKU.

    PCI device id, memory within 5 %, power limit and count all match, as in NVIDIA's harness, which looks at
    compute capability, processor and host memory too (closed/NVIDIA v2.0, code/common/systems).
    """
    if not sku.count:
        return Placement(sku=sku.name, devices=())
    if sku.board is not None:
        if sku.board in (inventory.host.board or ""):
            return Placement(sku=sku.name, devices=inventory.devices)
        return Unplaced(expected=str(sku), found=inventory.host.board or found_devices(inventory))
    matching = tuple(device for device in inventory.devices if _is_of(sku, device))
    if len(matching) == sku.count == len(inventory.devices):
        return Placement(sku=sku.name, devices=matching)
    if any(_looks_like(sku, device) and device.pci_device != sku.pci_device for device in inventory.devices):
        ids = ", ".join(sorted({device.pci_device or "unknown" for device in inventory.devices}))
        found = f"{found_devices(inventory)} with PCI id {ids}"
        return Unplaced(expected=f"{sku} with PCI id {sku.pci_device}", found=found)
    return Unplaced(expected=str(sku), found=found_devices(inventory))


def _is_of(sku: Sku, device: Device) -> bool:
    return _looks_like(sku, device) and device.pci_device == sku.pci_device


def _looks_like(sku: Sku, device: Device) -> bool:
    if device.memory_bytes is None or sku.memory_gib is None:
        return False
    deviation = abs(device.memory_bytes / _GIB / sku.memory_gib - 1)
    return deviation <= _MEMORY_TOLERANCE and device.power_limit_w == sku.power_limit_w


def found_devices(inventory: Inventory) -> str:
    """Return the devices of a machine in words, alike ones counted: `4x NVIDIA A30 (24 GiB, 165 W)`."""
    words = [_words(device) for device in inventory.devices]
    counted = [f"{words.count(word)}x {word}" for word in dict.fromkeys(words)]
    blind = [f"({reason})" for reason in inventory.blind]
    return " ".join([", ".join(counted) or "no accelerator", *blind])


def _words(device: Device) -> str:
    memory = "? GiB" if device.memory_bytes is None else f"{device.memory_bytes / _GIB:.0f} GiB"
    power = "? W" if device.power_limit_w is None else f"{device.power_limit_w:g} W"
    return f"{device.name} ({memory}, {power})"
