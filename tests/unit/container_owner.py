"""A process that runs a case in a container, until it is killed: `container_owner.py FOLDER IMAGE`."""

from __future__ import annotations

import sys
from pathlib import Path

from pytest_mlperf import catalogue
from pytest_mlperf.executor import Terms, limit
from pytest_mlperf.harness import Command, Container

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    step = Command(name="run", argv=("sleep", "600"), env={}, container=Container(image=sys.argv[2]))
    catalogue.execute(step, folder, Terms(limit=limit(600)))
