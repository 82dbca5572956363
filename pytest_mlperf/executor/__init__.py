"""Where the steps of a case run. So far: as processes of this machine (`local`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from pytest_mlperf.harness import Preparation

Execute: TypeAlias = Callable[[Preparation, Path], None]
"""Runs the steps of a case, one after the other, with their output in its folder; raises RunError."""
