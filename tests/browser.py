"""Chromium, to look at pages as people do. What a page complains of fails the test."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.containers import needed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import TypeAlias

    from playwright.sync_api import Browser, Page

    Color: TypeAlias = tuple[int, int, int]

_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

INK = (0x1A, 0x3D, 0x6D)
LIMIT = (0xA4, 0x26, 0x2C)

_AREAS = """() => [...document.querySelectorAll('.uplot')].map((plot) => {
    const canvas = plot.querySelector('canvas');
    const [all, over] = [canvas, plot.querySelector('.u-over')].map((one) => one.getBoundingClientRect());
    const ratio = canvas.width / all.width;
    const area = [over.left - all.left, over.top - all.top, over.width, over.height];
    const [left, top, width, height] = area.map((length) => Math.round(ratio * length));
    const { data } = canvas.getContext('2d').getImageData(left, top, width, height);
    const colors = [];
    const place = (pixel) => [pixel % width, height - 1 - Math.floor(pixel / width)];
    for (let at = 0; at < data.length; at += 4) {
        const onWhite = (part) => Math.round(255 - ((255 - data[at + part]) * data[at + 3]) / 255);
        if (data[at + 3]) colors.push([...place(at / 4), onWhite(0), onWhite(1), onWhite(2)]);
    }
    return [width, height, colors];
})"""


@dataclass(frozen=True, kw_only=True)
class Area:
    """What a chart shows within its axes: pixels of the device from the lower left, without the blank."""

    width: int
    height: int
    colors: Mapping[tuple[int, int], Color]

    def of(self, color: Color, *, within: int = 2) -> set[tuple[int, int]]:
        """Return the pixels of a colour."""
        return {
            place
            for place, found in self.colors.items()
            if all(abs(one - other) <= within for one, other in zip(found, color, strict=True))
        }


def areas(page: Page) -> list[Area]:
    """Return what all charts of a page show."""
    return [_area(*told) for told in page.evaluate(_AREAS)]


def ends(places: Iterable[tuple[int, int]]) -> tuple[int, int, int, int]:
    """Return the least and the most of x, and of y."""
    xs, ys = zip(*places, strict=True)
    return min(xs), max(xs), min(ys), max(ys)


def _area(width: int, height: int, told: list[list[int]]) -> Area:
    return Area(width=width, height=height, colors={(x, y): (r, g, b) for x, y, r, g, b in told})


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Debian's Chromium."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  only wanted where a page is looked at

    program = shutil.which("chromium")
    if program is None:
        needed("Chromium", command="apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*_OPTIONS])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, place: Path | str, *, width: int = 1280, **context: Any) -> Iterator[Page]:
    """Open a page, by its file or address, and wait until it has settled. It may complain of nothing."""
    with browser.new_context(viewport={"width": width, "height": 900}, **context) as around:
        page = around.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(place if isinstance(place, str) else place.as_uri())
        yield page
        assert complaints == []
        shots = os.environ.get("MLPERF_SCREENSHOTS")
        if shots:
            name = os.environ["PYTEST_CURRENT_TEST"].partition(" ")[0].rpartition("::")[2]
            page.screenshot(path=f"{shots}/{name}-{width}.png", full_page=True)
