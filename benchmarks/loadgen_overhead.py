"""What LoadGen and this harness cost on top of the models: `python benchmarks/loadgen_overhead.py [--quick]`.

Each figure is the median of several LoadGen tests, each in a process of its own, taken in turns. Prints a
line for each claim, and exits with 1 when one is missed.

A miniature runs the batches of its test in a plain loop too, before and after it. By how much these two loops
differ is printed as the drift: what the machine's other guests make of one and the same work. A share that is
missed by less than the drift is unclear, if the test spent its time in the model all the same.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from pytest_mlperf.harness.onnxruntime import miniatures
from pytest_mlperf.harness.onnxruntime.specification import Specification
from pytest_mlperf.harness.onnxruntime.surroundings import THREAD_VARIABLES
from pytest_mlperf.rounds import Seeds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OFFLINE_LIMIT_US = 1.5
SINGLE_STREAM_LIMIT_US = 4.0
SHARE = 0.95
SLOW_US = 200.0
"""What the share is claimed for: miniatures that take this long for one sample."""

CHILD = Path(__file__).with_name("loadgen_overhead_child.py")
SCENARIOS = ("Offline", "SingleStream")
OK, UNCLEAR, MISSED = "ok", "unclear", "MISSED"
FLOOR, NULL = "floor", "null"
"""The measurements that need no miniature."""

NULL_QUERIES = {"Offline": 500_000, "SingleStream": 200_000}
SEEDS = Seeds(qsl=6655344265603136530, sample_index=15863379492028895792, schedule=12662793979680847247)


Key = tuple[str, str]
"""A subject and a scenario."""

Cost = Mapping[str, float]
"""Of a sample (a query, in SingleStream), in microseconds.

latency_us: the median of what LoadGen takes for the latency
wall_us:    from query to query, with LoadGen's own time
cpu_us:     of all threads, with LoadGen's making of the queries
in_model:   share of the time from query to query that is spent in the model, without unit
drift:      by how much the plain loop after the test differs from the one before it, without unit
"""


@dataclass(kw_only=True)
class Costs:
    """What was found for a subject in a scenario, a cost for each round."""

    under_loadgen: list[Cost] = field(default_factory=list)
    plain: list[Cost] = field(default_factory=list)

    def middle(self, kind: str) -> float:
        """Return the median under LoadGen."""
        return median(cost[kind] for cost in self.under_loadgen)

    def share(self, kind: str) -> float:
        """Return the median share of the plain loop's rate, each test against the loops around it."""
        pairs = zip(self.plain, self.under_loadgen, strict=True)
        return median(loop[kind] / test[kind] for loop, test in pairs)


