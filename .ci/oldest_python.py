"""Print the path of a Python 3.10, the oldest that is supported. Exits non-zero when there is none."""

import shutil
import subprocess
import sys
from pathlib import Path

candidates = [shutil.which("python3.10"), *sorted(Path.home().glob(".pyenv/versions/3.10.*/bin/python3.10"))]
for candidate in filter(None, candidates):
    done = subprocess.run(
        [candidate, "-c", "import venv, sys; print(sys.executable)"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        print(done.stdout.strip())
        break
else:
    sys.exit("no Python 3.10 here: install one to test the oldest version that pyproject.toml allows")
