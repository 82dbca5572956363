"""The conftest.py of a site whose harness fails in a different way with each of its benchmarks.

`failures.yaml` beside it lists the benchmarks and the programs that each one runs.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pytest_mlperf.harness import Command, Preparation
from pytest_mlperf.matrix import HarnessTerms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_mlperf.harness import Harness
    from pytest_mlperf.matrix import Case
    from pytest_mlperf.placement import Placement
    from pytest_mlperf.rounds import Round

SITE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Pitfalls:
    """Runs the programs of a failure: by default `pitfalls.py` with its name."""

    failures: Mapping[str, Mapping[str, Any]]

    def terms(self, mlperf_round: Round) -> HarnessTerms:
        """Return a benchmark for each failure, otherwise like resnet50."""
        resnet50 = mlperf_round.benchmarks["resnet50"]
        return HarnessTerms(
            system_suffix="_Pitfalls",
            benchmarks={name: replace(resnet50, name=name) for name in self.failures},
        )

    def missing(self, mlperf_round: Round) -> str | None:
        """Return None: nothing is needed but LoadGen."""
        del mlperf_round
        return None

    def estimated_duration_s(self, case: Case, mlperf_round: Round) -> float | None:
        """Return None: that is what this harness is about."""
        del case, mlperf_round
        return None

    def log_tree(self, case: Case, mlperf_round: Round) -> str | None:
        """Return None: its folders do not name the case."""
        del case, mlperf_round
        return None

    def prepare(self, case: Case, placement: Placement, *, mlperf_round: Round, folder: Path) -> Preparation:
        """Return the programs of the failure."""
        del placement, mlperf_round
        log_dir = folder / "loadgen"
        log_dir.mkdir()
        steps = self.failures[case.benchmark].get("steps", [f"pitfalls.py {case.benchmark}"])
        return Preparation(
            steps=tuple(_command(step, log_dir) for step in steps),
            log_dir=log_dir,
            time_limit_s=case.settings.time_limit_s or 60,
        )


def _command(step: str, log_dir: Path) -> Command:
    """Return the command for `PROGRAM NAME`, or for `sh PROGRAM NAME`: the same below a shell."""
    *shell, program, name = step.split()
    argv: tuple[str, ...] = (sys.executable, str(SITE / program), name, str(log_dir))
    if shell:
        argv = ("sh", "-c", '"$@"; exit $?', *shell, *argv)
    return Command(name=program.removesuffix(".py"), argv=argv, env={})


def pytest_mlperf_harnesses() -> Mapping[str, Harness]:
    """Offer the harness to matrices."""
    failures = yaml.safe_load((SITE / "failures.yaml").read_text(encoding="utf-8"))
    return {"pitfalls": Pitfalls(failures=failures)}
