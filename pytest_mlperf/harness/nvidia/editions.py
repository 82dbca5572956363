"""What differs between the rounds of closed/NVIDIA: arguments, what runs in Docker, where results are.

Sources: closed/NVIDIA of mlcommons/inference_results_<round>: Makefile, Makefile.docker, code/main.py,
code/common/harness.py, scripts/print_harness_result.py. What was not read is not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_mlperf.harness.nvidia.names import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_mlperf.harness.nvidia.names import Names


@dataclass(frozen=True, kw_only=True)
class Edition:
    """The harness of a round.

    least_driver:  oldest driver (DRIVER_VER_MAJOR)
    shortened:     the flag for a short run, which is never submission-valid
    results:       `summaries` beside the logs of a session, or `metadata` beside the logs of each run
    bare:          systems that run without Docker
    by_level:      a configuration is asked for by harness type, target and power, not by a word
    triton_named:  whether the system's name says Triton
    """

    least_driver: str | None
    shortened: str
    results: Literal["summaries", "metadata"]
    bare: tuple[str, ...]
    by_level: bool = False
    triton_named: bool = True

    def suffix(self, harness: str) -> str:
        """Return what stands behind the system id: `_TRT_Triton`."""
        named = harness != "triton" or self.triton_named
        return SUFFIXES.get(harness, "_TRT") if named else "_TRT"

    def configuration(self, names: Names) -> list[str]:
        """Return the arguments that select a configuration."""
        if not self.by_level:
            return [f"--config_ver={names.config_ver}"]
        target = {"99": "0.99", "99.9": "0.999"}[names.accuracy]
        return [
            f"--harness_type={names.harness}",
            f"--accuracy_target={target}",
            f"--power_setting={names.power}",
        ]


_JETSON = ("Orin", "Xavier_NX", "AGX_Xavier")

EDITIONS: Mapping[str, Edition] = {
    "v2.0": Edition(least_driver="510", shortened="--fast", results="summaries", bare=_JETSON),
    "v4.1": Edition(least_driver="515", shortened="--test_run", results="metadata", bare=()),
    "v5.1": Edition(
        least_driver="515",
        shortened="--test_run",
        results="metadata",
        bare=(),
        by_level=True,
        triton_named=False,
    ),
}
