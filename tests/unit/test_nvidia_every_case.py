"""Every configuration that NVIDIA registers in v2.0, as a case of a matrix: what is run for it, and where."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from pytest_mlperf import catalogue, rounds
from pytest_mlperf.hardware import skus
from pytest_mlperf.harness.nvidia import names
from pytest_mlperf.harness.nvidia.editions import EDITIONS
from pytest_mlperf.harness.nvidia.names import parse
from pytest_mlperf.harness.nvidia.registry import registered
from pytest_mlperf.harness.nvidia.stages import Stages
from pytest_mlperf.matrix.loading import load
from pytest_mlperf.placement import Placement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_mlperf.matrix import Case, Registration

ROUND = rounds.load("v2.0")
NOT_NVIDIA = ("Triton_CPU_", "Triton_Inferentia_")
LOG_DIR = Path("/out/logs")
SKU_OF = {sku.system_id: name for name, sku in skus.load().items()}


def is_case(row: Registration) -> bool:
    """Return whether a matrix can ask for a configuration."""
    return row.system_id in SKU_OF and row.harness in catalogue.HARNESSES


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Case]:
    """Load a matrix of all configurations that a matrix can ask for."""
    blocks = [
        {
            "sku": SKU_OF[row.system_id],
            **{name: getattr(row, name) for name in ("benchmark", "harness", "power", "scenario")},
            "accuracy": float(row.accuracy) if "." in row.accuracy else int(row.accuracy),
        }
        for row in sorted(registered("v2.0"), key=str)
        if is_case(row)
    ]
    matrix = {"round": "v2.0", "category": "datacenter", "axes": {"mode": "AccuracyOnly"}, "include": blocks}
    path = tmp_path_factory.mktemp("matrix") / "every.yaml"
    path.write_text(yaml.safe_dump(matrix), encoding="utf-8")
    return load(path, catalogue.vocabularies(catalogue.HARNESSES), rounds.names()).cases


def test_most_configurations_are_cases_and_the_others_are_known(cases: Sequence[Case]) -> None:
    assert len({case.id for case in cases}) == len(cases) == 1627
    left_out = Counter(
        row.system_id if row.system_id not in SKU_OF else row.harness
        for row in registered("v2.0")
        if not is_case(row)
    )
    assert sum(count for name, count in left_out.items() if name.startswith(NOT_NVIDIA)) == 35
    assert left_out["hetero"] == 112
    assert sum(left_out.values()) == 147


def test_every_case_is_run_as_its_configuration(cases: Sequence[Case], tmp_path: Path) -> None:
    asked = set()
    for case in cases:
        stages = Stages(
            case=case,
            names=names(case, ROUND),
            edition=EDITIONS["v2.0"],
            tree=tmp_path,
            scratch=tmp_path,
            user_id=0,
            placement=Placement(sku=case.sku, devices=(), driver=None),
        )
        *_, engines, run = stages.steps(LOG_DIR)
        system, workload, scenario, _ = case.metric_name.rsplit("-", 3)
        level = "" if len(ROUND.benchmarks[case.benchmark].accuracy_levels) == 1 else f"-{case.accuracy}"
        assert stages.names.log_tree == f"{system}/{case.benchmark}{level}/{scenario}"
        assert workload == f"{case.harness}_k_{case.accuracy.replace('.', '_')}_{case.power}"
        assert parse(case.metric_name, benchmark=case.benchmark, several_levels=bool(level)) == (
            stages.names,
            case.mode,
        )
        selected = f"RUN_ARGS=--benchmarks={case.benchmark} --scenarios={scenario} --config_ver="
        assert engines.argv[-1].startswith(selected)
        assert run.argv == (
            *("make", "run_harness", f"LOG_DIR={LOG_DIR}"),
            f"{engines.argv[-1]} --test_mode=AccuracyOnly",
        )
        assert (run.container is None) == (case.sku in ("Orin", "Xavier_NX", "AGX_Xavier"))
        assert engines.stamp is not None
        folder = tmp_path / "build/engines" / stages.names.system_id / case.benchmark / scenario
        assert engines.stamp.folder == folder
        plan = f"{case.benchmark}-{scenario}-gpu-b64-int8.{workload}.plan"
        assert fnmatch(plan, engines.stamp.own)
        assert not fnmatch(plan.replace(f".{workload}.", ".other_k_99_MaxP."), engines.stamp.own)
        asked.add((stages.names.system_id, case.benchmark, run.argv))
    assert len(asked) == len(cases)
