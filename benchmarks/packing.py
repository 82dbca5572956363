"""Published test lengths replayed as sleeps under xdist: how close to the shortest possible makespan.

    python benchmarks/packing.py [--longest 10] [--devices 2 4 8] [--only ours load worksteal]

As many workers as devices, one device a case, the lengths known beforehand; for several orders of the cases
in their file: packed as the plugin does, and in the same run by xdist's own `--dist load` and `--dist
worksteal`. The makespan is from the first start to the last end; the bound is the longest case, or the sum of
all over the devices. Exits with 1 when a packed session is above the limit.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT = 1.03

# Seconds that run_1 of each performance test took: mlcommons/inference_results_v2.0, closed/NVIDIA/results,
# one GPU of a DGX A100; by benchmark and scenario.
PUBLISHED_S = {
    "3d-unet-99.9-Offline": 7933,
    "3d-unet-99.9-SingleStream": 702,
    "3d-unet-99-Offline": 7933,
    "3d-unet-99-SingleStream": 702,
    "bert-99-Offline": 649,
    "bert-99-SingleStream": 601,
    "resnet50-MultiStream": 602,
    "resnet50-Offline": 614,
    "resnet50-SingleStream": 602,
    "rnnt-Offline": 643,
    "rnnt-SingleStream": 602,
    "ssd-mobilenet-MultiStream": 603,
    "ssd-mobilenet-Offline": 607,
    "ssd-mobilenet-SingleStream": 602,
    "ssd-resnet34-MultiStream": 2368,
    "ssd-resnet34-Offline": 633,
    "ssd-resnet34-SingleStream": 601,
}

SUITE = """
import json
import time
from pathlib import Path

import pytest

LENGTHS_S = json.loads(Path(__file__).with_name("lengths.json").read_text())

@pytest.mark.parametrize("name", LENGTHS_S)
def test_case(name):
    start = time.time()
    time.sleep(LENGTHS_S[name])
    with open("log", "a") as log:
        log.write(f"{start} {time.time()}\\n")
"""

CONFTEST = """
import json
from pathlib import Path

import pytest

from pytest_mlperf.packing import Need
from pytest_mlperf.plugin.scheduling import BarrierHooks, CaseScheduling, Demand

LENGTHS_S = json.loads(Path(__file__).with_name("lengths.json").read_text())

def pytest_addoption(parser):
    parser.addoption("--devices", type=int)

def pytest_configure(config):
    if getattr(config, "workerinput", {}).get("packs"):
        config.pluginmanager.register(BarrierHooks())

def pytest_configure_node(node):
    node.workerinput["packs"] = bool(node.config.getoption("devices"))

def pytest_xdist_make_scheduler(config, log):
    devices = config.getoption("devices")
    if devices:
        needs = {
            f"test_suite.py::test_case[{name}]": Need(devices=1, exclusive=False, duration_s=length_s)
            for name, length_s in LENGTHS_S.items()
        }
        return CaseScheduling(config, log, demand=lambda: Demand(devices=devices, needs=needs))
"""

SCHEDULERS = {
    "ours": ["--dist=load", "--devices={devices}"],
    "load": ["--dist=load"],
    "worksteal": ["--dist=worksteal"],
}


def main() -> int:
    """Measure and print the ratios to the bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--longest", type=float, default=10, metavar="S", help="scale to this (default: 10)")
    parser.add_argument("--devices", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--only", nargs="+", choices=SCHEDULERS, default=list(SCHEDULERS))
    arguments = parser.parse_args()
    scale = arguments.longest / max(PUBLISHED_S.values())
    lengths_s = {f"{name}-PerformanceMode": length * scale for name, length in PUBLISHED_S.items()}
    missed = False
    for devices in arguments.devices:
        bound_s = max(*lengths_s.values(), sum(lengths_s.values()) / devices)
        print(f"{devices} devices, {len(lengths_s)} cases, bound {bound_s:.2f} s")
        for words, names in _file_orders(list(lengths_s)).items():
            project = {name: lengths_s[name] for name in names}
            ratios = {name: _makespan_s(project, devices, name) / bound_s for name in arguments.only}
            missed |= ratios.get("ours", 0) > LIMIT
            columns = "  ".join(f"{name} {ratio:.3f}" for name, ratio in ratios.items())
            print(f"  {words:10} {columns}", flush=True)
    print(f"limit {LIMIT}: {'MISSED' if missed else 'ok'}")
    return int(missed)


def _file_orders(names: list[str]) -> dict[str, list[str]]:
    orders = {"as given": names, "reversed": names[::-1]}
    for seed in (1, 2, 3):
        dice = random.Random(seed)  # noqa: S311  the same orders again are what is wanted
        orders[f"shuffled {seed}"] = dice.sample(names, len(names))
    return orders


def _makespan_s(lengths_s: dict[str, float], devices: int, scheduler: str) -> float:
    with tempfile.TemporaryDirectory() as name:
        project = Path(name)
        (project / "test_suite.py").write_text(SUITE, encoding="utf-8")
        (project / "conftest.py").write_text(CONFTEST, encoding="utf-8")
        (project / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (project / "lengths.json").write_text(json.dumps(lengths_s), encoding="utf-8")
        options = [option.format(devices=devices) for option in SCHEDULERS[scheduler]]
        argv = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:pytest_mlperf.plugin",
            f"-n{devices}",
            *options,
        ]
        subprocess.run(argv, cwd=project, capture_output=True, text=True, check=True)
        log = (project / "log").read_text(encoding="utf-8").splitlines()
        times = [[float(word) for word in line.split()] for line in log]
    if len(times) != len(lengths_s):
        raise SystemExit(f"{len(times)} of {len(lengths_s)} cases ran")
    return max(end for _, end in times) - min(start for start, _ in times)


if __name__ == "__main__":
    raise SystemExit(main())
