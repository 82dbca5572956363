"""The rules that every case is held to, and `judge`, which applies them.

The further rules of a round (files, compliance) belong beside these: a function here, a line in `RULES`, its
limits in `rounds/<round>.yaml`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pytest_mlperf.units import format_number
from pytest_mlperf.verdict import Finding, Verdict, margin
from pytest_mlperf.verdict.configuration import as_configured
from pytest_mlperf.verdict.margins import SOURCE, constraints
from pytest_mlperf.verdict.run import CaseRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_mlperf.evidence import Evidence
    from pytest_mlperf.matrix import Case, Mode
    from pytest_mlperf.rounds import Benchmark, Round

    Rule = Callable[[CaseRun], Iterator[Finding]]


def of_the_case(run: CaseRun) -> Iterator[Finding]:
    """Hold the log to the scenario and mode of the case (no official checker does)."""
    asked = {"effective_scenario": run.case.scenario, "effective_test_mode": run.case.mode}
    for key, expected in asked.items():
        fact = run.evidence.detail.facts.get(key)
        satisfied = fact is not None and fact.value == expected
        yield Finding(
            rule=key,
            expected=expected,
            observed=str(fact.value) if fact else "nothing",
            satisfied=satisfied,
            source=SOURCE,
            place=fact.place if fact else None,
            next_step=None
            if satisfied
            else "look at what the harness ran: stdout.txt and stderr.txt of the case",
        )


_OUT_OF_QUERIES = "Ran out of generated queries"


def no_errors(run: CaseRun) -> Iterator[Finding]:
    """Hold LoadGen to no errors. Its own verdict does not include them: a run can be VALID with errors."""
    errors = run.evidence.detail.errors
    # How to come by more queries is said with the constraint that missed them.
    explained = all(_OUT_OF_QUERIES in str(error.value) for error in errors)
    yield Finding(
        rule="LoadGen errors",
        expected="none",
        observed=f"{len(errors)}: {errors[0].value}" if errors else "none",
        satisfied=not errors,
        source=SOURCE,
        place=errors[0].place if errors else None,
        next_step=None if explained else "look at the messages of the detail log around this line",
    )


def no_audit(run: CaseRun) -> Iterator[Finding]:
    """Hold the run to its own settings: an `audit.config` changes them, and LoadGen but warns of it."""
    audit = next((w for w in run.evidence.detail.warnings if "Audit Config" in str(w.value)), None)
    yield Finding(
        rule="audit.config",
        expected="none",
        observed=str(audit.value) if audit else "none",
        satisfied=audit is None,
        source="MLPerf Inference Rules, compliance tests",
        place=audit.place if audit else None,
        next_step="remove audit.config from the working folder of the harness" if audit else None,
    )


_CHOSEN_SAMPLES = ("effective_performance_issue_unique", "effective_performance_issue_same")


def random_samples(run: CaseRun) -> Iterator[Finding]:
    """Hold LoadGen to draw samples at random. Told otherwise, it repeats one of them, or none at all."""
    chosen = next((run.evidence.detail.facts[key] for key in _CHOSEN_SAMPLES if run.is_set(key)), None)
    yield Finding(
        rule="samples",
        expected="drawn at random",
        observed=f"{chosen.key} {chosen.value}" if chosen else "drawn at random",
        satisfied=chosen is None,
        source="MLPerf Inference Rules, compliance tests",
        place=chosen.place if chosen else None,
        next_step="look at user.conf and audit.config" if chosen else None,
    )


def valid(run: CaseRun) -> Iterator[Finding]:
    """Hold LoadGen's verdict to VALID, and the constraints that it follows from.

    LoadGen's recommendations can contradict each other: they are told where nothing better can be said.
    """
    held = list(constraints(run))
    told = not any(finding.next_step for finding in held)
    recommended = " ".join(str(fact.value) for fact in run.evidence.summary.recommendations)
    stated = run.evidence.detail.facts.get("result_validity")
    yield Finding(
        rule="result_validity",
        expected="VALID",
        observed=str(stated.value) if stated else "no verdict",
        satisfied=stated is not None and stated.value == "VALID",
        source=SOURCE,
        place=stated.place if stated else None,
        advice=(told and recommended) or None,
    )
    yield from held


def of_the_round(run: CaseRun) -> Iterator[Finding]:
    """Hold what LoadGen was told to the round. Of a shortened case it is but told."""
    least_ms = 1e3 * run.mlperf_round.min_duration_s
    told_ms = run.number("effective_min_duration_ms")
    yield _of_round(
        run,
        key="effective_min_duration_ms",
        expected=f">= {format_number(least_ms)}",
        satisfied=told_ms is not None and told_ms >= least_ms,
        next_step=f"set min_duration_s to {format_number(least_ms / 1e3)} or more",
    )
    for name, seed in asdict(run.mlperf_round.seeds).items():
        fact = run.evidence.detail.facts.get(f"effective_{name}_rng_seed")
        yield _of_round(
            run,
            key=f"effective_{name}_rng_seed",
            expected=str(seed),
            satisfied=fact is not None and fact.value == seed,
            next_step=f"let the harness take the seeds of {run.mlperf_round.name}; no matrix sets them",
        )


def latency_of_the_round(run: CaseRun) -> Iterator[Finding]:
    """Hold the latency that LoadGen judged by to the round: of which share of queries, of what, how long."""
    percentile = run.mlperf_round.latency_percentiles.get(run.case.scenario)
    if percentile is not None:
        yield _of_round(
            run,
            key="effective_target_latency_percentile",
            expected=format_number(percentile),
            satisfied=run.number("effective_target_latency_percentile") == percentile,
            next_step="look at user.conf: no matrix sets target_latency_percentile",
        )
    most_ms = run.benchmark.server_latency_ms
    if run.case.scenario != "Server" or most_ms is None:
        return
    told_ns = run.number("effective_target_latency_ns")
    yield _of_round(
        run,
        key="effective_target_latency_ns",
        expected=f"<= {format_number(1e6 * most_ms)}",
        satisfied=told_ns is not None and told_ns <= 1e6 * most_ms,
        next_step=f"set target_latency_ms to {format_number(most_ms)} or less",
    )
    # LoadGen then forgets the latency of whole queries. Before 4.0 it knew no other, and does not say so.
    tokens = run.evidence.detail.facts.get("requested_use_token_latencies")
    yield _of_round(
        run,
        key="requested_use_token_latencies",
        expected=str(run.benchmark.token_latencies),
        satisfied=(tokens.value if tokens else False) is run.benchmark.token_latencies,
        next_step="look at user.conf: no matrix sets use_token_latencies",
    )


def _of_round(run: CaseRun, *, key: str, expected: str, satisfied: bool, next_step: str) -> Finding:
    fact = run.evidence.detail.facts.get(key)
    relaxed = run.case.conformance == "smoke"
    return Finding(
        rule=key,
        expected=expected,
        observed=str(fact.value) if fact else "nothing",
        satisfied=satisfied,
        source=f"MLPerf Inference {run.mlperf_round.name}",
        place=fact.place if fact else None,
        relaxed=relaxed,
        next_step=None if satisfied or relaxed else next_step,
    )


def quality(run: CaseRun) -> Iterator[Finding]:
    """Hold the quality to 99 % or 99.9 % of the FP32 reference (MLPerf Inference Rules, quality targets)."""
    level, benchmark = run.case.accuracy, run.benchmark
    fact = run.evidence.accuracy.quality if run.evidence.accuracy else None
    target = benchmark.target_quality(level)
    unit = "" if benchmark.unit == "1" else f" {benchmark.unit}"
    reference = f"{level} % of the FP32 reference {_exact(benchmark.reference_quality)}{unit}"
    satisfied = fact is not None and fact.value >= target
    yield Finding(
        rule=f"quality ({benchmark.metric})",
        expected=f">= {_exact(target)}{unit} ({reference})",
        observed=f"{_exact(fact.value)}{unit}" if fact else "nothing",
        satisfied=satisfied,
        source="MLPerf Inference Rules, quality targets",
        place=fact.place if fact else None,
        margin=margin(fact.value if fact else None, target, "least"),
        next_step=None if satisfied else _better(run, fact.value if fact else None),
    )


def _better(run: CaseRun, value: float | None) -> str:
    """Return what to look at: no setting of a matrix changes the quality."""
    held = [level for level in run.benchmark.accuracy_levels if level != run.case.accuracy]
    held = [level for level in held if value is not None and value >= run.benchmark.target_quality(level)]
    reached = f"accuracy {held[-1]} is reached; " if held else ""
    return (
        f"{reached}look at the model, its precision and preprocessing: no setting of a matrix changes quality"
    )


def _exact(value: float) -> str:
    """Return a quality with all its digits: what differs must look different."""
    return f"{value:.12g}"


RULES: Mapping[Mode, tuple[Rule, ...]] = {
    "PerformanceOnly": (
        of_the_case,
        as_configured,
        no_errors,
        no_audit,
        random_samples,
        valid,
        of_the_round,
        latency_of_the_round,
    ),
    "AccuracyOnly": (of_the_case, no_errors, no_audit, quality),
}


def judge(case: Case, benchmark: Benchmark, evidence: Evidence, *, mlperf_round: Round) -> Verdict:
    """Hold a case's evidence against the rules of its mode."""
    run = CaseRun(
        case=case,
        benchmark=benchmark,
        mlperf_round=mlperf_round,
        evidence=evidence,
        latency_limit_ms=benchmark.server_latency_ms,
        chosen=frozenset(name for name, value in vars(case.settings).items() if value is None),
    )
    findings = [finding for rule in RULES[case.mode] for finding in rule(run)]
    return Verdict(findings=tuple(findings))
