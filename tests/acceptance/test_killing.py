"""Sessions that are killed at any moment, and gone on with: nothing is lost, run twice, or left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from installed import SHORT

from pytest_mlperf.record import from_json

if TYPE_CHECKING:
    from pathlib import Path

    from installed import Installed
    from sessions import Session

KILLS = int(os.environ.get("MLPERF_KILLS", "6"))
SIGNALS = (signal.SIGTERM, signal.SIGKILL)
LONGEST_S = 8.0
CASES = 4

MATRIX = f"""\
round: v2.0
category: datacenter
{SHORT}
axes:
  sku: A100-SXM4-40GBx8
  benchmark: bert
  harness: custom
  accuracy: [99, 99.9]
  scenario: [Offline, Server]
  mode: PerformanceOnly
"""


def resumed(before: str | None) -> tuple[str, ...]:
    return ("--mlperf-resume", before) if before else ()


def killed(machine: Session, installed: Installed, out: str, before: str | None, *, after_s: float) -> int:
    """Run a session, end it after a while by a signal, and return its exit status."""
    argv = (
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        f"--junitxml={out}.xml",
    )
    with subprocess.Popen(
        [*argv, *installed.options, "--mlperf-output", out, *resumed(before)],
        cwd=machine.pytester.path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            return process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.send_signal(random.choice(SIGNALS))  # noqa: S311  no secret
            return process.wait(60)


def verdicts(folder: Path) -> set[str]:
    """Return the cases that a session has run to a verdict, by what it left in their folders."""
    paths = folder.glob("cases/*/record.json")
    records = [from_json(json.loads(path.read_text(encoding="utf-8"))) for path in paths]
    return {record.case.id for record in records if record.verdict}


def runs(installed: Installed, case_id: str) -> int:
    """Return how often the harness was started for a case."""
    scenario = "Offline" if "-Offline-" in case_id else "Server"
    level = "high_accuracy" if "k_99_9" in case_id else "default"
    told = f"run_harness --benchmarks=bert --scenarios={scenario} --config_ver={level} "
    return sum(line.startswith(told) for line in installed.calls)


@pytest.mark.long
def test_sessions_that_are_killed_lose_nothing(machine: Session, installed: Installed) -> None:
    machine.write_matrix(MATRIX)
    here = machine.pytester.path
    before: str | None = None
    kills = ended = 0
    finished: dict[str, int] = {}
    while kills < KILLS:
        ended += 1
        out = f"out{ended}"
        moment = random.uniform(0.5, LONGEST_S)  # noqa: S311  no secret
        code = killed(machine, installed, out, before, after_s=moment)
        kills += code != 0
        if code == pytest.ExitCode.INTERRUPTED:
            ET.parse(here / f"{out}.xml")  # noqa: S314  written by us
            assert "footer" in machine.lines(out)[-1]
        assert {case: runs(installed, case) for case in finished} == finished
        finished |= {case: runs(installed, case) for case in verdicts(here / out)}
        if code == 0:
            assert set(machine.records(out)) == set(finished)
            before, finished = None, {}
        elif (here / out / "records.jsonl").exists():
            before = out

    result = machine.run(*installed.options, "--mlperf-output", "last", *resumed(before))
    result.assert_outcomes(passed=CASES)
    assert {case: runs(installed, case) for case in finished} == finished
    assert installed.containers(machine) == []
