"""The rules that every case is held to, and `judge`, which applies them.

The further rules of a round (durations, seeds, latency limits, files, compliance) belong beside these:
a function here, a line in `RULES`, its limits in `rounds/<round>.yaml`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mlperf.units import format_quantity
from pytest_mlperf.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_mlperf.evidence import Evidence, Fact
    from pytest_mlperf.matrix import Case, Mode
    from pytest_mlperf.rounds import Benchmark

    Rule = Callable[[Case, Benchmark, Evidence], Iterator[Finding]]

_LOADGEN = "MLPerf Inference Rules, LoadGen"


def of_the_case(case: Case, _benchmark: Benchmark, evidence: Evidence) -> Iterator[Finding]:
    """Hold the log to the scenario and mode of the case (no official checker does)."""
    asked = {"effective_scenario": case.scenario, "effective_test_mode": case.mode}
    for key, expected in asked.items():
        fact = evidence.detail.facts.get(key)
        yield Finding(
            rule=key,
            expected=expected,
            observed=str(fact.value) if fact else "nothing",
            satisfied=fact is not None and fact.value == expected,
            source=_LOADGEN,
            place=fact.place if fact else None,
        )


def no_errors(_case: Case, _benchmark: Benchmark, evidence: Evidence) -> Iterator[Finding]:
    """Hold LoadGen to no errors. Its own verdict does not include them: a run can be VALID with errors."""
    errors = evidence.detail.errors
    yield Finding(
        rule="LoadGen errors",
        expected="none",
        observed=f"{len(errors)}: {errors[0].value}" if errors else "none",
        satisfied=not errors,
        source=_LOADGEN,
        place=errors[0].place if errors else None,
    )


def no_audit(_case: Case, _benchmark: Benchmark, evidence: Evidence) -> Iterator[Finding]:
    """Hold the run to its own settings: an `audit.config` changes them, and LoadGen but warns of it."""
    audit = next((w for w in evidence.detail.warnings if "Audit Config" in str(w.value)), None)
    yield Finding(
        rule="audit.config",
        expected="none",
        observed=str(audit.value) if audit else "none",
        satisfied=audit is None,
        source="MLPerf Inference Rules, compliance tests",
        place=audit.place if audit else None,
    )


def valid(_case: Case, _benchmark: Benchmark, evidence: Evidence) -> Iterator[Finding]:
    """Hold LoadGen's verdict to VALID; if it is not, name each constraint that it found broken."""
    stated = evidence.detail.facts.get("result_validity")
    advice = " ".join(str(fact.value) for fact in evidence.summary.recommendations) or None
    yield Finding(
        rule="result_validity",
        expected="VALID",
        observed=str(stated.value) if stated else "no verdict",
        satisfied=stated is not None and stated.value == "VALID",
        source=_LOADGEN,
        place=stated.place if stated else None,
        advice=advice,
    )
    for name, fact in evidence.summary.constraints.items():
        if not fact.value:
            yield Finding(
                rule=name,
                expected=_constraint(name, evidence),
                observed=_measured(name, evidence),
                satisfied=False,
                source=_LOADGEN,
                place=fact.place,
            )


# The limit of a constraint and what it is held against, as keys of the detail log.
_LIMITS: Mapping[str, tuple[str, str]] = {
    "Min duration satisfied": ("effective_min_duration_ms", ">= {} ms"),
    "Min queries satisfied": ("effective_min_query_count", ">= {} queries"),
    "Performance constraints satisfied": ("effective_target_latency_ns", "99th percentile <= {}"),
}
_MEASUREMENTS: Mapping[str, tuple[str, str]] = {
    "Min queries satisfied": ("result_query_count", "{} queries"),
    "Performance constraints satisfied": ("result_99.00_percentile_latency_ns", "{}"),
    "Early stopping satisfied": ("early_stopping_result", "{}"),
}


def _constraint(name: str, evidence: Evidence) -> str:
    key, form = _LIMITS.get(name, ("", "Yes"))
    fact = evidence.detail.facts.get(key)
    return form.format(_words(fact)) if fact else "Yes"


def _measured(name: str, evidence: Evidence) -> str:
    key, form = _MEASUREMENTS.get(name, ("", ""))
    fact = evidence.detail.facts.get(key)
    return form.format(_words(fact)) if fact else "not satisfied"


def _words(fact: Fact) -> str:
    """Return a value as people read it: nanoseconds with a larger unit, text on one line."""
    if fact.key.endswith("_ns") and isinstance(fact.value, int | float):
        return f"{format_quantity(fact.value, 'ns')} ({fact.value} ns)"
    return " ".join(str(fact.value).replace("* ", "").split())


def quality(case: Case, benchmark: Benchmark, evidence: Evidence) -> Iterator[Finding]:
    """Hold the quality to 99 % or 99.9 % of the FP32 reference (MLPerf Inference Rules, quality targets)."""
    fact = evidence.accuracy.quality if evidence.accuracy else None
    target = benchmark.target_quality(case.accuracy)
    unit = "" if benchmark.unit == "1" else f" {benchmark.unit}"
    reference = f"{case.accuracy} % of the FP32 reference {_exact(benchmark.reference_quality)}{unit}"
    yield Finding(
        rule=f"quality ({benchmark.metric})",
        expected=f">= {_exact(target)}{unit} ({reference})",
        observed=f"{_exact(fact.value)}{unit}" if fact else "nothing",
        satisfied=fact is not None and fact.value >= target,
        source="MLPerf Inference Rules, quality targets",
        place=fact.place if fact else None,
    )


def _exact(value: float) -> str:
    """Return a quality with all its digits: what differs must look different."""
    return f"{value:.12g}"


RULES: Mapping[Mode, tuple[Rule, ...]] = {
    "PerformanceOnly": (of_the_case, no_errors, no_audit, valid),
    "AccuracyOnly": (of_the_case, no_errors, no_audit, quality),
}


def judge(case: Case, benchmark: Benchmark, evidence: Evidence) -> Verdict:
    """Hold a case's evidence against the rules of its mode."""
    findings = [f for rule in RULES[case.mode] for f in rule(case, benchmark, evidence)]
    return Verdict(findings=tuple(findings))
