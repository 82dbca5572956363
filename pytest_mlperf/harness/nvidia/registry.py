"""Which configurations NVIDIA registered for which system, by round: `closed/NVIDIA/configs` of its results.

Made by `tools/registered.py`. NVIDIA's harness passes over a configuration that is not registered, with a
warning (code/main.py).
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from pytest_mlperf.matrix import Registration

FOLDER = Path(__file__).parent / "registered"
COLUMNS = ("system_id", "benchmark", "harness", "accuracy", "power", "scenario")


@cache
def registered(round_name: str) -> frozenset[Registration]:
    """Return the configurations of a round; none for a round whose tree was not read."""
    path = FOLDER / f"{round_name}.csv"
    if not path.exists():
        return frozenset()
    with path.open(newline="", encoding="utf-8") as stream:
        return frozenset(Registration(**row) for row in csv.DictReader(stream))  # type: ignore[arg-type]
