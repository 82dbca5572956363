"""A history as a page, in Chromium."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.history.past import Past
from pytest_mlperf.history.store import open_history
from pytest_mlperf.record import Measurement
from tests.browser import opened
from tests.records import HOSTILE, INVENTORY, make_case, make_record

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser
    from sessions import Session

DAYS = 60
START = datetime(2026, 9, 1, tzinfo=timezone.utc)


def remember(path: Path, *, benchmark: str = "bert") -> None:
    """Leave a history of two machines, of which one is slower once in a while, and fails once."""
    history = open_history(f"sqlite:///{path}")
    case = make_case(id=f"{benchmark}-x", benchmark=benchmark)
    for day in range(DAYS):
        at = (START + timedelta(days=day)).isoformat()
        host = f"node-{day % 2}"
        value = 9000 + 13 * (day * 7 % 11) - (900 if day % 19 == 18 else 0)
        measured = Measurement(name="result_samples_per_second", value=value, unit="samples/s")
        ending = "fail" if day == 40 else "pass"
        record = make_record(case=case, ending=ending, measurements=(measured,), started_at=at)
        history.add(
            Past(
                id=f"s{day}",
                started_at=at,
                host=host if benchmark == "bert" else benchmark,
                version="0.1.0",
                inventory=INVENTORY,
                conformance="conformant",
                records=(record,),
            )
        )


@pytest.mark.parametrize("width", [1280, 400])
def test_a_history_is_a_page(session: Session, browser: Browser, width: int) -> None:
    folder = session.pytester.path
    remember(folder / "h.sqlite")
    result = session.run("--mlperf-report", "html", "--mlperf-history", "h.sqlite")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"history sqlite:*h.sqlite: file://{folder}/mlperf-history.html"])
    with opened(browser, folder / "mlperf-history.html", width=width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.inner_text("#mlperf > table tbody").split("\t")[:6] == [
            "bert",
            "A2x2_TRT-custom_k_99_MaxP-Offline-PerformanceMode",
            "0.0",
            "1.0",
            "0.9833333333333333",
            "VALID/INVALID",
        ]
        assert page.inner_text("details.series summary small").startswith("A2x2, round: n 60, passed 59;")
        page.click("details.series summary")
        page.wait_for_function("document.querySelectorAll('details.series canvas').length == 3")
        assert page.locator("details.series tbody tr").count() == DAYS
        page.fill("input[type=search]", "rnnt")
        assert page.inner_text(".count") == "0 of 1"
        page.fill("input[type=search]", "bert a2x2")
        assert page.inner_text(".count") == "1 of 1"


def test_a_page_goes_where_it_is_told_to(session: Session) -> None:
    remember(session.pytester.path / "h.sqlite")
    options = ("--mlperf-report", "html", "--mlperf-history", "h.sqlite", "--html")
    assert session.run(*options, "there.html").ret == 0
    assert "MLPerf history" in (session.pytester.path / "there.html").read_text(encoding="utf-8")
    result = session.run(*options, "nowhere/there.html")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*nowhere/there.html: --mlperf-report html: No such file or directory"])


def test_a_page_of_nothing_is_not_written(session: Session) -> None:
    result = session.run("--mlperf-report", "html", "--mlperf-history", "h.sqlite")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["history *: no verdict yet"])
    assert not (session.pytester.path / "mlperf-history.html").exists()


def test_hostile_names_are_only_shown(session: Session, browser: Browser) -> None:
    remember(session.pytester.path / "h.sqlite", benchmark=HOSTILE)
    session.run("--mlperf-report", "html", "--mlperf-history", "h.sqlite")
    with opened(browser, session.pytester.path / "mlperf-history.html") as page:
        page.click("details.series summary")
        page.wait_for_selector("details.series canvas")
        assert page.inner_text("#mlperf").count(HOSTILE) == 3
        assert page.evaluate("window.hacked") is None
