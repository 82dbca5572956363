"""What this machine is: values, and the one Protocol of what finds them out.

Unknown is None, never 0. A probe that cannot look says why; that is a finding, not "no device".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

Vendor = Literal["NVIDIA", "AMD"]


@dataclass(frozen=True, kw_only=True)
class Process:
    """A program that computes on a device now.

    name:          of the executable; None when it may not be looked at
    memory_bytes:  of the device
    """

    pid: int
    name: str | None
    memory_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Device:
    """An accelerator that a program can be given: a whole one, or a MIG instance.

    name:                as the driver says it; of a Jetson module, the model in the device tree
    uuid:                `GPU-...`, `MIG-...`; what a program is told in CUDA_VISIBLE_DEVICES
    pci_device:          PCI device id in four upper-case hexadecimal digits (`20B2`)
    pci_bus:             PCI address (`0000:07:00.0`); a MIG instance has that of its GPU
    power_limit_w:       the highest that may be set, as NVIDIA's harness compares it
    power_cap_w:         what is set now
    compute_capability:  `8.0`; of AMD's, the architecture (`gfx942`)
    mig_profile:         `1g.10gb` of a MIG instance; None of a whole device
    ecc:                 whether it is on
    integrated:          whether it is part of the processor (Jetson): the only one, with nothing to choose
    render_node:         of AMD's (`renderD128`): what a container is given
    processes:           that compute on it now, of this or any other user
    """

    vendor: Vendor
    name: str
    uuid: str | None = None
    pci_device: str | None = None
    pci_bus: str | None = None
    memory_bytes: int | None = None
    power_limit_w: float | None = None
    power_cap_w: float | None = None
    compute_capability: str | None = None
    mig_profile: str | None = None
    ecc: bool | None = None
    numa_node: int | None = None
    integrated: bool = False
    render_node: str | None = None
    processes: tuple[Process, ...] | None = None

    @property
    def key(self) -> str:
        """What this device is called on its machine: the UUID, or the nearest there is."""
        return self.uuid or self.pci_bus or self.name


@dataclass(frozen=True, kw_only=True)
class Driver:
    """A driver, as installed.

    cuda_version:  the highest that it supports (`12.4`); None for AMD's
    """

    vendor: Vendor
    version: str | None
    cuda_version: str | None = None


@dataclass(frozen=True, kw_only=True)
class Host:
    """The machine around the devices.

    cores:         that this process may use
    sockets:       processors
    architecture:  `x86_64`, `aarch64`
    os:            name and version of the distribution
    board:         model of the device tree (Jetson), None elsewhere
    """

    cores: int
    cpu: str | None
    memory_bytes: int | None
    board: str | None
    sockets: int | None = None
    numa_nodes: int | None = None
    architecture: str | None = None
    os: str | None = None
    kernel: str | None = None


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What one probe sees.

    blind:   what could not be looked at, and why
    hidden:  what may not be used, and by whose word (`4 of 8 devices: CUDA_VISIBLE_DEVICES=0,1,2,3`)
    """

    devices: tuple[Device, ...] = ()
    driver: Driver | None = None
    blind: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """All that was found by all probes; `blind` and `hidden` as in `Sighting`, each with its probe's name."""

    host: Host
    devices: tuple[Device, ...]
    blind: tuple[str, ...]
    drivers: tuple[Driver, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A container engine, or why there is none.

    address:          where it was asked
    name:             Docker, Podman, or what else it calls itself
    version:          its own (`20.10.24`)
    api_version:      of the protocol, the newest that it speaks (`1.41`)
    runtimes:         that a container can be started with, by name
    cdi_directories:  where it looks for CDI specifications; they may be empty
    cdi_devices:      that it found there (`nvidia.com/gpu=0`); None: it does not say
    problem:          why it cannot be used: `address: fact (hint)`; None: it answers
    """

    address: str
    name: str | None = None
    version: str | None = None
    api_version: str | None = None
    runtimes: tuple[str, ...] = ()
    cdi_directories: tuple[str, ...] = ()
    cdi_devices: tuple[str, ...] | None = None
    problem: str | None = None

    @property
    def nvidia(self) -> Literal["runtime", "CDI"] | None:
        """How a container can be given NVIDIA's GPUs; None is unknown.

        It is never known that they cannot be given: Docker also finds NVIDIA's hook on its own PATH, and says
        so nowhere. Of Podman nothing is known: its Docker API takes requests for GPUs and ignores them.
        """
        if self.name == "Podman":
            return None
        if "nvidia" in self.runtimes:
            return "runtime"
        return "CDI" if any(name.startswith("nvidia.com/gpu=") for name in self.cdi_devices or ()) else None


class Probe(Protocol):
    """Finds the devices of one vendor."""

    def detect(self) -> Sighting:
        """Return what there is; nothing where the vendor's driver is not installed.

        Raises HostError when the driver is there and does not answer.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class HostDemand:
    """What NVIDIA's harness wants of the machine around the devices. On any other it runs nothing.

    cpus:          model names, one of which it must be; none: any
    cpu_vendors:   beginnings of the model name (`AMD`, `Intel`), beside `cpus`
    memory_bytes:  at least, less 5 %
    """

    cpus: tuple[str, ...] = ()
    cpu_vendors: tuple[str, ...] = ()
    architecture: str | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Sku:
    """A machine as the matrix names it.

    system_id:     as the vendor's submission calls the system; part of every metric's name
    accelerator:   name without count; two SKUs may share it and differ by power limit
    count:         devices; 0 is the host's processor
    pci_devices:   PCI device ids, any of them
    memory_gib:    of a device; any of them, within 5 %
    board:         regular expression for the whole model in the device tree (Jetson)
    hosts:         by round that lists the SKU, what NVIDIA's harness wants of the host
    """

    name: str
    system_id: str
    accelerator: str
    count: int
    vendor: Vendor | None = None
    pci_devices: tuple[str, ...] = ()
    memory_gib: tuple[float, ...] = ()
    power_limit_w: float | None = None
    compute_capability: str | None = None
    mig_profile: str | None = None
    board: str | None = None
    hosts: Mapping[str, HostDemand] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return what this SKU needs: `8x A100-SXM-80GB (80 GiB, 400 W)`."""
        if not self.count:
            return "the host's CPU"
        memory = " or ".join(f"{gib:g}" for gib in self.memory_gib)
        traits = [f"{memory} GiB"] if memory else []
        traits += [f"{self.power_limit_w:g} W"] if self.power_limit_w else []
        return f"{self.count}x {self.accelerator}" + (f" ({', '.join(traits)})" if traits else "")
