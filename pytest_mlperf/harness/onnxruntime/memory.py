"""How much memory a process may still take, from the kernel's own accounts."""

from __future__ import annotations

from pathlib import Path

_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def available_bytes() -> int:
    """Return the bytes that are free in the machine, or left of the control group's limit if that is less."""
    rooms = [_room(Path(limit), Path(usage)) for limit, usage in _LIMITS]
    return min(_machine_bytes(), *(room for room in rooms if room is not None))


def _machine_bytes() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, amount = line.partition(":")
        if name == "MemAvailable":
            return int(amount.removesuffix("kB")) * 1024
    raise ValueError("/proc/meminfo: MemAvailable: found no line, expected 1")


def _room(limit: Path, usage: Path) -> int | None:
    try:
        return int(limit.read_text(encoding="ascii")) - int(usage.read_text(encoding="ascii"))
    except (OSError, ValueError):
        # No such control group, or the word `max` for no limit.
        return None