def main() -> int:
    """Take the measurements, print them, and return 1 if a claim is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--quick", action="store_true", help="3 tests of 0.5 s for each figure, not 7 of 1 s")
    rounds, test_s = (3, 0.5) if parser.parse_args().quick else (7, 1.0)
    names = list(miniatures.manifest())
    with tempfile.TemporaryDirectory() as folder:
        paces = {name: _measure("pace", _describe(name, "Offline", 1, Path(folder))) for name in names}
        queries = {
            (word, scenario): NULL_QUERIES[scenario] for word in (FLOOR, NULL) for scenario in SCENARIOS
        }
        for name, scenario in itertools.product(names, SCENARIOS):
            queries[name, scenario] = max(64, round(test_s * 1e6 / paces[name][scenario]))
        costs = _measure_all(queries, Path(folder), rounds=rounds)
    slow = [name for name in names if paces[name]["SingleStream"] >= SLOW_US]
    claims = [*_report_null(costs), *_report_miniatures(costs, names, slow)]
    for claim, outcome in claims:
        print(f"{outcome:7} {claim}")
    return 1 if MISSED in (outcome for _, outcome in claims) else 0


def _measure_all(queries: Mapping[Key, int], folder: Path, *, rounds: int) -> dict[Key, Costs]:
    costs = {key: Costs() for key in queries}
    places = {
        (name, scenario): _describe(name, scenario, count, folder)
        for (name, scenario), count in queries.items()
    }
    for key, place in places.items():
        if key[0] not in {FLOOR, NULL}:
            _measure("batches", place)
    for number in range(rounds):
        for key, place in places.items():
            print(f"round {number + 1} of {rounds}: {', '.join(key)}", file=sys.stderr)
            found = _measure(key[0] if key[0] in {FLOOR, NULL} else "test", place)
            costs[key].under_loadgen.append(found["under_loadgen"])
            if "plain" in found:
                costs[key].plain.append(found["plain"])
    return costs


def _describe(name: str, scenario: str, queries: int, folder: Path) -> Path:
    """Write the specification of a test of so many queries (samples, in Offline) to a folder of its own."""
    place = Path(tempfile.mkdtemp(dir=folder))
    specification = Specification(
        miniature=name,
        model="overhead",
        precision="fp32",
        scenario=scenario,
        mode="PerformanceOnly",
        log_dir=place / "logs",
        seeds=SEEDS,
        # The count decides alone, so that LoadGen makes no query that is not used.
        min_duration_ms=1,
        min_query_count=queries,
        target_qps=1.0,
        expected_latency_ms=1000.0,
        workers=1,
    )
    (place / "specification.json").write_text(specification.to_json(), encoding="utf-8")
    return place


def _measure(measurement: str, place: Path) -> dict[str, Any]:
    command = [sys.executable, str(CHILD), measurement, str(place)]
    subprocess.run(command, check=True, env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1")})
    found: dict[str, Any] = json.loads((place / f"{measurement}.json").read_text(encoding="utf-8"))
    return found


def _report_null(costs: Mapping[Key, Costs]) -> Iterator[tuple[str, str]]:
    print(f"{'without a model, us':34}{'harness':>10}{'cpu':>8}{'floor':>10}{'cpu':>8}")
    rows = (
        ("Offline, a sample", "Offline", "latency_us", OFFLINE_LIMIT_US),
        ("SingleStream, latency of a query", "SingleStream", "latency_us", SINGLE_STREAM_LIMIT_US),
        ("SingleStream, query to query", "SingleStream", "wall_us", None),
    )
    for label, scenario, kind, limit_us in rows:
        null, floor = costs[NULL, scenario], costs[FLOOR, scenario]
        found_us = null.middle(kind)
        print(
            f"{label:34}{found_us:10.2f}{null.middle('cpu_us'):8.2f}"
            f"{floor.middle(kind):10.2f}{floor.middle('cpu_us'):8.2f}"
        )
        if limit_us is not None:
            outcome = OK if found_us <= limit_us else MISSED
            yield f"{label}: at most {limit_us} us, found {found_us:.2f}", outcome


def _report_miniatures(
    costs: Mapping[Key, Costs], names: Sequence[str], slow: Sequence[str]
) -> Iterator[tuple[str, str]]:
    titles = f"{'in model':>10}{'by wall':>9}{'by cpu':>9}{'drift':>8}"
    print(f"\n{'share of a plain loop':34}{'us':>10}{titles}")
    for name in names:
        for scenario in SCENARIOS:
            found = costs[name, scenario]
            in_model = found.middle("in_model")
            label = f"{name}, {scenario}"
            print(
                f"{label:34}{found.middle('wall_us'):10.1f}{in_model:10.1%}"
                f"{found.share('wall_us'):9.1%}{found.share('cpu_us'):9.1%}{found.middle('drift'):8.1%}"
            )
            if name in slow:
                share, drift = found.share("wall_us"), found.middle("drift")
                claim = (
                    f"{label}: at least {SHARE:.0%} of a plain loop, found {share:.1%} (drift {drift:.1%})"
                )
                yield claim, _outcome(share, drift=drift, in_model=in_model)


def _outcome(share: float, *, drift: float, in_model: float) -> str:
    """Return whether the share is reached: unclear where the plain loop itself drifts by what it lacks."""
    if share >= SHARE:
        return OK
    return UNCLEAR if in_model >= SHARE and drift >= SHARE - share else MISSED


if __name__ == "__main__":
    sys.exit(main())
