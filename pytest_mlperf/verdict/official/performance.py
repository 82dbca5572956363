"""The rules of a performance run: what its detail log must say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_mlperf.verdict import margin
from pytest_mlperf.verdict.official import (
    EARLY_STOPPING_SCENARIOS,
    Ruling,
    Terms,
    logged_scenario,
    number,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_mlperf.evidence import DetailLog, Fact, Summary

    Rule = Callable[[Terms, DetailLog], Iterator[Ruling]]

# From which scenario another one may be inferred, on an edge system.
_INFERRED = {("SingleStream", "MultiStream"), ("SingleStream", "Offline"), ("MultiStream", "Offline")}
# Interactive is LoadGen's Server with other limits.
_SAME = ("Server", "Interactive")
_MODES = ("PerformanceOnly", "SubmissionRun")
_NETWORK_SUT = "Network SUT"

# What a result is computed from, beside the key of its own scenario, when it is inferred.
_INFERRED_FROM = {
    ("SingleStream", "MultiStream"): "early_stopping_latency_ms",
    ("SingleStream", "Offline"): "result_qps_without_loadgen_overhead",
    ("MultiStream", "Offline"): "result_mean_query_latency_ns",
}


def validity(terms: Terms, log: DetailLog) -> Iterator[Ruling]:
    """Hold LoadGen's verdict to VALID."""
    fact = log.facts.get("result_validity")
    ruling = terms.ruling("validity", "VALID", fact, satisfied=_is(fact, "VALID"))
    # Some checkers forget LoadGen's verdict where they look at token latencies.
    forgotten = "tokens_replace_validity" in terms.round.quirks and terms.benchmark.token_limits is not None
    yield ruling.but("off" if forgotten else None)


def _is(fact: Fact | None, *values: object) -> bool:
    return fact is not None and fact.value in values


def errors(terms: Terms, log: DetailLog) -> Iterator[Ruling]:
    """Hold LoadGen to no errors. Its own verdict does not include them."""
    yield errors_of(terms, log, "errors")


def errors_of(terms: Terms, log: DetailLog, rule: str) -> Ruling:
    """Return the ruling on the errors of a log, of a performance or an accuracy run."""
    counted = log.facts.get("num_errors")
    by_count = "counted_errors" in terms.round.quirks and counted is not None
    observed: Fact | str = "none"
    if log.errors:
        observed = replace(log.errors[0], value=f"{len(log.errors)}: {log.errors[0].value}")
    elif by_count and counted and counted.value != 0:
        observed = replace(counted, value=f"num_errors {counted.value}")
    ruling = terms.ruling(rule, "none", observed, satisfied=observed == "none")
    # A checker that trusts LoadGen's count, which is taken before the test has ended, misses later errors.
    return ruling.but("off" if by_count and _is(counted, 0) else None)


def samples(terms: Terms, log: DetailLog) -> Iterator[Ruling]:
    """Hold the samples in memory to those that the benchmark asks for."""
    fact = log.facts.get("effective_performance_sample_count")
    yield terms.at_least("performance_samples", fact, terms.benchmark.performance_samples)


def seeds(terms: Terms, log: DetailLog) -> Iterator[Ruling]:
    """Hold the seeds to the round's, and those of TEST05 to its own."""
    expected = terms.round.test05_seeds if terms.test == "TEST05" else terms.round.seeds
    for name, seed in vars(expected).items() if expected else ():
        fact = log.facts.get(f"effective_{name}_rng_seed")
        yield terms.ruling("seeds", f"{name} {seed}", fact, satisfied=_is(fact, seed))


def duration(terms: Terms, log: DetailLog) -> Iterator[Ruling]:
    """Hold the shortest duration that LoadGen was asked for to the round's, in milliseconds."""
    fact = log.facts.get("effective_min_duration_ms")
    yield terms.at_least("duration", fact, terms.round.min_duration_ms)


def early_stopping(terms: Terms, log: DetailLog) -> Iterator[Ruling]:
    """Hold the run to as many queries as its percentile needs."""
    if logged_scenario(log) not in EARLY_STOPPING_SCENARIOS:
        return
    fact = log.facts.get("early_stopping_met")
    satisfied = fact is not None and bool(fact.value)
    why = log.facts.get("early_stopping_result")
    observed = replace(why, value=" ".join(shown(why).split())) if why and not satisfied else fact
    yield terms.ruling("early_stopping", "met", observed, satisfied=satisfied)


def server_latency(terms: Terms, log: DetailLog) -> Iterator[Ruling]:
    """Hold the latency that LoadGen judged by to the benchmark's, in nanoseconds."""
    scenario = logged_scenario(log)
    limit = terms.benchmark.latency_ns.get(scenario)
    if limit is not None and scenario in EARLY_STOPPING_SCENARIOS:
        yield terms.at_most("server_latency", log.facts.get("effective_target_latency_ns"), limit)


def queries(terms: Terms, log: DetailLog) -> Iterator[Ruling]:
    """Hold Offline to its queries and to the samples of each; early stopping judges the other scenarios."""
    scenario = logged_scenario(log)
    if scenario in EARLY_STOPPING_SCENARIOS:
        return
    least = terms.benchmark.min_queries.get(scenario)
    if least:
        yield terms.at_least("min_queries", log.facts.get("effective_min_query_count"), least)
    needed = terms.benchmark.offline_samples
    closed_only = "offline_samples_closed_only" in terms.round.quirks
    if scenario == "Offline" and needed and not (closed_only and terms.division != "closed"):
        yield terms.at_least("offline_samples", log.facts.get("effective_samples_per_query"), needed)


