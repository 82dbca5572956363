"""NVIDIA's harness as it stands on a machine of the tests."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_mlperf.executor.container import SESSION

if TYPE_CHECKING:
    from pathlib import Path

    from sessions import Session

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

    def containers(self, session: Session) -> list[str]:
        """Return the containers of the sessions of a project that are there."""
        found = self.client.containers.list(all=True, ignore_removed=True, filters={"label": SESSION})
        here = str(session.pytester.path)
        return [container.name for container in found if container.labels[SESSION].startswith(here)]

    def tags(self) -> list[str]:
        """Return the images that were made from this checkout."""
        made = [tag for image in self.client.images.list("mlperf-inference") for tag in image.tags]
        own = hashlib.sha256(str(self.tree).encode()).hexdigest()[:8]
        return [tag for tag in made if own in tag]
