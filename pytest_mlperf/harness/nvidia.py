"""NVIDIA's closed harness (lwis, custom, triton). So far its cases are planned; it is not run yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.errors import RunError
from pytest_mlperf.matrix import HarnessTerms

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_mlperf.harness import Preparation
    from pytest_mlperf.matrix import Case
    from pytest_mlperf.placement import Placement
    from pytest_mlperf.rounds import Round

# closed/NVIDIA of each round, Makefile (DRIVER_VER_MAJOR).
_LEAST_DRIVERS: Mapping[str, str] = {"v2.0": "510"}
_DISK_GB = 800
"""For bert, rnnt and the SSDs, by VirtualClient's documentation; NVIDIA's README has 3 TB for all of them."""

_MISSING = "not in this version: NVIDIA's harness is planned, not run"


@dataclass(frozen=True, kw_only=True)
class Nvidia:
    """One of the harness types of closed/NVIDIA."""

    name: str

    def terms(self, mlperf_round: Round) -> HarnessTerms:
        """Return the benchmarks that are registered for this harness type (code/common/submission.py)."""
        suffix = "_TRT_Triton" if self.name == "triton" else "_TRT"
        benchmarks = {n: b for n, b in mlperf_round.benchmarks.items() if self.name in b.harnesses}
        return HarnessTerms(
            system_suffix=suffix,
            benchmarks=benchmarks,
            accelerated=True,
            least_driver=_LEAST_DRIVERS.get(mlperf_round.name),
            disk_gb=_DISK_GB,
            hashes_log=False,
        )

    def missing(self) -> str | None:
        """Return why no case of this harness can run yet."""
        return _MISSING

    def estimated_duration_s(self, case: Case, mlperf_round: Round) -> float | None:
        """Return the length of a published performance run, or the shortest allowed; None for accuracy."""
        if case.mode == "AccuracyOnly":
            return None
        published = mlperf_round.benchmarks[case.benchmark].published_duration_s
        return max(
            published.get(case.scenario, 0), case.settings.min_duration_s or mlperf_round.min_duration_s
        )

    def log_tree(self, case: Case, mlperf_round: Round) -> str | None:
        """Return <system>/<benchmark>/<Scenario>, for both modes (code/common/harness.py)."""
        system = case.metric_name.rsplit("-", 3)[0]
        levels = mlperf_round.benchmarks[case.benchmark].accuracy_levels
        level = f"-{case.accuracy}" if len(levels) > 1 else ""
        return f"{system}/{case.benchmark}{level}/{case.scenario}"

    def prepare(self, case: Case, placement: Placement, *, mlperf_round: Round, folder: Path) -> Preparation:
        """Raise RunError: see `missing`."""
        del placement, mlperf_round, folder
        raise RunError(f"harness '{case.harness}': {_MISSING}")
