"""What the doctor says of each profile, without what it says of the machine that the tests run on.

`python -m tests.nvml.golden` writes the files anew; look at the difference before it is kept.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.nvml import stand_in

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def path(profile: str) -> Path:
    """Return where the golden answer for a profile is."""
    return HERE / "golden" / f"{profile}.json"


def ask(profile: str, library: Path) -> dict[str, Any]:
    """Return what the doctor says on a machine with the GPUs of a profile."""
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--mlperf-doctor=json"]
    env = stand_in.environment(profile, library)
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    inventory = said["inventory"]
    for device in inventory["devices"]:
        del device["numa_node"]  # read from this machine's PCI bus
    return {
        **{part: inventory[part] for part in ("devices", "drivers", "blind", "hidden")},
        "skus": said["skus"],
        "matrices": [_line(outlook) for outlook in said["matrices"]],
    }


def _line(outlook: dict[str, Any]) -> dict[str, Any]:
    skips = [f"{skip['count']}: needs {skip['expected']}, found {skip['found']}" for skip in outlook["skips"]]
    return {"path": outlook["path"], "would_run": outlook["would_run"], "skips": skips}


def _text(said: dict[str, Any]) -> str:
    """Return the answer as JSON, with a line for each of its parts."""
    parts = (
        f'"{name}": [' + ",".join(f"\n {json.dumps(value)}" for value in values) + "]"
        for name, values in said.items()
    )
    return "{" + ",\n".join(parts) + "}\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        library = stand_in.build(Path(folder))
        for profile in stand_in.PROFILES:
            path(profile).parent.mkdir(exist_ok=True)
            path(profile).write_text(_text(ask(profile, library)), encoding="utf-8")


if __name__ == "__main__":
    main()
