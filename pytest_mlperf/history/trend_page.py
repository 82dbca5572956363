"""A history as a page of one file: how often each case passed, and how what it measures changed."""

from __future__ import annotations

from datetime import datetime
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pytest_mlperf.history import rates as rates_of
from pytest_mlperf.history import trend_words
from pytest_mlperf.report.html import data, script, style

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_mlperf.history.rates import Rate
    from pytest_mlperf.history.trend import Point, Series

_MOST_ROWS = 50
_HEAD = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>MLPerf history</title>'
    '<meta name="viewport" content="width=device-width">'
)


def page(name: str, rates: Sequence[Rate], found: Sequence[Series]) -> str:
    """Return the page of a history, which is called by its name."""
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    parts = [
        _HEAD,
        style("page.css", "uPlot.min.css"),
        f'</head><body><h1 id="title">MLPerf history</h1><p>{escape(name)}, at {now}</p><div id="mlperf">',
        "<h3>How often each case passed</h3>",
        *_rates(rates),
        '<h3>How what it measures changed</h3><div class="tools" id="mlperf-tools"></div>',
        *_blocks(found),
        "</div>",
        script("charts.js", "trend.js"),
        "</body></html>",
    ]
    return "".join(parts)


def _rates(rates: Iterable[Rate]) -> Iterator[str]:
    for conformance, alike in groupby(rates, key=lambda rate: rate.conformance):
        yield f"<h4>{escape(conformance)}</h4>"
        yield _table(rates_of.COLUMNS, (rate.cells for rate in alike))


def _blocks(found: Sequence[Series]) -> Iterator[str]:
    numbered = groupby(enumerate(found), key=lambda pair: pair[1].configuration)
    for _, block in numbered:
        pairs = list(block)
        whole = pairs[-1][1]
        yield (
            f'<details class="series"><summary><b>{escape(whole.benchmark)}</b> {escape(whole.metric)}'
            f"<small>{escape(whole.sku)}, {escape(whole.conformance)}: {escape(trend_words.summary(whole))}"
            "</small></summary>"
        )
        for number, series in pairs:
            yield from _series(number, series)
        yield "</details>"


def _series(number: int, series: Series) -> Iterator[str]:
    alone = len(series.hosts) == 1
    name = (series.hosts[0] or "unknown host") if alone else f"all {len(series.hosts)} hosts"
    yield f"<div><h4>{escape(name)}</h4><p>{escape(trend_words.summary(series))}</p>"
    told = _chart(series)
    if told:
        yield data(f"mlperf-trend-{number}", told)
        yield f'<div data-trend="mlperf-trend-{number}"></div>'
    if alone:
        rows = [trend_words.cells(point) for point in series.points]
        if len(rows) > _MOST_ROWS:
            yield f"<p>the last {_MOST_ROWS} of {len(rows)} runs</p>"
        yield _table(trend_words.COLUMNS, rows[-_MOST_ROWS:])
    yield "</div>"


def _chart(series: Series) -> dict[str, Any] | None:
    """Return what a chart of a series draws: its runs with a value of the newest kind and a known time."""
    last = series.last
    if last is None:
        return None
    known = [
        (time_s, point.run.value, point.run.passed)
        for point in series.points
        if (point.run.quantity, point.run.unit) == (last.quantity, last.unit)
        and (time_s := _time_s(point)) is not None
    ]
    if not known:
        return None
    times_s, values, passed = zip(*known, strict=True)
    words = {"unit": last.unit, "median": series.median, "mad": series.mad}
    return {"times_s": times_s, "values": values, "passed": passed, **words}


def _time_s(point: Point) -> float | None:
    try:
        return datetime.fromisoformat(point.run.started_at.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<table class="grid wide"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
