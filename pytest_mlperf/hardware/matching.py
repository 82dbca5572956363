"""Whether a machine is a SKU: yes, nearly (with every difference named), or no."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_mlperf.units import format_gib, format_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_mlperf.hardware import Device, HostDemand, Inventory, Sku

Level = Literal["match", "partial", "no"]

_GIB = 2**30
_TOLERANCE_PER_UNIT = 20
"""Memory may differ by one part in so many: 5 %."""

UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Delta:
    """A trait in which a machine differs from a SKU."""

    trait: str
    expected: str
    found: str

    def __str__(self) -> str:
        """Return `power limit: needs 400 W, found 275 W`."""
        return f"{self.trait}: needs {self.expected}, found {self.found}"


@dataclass(frozen=True, kw_only=True)
class Match:
    """How far a machine is a SKU.

    level:    match; partial (enough devices of the product, which differ in `deltas`); no
    devices:  those that it can have, in the machine's order; may be more than it needs
    deltas:   of all of them, and the count where they are too few; none where it matches
    """

    sku: Sku
    level: Level
    devices: tuple[Device, ...] = ()
    deltas: tuple[Delta, ...] = ()


def match(sku: Sku, inventory: Inventory) -> Match:
    """Compare a machine with a SKU.

    As NVIDIA's harness does (closed/NVIDIA, code/common/systems): PCI device id, memory within 5 %, highest
    power limit, compute capability, MIG profile, and the architecture of the host. Two things differ: enough
    devices are a match, also when there are more, because a case is given some of them; and the model of the
    processor and the memory of the host are not looked at here (see `refusals`).
    """
    if not sku.count:
        return Match(sku=sku, level="match")
    compared = [(device, tuple(_deltas(sku, device, inventory))) for device in inventory.devices]
    kin = [(device, deltas) for device, deltas in compared if not deltas or _is_kin(sku, device, deltas)]
    pool = _pool(sku, kin)
    deltas = _united(deltas for _, deltas in pool)
    devices = tuple(device for device, _ in pool)
    if len(pool) < sku.count:
        return Match(sku=sku, level="no", devices=devices, deltas=(*deltas, _count_delta(sku, len(pool))))
    return Match(sku=sku, level="partial" if deltas else "match", devices=devices, deltas=deltas)


def differences(sku: Sku, devices: Iterable[Device], inventory: Inventory) -> tuple[Delta, ...]:
    """Return in what these devices of a machine differ from a SKU."""
    return _united(tuple(_deltas(sku, device, inventory)) for device in devices)


_Compared = tuple["Device", tuple[Delta, ...]]


def _pool(sku: Sku, kin: Sequence[_Compared]) -> Sequence[_Compared]:
    """Return the devices to choose from: of one kind, that with the fewest differences, if it has enough."""
    kinds: dict[tuple[Delta, ...], list[_Compared]] = {}
    for device, deltas in kin:
        kinds.setdefault(deltas, []).append((device, deltas))
    enough = [kind for kind in kinds.values() if len(kind) >= sku.count]
    return min(enough, key=lambda kind: len(kind[0][1]), default=kin)


def _united(sets: Iterable[tuple[Delta, ...]]) -> tuple[Delta, ...]:
    return tuple(dict.fromkeys(delta for deltas in sets for delta in deltas))


def _count_delta(sku: Sku, found: int) -> Delta:
    return Delta(trait="count", expected=str(sku.count), found=str(found))


def _is_kin(sku: Sku, device: Device, deltas: Sequence[Delta]) -> bool:
    """Return whether a device is the product that a SKU has, although something differs."""
    if device.vendor != sku.vendor or {"board", "MIG", "architecture"} & {delta.trait for delta in deltas}:
        return False
    if device.pci_device is None:
        return device.compute_capability == sku.compute_capability is not None and _memory_fits(sku, device)
    return device.pci_device in sku.pci_devices


def _deltas(sku: Sku, device: Device, inventory: Inventory) -> Iterator[Delta]:
    if sku.board:
        if not re.fullmatch(sku.board, device.name):
            yield Delta(trait="board", expected=sku.accelerator, found=device.name)
        return
    for trait, wanted, found, same in (
        ("vendor", sku.vendor, device.vendor, device.vendor == sku.vendor),
        ("PCI id", " or ".join(sku.pci_devices), device.pci_device, device.pci_device in sku.pci_devices),
        ("memory", _gibs(sku), _gib(device), _memory_fits(sku, device)),
        ("power limit", _watts(sku.power_limit_w), _watts(device.power_limit_w), None),
        ("compute capability", sku.compute_capability, device.compute_capability, None),
    ):
        if wanted and not (found == wanted if same is None else same):
            yield Delta(trait=trait, expected=wanted, found=found or UNKNOWN)
    if device.mig_profile != sku.mig_profile:
        yield Delta(
            trait="MIG", expected=sku.mig_profile or "whole devices", found=device.mig_profile or "off"
        )
    here, wanted_here = inventory.host.architecture, architecture(sku)
    if wanted_here and here and here != wanted_here:
        yield Delta(trait="architecture", expected=wanted_here, found=here)


def _memory_fits(sku: Sku, device: Device) -> bool:
    found = device.memory_bytes
    return found is not None and any(
        abs(found - gib * _GIB) * _TOLERANCE_PER_UNIT <= gib * _GIB for gib in sku.memory_gib
    )


def _gibs(sku: Sku) -> str | None:
    return f"{' or '.join(format_number(gib) for gib in sku.memory_gib)} GiB" if sku.memory_gib else None


def _gib(device: Device) -> str | None:
    return None if device.memory_bytes is None else format_gib(device.memory_bytes)


def _watts(watts: float | None) -> str | None:
    return None if watts is None else f"{format_number(watts)} W"


def architecture(sku: Sku) -> str | None:
    """Return the architecture that every round wants of the SKU's host, or None."""
    wanted = {demand.architecture for demand in sku.hosts.values()}
    return wanted.pop() if len(wanted) == 1 else None


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a machine is as a whole.

    devices:       those that are an accelerator of some SKU, or all where none is. One of the GPUs of a DGX
                   Station is for its display
    accelerators:  names that each of these devices has; none where they differ, or are of no SKU
    skus:          that all these devices together are
    """

    devices: tuple[Device, ...]
    accelerators: tuple[str, ...]
    skus: tuple[Sku, ...]


def identify(inventory: Inventory, skus: Iterable[Sku]) -> Identity:
    """Return what a machine is, among the SKUs that are known."""
    matches = [found for found in (match(sku, inventory) for sku in skus) if found.level == "match"]
    known = {device.key for found in matches for device in found.devices}
    alike = [found for found in matches if len(found.devices) == len(known) > 0]
    devices = tuple(device for device in inventory.devices if device.key in known)
    return Identity(
        devices=devices or inventory.devices,
        accelerators=tuple(dict.fromkeys(found.sku.accelerator for found in alike)),
        skus=tuple(found.sku for found in alike if found.sku.count == len(known)),
    )


def refusals(sku: Sku, inventory: Inventory) -> dict[str, tuple[Delta, ...]]:
    """Return, by round, why NVIDIA's own harness would not know this host although its devices match.

    It compares the model of the processor and the host's memory (at least what is listed, less 5 %), and runs
    nothing on a system that it does not find in its list.
    """
    found = {name: tuple(_host_deltas(demand, inventory)) for name, demand in sku.hosts.items()}
    return {name: deltas for name, deltas in found.items() if deltas}


def _host_deltas(demand: HostDemand, inventory: Inventory) -> Iterator[Delta]:
    host = inventory.host
    cpu = host.cpu or UNKNOWN
    if (demand.cpus or demand.cpu_vendors) and not (cpu in demand.cpus or cpu.startswith(demand.cpu_vendors)):
        wanted = [*demand.cpus, *(f"any of {vendor}" for vendor in demand.cpu_vendors)]
        yield Delta(trait="host CPU", expected=" or ".join(wanted), found=cpu)
    least = demand.memory_bytes
    if least and host.memory_bytes is not None and (least - host.memory_bytes) * _TOLERANCE_PER_UNIT > least:
        found = format_gib(host.memory_bytes)
        yield Delta(trait="host memory", expected=f"at least {format_gib(least)}", found=found)
