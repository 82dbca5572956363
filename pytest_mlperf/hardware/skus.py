"""The SKUs that are known, from `skus.yaml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from pytest_mlperf.hardware import Sku

if TYPE_CHECKING:
    from collections.abc import Mapping


@cache
def load() -> Mapping[str, Sku]:
    """Return the SKUs by name."""
    content = yaml.safe_load((Path(__file__).parent / "skus.yaml").read_text(encoding="utf-8"))
    return {name: Sku(name=name, **traits) for name, traits in content.items()}
