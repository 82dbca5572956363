"""What a Linux machine says of itself in small files: how to read one, and facts that several probes want.

Paths are below a root, so that a made-up machine is read like a real one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_KIB = 1024


def read(path: Path) -> str | None:
    """Return the text of a file, without NULs and white space around it; None when empty or unreadable."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \t\n") or None
    except OSError:
        return None


def number(path: Path) -> int | None:
    """Return the decimal number that is the whole of a file, or None."""
    text = read(path)
    return int(text) if text is not None and re.fullmatch(r"-?[0-9]{1,20}", text) else None


def memory_bytes(root: Path) -> int | None:
    """Return the memory of the machine that programs can have, which is less than is built in."""
    total_kib = re.search(r"^MemTotal: +(\d+) kB$", read(root / "proc/meminfo") or "", re.MULTILINE)
    return int(total_kib.group(1)) * _KIB if total_kib else None


def board(root: Path) -> str | None:
    """Return the model in the device tree; None on a machine without one, such as any x86."""
    return read(root / "proc/device-tree/model")
