"""Which devices a case gets: those that fit, or `Unplaced` with what was expected and what was found.

Which of the fitting ones it is, is decided by its lease.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.hardware.matching import Match, match
from pytest_mlperf.units import format_gib, format_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_mlperf.hardware import Device, Inventory, Sku
    from pytest_mlperf.hardware.matching import Delta, Identity
    from pytest_mlperf.matrix import HardwareMatch


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The devices that a case has; none for a case on the CPU."""

    sku: str
    devices: tuple[Device, ...]


@dataclass(frozen=True, kw_only=True)
class Unplaced:
    """Why a case cannot run here."""

    expected: str
    found: str

    def __str__(self) -> str:
        """Return the reason in a line, as skips say it."""
        return f"needs {self.expected}, found {self.found}"


def place(
    sku: Sku, inventory: Inventory, identity: Identity, *, allowed: HardwareMatch = "exact"
) -> Match | Unplaced:
    """Return the devices of this machine that are the SKU, or nearly so where that is allowed.

    identity: of the machine, to say what it is instead
    """
    found = match(sku, inventory)
    if found.level == "match" or (found.level == "partial" and allowed == "partial"):
        return found
    traits = _telling(found, identity)
    expected = f"{sku.count}x {sku.accelerator}{_in_brackets(delta.expected for delta in traits)}"
    return Unplaced(expected=expected, found=_found(found, traits, inventory, identity))


def _telling(found: Match, identity: Identity) -> tuple[Delta, ...]:
    """Return what tells a machine from a SKU of the same accelerator; another name tells enough."""
    names = _names(identity)
    if not _is_of_one_kind(found, identity) or (names and found.sku.accelerator not in names):
        return ()
    return tuple(delta for delta in found.deltas if delta.trait != "count")


def _found(found: Match, traits: Sequence[Delta], inventory: Inventory, identity: Identity) -> str:
    """Return what is there instead: known devices by the name of their SKU, others as they say."""
    systems = " or ".join(sku.system_id for sku in identity.skus)
    known = _names(identity) or ([found.sku.accelerator] if _is_of_one_kind(found, identity) else [])
    if not known:
        return found_devices(inventory)
    devices = f"{len(identity.devices)}x {' or '.join(known)}{_in_brackets(delta.found for delta in traits)}"
    return _with_reasons(devices, inventory) + (f": this is {systems}" if systems else "")


def _names(identity: Identity) -> list[str]:
    return list(dict.fromkeys(sku.accelerator for sku in identity.skus))


def _is_of_one_kind(found: Match, identity: Identity) -> bool:
    """Return whether all accelerators of a machine are alike and, but for their traits, those of the SKU."""
    same = len({describe(device) for device in identity.devices}) == 1
    strangers = {"PCI id", "MIG", "vendor"} & {delta.trait for delta in found.deltas}
    return same and len(found.devices) == len(identity.devices) and not strangers


def _in_brackets(words: Iterable[str]) -> str:
    text = ", ".join(dict.fromkeys(words))
    return f" ({text})" if text else ""


def found_devices(inventory: Inventory) -> str:
    """Return the devices of a machine in words, alike ones counted: `4x NVIDIA A30 (24 GiB, 165 W)`."""
    words = [describe(device) for device in inventory.devices]
    counted = [f"{words.count(word)}x {word}" for word in dict.fromkeys(words)]
    return _with_reasons(", ".join(counted) or "no accelerator", inventory)


def _with_reasons(devices: str, inventory: Inventory) -> str:
    """Add what could not be looked at, and what may not be used."""
    return " ".join([devices, *(f"({reason})" for reason in (*inventory.blind, *inventory.hidden))])


def describe(device: Device) -> str:
    """Return a device in words: `NVIDIA A30 (24 GiB, 165 W)`."""
    memory = "? GiB" if device.memory_bytes is None else format_gib(device.memory_bytes)
    power = "? W" if device.power_limit_w is None else f"{format_number(device.power_limit_w)} W"
    profile = device.mig_profile
    name = f"{device.name} MIG {profile}" if profile and profile not in device.name else device.name
    return f"{name} ({memory}, {power})"
