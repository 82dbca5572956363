"""Writes as JSON what the probe sees with the library that this process found. Argument: the root."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from pytest_mlperf.errors import HostError
from pytest_mlperf.hardware.nvidia import Nvml


def main() -> None:
    try:
        seen = asdict(Nvml(root=Path(sys.argv[1])).detect())
    except HostError as error:
        seen = {"error": str(error)}
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
