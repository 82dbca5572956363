"""What was published: the figures of MLPerf Inference's results, by round, as data.

One CSV file a round, made by `tools/published.py` from what mlcommons/inference_results_<round> holds in its
closed division: each valid performance result of which it is clear on how many of which accelerators it was
reached. These are facts of their submitters; MLCommons has verified them, and nothing that is computed here.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_mlperf.hardware import Sku
    from pytest_mlperf.matrix import Case

FOLDER = Path(__file__).parent
COLUMNS = (
    "accelerator",
    "count",
    "power_limit_w",
    "submitter",
    "system",
    "benchmark",
    "accuracy",
    "scenario",
    "power",
    "harness",
    "metric",
    "unit",
    "value",
)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A published figure.

    accelerator:    as SKUs have it
    count:          of accelerators, MIG instances counted one by one
    power_limit_w:  of the SKU that the system is called by; None of systems with other names
    accuracy:       99 where a benchmark has one target
    harness:        `Triton`, or nothing
    metric:         LoadGen's key
    """

    accelerator: str
    count: int
    power_limit_w: float | None
    submitter: str
    system: str
    benchmark: str
    accuracy: str
    scenario: str
    power: str
    harness: str
    metric: str
    unit: str
    value: float


@cache
def load(round_name: str) -> tuple[Figure, ...]:
    """Return the figures of a round; none of a round whose results were not read."""
    path = FOLDER / f"{round_name}.csv"
    if not path.exists():
        return ()
    with path.open(newline="", encoding="utf-8") as stream:
        return tuple(_figure(row) for row in csv.DictReader(stream))


def _figure(row: dict[str, str]) -> Figure:
    numbers = {
        "count": int(row["count"]),
        "power_limit_w": float(row["power_limit_w"]) if row["power_limit_w"] else None,
        "value": float(row["value"]),
    }
    return Figure(**{**row, **numbers})  # type: ignore[arg-type]


def of_the_same(case: Case, sku: Sku, metric: str) -> tuple[Figure, ...]:
    """Return what was published of a case on the accelerator of its SKU, however many there were."""
    harness = "Triton" if case.harness == "triton" else ""
    wanted = (sku.accelerator, case.benchmark, case.accuracy, case.scenario, case.power, harness, metric)
    return _by_key(case.round).get(wanted, ())


@cache
def _by_key(round_name: str) -> Mapping[tuple[str, ...], tuple[Figure, ...]]:
    found: dict[tuple[str, ...], tuple[Figure, ...]] = {}
    for figure in load(round_name):
        found[_key(figure)] = (*found.get(_key(figure), ()), figure)
    return found


def _key(figure: Figure) -> tuple[str, ...]:
    return (
        figure.accelerator,
        figure.benchmark,
        figure.accuracy,
        figure.scenario,
        figure.power,
        figure.harness,
        figure.metric,
    )