def token_latency(terms: Terms, log: DetailLog) -> Iterator[Ruling]:
    """Hold time to first token and time per output token below their limits (Server and Interactive)."""
    limits = terms.benchmark.token_limits
    if limits is None:
        return
    fact = log.facts.get("requested_use_token_latencies")
    used = fact is not None and bool(fact.value)
    yield terms.ruling("token_latency", "token latencies measured", fact, satisfied=used)
    by_log = terms.level == "official" and "token_limits_of_log" in terms.round.quirks
    scenario = logged_scenario(log) if by_log else terms.scenario
    if not used or scenario not in _SAME:
        return
    limit = limits.get(scenario)
    if limit is None:
        yield terms.ruling("token_latency", "a scenario with limits", scenario, satisfied=False)
        return
    yield _below(terms, log, "result_first_token_99.00_percentile_latency_ns", limit.first_ns)
    yield _below(terms, log, "result_time_per_output_token_99.00_percentile_ns", limit.each_ns)


def _below(terms: Terms, log: DetailLog, key: str, limit: float) -> Ruling:
    value = number(log.facts.get(key))
    return terms.ruling(
        "token_latency",
        f"{key} < {limit!r}",
        log.facts.get(key),
        satisfied=value is not None and value < limit,
        margin=margin(value, limit, "most"),
    )


def equal_issue(terms: Terms, log: DetailLog) -> Iterator[Ruling]:
    """Hold the samples of a benchmark whose samples differ in length to be drawn equally often."""
    key = "effective_sample_concatenate_permutation"
    enforced = terms.round.severity("equal_issue") == "fail"
    if not terms.benchmark.equal_issue or (terms.division == "open" and not enforced):
        return
    fact = log.facts.get(key)
    ruling = terms.ruling("equal_issue", f"{key} True", fact, satisfied=_is(fact, True))
    # LoadGen did not always say it.
    yield ruling.forbidden_if(fact is not None)


def inference(terms: Terms, log: DetailLog) -> Iterator[Ruling]:
    """Hold the scenario of the log to the directory's, or to one that it may be inferred from."""
    fact = log.facts.get("effective_scenario")
    pair = (shown(fact), terms.scenario)
    inferred = terms.category != "datacenter" and pair in _INFERRED
    expected = f"{terms.scenario}, or on an edge system a scenario to infer it from"
    satisfied = pair[0] == pair[1] or pair == _SAME or inferred
    ruling = terms.ruling("inference", expected, fact, satisfied=satisfied)
    yield ruling.but("fail" if terms.scenario == "Interactive" else None)


def mode(terms: Terms, log: DetailLog) -> Iterator[Ruling]:
    """Hold the log to be of a performance run. No checker looks at this."""
    fact = log.facts.get("effective_test_mode")
    yield terms.ruling("mode", " or ".join(_MODES), fact, satisfied=_is(fact, *_MODES))


def contradiction(terms: Terms, log: DetailLog) -> Iterator[Ruling]:
    """Hold the log to state each setting and result once. The checkers take the first."""
    for first, other in log.conflicts:
        expected = f"{first.key} {shown(first)}, as in line {first.place.line}"
        yield terms.ruling("contradiction", expected, other, satisfied=False)


def result(terms: Terms, log: DetailLog) -> Iterator[Ruling]:
    """Hold the run to a result: of its own scenario, and of the one that is inferred from it."""
    logged = logged_scenario(log)
    inferred = _INFERRED_FROM.get((logged, terms.scenario))
    for key in (terms.benchmark.results.get(logged, "a result"), *([inferred] if inferred else [])):
        fact = log.facts.get(key)
        satisfied = (number(fact) or 0) > 0
        yield terms.ruling("result", f"{key} > 0", fact, satisfied=satisfied).but("fail")


def network(terms: Terms, log: DetailLog) -> Iterator[Ruling]:
    """Hold the system to its division, and its name in the log to a system over a network."""
    if terms.division in ("closed", "network"):
        expected = terms.division == "network"
        satisfied = terms.is_network is expected
        ruling = terms.ruling("network", f"is_network {expected}", str(terms.is_network), satisfied=satisfied)
        yield ruling.but("fail")
    if terms.is_network:
        fact = log.facts.get("sut_name")
        satisfied = _NETWORK_SUT in shown(fact)
        yield terms.ruling("network", f"a name with '{_NETWORK_SUT}'", fact, satisfied=satisfied).but("fail")


def agreement(terms: Terms, log: DetailLog, summary: Summary) -> Iterator[Ruling]:
    """Hold the summary to the detail log. No checker reads it."""
    fact = log.facts.get("result_validity")
    told = shown(summary.validity)
    yield terms.ruling("summary", f"{shown(fact)}, as the detail log", told, satisfied=told == shown(fact))
    expected = f"{'some' if log.errors else 'no'} errors, as the detail log"
    satisfied = bool(summary.errors.value) is bool(log.errors)
    yield terms.ruling("summary", expected, summary.errors, satisfied=satisfied)


RULES: tuple[Rule, ...] = (
    validity,
    errors,
    inference,
    mode,
    contradiction,
    seeds,
    duration,
    samples,
    queries,
    early_stopping,
    server_latency,
    token_latency,
    equal_issue,
    result,
    network,
)


def judge(terms: Terms, log: DetailLog) -> Iterator[Ruling]:
    """Hold the detail log of a performance run to every rule."""
    for rule in RULES:
        yield from rule(terms, log)
