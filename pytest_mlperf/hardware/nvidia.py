"""NVIDIA devices, through NVML, the library that comes with NVIDIA's driver.

A GPU in MIG mode cannot be given to a program whole: its instances are the devices. Jetson's integrated GPU
is left to the device tree, which says more of it.
"""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_mlperf.errors import HostError
from pytest_mlperf.hardware import Device, Driver, Process, Sighting, linux, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_T = TypeVar("_T")

_MILLI = 1000
_MIB = 2**20
_GIB = 2**30
_INTEGRATED = "(nvgpu)"
_PROFILE = re.compile(r"(\d+c\.)?\d+g\.\d+gb([+-]\S+)?$")
# In sysfs: who made a PCI device, and the beginnings of the classes of GPUs with and without a display.
_VENDOR = "0x10de"
_CLASSES = ("0x0300", "0x0302")


@dataclass(frozen=True, kw_only=True)
class Nvml:
    """The devices that NVIDIA's driver lists.

    environment:  that may hide devices from programs; None: this process's own
    root:         of the tree that `proc` and `sys` are read from
    """

    environment: Mapping[str, str] | None = None
    root: Path = Path("/")

    def detect(self) -> Sighting:
        """Return the devices that a program can be given, in PCI order, and the driver.

        Without a driver there is nothing, or only what stands on the PCI bus, in `blind`. So is a GPU that
        does not answer, or is in MIG mode without an instance. Raises HostError when the driver does not.
        """
        import pynvml  # noqa: PLC0415  only wanted where hardware is asked about

        try:
            pynvml.nvmlInit()
        except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded) as error:
            return Sighting(blind=tuple(self._without_driver(str(error))))
        except pynvml.NVMLError_LibRmVersionMismatch as error:
            raise HostError(f"nvmlInit: {error}", hint="the driver was updated without a reboot") from error
        except pynvml.NVMLError as error:
            raise HostError(f"nvmlInit: {error}", hint="does nvidia-smi work?") from error
        try:
            return self._look(pynvml)
        except pynvml.NVMLError as error:
            raise HostError(f"nvmlDeviceGetCount: {error}", hint="does nvidia-smi work?") from error
        finally:
            pynvml.nvmlShutdown()

    def _without_driver(self, reason: str) -> Iterator[str]:
        """Give what to say of the GPUs on the PCI bus, if there are any."""
        devices = list((self.root / "sys/bus/pci/devices").glob("*"))
        ours = [device for device in devices if linux.read(device / "vendor") == _VENDOR]
        count = sum((linux.read(device / "class") or "").startswith(_CLASSES) for device in ours)
        if count:
            plural = "s" if count > 1 else ""
            yield f"{count} NVIDIA device{plural} on the PCI bus, and no driver: {reason}"

    def _look(self, nvml: Any) -> Sighting:
        blind: list[str] = []
        found = [self._gpu(nvml, index, blind) for index in range(nvml.nvmlDeviceGetCount())]
        gpus = _in_pci_order([gpu for gpu in found if gpu])
        environment = os.environ if self.environment is None else self.environment
        devices, hidden = visible.nvidia(gpus, environment)
        return Sighting(devices=devices, driver=_driver(nvml), blind=tuple(blind), hidden=hidden)

    def _gpu(self, nvml: Any, index: int, blind: list[str]) -> visible.Gpu | None:
        """Return a GPU with what it gives; None where that is the device tree's. Adds to `blind`."""
        try:
            gpu = _Gpu(nvml=nvml, handle=nvml.nvmlDeviceGetHandleByIndex(index), root=self.root)
            whole = gpu.device()
            if whole.name.endswith(_INTEGRATED):
                return None
            if not gpu.in_mig_mode():
                return visible.Gpu(uuid=whole.uuid, devices=(whole,))
            instances = tuple(gpu.instances(whole))
        except nvml.NVMLError as error:
            blind.append(f"device {index}: {error}")
            return visible.Gpu(uuid=None, devices=())
        if not instances:
            blind.append(f"device {index}: in MIG mode, and without an instance")
        return visible.Gpu(uuid=whole.uuid, devices=instances)


