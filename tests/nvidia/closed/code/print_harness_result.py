"""Print what the harness wrote. The script of v2.0 trips over what is not there, later ones do not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def summary(path: Path) -> Any:
    """Return what a summary holds, None where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


if __name__ == "__main__":
    machine = json.loads((Path(__file__).parent / "machine.json").read_text(encoding="utf-8"))
    if machine.get("round", "v2.0") != "v2.0":
        sys.exit()
    for name in ("perf_harness_summary.json", "accuracy_summary.json"):
        for config in summary(Path(sys.argv[1]) / name):
            sys.stdout.write(f"{name}: {config}\n")
