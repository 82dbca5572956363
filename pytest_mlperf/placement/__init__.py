"""Which devices a case gets: those that fit, or `Unplaced` with what was expected and what was found.

Which of the fitting ones it is, is decided by its lease.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_mlperf.hardware.matching import Match, match
from pytest_mlperf.units import format_gib, format_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_mlperf.hardware import Device, Inventory, Sku
    from pytest_mlperf.hardware.matching import Delta, Identity
    from pytest_mlperf.matrix import HardwareMatch


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The devices that a case has; none for a case on the CPU.

    driver: their version of it, None where it is unknown
    """

    sku: str
    devices: tuple[Device, ...]
    driver: str | None = None


@dataclass(frozen=True, kw_only=True)
class Unplaced:
    """Why a case cannot run here: what it needs of which kind, and what is there instead."""

    expected: str
    found: str
    what: Literal["hardware", "harness", "logs"] = "hardware"

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
    named = _is_the_product(found, identity)
    traits = [delta for delta in found.deltas if named and delta.trait != "count"]
    expected = f"{sku.count}x {sku.accelerator}{_in_brackets(_words(d.trait, d.expected) for d in traits)}"
    return Unplaced(expected=expected, found=_found(found, traits, inventory, identity))


def _is_the_product(found: Match, identity: Identity) -> bool:
    """Return whether the machine's accelerators are the SKU's, so that only traits tell them apart."""
    accelerator = found.sku.accelerator
    if identity.accelerators:
        return accelerator in identity.accelerators
    return 0 < len(found.devices) == len(identity.devices)


def _found(found: Match, traits: Sequence[Delta], inventory: Inventory, identity: Identity) -> str:
    """Return what is there instead: known devices by the name of their SKU, others as they say."""
    alike = len({describe(device) for device in identity.devices}) == 1
    known = identity.accelerators or ((found.sku.accelerator,) if _is_the_product(found, identity) else ())
    if not known or not alike:
        return found_devices(inventory)
    differing = _in_brackets(_words(delta.trait, delta.found) for delta in traits)
    devices = _with_reasons(f"{len(identity.devices)}x {' or '.join(known)}{differing}", inventory)
    systems = " or ".join(sku.system_id for sku in identity.skus)
    return f"{devices}: this is {systems}" if systems else devices


def _words(trait: str, value: str) -> str:
    """Return a value that says what it is of: `400 W` does, `8.0` and `unknown` do not."""
    return value if value.endswith((" W", " GiB")) else f"{trait} {value}"


def _in_brackets(words: Iterable[str]) -> str:
    text = ", ".join(dict.fromkeys(words))
    return f" ({text})" if text else ""


def found_devices(inventory: Inventory) -> str:
    """Return the devices of a machine in words, alike ones counted: `4x NVIDIA A30 (24 GiB, 165 W)`."""
    words = [describe(device) for device in inventory.devices]
    counted = [f"{words.count(word)}x {word}" for word in dict.fromkeys(words)]
    nothing = "no accelerator that can be seen" if inventory.blind else "no accelerator"
    return _with_reasons(", ".join(counted) or nothing, inventory)


def _with_reasons(devices: str, inventory: Inventory) -> str:
    """Add what could not be looked at, and what may not be used."""
    hidden = (f"hidden: {reason}" for reason in inventory.hidden)
    return " ".join([devices, *(f"({reason})" for reason in (*inventory.blind, *hidden))])


def describe(device: Device) -> str:
    """Return a device in words: `NVIDIA A30 (24 GiB, 165 W)`."""
    memory = "? GiB" if device.memory_bytes is None else format_gib(device.memory_bytes)
    power = "? W" if device.power_limit_w is None else f"{format_number(device.power_limit_w)} W"
    profile = device.mig_profile
    name = f"{device.name} MIG {profile}" if profile and profile not in device.name else device.name
    return f"{name} ({memory}, {power})"
