"""Sessions to look at from outside: a project with a suite, a matrix, and a harness that plays a script."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


PROGRAMS = Path(__file__).parent / "programs"

SUITE = """
from pytest_mlperf.plugin import check

def test_conformance(mlperf_record):
    check(mlperf_record)
"""

CONFTEST = f"""
import sys
sys.path.insert(0, {str(PROGRAMS)!r})

import scripted_harness

def pytest_mlperf_harnesses(config):
    return {{"scripted": scripted_harness.Scripted()}}
"""

MATRIX = """\
round: v2.0
category: smoke
axes: {sku: CPU, harness: scripted, scenario: Offline}
include:
  - {benchmark: good, mode: [AccuracyOnly, PerformanceOnly]}
  - {benchmark: bad, mode: [AccuracyOnly, PerformanceOnly]}
  - {benchmark: broken, mode: PerformanceOnly}
  - {benchmark: good, mode: PerformanceOnly, sku: A2x2}
  - {benchmark: good, mode: PerformanceOnly, power: MaxQ}
"""


@dataclass(frozen=True, kw_only=True)
class Session:
    """A project of its own, and pytest run in it as a user does."""

    pytester: pytest.Pytester
    neighbours: tuple[str, ...]

    def run(self, *options: str) -> pytest.RunResult:
        return self.pytester.runpytest_subprocess(
            "-p", "no:cacheprovider", *self.neighbours, *options, timeout=120
        )

    @contextmanager
    def start(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start pytest, with what it says in `said.txt`, and kill it in the end."""
        # What was started in the background ignores interrupts, and under nohup hangups.
        program = "import signal, pytest; signal.signal(signal.SIGINT, signal.default_int_handler); "
        program += "signal.signal(signal.SIGHUP, signal.SIG_DFL); "
        program += "raise SystemExit(pytest.main())"
        argv = [sys.executable, "-c", program, "-p", "no:cacheprovider", *options]
        folder = self.pytester.path
        with (
            (folder / "said.txt").open("wb") as said,
            subprocess.Popen(argv, cwd=folder, stdout=said, stderr=said) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def write_matrix(self, text: str, name: str = "matrix") -> None:
        folder = self.pytester.path / "matrices"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")

    def lines(self, output: str = "out") -> list[dict[str, Any]]:
        text = (self.pytester.path / output / "records.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def records(self, output: str = "out") -> dict[str, dict[str, Any]]:
        """Return the records by case, after checking that no case has two."""
        records = [line["record"] for line in self.lines(output) if "record" in line]
        by_id = {record["case"]["id"]: record for record in records}
        assert len(by_id) == len(records)
        return by_id

    def endings(self, output: str = "out") -> dict[str, str]:
        return {
            f"{r['case']['benchmark']} {r['case']['sku']} {r['case']['power']} {r['case']['mode']}": r[
                "ending"
            ]
            for r in self.records(output).values()
        }
