"""The page on the miniatures says what the manifest says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_tables_are_those_of_the_manifest() -> None:
    command = [sys.executable, "-m", "tools.miniatures.page", "--check"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
