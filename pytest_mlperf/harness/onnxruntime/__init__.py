"""The embedded harness: MLCommons' LoadGen drives small real models with onnxruntime on the CPU.

Here is what the parent knows of it. Everything that imports numpy, onnxruntime or LoadGen runs in a child
process (`child`, `score`), because LoadGen can abort, hang or crash the process that it runs in.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.errors import Place, RunError
from pytest_mlperf.harness import Command, Preparation
from pytest_mlperf.harness.onnxruntime import miniatures
from pytest_mlperf.harness.onnxruntime.specification import Specification
from pytest_mlperf.matrix import HarnessTerms
from pytest_mlperf.rounds import Benchmark

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mlperf.harness.onnxruntime.miniatures import Miniature
    from pytest_mlperf.matrix import Case
    from pytest_mlperf.placement import Placement
    from pytest_mlperf.rounds import Round

_SPECIFICATION = "specification.json"
_LOGS = "loadgen"
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SERVER_LATENCY_MS = 100.0

# Start of the interpreter, imports, loading and calibration; measured at 1 to 2 s on two slow cores.
_OVERHEAD_S = 2.0


@dataclass(frozen=True, kw_only=True)
class OnnxRuntime:
    """The embedded harness at one precision. The targets are those of FP32 at every precision."""

    precision: str

    @property
    def name(self) -> str:
        """The harness as a matrix names it."""
        return "onnxruntime" if self.precision == "fp32" else f"onnxruntime-{self.precision}"

    def terms(self, mlperf_round: Round) -> HarnessTerms:
        """Return the miniatures, each with the scenarios of the benchmark that it stands for."""
        benchmarks = {
            name: self._benchmark(miniature, mlperf_round.benchmarks[miniature.stands_for])
            for name, miniature in miniatures.manifest().items()
            if self.precision in miniature.quality and miniature.stands_for in mlperf_round.benchmarks
        }
        return HarnessTerms(
            system_suffix="_ORT",
            benchmarks=benchmarks,
            submission=False,
            accelerated=False,
            contained=False,
        )

    def _benchmark(self, miniature: Miniature, stands_for: Benchmark) -> Benchmark:
        return Benchmark(
            name=miniature.name,
            metric=miniature.metric,
            unit=miniature.unit,
            reference_quality=miniature.quality["fp32"],
            accuracy_levels=("99", "99.9"),
            scenarios=stands_for.scenarios,
            harnesses=(self.name,),
            server_latency_ms=_SERVER_LATENCY_MS,
            published_duration_s={},
        )

    def missing(self, mlperf_round: Round) -> str | None:
        """Return None: everything that it needs is installed with this package."""
        del mlperf_round
        return None

    def estimated_duration_s(self, case: Case, mlperf_round: Round) -> float | None:
        """Return the shortest performance run and the overhead around it, or the overhead alone."""
        if case.mode == "AccuracyOnly":
            return _OVERHEAD_S
        return (case.settings.min_duration_s or mlperf_round.min_duration_s) + _OVERHEAD_S

    def log_tree(self, case: Case, mlperf_round: Round) -> str | None:
        """Return None: its folders do not name the case."""
        del case, mlperf_round
        return None

    def prepare(self, case: Case, placement: Placement, *, mlperf_round: Round, folder: Path) -> Preparation:
        """Write the specification of the run, and return what runs it and, for accuracy, what scores it."""
        del placement  # the CPU
        log_dir = folder / _LOGS
        path = folder / _SPECIFICATION
        try:
            log_dir.mkdir()
            path.write_text(self._specification(case, mlperf_round, log_dir).to_json(), encoding="utf-8")
        except OSError as error:
            raise RunError(f"cannot write: {error.strerror}", place=Place(path=str(folder))) from error
        modules = ("child", "score") if case.mode == "AccuracyOnly" else ("child",)
        return Preparation(
            steps=tuple(_command(module, path) for module in modules),
            log_dir=log_dir,
            time_limit_s=case.settings.time_limit_s
            or _time_limit_s(self.estimated_duration_s(case, mlperf_round)),
        )

    def _specification(self, case: Case, mlperf_round: Round, log_dir: Path) -> Specification:
        settings = case.settings
        min_duration_s = settings.min_duration_s or mlperf_round.min_duration_s
        return Specification(
            miniature=case.benchmark,
            model=case.benchmark,
            precision=self.precision,
            scenario=case.scenario,
            mode=case.mode,
            log_dir=log_dir,
            seeds=mlperf_round.seeds,
            min_duration_ms=round(min_duration_s * 1000),
            min_query_count=settings.min_query_count,
            target_qps=settings.target_qps,
            target_latency_ms=settings.target_latency_ms,
            expected_latency_ms=settings.expected_latency_ms,
        )


def _time_limit_s(estimated_duration_s: float | None) -> float:
    """Return a limit that only a stuck run reaches, also on a slow and busy machine."""
    return 60 + 5 * (estimated_duration_s or 0)


def _command(module: str, specification: Path) -> Command:
    env = {**os.environ, **dict.fromkeys(_ONE_THREAD, "1")}
    argv = (sys.executable, "-m", f"{__package__}.{module}", str(specification))
    return Command(name="run" if module == "child" else module, argv=argv, env=env)
