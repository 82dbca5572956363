"""NVIDIA's harness as it stands on a machine of the tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

SHORT = """\
conformance: smoke
defaults: {min_duration_s: 0.5}
"""


@dataclass(frozen=True, kw_only=True)
class Installed:
    """NVIDIA's harness on this machine."""

    tree: Path
    scratch: Path
    client: Any

    @property
    def options(self) -> tuple[str, str]:
        """How a session is told of it."""
        return "--mlperf-nvidia", f"v2.0={self.tree}"

    @property
    def calls(self) -> list[str]:
        """The targets that were made so far."""
        path = self.scratch / "calls.txt"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def targets_since(self, before: int) -> list[str]:
        return [line.split()[0] for line in self.calls[before:]]

    def containers(self) -> list[Any]:
        return list(self.client.containers.list(all=True, filters={"label": "pytest-mlperf.case"}))
