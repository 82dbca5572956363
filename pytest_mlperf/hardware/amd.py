"""AMD devices, through the files of the kernel's driver `amdgpu`. Needs neither ROCm nor a library.

Files and units are those of the kernel's documentation (docs.kernel.org/gpu/amdgpu). What ROCm computes on is
in the topology of the driver's KFD part, in the order in which ROCm counts.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mlperf.hardware import Device, Driver, Process, Sighting, linux, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Names of the PCI ID database, for boards that do not tell theirs.
_NAMES = {
    "7408": "AMD Instinct MI250X",
    "740c": "AMD Instinct MI250X/MI250",
    "740f": "AMD Instinct MI210",
    "74a1": "AMD Instinct MI300X",
    "74a5": "AMD Instinct MI325X",
    "75a3": "AMD Instinct MI355X",
}
_KFD = "sys/class/kfd/kfd"
_MEMORY = "mem_info_vram_total"
_SPLIT = ("DPX", "TPX", "QPX", "CPX")
_MICRO = 1e6
_MEMORY_CONTROLLER = 1
"""In the mask of the blocks that are watched for errors (AMDGPU_RAS_BLOCK__UMC)."""
_FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""Of the machine itself, not of a container (the kernel's PROC_PID_INIT_INO)."""


@dataclass(frozen=True, kw_only=True)
class _Agent:
    """A device, or a part of one, as ROCm counts it."""

    gpu_id: str
    architecture: str | None


class Amdgpu:
    """The devices that the driver `amdgpu` drives: accelerators and display cards alike.

    root:         of the tree that is read
    environment:  that may hide devices from programs; None: this process's own
    """

    def __init__(self, root: Path = Path("/"), environment: Mapping[str, str] | None = None) -> None:
        self._root = root
        self._environment = os.environ if environment is None else environment

    def detect(self) -> Sighting:
        """Return the devices that a program can be given whole, in the order of ROCm; then others.

        What is split into partitions is left out and named in `blind`: neither the whole, which nobody can be
        given, nor a part of it is what a SKU means. So is what does not answer. A device is `hidden` in a
        container that was not given it, and by the variables of ROCm. ECC is unknown where no file says it.
        """
        cards = sorted(self._cards(), key=lambda card: int(card.name.removeprefix("card")))
        defects = {card: _defect(card / "device") for card in cards}
        agents = dict(self._agents())
        devices = [self._device(card / "device", agents) for card in cards if defects[card] is None]
        given, withheld = self._given(_as_counted(devices, agents))
        left, reasons = visible.amd(given, self._environment)
        return Sighting(
            devices=tuple(device for device in left if device in devices),
            driver=Driver(vendor="AMD", version=self._version()) if cards else None,
            blind=tuple(f"{card.name}: {defect}" for card, defect in defects.items() if defect),
            hidden=(*withheld, *reasons),
        )

    def _cards(self) -> Iterator[Path]:
        """Give the cards. Connectors (`card0-DP-1`) and partitions stand beside them, and have no vendor."""
        for card in (self._root / "sys/class/drm").glob("card*"):
            device = card / "device"
            if linux.read(device / "vendor") == "0x1002" and os.path.lexists(device / _MEMORY):
                yield card

    def _agents(self) -> Iterator[tuple[str, _Agent]]:
        """Give what ROCm computes on, by render node. A container is shown only what it was given."""
        nodes = (self._root / _KFD / "topology/nodes").glob("[0-9]*")
        for node in sorted(nodes, key=lambda node: int(node.name)):
            traits = dict(re.findall(r"^(\w+) (\d+)$", linux.read(node / "properties") or "", re.MULTILINE))
            gpu_id = linux.read(node / "gpu_id")
            if gpu_id and int(traits.get("simd_count", 0)) and "drm_render_minor" in traits:
                architecture = _architecture(int(traits.get("gfx_target_version", 0)))
                yield f"renderD{traits['drm_render_minor']}", _Agent(gpu_id=gpu_id, architecture=architecture)

    def _device(self, folder: Path, agents: Mapping[str, _Agent]) -> Device:
        pci_device = (linux.read(folder / "device") or "").removeprefix("0x")
        unique_id = linux.read(folder / "unique_id")
        render_node = next((node.name for node in sorted((folder / "drm").glob("renderD*"))), None)
        agent = agents.get(render_node or "")
        node = linux.number(folder / "numa_node")
        return Device(
            vendor="AMD",
            name=linux.read(folder / "product_name") or _NAMES.get(pci_device) or f"AMD {pci_device}".strip(),
            uuid=f"GPU-{unique_id.lower():0>16}" if unique_id else None,
            pci_device=pci_device.upper() or None,
            pci_bus=_pci_address(folder),
            memory_bytes=linux.number(folder / _MEMORY),
            power_limit_w=_watts(folder, "power1_cap_max"),
            power_cap_w=_watts(folder, "power1_cap"),
            compute_capability=agent.architecture if agent else None,
            ecc=_ecc(folder),
            numa_node=None if node is None or node < 0 else node,
            render_node=render_node,
            processes=self._processes(agent.gpu_id) if agent else None,
        )

    def _processes(self, gpu_id: str) -> tuple[Process, ...] | None:
        """Return who has memory of a device, but for this process itself.

        KFD has the process ids of the machine itself. In a container they lead to no name, nor to this one.
        """
        users = self._root / _KFD / "proc"
        if not users.is_dir():
            return None
        at_home = _link(self._root / "proc/self/ns/pid") == _FIRST_PID_NAMESPACE
        found = []
        for entry in sorted(users.glob(f"[0-9]*/vram_{gpu_id}")):
            pid, used = int(entry.parent.name), linux.number(entry)
            if used == 0 or (at_home and pid == os.getpid()):
                continue
            name = linux.read(self._root / f"proc/{pid}/comm") if at_home else None
            found.append(Process(pid=pid, name=name, memory_bytes=used))
        return tuple(found)

    def _given(self, devices: Sequence[Device]) -> tuple[tuple[Device, ...], tuple[str, ...]]:
        """Return the devices whose files are here. In a container, sysfs lists all the others as well."""
        given = tuple(
            device
            for device in devices
            if device.render_node is None or os.path.lexists(self._root / "dev/dri" / device.render_node)
        )
        withheld = len(devices) - len(given)
        return given, (f"{withheld} of {len(devices)} devices: not in /dev/dri",) if withheld else ()

    def _version(self) -> str | None:
        """Return the driver's version; the kernel's own driver has none, and then that of ROCm is said."""
        rocm = linux.read(self._root / "opt/rocm/.info/version")
        return linux.read(self._root / "sys/module/amdgpu/version") or (f"ROCm {rocm}" if rocm else None)


