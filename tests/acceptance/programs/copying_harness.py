"""A harness whose runs are copies of logs that stand in folders by mode: what a submission is made of."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mlperf.harness import Command, Preparation
from pytest_mlperf.matrix import HarnessTerms

if TYPE_CHECKING:
    from pytest_mlperf.matrix import Case
    from pytest_mlperf.placement import Placement
    from pytest_mlperf.rounds import Round

_COPY = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])"


class Copying:
    def terms(self, mlperf_round: Round) -> HarnessTerms:
        return HarnessTerms(system_suffix="_COPY", benchmarks=mlperf_round.benchmarks)

    def missing(self, mlperf_round: Round) -> str | None:
        del mlperf_round
        return None

    def estimated_duration_s(self, case: Case, mlperf_round: Round) -> float | None:
        del case, mlperf_round
        return 0.1

    def prepare(self, case: Case, placement: Placement, *, mlperf_round: Round, folder: Path) -> Preparation:
        del placement, mlperf_round
        logs = folder / "logs"
        argv = (sys.executable, "-c", _COPY, str(Path("logs", case.mode).absolute()), str(logs))
        return Preparation(steps=(Command(name="run", argv=argv, env={}),), log_dir=logs, time_limit_s=60)
