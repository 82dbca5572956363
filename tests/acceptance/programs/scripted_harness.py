"""A harness that plays a script: its program writes logs such as LoadGen writes, and ends as told.

The benchmark is the script: good, bad, broken (dies), slow (sleeps for a minute), crash (kills its parent),
timed (takes half a second and says when), late (takes longer, and says how far it is).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mlperf.harness import Command, Preparation
from pytest_mlperf.matrix import HarnessTerms
from pytest_mlperf.rounds import Benchmark

if TYPE_CHECKING:
    from pytest_mlperf.matrix import Case
    from pytest_mlperf.placement import Placement
    from pytest_mlperf.rounds import Round

SCRIPTS = ("good", "bad", "broken", "slow", "crash", "timed", "late", "flaky", "shaky")

# What a test tells the program.
_TOLD = {name: value for name, value in os.environ.items() if name.startswith("SCRIPTED_")}


class Scripted:
    def terms(self, mlperf_round: Round) -> HarnessTerms:
        del mlperf_round
        benchmarks = {
            name: Benchmark(
                name=name,
                metric="accuracy",
                unit="%",
                reference_quality=90.0,
                accuracy_levels=("99", "99.9"),
                scenarios=("Offline", "Server"),
                harnesses=("scripted",),
                server_latency_ms=None,
                published_duration_s={},
            )
            for name in SCRIPTS
        }
        return HarnessTerms(system_suffix="_SCRIPT", benchmarks=benchmarks)

    def missing(self, mlperf_round: Round) -> str | None:
        del mlperf_round
        return None

    def estimated_duration_s(self, case: Case, mlperf_round: Round) -> float | None:
        del mlperf_round
        return 1.0 if case.mode == "PerformanceOnly" else None

    def log_tree(self, case: Case, mlperf_round: Round) -> str | None:
        del case, mlperf_round
        return None

    def prepare(self, case: Case, placement: Placement, *, mlperf_round: Round, folder: Path) -> Preparation:
        del placement, mlperf_round
        log_dir = folder / "logs"
        log_dir.mkdir()
        program = Path(__file__).with_name("scripted_run.py")
        argv = (sys.executable, str(program), case.benchmark, case.scenario, case.mode, str(log_dir))
        return Preparation(
            steps=(Command(name="run", argv=argv, env=_TOLD),),
            log_dir=log_dir,
            time_limit_s=case.settings.time_limit_s or 30,
        )
