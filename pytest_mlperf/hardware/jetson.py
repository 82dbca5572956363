"""The GPU of a Jetson module, by the device tree.

Not by NVML: JetPack 5 has none, and that of JetPack 6 knows neither the module's name nor its memory.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mlperf.hardware import Device, Driver, Sighting, linux, visible

if TYPE_CHECKING:
    from collections.abc import Mapping

# NVIDIA, "CUDA GPU Compute Capability": Xavier and Orin. Thor's has changed its number with CUDA 13.
_COMPUTE_CAPABILITIES = {"nvidia,tegra194": "7.2", "nvidia,tegra234": "8.7"}


class Jetson:
    """The one GPU of a Tegra, which shares the memory of its host.

    root:         of the tree that is read
    environment:  that limits what may be used; None: this process's own
    """

    def __init__(self, root: Path = Path("/"), environment: Mapping[str, str] | None = None) -> None:
        self._root = root
        self._environment = environment

    def detect(self) -> Sighting:
        """Return the module, or nothing on any other machine.

        Its memory is that of the host. It has neither UUID nor PCI address: there is nothing to choose.
        """
        compatible = (linux.read(self._root / "proc/device-tree/compatible") or "").split("\0")
        chip = next((entry for entry in compatible if re.fullmatch(r"nvidia,tegra\d+", entry)), None)
        if chip is None:
            return Sighting()
        module = Device(
            vendor="NVIDIA",
            name=linux.board(self._root) or chip,
            memory_bytes=linux.memory_bytes(self._root),
            compute_capability=_COMPUTE_CAPABILITIES.get(chip),
            integrated=True,
        )
        environment = os.environ if self._environment is None else self._environment
        devices, hidden = visible.nvidia((visible.Gpu(uuid=None, devices=(module,)),), environment)
        return Sighting(
            devices=devices, hidden=hidden, driver=Driver(vendor="NVIDIA", version=self._release())
        )

    def _release(self) -> str | None:
        """Return the release of Linux for Tegra, which the driver is part of: `L4T 36.4.3`."""
        text = linux.read(self._root / "etc/nv_tegra_release") or ""
        release = re.match(r"# R(\d+) \(release\), REVISION: ([\d.]+)", text)
        return f"L4T {release.group(1)}.{release.group(2)}" if release else None