def _as_counted(devices: Sequence[Device], agents: Mapping[str, _Agent]) -> list[Device]:
    """Return the devices in the order of ROCm, with a stand-in for what it counts and is not among them."""
    known = {device.render_node: device for device in devices}
    counted = [known.get(node) or Device(vendor="AMD", name=node, render_node=node) for node in agents]
    return counted + [device for device in devices if device.render_node not in agents]


def _defect(folder: Path) -> str | None:
    """Return why a card is no device that a program can be given, or None."""
    partition = linux.read(folder / "current_compute_partition")
    if partition in _SPLIT:
        return f"compute partition {partition}, allowed: SPX (amd-smi set --compute-partition SPX)"
    try:
        (folder / _MEMORY).read_bytes()
    except OSError as error:
        return f"{_MEMORY}: {error.strerror}"
    return None


def _architecture(version: int) -> str | None:
    """Return what compilers call a version: 90402 is `gfx942`, 90010 is `gfx90a`."""
    major, minor, stepping = version // 10000, version // 100 % 100, version % 100
    return f"gfx{major}{minor:x}{stepping:x}" if version else None


def _pci_address(folder: Path) -> str | None:
    name = os.path.basename(os.path.realpath(folder))  # noqa: PTH119  Path.resolve raises on a loop of links
    return name if re.fullmatch(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", name) else None


def _watts(folder: Path, name: str) -> float | None:
    """Return a power in watts. The second half of a board with two devices says 0, which is no limit."""
    microwatts = next((linux.number(path) for path in sorted(folder.glob(f"hwmon/hwmon*/{name}"))), None)
    return microwatts / _MICRO if microwatts else None


def _ecc(folder: Path) -> bool | None:
    mask = re.search(
        r"^feature mask: 0x([0-9a-f]+)$", linux.read(folder / "ras/features") or "", re.MULTILINE
    )
    return bool(int(mask.group(1), 16) & _MEMORY_CONTROLLER) if mask else None


def _link(path: Path) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115  it points to no file
    except OSError:
        return None
