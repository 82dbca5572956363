"""The miniatures that the package carries: what each is, whether its files are whole, and how to load it.

A miniature stands for one of MLPerf's benchmarks: same kind of network, same metric, but small, with
data of its own. It is no MLPerf benchmark. numpy and onnxruntime are imported by `load` alone.
"""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mlperf import shipped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_mlperf.harness.onnxruntime.tasks import Task

MODELS = Path(__file__).parent / "models"
MANIFEST = Path(__file__).parent / "miniatures.yaml"


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A file that the package carries."""

    path: Path
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Miniature:
    """A small stand-in for one of MLPerf's benchmarks: its model card.

    task:     the module in `tasks` that runs and scores it
    dataset:  what the evaluation set holds, in words
    quality:  what `Task.score` says, by precision, in `unit`; "fp32" is the reference of the accuracy gates
    files:    the files of the network, by precision, and under "dataset" those of the evaluation set
    """

    name: str
    stands_for: str
    summary: str
    task: str
    architecture: str
    parameters: int
    dataset: str
    sample_count: int
    seed: int
    licence: str
    metric: str
    unit: str
    quality: Mapping[str, float]
    files: Mapping[str, tuple[Asset, ...]]

    @property
    def precisions(self) -> tuple[str, ...]:
        """Return the precisions that the network is provided in."""
        return tuple(use for use in self.files if use != "dataset")


@cache
def manifest() -> Mapping[str, Miniature]:
    """Return the miniatures by name, in the order of the manifest."""
    entries = shipped.read(MANIFEST)
    return {name: _miniature(name, entry) for name, entry in entries.items()}


def load(name: str, precision: str) -> Task:
    """Open a miniature: check its files, then read its network and its evaluation set.

    Raises ValueError when there is no such miniature or precision, or when a file is missing or damaged.
    """
    miniature = find(name)
    verify(miniature, precision)
    module = importlib.import_module(f"{__package__}.tasks.{miniature.task}")
    model_files, dataset_files = (
        [asset.path for asset in miniature.files[use]] for use in (precision, "dataset")
    )
    task: Task = getattr(module, miniature.task.capitalize())(model_files, dataset_files)
    return task


def find(name: str) -> Miniature:
    """Return the miniature of this name. Raises ValueError when there is none."""
    miniatures = manifest()
    if name not in miniatures:
        raise ValueError(f"miniature: found {name}, allowed {', '.join(miniatures)}")
    return miniatures[name]


def verify(miniature: Miniature, precision: str) -> None:
    """Check that the files that this precision needs are there and whole.

    Raises ValueError when the precision is not provided, or a file is missing or has another checksum.
    """
    if precision not in miniature.precisions:
        raise ValueError(
            f"{miniature.name}: precision: found {precision}, allowed {', '.join(miniature.precisions)}"
        )
    for asset in (*miniature.files[precision], *miniature.files["dataset"]):
        found = _checksum(asset.path)
        expected = f"sha256 {asset.sha256}"
        if found != expected:
            raise ValueError(
                f"{asset.path}: file: found {found}, expected {expected} ; hint: reinstall pytest-mlperf"
            )


def _checksum(path: Path) -> str:
    if not path.is_file():
        return "none"
    return f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"


def _miniature(name: str, entry: Mapping[str, Any]) -> Miniature:
    files = {use: tuple(_asset(file) for file in listed) for use, listed in entry["files"].items()}
    return Miniature(**{**entry, "name": name, "files": files})


def _asset(file: Mapping[str, str]) -> Asset:
    return Asset(path=MODELS / file["path"], sha256=file["sha256"])
