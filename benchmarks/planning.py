"""CPU time of planning 10,000 cases, beside bare pytest collecting 10,000 parametrized items.

    python benchmarks/planning.py [--rounds 7]

Both are whole processes, alternating; medians of user and system time are compared. Exits with 1 when the
ratio is above the limit.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT = 1.5
COUNT = 10_000

BARE = f"""
import pytest

@pytest.mark.parametrize("case", range({COUNT}))
def test_case(case):
    pass
"""

SUITE = """
def test_case(mlperf_record):
    pass
"""

CONFTEST = """
from pytest_mlperf.harness.nvidia import Nvidia

class Site(Nvidia):
    def terms(self, mlperf_round):
        return Nvidia(name="custom").terms(mlperf_round)

def pytest_mlperf_harnesses(config):
    return {f"custom{i:02}": Site(name=f"custom{i:02}") for i in range(25)}
"""

# 10 SKUs x 25 harnesses x (bert 2 x 3 x 2 + dlrm 2 x 2 x 2 + 3d-unet 2 x 2 x 2 + rnnt 3 x 2 x 2) = 10,000
MATRIX = """
round: v2.0
category: datacenter
axes:
  sku: [A100-SXM-80GBx8, A100-SXM-80GBx4, A100-PCIe-80GBx8, A2x2, A30x8,
        A100-SXM4-40GBx8, A100-SXM-80GBx1, A100-PCIe-80GBx1, A30x1, A2x1]
  harness: [{harnesses}]
  mode: [AccuracyOnly, PerformanceOnly]
include:
  - {{benchmark: bert, accuracy: [99, 99.9], scenario: [SingleStream, Server, Offline]}}
  - {{benchmark: dlrm, accuracy: [99, 99.9], scenario: [Server, Offline]}}
  - {{benchmark: 3d-unet, accuracy: [99, 99.9], scenario: [SingleStream, Offline]}}
  - {{benchmark: rnnt, power: [MaxP, MaxQ], scenario: [SingleStream, Server, Offline]}}
"""


def main() -> int:
    """Measure and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="runs of each (default: 7)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bare, suite = _projects(Path(name))
        times: dict[str, list[float]] = {"bare pytest": [], "pytest-mlperf": []}
        for _ in range(arguments.rounds):
            times["bare pytest"].append(_cpu_s(bare, ["-p", "no:pytest_mlperf.plugin"]))
            times["pytest-mlperf"].append(_cpu_s(suite, ["--mlperf-power", "MaxP", "--mlperf-power", "MaxQ"]))
    medians = {what: statistics.median(values) for what, values in times.items()}
    for what, median in medians.items():
        print(f"{what:14} {COUNT} items: {median:.2f} s of CPU time (median of {arguments.rounds})")
    ratio = medians["pytest-mlperf"] / medians["bare pytest"]
    print(f"ratio {ratio:.2f}, limit {LIMIT}: {'ok' if ratio <= LIMIT else 'MISSED'}")
    return 0 if ratio <= LIMIT else 1


def _projects(folder: Path) -> tuple[Path, Path]:
    bare, suite = folder / "bare", folder / "suite"
    (suite / "matrices").mkdir(parents=True)
    bare.mkdir()
    (bare / "test_bare.py").write_text(BARE, encoding="utf-8")
    (suite / "test_suite.py").write_text(SUITE, encoding="utf-8")
    (suite / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    harnesses = ", ".join(f"custom{i:02}" for i in range(25))
    (suite / "matrices" / "large.yaml").write_text(MATRIX.format(harnesses=harnesses), encoding="utf-8")
    for project in (bare, suite):
        (project / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return bare, suite


def _cpu_s(project: Path, options: list[str]) -> float:
    before = os.times()
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *options]
    done = subprocess.run(argv, cwd=project, capture_output=True, text=True, check=True)
    after = os.times()
    if f"{COUNT} tests collected" not in done.stdout:
        raise SystemExit(f"not {COUNT} items: {done.stdout[-300:]}")
    return after.children_user + after.children_system - before.children_user - before.children_system


if __name__ == "__main__":
    raise SystemExit(main())
