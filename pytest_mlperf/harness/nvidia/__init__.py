"""NVIDIA's closed harness, one adapter for each of its harness types (lwis, custom, triton).

`names` is what it calls things, `registry` what it can run, `editions` how rounds differ, `stages` what is
started, and `statement` what it says at the end.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_mlperf.errors import Place, RunError
from pytest_mlperf.harness import Installation, Preparation
from pytest_mlperf.harness.nvidia.editions import EDITIONS
from pytest_mlperf.harness.nvidia.names import SUFFIXES, Names
from pytest_mlperf.harness.nvidia.registry import registered
from pytest_mlperf.harness.nvidia.stages import Stages
from pytest_mlperf.harness.nvidia.statement import Report
from pytest_mlperf.matrix import HarnessTerms

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mlperf.matrix import Case
    from pytest_mlperf.placement import Placement
    from pytest_mlperf.rounds import Round

_DISK_GB = 800
"""For bert, rnnt and the SSDs, by VirtualClient's documentation; NVIDIA's README has 3 TB for all of them."""

_TIME_LIMIT_S = 48 * 3600.0
"""For all stages: to download and prepare data may take a day."""

LOGS = "logs"


@dataclass(frozen=True, kw_only=True)
class Nvidia:
    """One of the harness types of closed/NVIDIA."""

    name: str
    installation: Installation = field(default_factory=Installation)

    def terms(self, mlperf_round: Round) -> HarnessTerms:
        """Return the benchmarks that are registered for this harness type (code/common/submission.py)."""
        edition = EDITIONS.get(mlperf_round.name)
        benchmarks = {n: b for n, b in mlperf_round.benchmarks.items() if self.name in b.harnesses}
        return HarnessTerms(
            system_suffix=edition.suffix(self.name) if edition else SUFFIXES.get(self.name, "_TRT"),
            benchmarks=benchmarks,
            accelerated=True,
            least_driver=edition.least_driver if edition else None,
            disk_gb=_DISK_GB,
            hashes_log=False,
            registered=registered(mlperf_round.name),
        )

    def missing(self, mlperf_round: Round) -> str | None:
        """Return what is to be named before cases of a round can run, or None."""
        if mlperf_round.name not in self.installation.trees:
            return f"no tree of {mlperf_round.name}: name it with --mlperf-nvidia {mlperf_round.name}=FOLDER"
        if self.installation.scratch is None:
            return "no folder for models and data: set MLPERF_SCRATCH_PATH"
        return None

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
        return names(case, mlperf_round).log_tree

    def prepare(self, case: Case, placement: Placement, *, mlperf_round: Round, folder: Path) -> Preparation:
        """Make the log folder of the case, and return the stages. Raises RunError when it cannot be made."""
        scratch = self.installation.scratch
        assert scratch is not None, "nothing is missing"
        log_dir = folder.absolute() / LOGS
        try:
            log_dir.mkdir()
        except OSError as error:
            raise RunError(
                f"cannot make the folder: {error.strerror}", place=Place(path=str(log_dir))
            ) from error
        stages = Stages(
            case=case,
            names=names(case, mlperf_round),
            edition=EDITIONS[case.round],
            tree=self.installation.trees[case.round].absolute(),
            scratch=scratch.absolute(),
            user_id=os.getuid(),
            placement=placement,
        )
        report = Report(
            names=stages.names,
            mode=case.mode,
            edition=stages.edition,
            log_dir=log_dir,
        )
        return Preparation(
            steps=tuple(stages.steps(log_dir)),
            log_dir=log_dir / stages.names.log_tree,
            time_limit_s=case.settings.time_limit_s or _TIME_LIMIT_S,
            statement=report.read,
        )


def names(case: Case, mlperf_round: Round) -> Names:
    """Return what the harness calls a case."""
    edition = EDITIONS[case.round]
    system = case.metric_name.rsplit("-", 3)[0]
    return Names(
        system_id=system.removesuffix("_MaxQ").removesuffix(edition.suffix(case.harness)),
        benchmark=case.benchmark,
        harness=case.harness,
        accuracy=case.accuracy,
        power=case.power,
        scenario=case.scenario,
        several_levels=len(mlperf_round.benchmarks[case.benchmark].accuracy_levels) > 1,
        triton_named=edition.triton_named,
    )
