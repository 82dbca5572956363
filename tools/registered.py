"""Write which configurations NVIDIA registered, from tables of its trees: `registered.py TABLES`.

TABLES: a folder with configs_v2.0.csv and so on, a row for each registration in closed/NVIDIA/configs of the
round's results repository.
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

from pytest_mlperf.harness.nvidia.registry import COLUMNS, FOLDER

_HARNESSES = {"HeteroMIG": "hetero", "TritonUnified": "triton_unified"}


def main() -> None:
    """Write one table a round."""
    for path in sorted(Path(sys.argv[1]).glob("configs_v*.csv")):
        with path.open(newline="", encoding="utf-8") as stream:
            rows = sorted(_row(row) for row in csv.DictReader(stream))
        target = FOLDER / f"{path.stem.removeprefix('configs_')}.csv"
        with target.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerows([COLUMNS, *rows])


def _row(row: dict[str, str]) -> tuple[str, ...]:
    harness = _HARNESSES.get(row["harness_type"], row["harness_type"].lower())
    accuracy = re.sub("_", ".", row["accuracy_target"].removeprefix("k_"))
    return row["system_id"], row["benchmark"], harness, accuracy, row["power_setting"], row["scenario"]


if __name__ == "__main__":
    main()
