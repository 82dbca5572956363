"""What a round of MLPerf Inference says, as data: benchmarks, scenarios, quality, seeds, durations.

A round is one YAML file beside this module. The rules are not here: those are functions (`verdict`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mlperf import shipped

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """LoadGen's random seeds. A round draws new ones, so that nobody can prepare for the order of samples."""

    qsl: int
    sample_index: int
    schedule: int


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A benchmark as far as a case of it can be planned and judged.

    metric:              the word that finds the value in `accuracy.txt` (accuracy, f1, wer, mAP, auc, dice)
    unit:                of the quality: "%", or "1" for a fraction
    reference_quality:   of the FP32 model; the targets are 99 % and 99.9 % of it
    accuracy_levels:     the percentages of the reference that may be asked for ("99", "99.9")
    harnesses:           the harnesses that implement it
    server_latency_ms:   limit of the 99th percentile in Server, None without a Server scenario
    published_duration_s: length of a published performance run by scenario, where one is known
    token_latencies:     whether Server is held to the latencies of tokens instead of those of whole queries
    """

    name: str
    metric: str
    unit: str
    reference_quality: float
    accuracy_levels: tuple[str, ...]
    scenarios: tuple[str, ...]
    harnesses: tuple[str, ...]
    server_latency_ms: float | None
    published_duration_s: Mapping[str, float]
    token_latencies: bool = False

    def target_quality(self, level: str) -> float:
        """Return the quality to reach at an accuracy level (MLPerf Inference Rules: a part of FP32)."""
        # In decimal, as the rules do: a quality of exactly the target must reach it.
        return float(Decimal(str(self.reference_quality)) * Decimal(level) / 100)


@dataclass(frozen=True, kw_only=True)
class Round:
    """A round: its name (`v2.0`), seeds, shortest run and benchmarks by name.

    latency_percentiles: by scenario, the share of queries that its latency is stated for
    """

    name: str
    seeds: Seeds
    min_duration_s: float
    latency_percentiles: Mapping[str, float]
    benchmarks: Mapping[str, Benchmark]


def names() -> tuple[str, ...]:
    """Return the rounds that are known."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


@cache
def load(name: str) -> Round:
    """Return a round by name. Raises KeyError for a round that is not among `names()`."""
    path = _FOLDER / f"{name}.yaml"
    if name not in names():
        raise KeyError(name)
    content = shipped.read(path)
    return Round(
        name=name,
        seeds=Seeds(**content["seeds"]),
        min_duration_s=content["min_duration_s"],
        latency_percentiles=content["latency_percentiles"],
        benchmarks={key: _benchmark(key, value) for key, value in content["benchmarks"].items()},
    )


def _benchmark(name: str, content: Mapping[str, Any]) -> Benchmark:
    return Benchmark(
        name=name,
        metric=content["metric"],
        unit=content["unit"],
        reference_quality=content["reference_quality"],
        accuracy_levels=tuple(content["accuracy_levels"]),
        scenarios=tuple(content["scenarios"]),
        harnesses=tuple(content["harnesses"]),
        server_latency_ms=content.get("server_latency_ms"),
        published_duration_s=content.get("published_duration_s", {}),
        token_latencies=content.get("token_latencies", False),
    )
