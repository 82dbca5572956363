"""What to change after INVALID: which setting of the matrix, from which value to which, and why.

LoadGen's own recommendations name no value, know no matrix, and can contradict each other. Here is said only
what follows from the log; where a value does not, what to look at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mlperf.units import format_duration, format_number, format_quantity
from pytest_mlperf.verdict import early_stopping, latencies

if TYPE_CHECKING:
    from pytest_mlperf.verdict.latencies import Latency
    from pytest_mlperf.verdict.run import Run

_OFFLINE_SLACK = 1.1
"""Offline's one query has this many times the samples that target_qps asks for."""

_STREAM_SLACK = 2
"""SingleStream and MultiStream have this many times the queries that expected_latency_ms asks for."""

_KEEPS_UP = 0.9
"""Share of the scheduled rate: who completes less has fallen behind."""

_QUEUE = 10
"""Times the limit of the latency: so has who needs longer than this for the last queries."""

_MOST_REPEATED = 20
"""More queries than this many times those of the run are no remedy for late ones."""

_SHORTENING = ("max_duration_ms", "max_query_count", "performance_issue_unique", "performance_issue_same")
"""Settings of LoadGen that make it do less than it is asked for otherwise."""


def longer(run: Run) -> str | None:
    """Return how a run comes to last its shortest duration."""
    if cut := _cut_short(run):
        return cut
    if run.scenario == "Offline":
        return _more_samples(run)
    return _shorter_expectation(run) if run.is_stream and _all_used(run) else _LOOK


def _more_samples(run: Run) -> str | None:
    """Return the target of Offline that lasts: LoadGen makes one query, and the run ends with it."""
    rate, target = run.number("result_samples_per_second"), run.number("effective_target_qps")
    samples, duration_s = run.count("generated_samples_per_query"), run.duration_s
    if not rate or not target:
        return None
    if target * _OFFLINE_SLACK >= rate:
        return f"target_qps {format_number(target)} asks for samples enough at this rate: {_LOOK}"
    change = f"{_set(run, 'target_qps', target, rate)} (the rate reached) or more"
    reason = f"LoadGen prepares {_OFFLINE_SLACK} x target_qps x min_duration_s samples"
    if samples is None or duration_s is None:
        return f"{change}: {reason}"
    return f"{change}: {reason}, and the {samples} of this run took {_time(duration_s)}"


def _shorter_expectation(run: Run) -> str | None:
    """Return the expected latency that lasts: LoadGen makes its queries before it starts the clock."""
    key = "result_mean_query_latency_ns" if run.scenario == "MultiStream" else "result_mean_latency_ns"
    mean_ns, target = run.number(key), run.number("effective_target_qps")
    used, duration_s = run.count("result_query_count"), run.duration_s
    if not mean_ns or not target:
        return None
    change = f"{_set(run, 'expected_latency_ms', 1e3 / target, mean_ns / 1e6)} (the mean) or less"
    reason = f"LoadGen prepares queries for {_STREAM_SLACK} x min_duration_s at that latency"
    if used is None or duration_s is None:
        return f"{change}: {reason}"
    return f"{change}: {reason}, and all {used} were used after {_time(duration_s)}"


def _all_used(run: Run) -> bool:
    used, prepared = run.count("result_query_count"), run.count("generated_query_count")
    return used is not None and prepared is not None and used >= prepared


def _cut_short(run: Run) -> str | None:
    """Return what shortened a run that no matrix sets, or None."""
    found = " and ".join(name for name in _SHORTENING if run.is_set(f"effective_{name}"))
    if not found:
        return None
    return f"LoadGen was told to do less by {found}, which no matrix sets: look at user.conf and audit.config"


def more_queries(run: Run) -> str | None:
    """Return how a run comes to its least queries."""
    return longer(run) if run.is_stream else _cut_short(run) or _LOOK


_LOOK = "look at the messages of the detail log: why did it end?"


def faster(run: Run) -> str | None:
    """Return how Server's latency comes below its limit, as far as one run can tell."""
    target = run.number("effective_target_qps")
    over = [latency for latency in latencies.held(run) if _is_over(run, latency)]
    if not over or target is None:
        return None
    return _raised_limit(run, over) or _hopeless(run, over[0]) or _lower_target(run, target, over[0])


def _is_over(run: Run, latency: Latency) -> bool:
    measured_ns, limit_ns = latency.percentile_ns(run, run.target_percentile), latency.limit_ns(run)
    return measured_ns is not None and limit_ns is not None and measured_ns > limit_ns


