"""The texts of a submission that a run leaves nothing for: limits, how to reproduce, where the code is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_mlperf.verdict.official.files import IMPLEMENTATION
from pytest_mlperf.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_mlperf.matrix import Case
    from pytest_mlperf.record import Record
    from pytest_mlperf.rounds.checker import Benchmark, CheckerRound

_NS_PER_MS = 1_000_000


def limits(round_: CheckerRound, benchmark: Benchmark, scenario: str) -> str:
    """Return what a round says of a benchmark in a scenario, in the form of LoadGen's mlperf.conf."""
    head = f"# The limits of MLPerf Inference {round_.name} for {benchmark.name}, written by pytest-mlperf.\n"
    return head + "".join(f"{key} = {value}\n" for key, value in _limits(round_, benchmark, scenario))


def _limits(round_: CheckerRound, benchmark: Benchmark, scenario: str) -> Iterator[tuple[str, int]]:
    seeds = round_.seeds
    yield "*.*.qsl_rng_seed", seeds.qsl
    yield "*.*.sample_index_rng_seed", seeds.sample_index
    yield "*.*.schedule_rng_seed", seeds.schedule
    yield "*.*.performance_sample_count_override", benchmark.performance_samples
    yield f"*.{scenario}.min_duration", round_.min_duration_ms
    if scenario in benchmark.min_queries:
        yield f"*.{scenario}.min_query_count", benchmark.min_queries[scenario]
    if scenario in benchmark.latency_ns:
        yield f"*.{scenario}.target_latency", round(benchmark.latency_ns[scenario] / _NS_PER_MS)


def implementation() -> str:
    """Return the description of an implementation of which nothing is known, as JSON."""
    return as_json(dict.fromkeys(IMPLEMENTATION, ""))


def as_json(content: object) -> str:
    """Return JSON as it stands in a file."""
    return json.dumps(content, indent=2) + "\n"


def how_it_ran(ran: Iterable[tuple[Case, Record]]) -> str:
    """Return the README of a measurement: which cases ran, of which matrix, on what."""
    lines = ["# How it was measured", "", f"By pytest-mlperf {__version__}, in these cases:", ""]
    for case, record in ran:
        devices = ", ".join(record.devices) or "the host's processor"
        lines.append(f"- `{case.id}` of {case.place}, harness `{case.harness}`, on {devices}")
        lines.append(f"  ({record.verdict}, started {record.started_at}, {record.duration_s} s)")
    return "\n".join([*lines, ""])


def where_the_code_is(harness: str, benchmark: str) -> str:
    """Return the README that stands for the code of a benchmark."""
    return (
        f"# {benchmark} by {harness}\n\n"
        f"The results were measured with the harness `{harness}` of pytest-mlperf {__version__}.\n"
        "Its code, and how to build and run it, belong here.\n"
    )
