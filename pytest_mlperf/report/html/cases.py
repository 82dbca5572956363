"""The cases of a page as data: a row each, to sort and to filter, and what is shown when one is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pytest_mlperf.matrix import Case
from pytest_mlperf.report.comparisons import told
from pytest_mlperf.report.explanation import headline
from pytest_mlperf.units import format_duration, format_number, format_quantity
from pytest_mlperf.verdict import tightest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_mlperf.evidence import Distribution
    from pytest_mlperf.record import Attempt, Record
    from pytest_mlperf.verdict import Finding
    from pytest_mlperf.verdict.baseline import Comparison, Kind

Links = Callable[["Record"], Iterable[tuple[str, str]]]
"""Gives the names and the addresses of the log files of a record."""

NAMED = ("case", "ending", "verdict", "benchmark", "scenario", "mode", "SKU")
QUANTITIES = ("value", "margin", "compared", "duration")
"""What stands in a row; a quantity is a pair of its number, to sort by, and its words, or None."""

_OTHERS: Mapping[Kind, str] = {"published": "published", "own": "earlier runs"}
_NEWS_FIRST = {"broken": 0, "unknown": 1, "relaxed": 2, "holds": 3}


def rows(records: Iterable[Record]) -> dict[str, Any]:
    """Return the names of the columns, and a row a case."""
    return {"named": NAMED, "quantities": QUANTITIES, "rows": [_row(record) for record in records]}


def _row(record: Record) -> list[Any]:
    case = record.case
    verdict = "; ".join([record.verdict or record.ending, *record.short_labels])
    named = [case.id, record.ending, verdict, case.benchmark, case.scenario, case.mode, case.sku]
    return [*named, _value(record), _margin(record), _compared(record), _duration(record)]


def _value(record: Record) -> tuple[float, str] | None:
    first = next(iter(record.measurements), None)
    return (first.value, format_quantity(first.value, first.unit)) if first else None


def _margin(record: Record) -> tuple[float, str] | None:
    near = tightest(record.findings) if record.ending == "pass" else None
    if near is None or near.margin is None:
        return None
    return round(near.margin.percent, 3), f"{near.margin}: {near.rule}"


def _compared(record: Record) -> tuple[float, str] | None:
    """Return the worse of the comparisons with baselines; 1 is as good as they are."""
    ratios = [(one.ratio, one.baseline.kind) for one in record.comparisons if one.ratio is not None]
    if not ratios:
        return None
    ratio, kind = min(ratios)
    return round(ratio, 4), f"{format_number(round(100 * ratio, 1))} % as good as {_OTHERS[kind]}"


def _duration(record: Record) -> tuple[float, str] | None:
    if record.duration_s is None or record.folder is None:
        return None
    return round(record.duration_s, 1), format_duration(record.duration_s)


def details(record: Record, links: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return what is shown of a case that is opened; what it has not got is left out."""
    shown = {
        "headline": f"{headline(record)}{''.join(f' ({label})' for label in record.labels)}",
        "reason": record.reason if record.ending == "error" or not record.findings else None,
        "findings": [_finding(finding) for finding in _shown(record)],
        "comparisons": [_comparison(comparison) for comparison in record.comparisons],
        "attempts": [_attempt(number, run) for number, run in enumerate(record.attempts, 1)],
        "latencies": [_latencies(distribution) for distribution in record.latencies],
        "throughput": _throughput(record),
        "facts": [*_facts(record)],
        "links": [*links],
    }
    return {name: value for name, value in shown.items() if value}


def _shown(record: Record) -> Sequence[Finding]:
    """Return the findings to tell, what is broken first; of published results those with news.

    Published results come in thousands.
    """
    findings = sorted(record.findings, key=lambda finding: _NEWS_FIRST[finding.word])
    if isinstance(record.case, Case):
        return findings
    return [finding for finding in findings if finding.margin or not finding.satisfied]


def _finding(finding: Finding) -> list[str]:
    return [
        finding.word,
        finding.rule,
        finding.expected,
        finding.observed,
        str(finding.margin or ""),
        finding.next_step or (f"LoadGen recommends: {finding.advice}" if finding.advice else ""),
        str(finding.place or ""),
        finding.source,
    ]


def _comparison(comparison: Comparison) -> list[str]:
    base = comparison.baseline
    middle = format_quantity(base.median, base.unit) if base.median is not None else ""
    return [_OTHERS[base.kind], told(comparison), middle, base.source]


def _attempt(number: int, attempt: Attempt) -> list[str]:
    values = (f"{m.name} {format_quantity(m.value, m.unit)}" for m in attempt.measurements)
    return [str(number), attempt.ending, ", ".join(values), attempt.reason or ""]


def _latencies(distribution: Distribution) -> dict[str, Any]:
    return {"of": distribution.of, "quantiles": distribution.quantiles, "limit": distribution.limit}


def _throughput(record: Record) -> dict[str, Any] | None:
    course = record.throughput
    return {"bin_s": course.bin_s, "samples_per_s": course.samples_per_s} if course else None


def _facts(record: Record) -> Iterator[tuple[str, str]]:
    for measurement in record.measurements:
        yield measurement.name, str(measurement)
    words = {
        "expected to fail": record.expected_failure,
        "the harness said": record.statement,
        "devices": ", ".join(record.devices),
        "image": record.image,
        "privileges": ", ".join(record.privileges),
        "differs from the SKU": "; ".join(map(str, record.deltas)),
        "other programs on its devices": ", ".join(record.foreign),
        "neighbours": ", ".join(record.neighbours or ()),
        "started": record.started_at if record.folder else None,
        "waited": format_duration(record.waited_s) if record.waited_s and record.waited_s >= 1 else None,
        "matrix": str(record.case.place),
    }
    yield from ((name, text) for name, text in words.items() if text)
