"""YAML that comes with the package. Files of users are read by `matrix.source`, which knows their lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

# Eight times as fast; PyYAML may have been built without it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(path: Path) -> Any:
    """Return what a file holds."""
    return yaml.load(path.read_bytes(), Loader=_LOADER)  # noqa: S506  one of the safe loaders
