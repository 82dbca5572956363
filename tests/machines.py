"""Made-up machines: the files in which Linux says what it runs on, in a folder that stands for the root.

Contents are as real machines have them, but for ids. Links lead where the kernel's lead, as relative ones.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

INSTINCT = {
    "device": "0x74a1",
    "product_name": "AMD Instinct MI300X OAM",
    "unique_id": "dc91284879207f20",
    "mem_info_vram_total": "206141652992",
    "numa_node": "0",
    "current_compute_partition": "SPX",
    "hwmon/hwmon3/power1_cap": "750000000",
    "hwmon/hwmon3/power1_cap_max": "750000000",
    "ras/features": "feature mask: 0x5",
}
RADEON = {"device": "0x1638", "mem_info_vram_total": "536870912", "numa_node": "-1", "product_name": ""}


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files with their folders; text gets the newline that the kernel ends it with."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(target, path.parent))


def amd_card(root: Path, number: int, files: Mapping[str, str]) -> Path:
    """Add a card of AMD with a connector and its device file, and return its folder of facts."""
    folder = root / f"sys/devices/pci0000:00/0000:{number:02x}:00.0"
    write(folder, {"vendor": "0x1002", **files})
    _drm_card(root, folder, number)
    connector = folder / f"drm/card{number}/card{number}-DP-1"
    link(connector / "device", connector.parent)
    link(root / f"sys/class/drm/{connector.name}", connector)
    return folder


def amd_partition(root: Path, number: int) -> None:
    """Add the card of a partition that is not its device's first: it has a device file, but no facts."""
    folder = root / f"sys/devices/platform/amdgpu_xcp.{number}"
    folder.mkdir(parents=True)
    _drm_card(root, folder, number)


def nvidia_card(root: Path, number: int) -> None:
    folder = root / f"sys/devices/pci0000:80/0000:{0x80 + number:02x}:00.0"
    write(folder, {"vendor": "0x10de", "device": "0x20b2"})
    _drm_card(root, folder, number)


def _drm_card(root: Path, folder: Path, number: int) -> None:
    (folder / f"drm/card{number}").mkdir(parents=True)
    (folder / f"drm/renderD{128 + number}").mkdir()
    link(folder / f"drm/card{number}/device", folder)
    link(root / f"sys/class/drm/card{number}", folder / f"drm/card{number}")
    write(root, {f"dev/dri/renderD{128 + number}": ""})


def kfd_cpu(root: Path, node: int) -> None:
    write(
        _kfd_node(root, node),
        {"gpu_id": "0", "properties": "cpu_cores_count 96\nsimd_count 0\ndrm_render_minor 0"},
    )


def kfd_gpu(root: Path, node: int, *, card: int, version: int = 90402) -> str:
    """Add what ROCm computes on to the topology, as part of a card, and return its GPU id."""
    gpu_id = str(50000 + node)
    traits = {
        "cpu_cores_count": 0,
        "simd_count": 1216,
        "gfx_target_version": version,
        "drm_render_minor": 128 + card,
    }
    properties = "\n".join(f"{name} {value}" for name, value in traits.items())
    write(_kfd_node(root, node), {"gpu_id": gpu_id, "properties": properties})
    (root / "sys/class/kfd/kfd/proc").mkdir(exist_ok=True)
    return gpu_id


def _kfd_node(root: Path, node: int) -> Path:
    return root / f"sys/class/kfd/kfd/topology/nodes/{node}"


def instinct_server(root: Path, count: int = 8) -> None:
    """Make a server with MI300X, whose processors are the first two nodes of the topology."""
    kfd_cpu(root, 0)
    kfd_cpu(root, 1)
    for number in range(count):
        amd_card(root, number, {**INSTINCT, "unique_id": f"dc91284879207f2{number:x}"})
        kfd_gpu(root, number + 2, card=number)
    write(root, {"sys/module/amdgpu/version": "6.8.5"})


def process(root: Path, pid: int, name: str, vram_bytes: Mapping[str, int]) -> None:
    """Add a process that ROCm knows, with what it has of the memory of each GPU id."""
    write(root, {f"proc/{pid}/comm": name})
    write(root / f"sys/class/kfd/kfd/proc/{pid}", {f"vram_{g}": str(used) for g, used in vram_bytes.items()})


def first_pid_namespace(root: Path) -> None:
    """Make it no container: process ids mean the same here and to the kernel."""
    (root / "proc/self/ns").mkdir(parents=True)
    (root / "proc/self/ns/pid").symlink_to("pid:[4026531836]")


def jetson(root: Path, *, model: str, compatible: str, release: str, cpu: str) -> None:
    """Make a Jetson; its processor is an implementer and a part (`0x41 0xd42`)."""
    implementer, part = cpu.split()
    core = (
        f"model name\t: ARMv8 Processor rev 1 (v8l)\nCPU implementer\t: {implementer}\nCPU part\t: {part}\n"
    )
    write(
        root,
        {
            "proc/device-tree/model": model.encode() + b"\0",
            "proc/device-tree/compatible": compatible.replace(" ", "\0").encode() + b"\0",
            "proc/cpuinfo": f"processor\t: 0\n{core}\nprocessor\t: 1\n{core}",
            "proc/meminfo": "MemTotal:       32112124 kB\nMemFree:         1242124 kB",
            "etc/nv_tegra_release": release,
        },
    )


def x86_server(root: Path) -> None:
    """Make a server with two processors of two cores each."""
    core = "processor\t: {}\nmodel name\t: AMD EPYC 7742 64-Core Processor\nphysical id\t: {}\nflags\t\t: fpu"
    write(
        root,
        {
            "proc/cpuinfo": "\n\n".join(core.format(number, number // 2) for number in range(4)),
            "proc/meminfo": "MemTotal:       1056462712 kB\nMemFree:        1012124124 kB",
            "sys/devices/system/node/node0/cpulist": "0-1",
            "sys/devices/system/node/node1/cpulist": "2-3",
            "sys/devices/system/node/online": "0-1",
            "etc/os-release": 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"\nVERSION_ID="22.04"',
        },
    )


def arm_server(root: Path, *, cpu: str) -> None:
    """Make an ARM server: its kernel gives processors neither a name nor a socket."""
    implementer, part = cpu.split()
    core = f"BogoMIPS\t: 50.00\nCPU implementer\t: {implementer}\nCPU part\t: {part}\nCPU revision\t: 1"
    write(
        root,
        {
            "proc/cpuinfo": f"processor\t: 0\n{core}\n\nprocessor\t: 1\n{core}",
            "proc/meminfo": "MemTotal:       263847124 kB",
            "sys/devices/system/node/node0/cpulist": "0-79",
            "etc/os-release": "PRETTY_NAME=Fedora\nID=fedora",
        },
    )