def _raised_limit(run: Run, over: list[Latency]) -> str | None:
    """Return the limit of the round, where the run was held to a smaller one for no reason."""
    allowed_ms = run.latency_limit_ms
    (latency, *_) = over
    limit_ns, measured_ns = latency.limit_ns(run), latency.percentile_ns(run, run.target_percentile)
    if latency.part or allowed_ms is None or limit_ns is None or measured_ns is None:
        return None
    if not limit_ns < measured_ns <= 1e6 * allowed_ms:
        return None
    change = _set(run, "target_latency_ms", limit_ns / 1e6, allowed_ms)
    return f"{change}: the benchmark allows that, and this percentile keeps it"


def _hopeless(run: Run, latency: Latency) -> str | None:
    fastest_ns, limit_ns = run.number("result_min_latency_ns"), latency.limit_ns(run)
    if latency.part or fastest_ns is None or limit_ns is None or fastest_ns <= limit_ns:
        return None
    fastest, limit = format_quantity(fastest_ns, "ns"), format_quantity(limit_ns, "ns")
    return (
        "look at the model, its batches and target_latency_ms rather than at target_qps: "
        f"even the fastest query took {fastest}, the limit is {limit}"
    )


def _lower_target(run: Run, target: float, latency: Latency) -> str:
    now = _now(run, "target_qps", target)
    scheduled = run.number("result_scheduled_samples_per_sec")
    completed = run.number("result_completed_samples_per_sec")
    if scheduled and completed and completed < target and _piled_up(run, latency):
        came, went = format_number(scheduled), format_number(completed)
        reason = f"queries came at {came}/s and were completed at {went}/s, so they piled up"
        return f"lower {now} to below {_short(completed)}: {reason}"
    return f"lower {now}{_late(run, latency)}; how far, one run does not tell"


def _piled_up(run: Run, latency: Latency) -> bool:
    """Return whether queries came faster than they were completed, and not only the last ones came late."""
    scheduled = run.number("result_scheduled_samples_per_sec")
    completed = run.number("result_completed_samples_per_sec")
    queries, limit_ns, duration_s = run.count("result_query_count"), latency.limit_ns(run), run.duration_s
    if not queries or not scheduled or not completed or limit_ns is None or duration_s is None:
        return False
    behind_s = queries / completed - duration_s
    return completed < _KEEPS_UP * scheduled or behind_s > _QUEUE * limit_ns / 1e9


def _late(run: Run, latency: Latency) -> str:
    queries, late = run.count("result_query_count"), latency.late_between(run)
    if not queries or late is None or late[0] != late[1]:
        return ""
    allowed = early_stopping.tolerated(queries, run.target_percentile) or 0
    return f": {late[0]} of {queries} queries were late, {allowed} may be"


def surer(run: Run) -> str | None:
    """Return how early stopping comes to be satisfied."""
    if run.is_stream:
        asked = run.count("effective_min_query_count")
        least = early_stopping.least_queries(1, run.target_percentile)
        return _more_than(run, asked, least) or more_queries(run)
    if any(_is_over(run, latency) for latency in latencies.held(run)):
        # What brings the latency down is said there.
        return None
    return _more_evidence(run)


def _more_evidence(run: Run) -> str | None:
    """Return how many queries show that a latency holds which seems to, at the present share of late ones."""
    queries, target = run.count("result_query_count"), run.number("effective_target_qps")
    late = max((pair[1] for x in latencies.held(run) if (pair := x.late_between(run))), default=None)
    if not queries or late is None or target is None:
        return None
    lower = f"lower {_now(run, 'target_qps', target)}"
    needed = early_stopping.queries_at_share(queries, late, run.target_percentile)
    share = f"{late} of {queries} queries were late"
    if needed is None or needed > _MOST_REPEATED * queries:
        return f"{lower}: {share}, too many for more queries to help; how far, one run does not tell"
    more = _more_than(run, run.count("effective_min_query_count"), needed)
    if more is None:
        return more_queries(run)
    return f"{more}: {share}, and at this share that many show it; or {lower}"


def _more_than(run: Run, asked: int | None, needed: int) -> str | None:
    return _set(run, "min_query_count", asked, needed) if asked is not None and asked < needed else None


def _set(run: Run, setting: str, old: float, new: float) -> str:
    return f"set {_now(run, setting, old)} to {_short(new)}"


def _now(run: Run, setting: str, value: float) -> str:
    """Return a setting with its value, and that it was not given, where the harness has chosen it."""
    if setting in run.chosen:
        return f"{setting} (unset, the harness took {_short(value)})"
    return f"{setting} from {_short(value)}"


def _short(value: float) -> str:
    return format_number(value if float(value).is_integer() else float(f"{value:.4g}"))


def _time(duration_s: float) -> str:
    return format_duration(duration_s) if duration_s >= 1 else format_quantity(1e9 * duration_s, "ns")
