"""Trends in words: a block of lines for each configuration."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from pytest_mlperf.history.columns import aligned
from pytest_mlperf.units import format_quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_mlperf.history.trend import Point, Series

COLUMNS = ("when (UTC)", "session", "verdict", "value", "before", "change", "driver")
_MINUTE_SHOWN = len("2026-11-24T08:00")
_ID_SHOWN = 8
_UNKNOWN = "-"


def words(found: Iterable[Series]) -> str:
    """Return the series of each configuration: on each host its points and sum, on all hosts only the sum."""
    blocks = groupby(found, key=lambda series: series.configuration)
    return "\n\n".join("\n".join(_block(list(block))) for _, block in blocks)


def _block(block: list[Series]) -> Iterator[str]:
    first = block[0]
    yield f"{first.benchmark}: {first.metric}"
    yield f"{first.sku}, {first.conformance}"
    for series in block:
        if len(series.hosts) == 1:
            yield f"{series.hosts[0] or 'unknown host'}:"
            table = aligned([COLUMNS, *map(cells, series.points)])
            yield from (f"  {line}" for line in table.splitlines())
        else:
            yield f"all {len(series.hosts)} hosts:"
        yield f"  {summary(series)}"


def cells(point: Point) -> tuple[str, ...]:
    """Return the row of a run, in the order of COLUMNS."""
    run, change = point.run, point.change_percent
    return (
        run.started_at[:_MINUTE_SHOWN].replace("T", " "),
        run.session[:_ID_SHOWN],
        point.verdict,
        _quantity(run.value, run.unit),
        _quantity(point.before, run.unit),
        _UNKNOWN if change is None else _percent(change),
        point.driver or _UNKNOWN,
    )


def summary(series: Series) -> str:
    """Return a series in a line: counts, median and MAD of its values, and how far the last is away."""
    counts = f"n {series.n}, passed {series.passed}"
    if series.last is None:
        return f"{counts}; nothing measured"
    unit, change = series.last.unit, series.last_change_percent
    middle = f"median {_quantity(series.median, unit)}, MAD {_quantity(series.mad, unit)}"
    last = "" if change is None else f"; last {_percent(change)} from the median"
    return f"{counts}; {middle}{last}"


def _quantity(value: float | None, unit: str | None) -> str:
    return _UNKNOWN if value is None or unit is None else format_quantity(value, unit)


def _percent(percent: float) -> str:
    return f"{round(percent, 1) + 0:+.1f} %"
