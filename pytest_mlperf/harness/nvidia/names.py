"""What NVIDIA's harness calls things: its arguments, folders and files, and back from the name of a metric.

Source: mlcommons/inference_results_v2.0, closed/NVIDIA/code: main.py, common/{harness,constants}.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_mlperf.matrix import METRIC_MODES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_mlperf.matrix import Mode

SUFFIXES: Mapping[str, str] = {"triton": "_TRT_Triton", "hetero": "_TRT_HeteroMultiUse"}
"""What stands behind the system id, by harness type; `_TRT` for all others."""

# They run without TensorRT, and say so.
_WITHOUT_TENSORRT = ("Triton_CPU_", "Triton_Inferentia_")

_LEVELS = {"99": "k_99", "99.9": "k_99_9"}
_METRIC_NAME = re.compile(
    r"(?P<system>.+?)(?P<tensorrt>_TRT)?(?P<triton>_Triton)?(?P<maxq>_MaxQ)?(?P<hetero>_HeteroMultiUse)?"
    r"-(?P<harness>lwis|custom|triton|hetero|triton_unified)_(?P<level>k_99(?:_9)?)_(?P<power>MaxP|MaxQ)"
    r"-(?P<scenario>SingleStream|MultiStream|Server|Offline)-(?P<mode>AccuracyMode|PerformanceMode)"
)


@dataclass(frozen=True, kw_only=True)
class Names:
    """What a configuration is called.

    several_levels: whether the benchmark has a target of 99.9 % beside that of 99 %
    triton_named:   whether the system's name says Triton, which that of v5.1 does not
    """

    system_id: str
    benchmark: str
    harness: str
    accuracy: str
    power: str
    scenario: str
    several_levels: bool
    triton_named: bool = True

    @property
    def system(self) -> str:
        """System name: `DGX-A100_A100-SXM-80GBx8_TRT_MaxQ`."""
        if self.system_id.startswith(_WITHOUT_TENSORRT):
            return self.system_id
        triton = "_Triton" if self.harness == "triton" and self.triton_named else ""
        power = "_MaxQ" if self.power == "MaxQ" else ""
        hetero = "_HeteroMultiUse" if self.harness == "hetero" else ""
        return f"{self.system_id}_TRT{triton}{power}{hetero}"

    @property
    def workload(self) -> str:
        """Short name of the workload: `custom_k_99_9_MaxP`."""
        return f"{self.harness}_{_LEVELS[self.accuracy]}_{self.power}"

    @property
    def config(self) -> str:
        """Key of the harness's summaries: `A2x2_TRT-custom_k_99_MaxP-Offline`. Benchmarks share it."""
        return f"{self.system}-{self.workload}-{self.scenario}"

    @property
    def benchmark_full(self) -> str:
        """Folder of the benchmark: `bert-99.9`, `rnnt`."""
        return f"{self.benchmark}-{self.accuracy}" if self.several_levels else self.benchmark

    @property
    def log_tree(self) -> str:
        """Where LoadGen's logs are, below the log folder."""
        return f"{self.system}/{self.benchmark_full}/{self.scenario}"

    @property
    def engines(self) -> str:
        """Where the engines are, below the tree; with those of the other harness types."""
        return f"build/engines/{self.system_id}/{self.benchmark}/{self.scenario}"

    @property
    def plans(self) -> str:
        """Pattern for the files of its engines; device, batch size and precision are as it is registered."""
        return f"{self.benchmark}-{self.scenario}-*.{self.workload}.plan"

    @property
    def config_ver(self) -> str:
        """The word for `--config_ver`: `high_accuracy_triton_maxq`; it is looked through for parts."""
        parts = [
            "hetero" if self.harness == "hetero" else "",
            "high_accuracy" if self.accuracy == "99.9" else "",
            self.harness if self.harness.startswith("triton") else "",
            "maxq" if self.power == "MaxQ" else "",
        ]
        return "_".join(filter(None, parts)) or "default"

    def metric(self, mode: Mode) -> str:
        """Name of the metric: `A2x2_TRT-custom_k_99_MaxP-Offline-AccuracyMode`."""
        return f"{self.config}-{METRIC_MODES[mode]}"


def parse(metric_name: str, *, benchmark: str, several_levels: bool) -> tuple[Names, Mode]:
    """Return what a metric is of. The name itself does not say the benchmark.

    Raises ValueError for a name that NVIDIA's harness does not give.
    """
    match = _METRIC_NAME.fullmatch(metric_name)
    if match is None:
        raise ValueError(f"{metric_name}: not the name of a metric of NVIDIA's harness")
    level = next(word for word, name in _LEVELS.items() if name == match["level"])
    mode: Mode = "AccuracyOnly" if match["mode"] == METRIC_MODES["AccuracyOnly"] else "PerformanceOnly"
    names = Names(
        system_id=match["system"],
        benchmark=benchmark,
        harness=match["harness"],
        accuracy=level,
        power=match["power"],
        scenario=match["scenario"],
        several_levels=several_levels,
    )
    if names.metric(mode) != metric_name:
        names = replace(names, triton_named=False)
    if names.metric(mode) != metric_name:
        raise ValueError(f"{metric_name}: its parts do not fit together")
    return names, mode
