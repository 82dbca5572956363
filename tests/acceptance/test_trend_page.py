"""A history as a page, in Chromium."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from statistics import median
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.history.past import Past
from pytest_mlperf.history.store import open_history
from pytest_mlperf.record import Measurement
from tests.browser import INK, LIMIT, areas, ends, opened
from tests.records import HOSTILE, INVENTORY, make_case, make_record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from playwright.sync_api import Browser
    from sessions import Session

    from tests.browser import Area

DAYS = 60
START = datetime(2026, 9, 1, tzinfo=timezone.utc)


FAILED_ON = 40


def value(day: int) -> int:
    """Return what is measured on a day: on each 19th less."""
    return 9000 + 13 * (day * 7 % 11) - (900 if day % 19 == 18 else 0)


def remember(path: Path, *, benchmark: str = "bert") -> None:
    """Leave a history of two machines, of which one is slower once in a while, and fails once."""
    history = open_history(f"sqlite:///{path}")
    case = make_case(id=f"{benchmark}-x", benchmark=benchmark)
    for day in range(DAYS):
        at = (START + timedelta(days=day)).isoformat()
        host = f"node-{day % 2}"
        measured = Measurement(name="result_samples_per_second", value=value(day), unit="samples/s")
        ending = "fail" if day == FAILED_ON else "pass"
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


BAND = (228, 232, 237)


def test_charts_show_runs_their_usual_range_and_failures(session: Session, browser: Browser) -> None:
    folder = session.pytester.path
    remember(folder / "h.sqlite")
    session.run("--mlperf-report", "html", "--mlperf-history", "h.sqlite")
    with opened(browser, folder / "mlperf-history.html") as page:
        page.click("details.series summary")
        page.wait_for_function("document.querySelectorAll('details.series canvas').length == 3")
        first, second, both = areas(page)
    check_chart(first, range(0, DAYS, 2))
    check_chart(second, range(1, DAYS, 2))
    check_chart(both, range(DAYS))


def check_chart(area: Area, days: Sequence[int]) -> None:
    """Check that it shows these days: where a value is, is told from the least and the most of the curve."""
    values = [value(day) for day in days]
    middle = median(values)
    reach = 3 * 1.4826 * median(abs(one - middle) for one in values)
    ink = area.of(INK, within=24)
    *_, bottom, top = ends(ink)

    def place(day: int, at: float) -> tuple[float, float]:
        x = (day - days[0]) / (days[-1] - days[0]) * area.width
        return x, bottom + (at - min(values)) / (max(values) - min(values)) * (top - bottom)

    for day, one in zip(days[1:-1], values[1:-1], strict=True):
        assert near(ink, place(day, one), within=6)
    _, at_middle = place(0, middle)
    assert max(Counter(y for _, y in ink if abs(y - at_middle) <= 4).values()) > 0.95 * area.width
    band = [
        y for y, count in Counter(y for _, y in area.of(BAND, within=1)).items() if 2 * count > area.width
    ]
    assert min(band) == pytest.approx(place(0, middle - reach)[1], abs=6)
    assert max(band) == pytest.approx(place(0, middle + reach)[1], abs=6)
    cross = area.of(LIMIT)
    if FAILED_ON in days:
        x, y = place(FAILED_ON, value(FAILED_ON))
        assert near(cross, (x, y), within=4)
        assert near({(round(x), round(y))}, min(cross), within=20)
        assert near({(round(x), round(y))}, max(cross), within=20)
    else:
        assert cross == set()


def near(places: set[tuple[int, int]], place: tuple[float, float], *, within: int) -> bool:
    return any(abs(x - place[0]) <= within and abs(y - place[1]) <= within for x, y in places)


def test_a_page_goes_where_it_is_told_to(session: Session) -> None:
    remember(session.pytester.path / "h.sqlite")
    options = ("--mlperf-report", "html", "--mlperf-history", "h.sqlite", "--html")
    assert session.run(*options, "there.html").ret == 0
    assert "MLPerf history" in (session.pytester.path / "there.html").read_text(encoding="utf-8")
    result = session.run(*options, "nowhere/there.html")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*nowhere/there.html: --mlperf-report html: No such file or directory"])


@pytest.mark.parametrize("ini", ["addopts = --html=report.html", "addopts = --html report.html"])
def test_a_page_does_not_take_the_place_of_the_last_report(session: Session, ini: str) -> None:
    session.pytester.makeini(f"[pytest]\n{ini}\n")
    last = session.pytester.path / "report.html"
    last.write_text("of a qualification")
    remember(session.pytester.path / "h.sqlite")
    options = ("--mlperf-report", "html", "--mlperf-history", "h.sqlite")
    session.run(*options).stdout.fnmatch_lines(["history *: file://*/mlperf-history.html"])
    session.run(*options, "--html=there.html").stdout.fnmatch_lines(["history *: file://*/there.html"])
    assert last.read_text() == "of a qualification"


def test_a_page_of_nothing_is_not_written(session: Session) -> None:
    session.run("--mlperf-history", "h.sqlite", "-k", "A2x2", "--mlperf-output", "out")
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
