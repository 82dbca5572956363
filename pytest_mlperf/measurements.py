"""What is measured in a run: its headline values, and how it went."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_mlperf.errors import EvidenceError
from pytest_mlperf.evidence.reading import read_trace
from pytest_mlperf.record import Measurement
from pytest_mlperf.verdict.latencies import distributions
from pytest_mlperf.verdict.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_mlperf.evidence import Evidence, Fact
    from pytest_mlperf.matrix import Case, Scenario
    from pytest_mlperf.record import Record
    from pytest_mlperf.rounds import Benchmark

# The headline values by scenario: key of the detail log, and unit.
_HEADLINES: Mapping[Scenario, tuple[tuple[str, str], ...]] = {
    "SingleStream": (("result_90.00_percentile_latency_ns", "ns"), ("early_stopping_latency_ss", "ns")),
    "MultiStream": (
        ("result_99.00_percentile_per_query_latency_ns", "ns"),
        ("early_stopping_latency_ms", "ns"),
    ),
    "Server": (
        ("result_scheduled_samples_per_sec", "samples/s"),
        ("result_completed_samples_per_sec", "samples/s"),
        ("result_99.00_percentile_latency_ns", "ns"),
    ),
    "Offline": (("result_samples_per_second", "samples/s"),),
}


def measure(case: Case, benchmark: Benchmark, evidence: Evidence) -> Iterator[Measurement]:
    """Give the headline values of a run, of an accuracy with its target.

    Raises EvidenceError where a verdict has no value, or a value is no number.
    """
    if evidence.accuracy is not None:
        target = benchmark.target_quality(case.accuracy)
        quality = float(evidence.accuracy.quality.value)
        yield Measurement(name="AccuracyValue", value=quality, unit=benchmark.unit)
        yield Measurement(name="ThresholdValue", value=target, unit=benchmark.unit)
        yield Measurement(name="Accuracy Threshold Ratio", value=quality / target, unit="1")
        return
    headlines = _HEADLINES[case.scenario]
    ran = evidence.detail.facts.get("effective_scenario")
    if ran is not None and ran.value != case.scenario:
        return
    if not any(key in evidence.detail.facts for key, _ in headlines) and evidence.summary.validity:
        raise EvidenceError(
            f"no key {headlines[0][0]}: a verdict without a value", place=evidence.summary.validity.place
        )
    for key, unit in headlines:
        fact = evidence.detail.facts.get(key)
        if fact is not None:
            yield Measurement(name=key, value=_number(fact), unit=unit)


def _number(fact: Fact) -> float:
    if isinstance(fact.value, int | float) and abs(fact.value) <= sys.float_info.max:
        return float(fact.value)
    raise EvidenceError(f"{fact.key}: found {fact.value!r}, allowed: a number", place=fact.place)


def with_course(record: Record, evidence: Evidence, log_dir: Path) -> Record:
    """Return the record of a measurement with how it went: its latencies, and its throughput over time."""
    if record.case.mode != "PerformanceOnly":
        return record
    run = Run(evidence=evidence)
    latencies, trace = distributions(run), read_trace(log_dir)
    if trace and run.scenario in ("SingleStream", "Server") and len(latencies) == 1:
        # There a sample is a query, and the trace has them all.
        latencies = (replace(latencies[0], quantiles=trace.latencies.quantiles),)
    return replace(record, latencies=latencies, throughput=trace.throughput if trace else None)
