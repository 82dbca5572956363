"""What this machine is: values, and the one Protocol of what finds them out.

Unknown is None, never 0. A probe that cannot look says why; that is a finding, not "no device".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Device:
    """An accelerator.

    pci_device: PCI device id in four upper-case hexadecimal digits (`20B2`)
    """

    name: str
    uuid: str | None
    pci_device: str | None
    memory_bytes: int | None
    power_limit_w: float | None


@dataclass(frozen=True, kw_only=True)
class Host:
    """The machine around the devices.

    cores: that this process may use
    board: model of the device tree (Jetson), None elsewhere
    """

    cores: int
    cpu: str | None
    memory_bytes: int | None
    board: str | None


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """All that was found, and what could not be looked at (`probe: reason`)."""

    host: Host
    devices: tuple[Device, ...]
    blind: tuple[str, ...]


class Probe(Protocol):
    """Finds the devices of one vendor."""

    def detect(self) -> tuple[Device, ...]:
        """Return the devices; none where the vendor's driver is not installed.

        Raises HostError when the driver is there and does not answer.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Sku:
    """A machine as the matrix names it.

    system_id: as NVIDIA's harness calls the system; part of every metric's name
    """

    name: str
    system_id: str
    accelerator: str
    count: int
    pci_device: str | None = None
    memory_gib: float | None = None
    power_limit_w: float | None = None
    board: str | None = None

    def __str__(self) -> str:
        """Return what this SKU needs: `8x A100-SXM-80GB (80 GiB, 400 W)`."""
        if not self.count:
            return "the host's CPU"
        traits = [f"{self.memory_gib:g} GiB"] if self.memory_gib else []
        traits += [f"{self.power_limit_w:g} W"] if self.power_limit_w else []
        return f"{self.count}x {self.accelerator}" + (f" ({', '.join(traits)})" if traits else "")
