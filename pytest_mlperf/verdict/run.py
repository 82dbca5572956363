"""A run: what its logs say, and for a case what it was asked to keep. All that a rule may look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_mlperf.errors import Place
    from pytest_mlperf.evidence import Evidence
    from pytest_mlperf.matrix import Case
    from pytest_mlperf.rounds import Benchmark, Round


# LoadGen's own numbers have 64 bits. With others, what is computed from them would not be finite either.
_DIGITS = 20
_LEAST, _MOST = 1e-30, 1e30


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is judged.

    latency_limit_ms:  that the benchmark allows in Server; None where that is not known
    chosen:            the settings that nobody gave: the harness has chosen them
    """

    evidence: Evidence
    latency_limit_ms: float | None = None
    chosen: frozenset[str] = frozenset()

    def number(self, key: str) -> float | None:
        """Return what the detail log has under a key, or None where that is no number that can be."""
        fact = self.evidence.detail.facts.get(key)
        value = fact.value if fact else None
        if isinstance(value, str):
            # LoadGen 2.0 wrote some counts as text.
            value = int(value) if value.isdecimal() and len(value) <= _DIGITS else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return value if value == 0 or _LEAST <= abs(value) <= _MOST else None

    def count(self, key: str) -> int | None:
        """Return a number as a count, or None where it is none."""
        value = self.number(key)
        return int(value) if value is not None and value >= 0 else None

    def is_set(self, key: str) -> bool:
        """Return whether a switch of the detail log is on, or a number of it is not zero."""
        fact = self.evidence.detail.facts.get(key)
        return fact is not None and fact.value not in (False, 0, None)

    def stated(self, name: str, key: str) -> bool | None:
        """Return whether LoadGen calls a constraint satisfied, in both logs; None where it says nothing.

        name: of the constraint in the summary
        key:  of the same in the detail log
        """
        facts = (self.evidence.summary.constraints.get(name), self.evidence.detail.facts.get(key))
        said = [fact.value is True for fact in facts if fact is not None]
        return all(said) if said else None

    def place(self, name: str, key: str) -> Place | None:
        """Return where the logs speak of a constraint."""
        fact = self.evidence.summary.constraints.get(name) or self.evidence.detail.facts.get(key)
        return fact.place if fact else None

    @property
    def scenario(self) -> str | None:
        """The scenario of the log."""
        fact = self.evidence.detail.facts.get("effective_scenario")
        return str(fact.value) if fact else None

    @property
    def is_stream(self) -> bool:
        """Whether queries were issued one after the other."""
        return self.scenario in ("SingleStream", "MultiStream")

    @property
    def target_percentile(self) -> float:
        """The share of queries that a latency is stated for; 0.99 where the log does not say."""
        value = self.number("effective_target_latency_percentile")
        return value if value is not None and 0 < value < 1 else 0.99

    @property
    def uses_token_latencies(self) -> bool:
        """Whether LoadGen held the first and the following tokens to limits, instead of whole queries."""
        return self.is_set("requested_use_token_latencies")

    @property
    def duration_s(self) -> float | None:
        """How long the run was by the clock that LoadGen holds against the shortest duration.

        Of Offline's one query its latency; of the others until the last query was issued (Server: was due).
        LoadGen does not log that time, but the rate that it computes from it, with six digits. MultiStream
        has no such rate; the time in which the queries before the last were answered is a little less.
        """
        if self.scenario == "Offline":
            latency_ns = self.number("result_max_latency_ns")
            return None if latency_ns is None else latency_ns / 1e9
        queries = self.count("result_query_count")
        if not queries:
            return None
        if self.scenario == "MultiStream":
            mean_ns = self.number("result_mean_query_latency_ns")
            return None if mean_ns is None else (queries - 1) * mean_ns / 1e9
        rate = self.number(_RATES.get(self.scenario or "", ""))
        return (queries - 1) / rate if rate else None


@dataclass(frozen=True, kw_only=True)
class CaseRun(Run):
    """The run of a case.

    benchmark:  as the harness of the case runs it
    """

    case: Case
    benchmark: Benchmark
    mlperf_round: Round


_RATES = {
    "SingleStream": "result_qps_with_loadgen_overhead",
    "Server": "result_scheduled_samples_per_sec",
}
