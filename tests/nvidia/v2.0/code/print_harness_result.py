"""Print what the harness wrote, as the script of v2.0 does: it trips over what is not there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def summary(path: Path) -> Any:
    """Return what a summary holds, None where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


if __name__ == "__main__":
    for name in ("perf_harness_summary.json", "accuracy_summary.json"):
        for config in summary(Path(sys.argv[1]) / name):
            sys.stdout.write(f"{name}: {config}\n")