@dataclass(frozen=True, kw_only=True)
class _Gpu:
    """A GPU that answers. Its name is the one thing that it has to say; all else may be unknown to it."""

    nvml: Any
    handle: Any
    root: Path

    def device(self) -> Device:
        """Return the whole GPU. Raises NVMLError when it is lost."""
        pci = self._ask(self.nvml.nvmlDeviceGetPciInfo)
        pci_bus = f"{pci.domain:04x}:{pci.bus:02x}:{pci.device:02x}.0" if pci else None
        capability = self._ask(self.nvml.nvmlDeviceGetCudaComputeCapability)
        limits_mw = self._ask(self.nvml.nvmlDeviceGetPowerManagementLimitConstraints)
        cap_mw = self._ask(self.nvml.nvmlDeviceGetEnforcedPowerLimit)
        ecc = self._ask(self.nvml.nvmlDeviceGetEccMode)
        return Device(
            vendor="NVIDIA",
            name=self.nvml.nvmlDeviceGetName(self.handle),
            uuid=self._ask(self.nvml.nvmlDeviceGetUUID),
            pci_device=f"{pci.pciDeviceId >> 16:04X}" if pci else None,
            pci_bus=pci_bus,
            memory_bytes=self._memory_bytes(self.handle),
            power_limit_w=limits_mw[1] / _MILLI if limits_mw else None,
            power_cap_w=cap_mw / _MILLI if cap_mw is not None else None,
            compute_capability="{}.{}".format(*capability) if capability else None,
            ecc=bool(ecc[0]) if ecc else None,
            numa_node=self._numa_node(pci_bus),
            processes=self._processes(self.handle),
        )

    def in_mig_mode(self) -> bool:
        """Return whether the GPU is split now, whatever it will be after its next reset."""
        mode = self._ask(self.nvml.nvmlDeviceGetMigMode)
        return bool(mode and mode[0])

    def instances(self, whole: Device) -> Iterator[Device]:
        """Give the MIG instances; what only a GPU has, they have of it. Numbers may be free in between."""
        for number in range(self.nvml.nvmlDeviceGetMaxMigDeviceCount(self.handle)):
            with suppress(self.nvml.NVMLError_NotFound):
                instance = self.nvml.nvmlDeviceGetMigDeviceHandleByIndex(self.handle, number)
                name = self._ask(self.nvml.nvmlDeviceGetName, instance) or whole.name
                yield replace(
                    whole,
                    name=name,
                    uuid=self._ask(self.nvml.nvmlDeviceGetUUID, instance),
                    memory_bytes=self._memory_bytes(instance),
                    mig_profile=self._profile(instance, name, whole.memory_bytes),
                    processes=self._processes(instance),
                )

    def _ask(self, question: Callable[[Any], _T], handle: Any = None) -> _T | None:
        """Return the answer, or None where the GPU, its driver or this user's rights do not have it."""
        try:
            return question(handle or self.handle)
        except (self.nvml.NVMLError_GpuIsLost, self.nvml.NVMLError_ResetRequired):
            raise
        except self.nvml.NVMLError:
            return None

    def _memory_bytes(self, handle: Any) -> int | None:
        memory = self._ask(self.nvml.nvmlDeviceGetMemoryInfo, handle)
        return memory.total if memory else None

    def _profile(self, handle: Any, name: str, memory_bytes: int | None) -> str | None:
        """Return the profile at the end of a name, or what NVIDIA's tools make of the instance's shares."""
        named = _PROFILE.search(name)
        if named:
            return named.group()
        shares = self._ask(self.nvml.nvmlDeviceGetAttributes_v2, handle)
        return _profile(shares, memory_bytes) if shares and memory_bytes else None

    def _numa_node(self, pci_bus: str | None) -> int | None:
        """Return the node that the GPU stands at. NVML knows only those that its memory makes (Grace)."""
        node = linux.number(self.root / f"sys/bus/pci/devices/{pci_bus}/numa_node")
        return None if node is None or node < 0 else node

    def _processes(self, handle: Any) -> tuple[Process, ...] | None:
        """Return who else computes. By its version: for the one without, pynvml refuses older drivers."""
        found = self._ask(self.nvml.nvmlDeviceGetComputeRunningProcesses_v3, handle)
        if found is None:
            return None
        ours = set(_line(self.root))
        return tuple(
            Process(
                pid=process.pid,
                name=linux.read(self.root / f"proc/{process.pid}/comm"),
                memory_bytes=process.usedGpuMemory,
            )
            for process in found
            if process.pid not in ours
        )


def _driver(nvml: Any) -> Driver:
    version = cuda = None
    with suppress(nvml.NVMLError):
        version = nvml.nvmlSystemGetDriverVersion()
        cuda = nvml.nvmlSystemGetCudaDriverVersion()
    return Driver(
        vendor="NVIDIA",
        version=version,
        cuda_version=f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else None,
    )


def _in_pci_order(gpus: list[visible.Gpu]) -> list[visible.Gpu]:
    """Return the GPUs as CUDA counts them; one that does not say where it is stays behind its neighbour."""
    keyed: list[tuple[str, visible.Gpu]] = []
    for gpu in gpus:
        pci_bus = gpu.devices[0].pci_bus if gpu.devices else None
        keyed.append((pci_bus or (keyed[-1][0] if keyed else ""), gpu))
    return [gpu for _, gpu in sorted(keyed, key=itemgetter(0))]


def _profile(shares: Any, gpu_bytes: int) -> str:
    """Return the profile for an instance's shares: memory goes in eighths of the GPU's, in whole GiB."""
    eighths = math.ceil(8 * shares.memorySizeMB * _MIB / gpu_bytes)
    gib = math.floor(eighths * math.ceil(gpu_bytes / _GIB) / 8 + 0.5)
    whole = shares.computeInstanceSliceCount == shares.gpuInstanceSliceCount
    part = "" if whole else f"{shares.computeInstanceSliceCount}c."
    return f"{part}{shares.gpuInstanceSliceCount}g.{gib}gb"


def _line(root: Path) -> Iterator[int]:
    """Give this process and its parents, which are on their way to use the GPU and are not in its way."""
    pid = os.getpid()
    while pid:
        yield pid
        parent = re.search(r"^PPid:\s*(\d+)$", linux.read(root / f"proc/{pid}/status") or "", re.MULTILINE)
        pid = int(parent.group(1)) if parent else 0
