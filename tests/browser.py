"""Chromium, to look at pages as people do. What a page complains of fails the test."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.containers import needed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


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
