"""The rules of an accuracy run: its metrics, the hash of its accuracy log, its detail log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.verdict import margin
from pytest_mlperf.verdict.official import Ruling, Terms, number, shown
from pytest_mlperf.verdict.official.performance import contradiction, errors_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_mlperf.evidence import DetailLog, Fact
    from pytest_mlperf.evidence.scores import Line
    from pytest_mlperf.verdict import Bound

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MODES = ("AccuracyOnly", "SubmissionRun")


@dataclass(frozen=True, kw_only=True)
class AccuracyRun:
    """What an accuracy directory holds.

    log:               the detail log
    lines:             of accuracy.txt, those with a metric or a hash
    samples_log_bytes: the size of mlperf_log_accuracy.json, None where there is none
    """

    log: DetailLog
    lines: Sequence[Line]
    samples_log_bytes: int | None


def metrics(terms: Terms, run: AccuracyRun) -> Iterator[Ruling]:
    """Hold each metric to its target and its upper limit, up to the line where all is seen."""
    targets = terms.benchmark.accuracy_targets(terms.scenario)
    lines = _read_lines(terms, run.lines, targets)
    for metric, target in targets.items():
        values = [line.metrics[metric] for line in lines if metric in line.metrics]
        if "last_value_counts" in terms.round.quirks:
            values = values[-1:]
        yield _metric(terms, f">= {metric} {target!r}", values, (target, "least"))
    for metric, limit in terms.benchmark.accuracy_limit.items():
        values = [line.metrics[metric] for line in lines if metric in line.metrics]
        if values:
            yield _metric(terms, f"<= {metric} {limit!r}", values, (limit, "most"))
    yield _hash(terms, lines)


def _read_lines(terms: Terms, lines: Sequence[Line], targets: Mapping[str, float]) -> list[Line]:
    """Return the lines that a checker reads: it stops where every metric and a hash was seen."""
    any_value = "last_value_counts" in terms.round.quirks
    missing = set(targets)
    has_hash = False
    taken: list[Line] = []
    for line in lines:
        taken.append(line)
        reached = {
            m for m, fact in line.metrics.items() if m in missing and (any_value or fact.value >= targets[m])
        }
        missing -= reached
        has_hash = has_hash or line.sha256 is not None
        if has_hash and not missing:
            break
    return taken


def _metric(terms: Terms, expected: str, values: list[Fact], held: tuple[float, Bound]) -> Ruling:
    limit, bound = held
    reached = [fact.value >= limit if bound == "least" else fact.value <= limit for fact in values]
    # One value that misses its target is enough, whatever the others are.
    fact = values[reached.index(False) if False in reached else 0] if values else None
    satisfied = bool(values) and all(reached)
    distance = margin(number(fact), limit, bound)
    return terms.ruling("accuracy", expected, fact, satisfied=satisfied, margin=distance)


def _hash(terms: Terms, lines: Sequence[Line]) -> Ruling:
    hashes = [line.sha256 for line in lines if line.sha256 is not None]
    fact = hashes[0] if hashes else None
    proper = fact is not None and _SHA256.fullmatch(str(fact.value)) is not None
    ruling = terms.ruling(
        "accuracy_hash", "hash=<SHA-256 of mlperf_log_accuracy.json>", fact, satisfied=proper
    )
    # The checkers take any word for a hash, and reject the accuracy where there is none.
    return ruling.but("off" if fact is not None else terms.round.severity("accuracy"))


def samples_log(terms: Terms, run: AccuracyRun) -> Iterator[Ruling]:
    """Hold the published accuracy log to be there, and to be cut short."""
    most, size = terms.round.max_accuracy_log_bytes, run.samples_log_bytes
    expected = f"mlperf_log_accuracy.json of at most {most} bytes"
    observed = "nothing" if size is None else f"{size} bytes"
    ruling = terms.ruling("samples_log", expected, observed, satisfied=size is not None and size <= most)
    yield ruling.but("fail")


def errors(terms: Terms, run: AccuracyRun) -> Iterator[Ruling]:
    """Hold LoadGen to no errors."""
    yield errors_of(terms, run.log, "accuracy_errors")


def dataset(terms: Terms, run: AccuracyRun) -> Iterator[Ruling]:
    """Hold the run to the whole data set, where the round says how large it is."""
    expected = terms.benchmark.accuracy_sample_count(terms.scenario)
    facts = run.log.facts
    fact = facts.get("effective_accuracy_sample_count") or facts.get("qsl_reported_total_count")
    if expected is not None:
        yield terms.ruling("dataset", f"{expected} samples", fact, satisfied=number(fact) == expected)


def mode(terms: Terms, run: AccuracyRun) -> Iterator[Ruling]:
    """Note a log that is not of an accuracy run; rounds have accepted such."""
    fact = run.log.facts.get("effective_test_mode")
    ruling = terms.ruling("mode", " or ".join(_MODES), fact, satisfied=shown(fact) in _MODES)
    yield ruling.worth_knowing()


def judge(terms: Terms, run: AccuracyRun) -> Iterator[Ruling]:
    """Hold an accuracy run to every rule."""
    for rule in (metrics, samples_log, errors, dataset, mode):
        yield from rule(terms, run)
    yield from contradiction(terms, run.log)
