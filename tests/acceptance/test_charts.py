"""Charts of a page, by their pixels in Chromium."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.evidence import Throughput
from tests.browser import INK, LIMIT, areas, ends, opened
from tests.records import SPREAD, make_record, report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from sessions import Session


def open_first(page: Page) -> None:
    page.click(".opener >> nth=0")
    page.wait_for_selector(".opened canvas")


@pytest.mark.parametrize("ratio", [1, 2])
def test_a_limit_stands_where_it_belongs(session: Session, browser: Browser, ratio: int) -> None:
    """Where is told from the curve: it goes from 2 ms to 200 ms, and its lower half to the share of 99 %."""
    limited = replace(SPREAD, limit=(0.99, 1.3e8))
    path = report(session, [make_record(latencies=(limited, SPREAD))])
    with opened(browser, path, device_scale_factor=ratio) as page:
        open_first(page)
        area, without = areas(page)
    assert without.of(INK)
    assert without.of(LIMIT) == set()
    left, right, bottom, top = ends(area.of(INK))
    assert right - left > 0.8 * area.width
    assert top - bottom > 0.9 * area.height
    x_limit = left + (130 - 2) / (200 - 2) * (right - left)
    y_limit = (bottom + top) / 2
    near = 6 * ratio
    upright = {y for x, y in area.of(LIMIT) if abs(x - x_limit) <= near}
    level = {x for x, y in area.of(LIMIT) if abs(y - y_limit) <= near}
    assert 0.5 * y_limit < len(upright)
    assert 0.5 * x_limit < len(level)
    assert max(upright) == pytest.approx(y_limit, abs=10 * ratio)
    assert max(level) == pytest.approx(x_limit, abs=10 * ratio)


def test_throughput_is_drawn_at_its_height(session: Session, browser: Browser) -> None:
    course = Throughput(bin_s=5, samples_per_s=(1000.0,) * 60 + (500.0,) * 60)
    with opened(browser, report(session, [make_record(throughput=course)])) as page:
        open_first(page)
        (area,) = areas(page)
    ink = area.of(INK, within=24)
    high = {y for x, y in ink if x < 0.45 * area.width}
    low = {y for x, y in ink if x > 0.55 * area.width}
    assert max(high) - min(high) <= 2
    assert max(low) - min(low) <= 2
    assert min(high) == pytest.approx(2 * min(low), abs=3)
    assert {x for x, _ in ink} >= set(range(5, area.width - 5))


def test_a_chart_follows_its_place(session: Session, browser: Browser) -> None:
    wide = "document.querySelector('.opened canvas').clientWidth"
    with opened(browser, report(session, [make_record(latencies=(SPREAD,))])) as page:
        open_first(page)
        for width in (900, 700, 400, 800):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function(f"Math.abs({width} - 45 - {wide}) < 25", timeout=5000)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.evaluate("document.querySelector('.charts').style.width = '500px'")
        page.wait_for_function(f"{wide} == 500", timeout=5000)
        (area,) = areas(page)
    assert ends(area.of(INK))[1] > 0.9 * area.width
