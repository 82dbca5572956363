"""The host: processor, memory, board. Linux only; elsewhere the facts are unknown."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pytest_mlperf.hardware import Host

_KIB = 1024


def detect() -> Host:
    """Return the facts of this host. What cannot be read is None."""
    return Host(
        cores=len(os.sched_getaffinity(0)),
        cpu=_find(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo")),
        memory_bytes=_memory_bytes(),
        board=_read(Path("/proc/device-tree/model")),
    )


def _memory_bytes() -> int | None:
    total_kib = _find(r"^MemTotal:\s*(\d+) kB$", Path("/proc/meminfo"))
    return int(total_kib) * _KIB if total_kib else None


def _find(pattern: str, path: Path) -> str | None:
    match = re.search(pattern, _read(path) or "", re.MULTILINE)
    return match.group(1).strip() if match else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n")
    except OSError:
        return None
