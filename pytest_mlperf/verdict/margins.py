"""The constraints that LoadGen decides VALID by: what was measured, the limit, and the margin between them.

What LoadGen states is taken as said, and computed again where the log has the numbers: a constraint is
satisfied when neither speaks against it. Names are those of LoadGen's summary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_mlperf.units import format_number, format_quantity
from pytest_mlperf.verdict import Finding, advice, early_stopping, latencies, margin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_mlperf.verdict import Margin
    from pytest_mlperf.verdict.latencies import Latency
    from pytest_mlperf.verdict.run import Run

SOURCE = "MLPerf Inference Rules, LoadGen"

MIN_DURATION = "Min duration satisfied"
MIN_QUERIES = "Min queries satisfied"
PERFORMANCE = "Performance constraints satisfied"
EARLY_STOPPING = "Early stopping satisfied"
PREPARED = "queries prepared by LoadGen"

_KEYS: Mapping[str, str] = {
    MIN_DURATION: "result_min_duration_met",
    MIN_QUERIES: "result_min_queries_met",
    PERFORMANCE: "result_perf_constraints_met",
    EARLY_STOPPING: "early_stopping_met",
}

# A rate is logged with six digits, so a duration computed from it can be short of what LoadGen compared.
_ROUNDING = 1e-5


def constraints(run: Run) -> Iterator[Finding]:
    """Give a finding for each constraint of the scenario, and for any other that LoadGen found broken."""
    steps: set[str | None] = set()
    for rule in (_min_duration, _min_queries, _prepared, _latency, _early_stopping, _others):
        for finding in rule(run):
            # One cause can break several constraints: what to do is said once.
            yield replace(finding, next_step=None) if finding.next_step in steps else finding
            steps.add(finding.next_step)


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """A constraint as far as it is known.

    part:      what it is held against, where that is several things
    stated:    whether LoadGen calls it satisfied
    computed:  whether it is, by the numbers of the log
    """

    name: str
    part: str = ""
    expected: str | None = None
    observed: str | None = None
    stated: bool | None
    computed: bool | None
    margin: Margin | None = None


def _told(run: Run, compared: _Compared) -> Iterator[Finding]:
    """Give the finding on a constraint, unless the logs neither state nor show anything about it."""
    if compared.stated is None and compared.computed is None:
        return
    satisfied = compared.stated is not False and compared.computed is not False
    observed = compared.observed or ("satisfied" if satisfied else "not satisfied")
    yield Finding(
        rule=f"{compared.name} ({compared.part})" if compared.part else compared.name,
        expected=compared.expected or "Yes",
        observed=f"{observed}, yet LoadGen says Yes" if compared.stated and not satisfied else observed,
        satisfied=satisfied,
        source=SOURCE,
        place=run.place(compared.name, _KEYS[compared.name]),
        margin=compared.margin,
        next_step=None if satisfied else _NEXT_STEPS[compared.name](run),
    )


def _stated(run: Run, name: str) -> bool | None:
    return run.stated(name, _KEYS[name])


def _min_duration(run: Run) -> Iterator[Finding]:
    limit_ms, duration_s = run.number("effective_min_duration_ms"), run.duration_s
    measured_ms = None if duration_s is None else 1e3 * duration_s
    # The time of MultiStream is a little more than can be computed: too short by that is not shown.
    about = run.scenario == "MultiStream"
    computed = None
    if limit_ms is not None and measured_ms is not None:
        if limit_ms * (1 - _ROUNDING) <= measured_ms < limit_ms:
            measured_ms = limit_ms
        computed = measured_ms >= limit_ms or (None if about else False)
    yield from _told(
        run,
        _Compared(
            name=MIN_DURATION,
            expected=_filled(">= {} ms", limit_ms),
            observed=_filled("about {} ms" if about else "{} ms", measured_ms),
            stated=_stated(run, MIN_DURATION),
            computed=computed,
            margin=margin(measured_ms, limit_ms, "least", until_met=run.scenario != "Offline"),
        ),
    )


def _min_queries(run: Run) -> Iterator[Finding]:
    limit, count = run.count("effective_min_query_count"), run.count("result_query_count")
    unit = "queries"
    if run.scenario == "Offline" and limit == count == 1:
        # The one query must have samples enough.
        limit, count = run.count("effective_min_sample_count"), run.count("generated_samples_per_query")
        unit = "samples"
    yield from _told(
        run,
        _Compared(
            name=MIN_QUERIES,
            expected=_filled(f">= {{}} {unit}", limit),
            observed=_filled(f"{{}} {unit}", count),
            stated=_stated(run, MIN_QUERIES),
            computed=None if limit is None or count is None else count >= limit,
            margin=margin(count, limit, "least", until_met=True),
        ),
    )


def _prepared(run: Run) -> Iterator[Finding]:
    """Tell how long the queries would have lasted that LoadGen made before it started the clock."""
    prepared, lasting_ms = run.count("generated_query_count"), _lasting_ms(run)
    limit_ms = run.number("effective_min_duration_ms")
    if not run.is_stream or lasting_ms is None or limit_ms is None:
        return
    # Where the run was too short, that says it already.
    if _stated(run, MIN_DURATION) is not False:
        yield Finding(
            rule=PREPARED,
            expected=f"enough for >= {format_number(limit_ms)} ms",
            observed=f"{prepared}, enough for about {format_number(round(lasting_ms))} ms",
            satisfied=True,
            source=SOURCE,
            place=run.evidence.detail.facts["generated_query_count"].place,
            margin=margin(lasting_ms, limit_ms, "least"),
        )


def _lasting_ms(run: Run) -> float | None:
    used, prepared = run.count("result_query_count"), run.count("generated_query_count")
    if not used or prepared is None or run.duration_s is None:
        return None
    return 1e3 * run.duration_s * prepared / used


def _latency(run: Run) -> Iterator[Finding]:
    if run.scenario != "Server" and _stated(run, PERFORMANCE) is None:
        return
    percentile = run.target_percentile
    name = f"{100 * percentile:.12g}th percentile"
    pairs = {x.part: (x.percentile_ns(run, percentile), x.limit_ns(run)) for x in latencies.held(run)}
    within = {
        part: None if measured_ns is None or limit_ns is None else measured_ns <= limit_ns
        for part, (measured_ns, limit_ns) in pairs.items()
    }
    for part, (measured_ns, limit_ns) in pairs.items():
        # LoadGen has one word for both latencies of tokens: where one is over its limit, that word is of it.
        others = within[part] and False in within.values()
        yield from _told(
            run,
            _Compared(
                name=PERFORMANCE,
                part=part,
                expected=None if limit_ns is None else f"{name} <= {_time(limit_ns)}",
                observed=None if measured_ns is None else _time(measured_ns),
                stated=None if others else _stated(run, PERFORMANCE),
                computed=within[part],
                margin=margin(measured_ns, limit_ns, "most"),
            ),
        )


def _early_stopping(run: Run) -> Iterator[Finding]:
    stated = _stated(run, EARLY_STOPPING)
    if stated is None:
        return
    if run.scenario == "Server":
        compared = [_late_queries(run, latency) for latency in latencies.held(run)]
        for one in compared:
            cleared = one.computed or one.observed == _SUCCESSFUL
            others = cleared and any(other.computed is False for other in compared)
            yield from _told(run, replace(one, stated=None) if others else one)
    elif run.is_stream:
        yield from _told(run, _enough_queries(run))
    elif not stated:
        words = _words(run, "early_stopping_result")
        yield from _told(run, _Compared(name=EARLY_STOPPING, observed=words, stated=stated, computed=None))


_SUCCESSFUL = "Run successful."
"""What LoadGen says of one of several latencies that early stopping holds for."""


def _enough_queries(run: Run) -> _Compared:
    """Compare SingleStream and MultiStream: there must be queries enough to leave the slowest one out."""
    count, least = run.count("result_query_count"), early_stopping.least_queries(1, run.target_percentile)
    asked = run.count("effective_min_query_count") or 0
    return _Compared(
        name=EARLY_STOPPING,
        expected=f">= {least} queries",
        observed=_filled("{} queries", count),
        stated=_stated(run, EARLY_STOPPING),
        computed=None if count is None else count >= least,
        margin=margin(count, least, "least", until_met=asked >= least),
    )


def _late_queries(run: Run, latency: Latency) -> _Compared:
    """Compare Server: of so many queries, only so many may be late."""
    count, late = run.count("result_query_count"), latency.late_between(run)
    stated = _stated(run, EARLY_STOPPING)
    words = _words(run, latency.result)
    known = _Compared(name=EARLY_STOPPING, part=latency.part, observed=words, stated=stated, computed=None)
    if count is None or late is None:
        return known
    allowed = early_stopping.tolerated(count, run.target_percentile)
    if allowed is None:
        least = early_stopping.least_queries(late[0], run.target_percentile)
        return replace(
            known,
            expected=f">= {least} queries",
            observed=f"{count} queries",
            computed=False,
            margin=margin(count, least, "least"),
        )
    limit = format_quantity(latency.limit_ns(run) or 0, "ns")
    known = replace(known, expected=f"<= {allowed} of {count} queries over {limit}")
    if late[0] <= allowed < late[1]:
        # The percentiles leave it open.
        return known
    bound, least_or_most = (late[1], "at most ") if late[1] <= allowed else (late[0], "at least ")
    return replace(
        known,
        observed=f"{'' if late[0] == late[1] else least_or_most}{bound}",
        computed=bound <= allowed,
        margin=margin(bound, allowed, "most"),
    )


def _others(run: Run) -> Iterator[Finding]:
    """Tell of constraints that only other versions of LoadGen know."""
    for name, fact in run.evidence.summary.constraints.items():
        if name not in _KEYS and fact.value is not True:
            yield Finding(
                rule=name,
                expected="Yes",
                observed="not satisfied",
                satisfied=False,
                source=SOURCE,
                place=fact.place,
            )


def _filled(form: str, value: float | None) -> str | None:
    return None if value is None else form.format(format_number(value))


def _time(duration_ns: float) -> str:
    return f"{format_quantity(duration_ns, 'ns')} ({format_number(duration_ns)} ns)"


def _words(run: Run, key: str) -> str | None:
    """Return a text of LoadGen on one line, or None where it is empty."""
    fact = run.evidence.detail.facts.get(key)
    return " ".join(str(fact.value).replace("* ", "").split()) or None if fact else None


_NEXT_STEPS: Mapping[str, Callable[[Run], str | None]] = {
    MIN_DURATION: advice.longer,
    MIN_QUERIES: advice.more_queries,
    PERFORMANCE: advice.faster,
    EARLY_STOPPING: advice.surer,
}
