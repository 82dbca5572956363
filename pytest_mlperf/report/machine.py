"""A session as reports name it: which machine, in words, when, and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.placement import describe

if TYPE_CHECKING:
    from pytest_mlperf.hardware import Inventory


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a session ran on.

    host:        name of the machine
    hardware:    in words, a part each: processor, accelerators, drivers
    started_at:  ISO 8601, UTC
    word:        `conformant` and the like; None where the session did not end
    """

    host: str
    hardware: tuple[str, ...]
    started_at: str
    word: str | None


def hardware(inventory: Inventory) -> tuple[str, ...]:
    """Return what a machine has, in parts: `AMD EPYC 7742 (64 cores)`, `8x NVIDIA A30 (24 GiB, 165 W)`."""
    host = inventory.host
    cores = f"{host.cores} core" if host.cores == 1 else f"{host.cores} cores"
    alike = Counter(describe(device) for device in inventory.devices)
    devices = [f"{count}x {name}" for name, count in alike.items()] or ["no accelerator seen"]
    drivers = [f"driver {driver.version}" for driver in inventory.drivers if driver.version]
    return (f"{host.cpu or 'unknown processor'} ({cores})", *devices, *drivers)
