"""The latencies of a run: those that Server is held to, of queries or of tokens, and how all were spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.evidence import Distribution

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_mlperf.verdict.run import Run

_PERCENTILES = (0.5, 0.9, 0.95, 0.97, 0.99, 0.999)
"""Those that LoadGen logs."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """A latency with a limit.

    part:       what it is of, where there are several; "" for whole queries
    measured:   key of its percentiles, with a gap for the percentile
    limit:      key of its limit
    late:       key of the number of queries over the limit; None where LoadGen does not log it
    result:     key of what early stopping says of it
    """

    part: str
    measured: str
    limit: str
    late: str | None
    result: str

    def limit_ns(self, run: Run) -> float | None:
        """Return the limit, or None where the log does not state one."""
        return run.number(self.limit)

    def percentile_ns(self, run: Run, percentile: float) -> float | None:
        """Return a percentile (0.99) of the latency, or None where it is not logged."""
        return run.number(self.measured.format(f"{100 * percentile:.2f}"))

    def late_between(self, run: Run) -> tuple[int, int] | None:
        """Return the least and the most queries that can have been over the limit, or None if unknown.

        Where LoadGen does not log their number, its percentiles bound it: percentile p of n in order
        is the one with floor(n * p) before it.
        """
        queries, limit_ns = run.count("result_query_count"), self.limit_ns(run)
        if queries is None or limit_ns is None:
            return None
        logged = run.count(self.late) if self.late else None
        if logged is not None:
            return logged, logged
        least, most, known = 0, queries, False
        for percentile in _PERCENTILES:
            value_ns = self.percentile_ns(run, percentile)
            if value_ns is None:
                continue
            known = True
            rest = queries - int(queries * percentile)
            if value_ns > limit_ns:
                least = max(least, rest)
            else:
                most = min(most, rest - 1)
        return (least, most) if known and least <= most else None


_QUERY = Latency(
    part="",
    measured="result_{}_percentile_latency_ns",
    limit="effective_target_latency_ns",
    late="result_overlatency_query_count",
    result="early_stopping_result",
)
_FIRST_TOKEN = Latency(
    part="first token",
    measured="result_first_token_{}_percentile_latency_ns",
    limit="requested_server_ttft_latency",
    late=None,
    result="early_stopping_ttft_result",
)
_EACH_TOKEN = Latency(
    part="time per output token",
    measured="result_time_per_output_token_{}_percentile_ns",
    limit="requested_server_tpot_latency",
    late=None,
    result="early_stopping_tpot_result",
)


def held(run: Run) -> tuple[Latency, ...]:
    """Return the latencies that LoadGen holds a Server run to."""
    return (_FIRST_TOKEN, _EACH_TOKEN) if run.uses_token_latencies else (_QUERY,)


def distributions(run: Run) -> tuple[Distribution, ...]:
    """Return how the latencies were spread, as far as LoadGen logs it, with the limits that were held."""
    found = _held_distributions(run) if run.scenario == "Server" else [_plain_distribution(run)]
    return tuple(distribution for distribution in found if distribution.quantiles)


def _held_distributions(run: Run) -> Iterator[Distribution]:
    for latency in held(run):
        limit_ns = latency.limit_ns(run)
        share = 0.99 if latency.part else run.target_percentile
        values = ((percentile, latency.percentile_ns(run, percentile)) for percentile in _PERCENTILES)
        ends = () if latency.part else _ends(run, "result_{}_latency_ns")
        yield Distribution(
            of=latency.part or "query",
            quantiles=_rising([*values, *ends]),
            limit=(share, limit_ns) if limit_ns else None,
        )


def _plain_distribution(run: Run) -> Distribution:
    per_query = run.scenario == "MultiStream"
    measured = "result_{:.2f}_percentile_" + ("per_query_" if per_query else "") + "latency_ns"
    values = [(percentile, run.number(measured.format(100 * percentile))) for percentile in _PERCENTILES]
    ends = _ends(run, "result_{}_query_latency_ns" if per_query else "result_{}_latency_ns")
    return Distribution(
        of="sample" if run.scenario == "Offline" else "query",
        quantiles=_rising([*values, *ends]),
    )


def _ends(run: Run, key: str) -> tuple[tuple[float, float | None], ...]:
    return (0.0, run.number(key.format("min"))), (1.0, run.number(key.format("max")))


def _rising(pairs: list[tuple[float, float | None]]) -> tuple[tuple[float, float], ...]:
    known = [(share, latency_ns) for share, latency_ns in pairs if latency_ns is not None]
    return tuple(sorted(known))
