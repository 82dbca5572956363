"""The host: processor, memory, system, board. Linux only; elsewhere the facts are unknown."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from pytest_mlperf.hardware import Host, linux

# Implementer and part of ARM processors, with the names of `lscpu` (util-linux, sys-utils/lscpu-arm.c).
_ARM_PARTS = {
    "0x41 0xd0c": "Neoverse-N1",
    "0x41 0xd40": "Neoverse-V1",
    "0x41 0xd42": "Cortex-A78AE",
    "0x41 0xd49": "Neoverse-N2",
    "0x41 0xd4f": "Neoverse-V2",
    "0x41 0xd83": "Neoverse-V3AE",
    "0x4e 0x004": "Carmel",
}


def detect(root: Path = Path("/")) -> Host:
    """Return the facts of this host. What cannot be read is None.

    root: of the tree that is read. Cores, architecture and kernel are always those of this machine.
    """
    processors = linux.read(root / "proc/cpuinfo") or ""
    return Host(
        cores=len(os.sched_getaffinity(0)),
        cpu=_model(processors),
        memory_bytes=linux.memory_bytes(root),
        board=linux.board(root),
        sockets=len(set(re.findall(r"^physical id\s*:\s*(\d+)$", processors, re.MULTILINE))) or None,
        numa_nodes=len(list((root / "sys/devices/system/node").glob("node[0-9]*"))) or None,
        architecture=platform.machine() or None,
        os=_distribution(root),
        kernel=platform.release() or None,
    )


def _model(processors: str) -> str | None:
    """Return the processor's model: by its part first, for Jetson's kernel calls all `ARMv8 Processor`."""
    part = f"{_first('CPU implementer', processors)} {_first('CPU part', processors)}"
    return _ARM_PARTS.get(part) or _first("model name", processors)


def _first(field: str, processors: str) -> str | None:
    found = re.search(rf"^{field}\s*:[ \t]*(\S.*)$", processors, re.MULTILINE)
    return found.group(1).strip() if found else None


def _distribution(root: Path) -> str | None:
    name = re.search(r"^PRETTY_NAME=(.+)$", linux.read(root / "etc/os-release") or "", re.MULTILINE)
    return name.group(1).strip("\"' ") if name else None
