"""The page as people see and use it, in Chromium."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.evidence import Distribution, Throughput
from pytest_mlperf.record import Measurement
from pytest_mlperf.verdict import Finding, Margin
from pytest_mlperf.verdict.baseline import baseline, compare
from tests.browser import opened
from tests.records import SPREAD, make_case, make_record, report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page
    from sessions import Session

    from pytest_mlperf.record import Record

MOST_BYTES = 12_000_000


def finding(percent: float, *, satisfied: bool = True) -> Finding:
    return Finding(
        rule="Performance constraints satisfied",
        expected="99th percentile <= 130 ms",
        observed=f"{130 - 1.3 * percent:.1f} ms",
        satisfied=satisfied,
        source="MLPerf Inference Rules, LoadGen",
        margin=Margin(percent=percent, bound="most"),
    )


def mixed() -> list[Record]:
    """Return records of all five endings, with charts."""
    spread = replace(SPREAD, limit=(0.99, 1.3e8))
    course = Throughput(bin_s=5, samples_per_s=tuple(1000 + 7 * (n % 13) for n in range(120)))
    records = []
    for number, benchmark in enumerate(("bert", "rnnt", "ssd-resnet34")):
        for scenario in ("Offline", "Server"):
            name = f"DGX-A100_A100-SXM4-40GBx8_TRT-custom_k_99_MaxP-{scenario}-PerformanceMode"
            case = make_case(
                id=f"{benchmark}-{name}",
                metric_name=name,
                benchmark=benchmark,
                scenario=scenario,
                sku="A100-SXM4-40GBx8",
            )
            metric = ("result_samples_per_second", "samples/s")
            value = Measurement(name=metric[0], value=9000.5 * 10**number, unit=metric[1])
            others = baseline(
                "published",
                metric=metric,
                values=[value.value * n for n in (1, 1.01, 1.02, 1.03)],
                source="v2.0",
            )
            records.append(
                make_record(
                    case=case,
                    findings=(finding(3.5 + 10 * number),),
                    measurements=(value,),
                    latencies=(spread,),
                    throughput=course,
                    comparisons=(compare(others, value.value),),
                    duration_s=611.0,
                    started_at="2026-11-30T08:01:00+00:00",
                    folder=f"cases/{case.id}",
                )
            )
    late = make_case(id="dlrm-late", benchmark="dlrm", scenario="Server", sku="A100-SXM4-40GBx8")
    records.append(
        make_record(case=late, ending="fail", reason="too late", findings=(finding(-20, satisfied=False),))
    )
    died = make_case(id="3d-unet-died", benchmark="3d-unet", sku="A100-SXM4-40GBx8")
    records.append(make_record(case=died, ending="error", reason="run: ended by SIGSEGV: see stderr.txt"))
    away = make_case(id="bert-away", sku="A30x8")
    records.append(make_record(case=away, ending="unplaced", folder=None, reason="needs 8x A30, found none"))
    not_asked = make_case(id="bert-not-asked")
    records.append(make_record(case=not_asked, ending="dropped", folder=None, reason="not selected"))
    return records


def cases(page: Page) -> list[str]:
    """Return the benchmarks and scenarios in the order that is shown."""
    rows = page.locator(".cases tbody tr[data-index]")
    return [" ".join(row.locator("td").nth(n).inner_text() for n in (2, 3)) for row in rows.all()]


@pytest.mark.parametrize("width", [1280, 400])
def test_a_page_answers_sorts_filters_and_opens(session: Session, browser: Browser, width: int) -> None:
    with opened(browser, report(session, mixed()), width=width) as page:
        assert page.inner_text(".answer") == "NOT CONFORMANT 6 of 9 planned cases passed"
        assert page.inner_text(".facts").startswith("Machine")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".cases tbody tr").count() == 9
        page.get_by_label("dropped (1)").check()
        assert page.locator(".cases tbody tr").count() == 10
        page.click("th.value button")
        page.click("th.value button")
        assert page.locator(".cases tbody tr").first.inner_text().count("900050 samples/s") == 1
        assert page.get_attribute("th.value", "aria-sort") == "descending"
        assert page.locator("td.compared").first.inner_text() == "98.5 % as good as published"
        page.get_by_label("benchmark").select_option("rnnt")
        assert page.inner_text(".count") == "2 of 10 cases"
        page.fill("input[type=search]", "no such case")
        assert page.inner_text(".cases tbody") == "no case is like this"
        page.fill("input[type=search]", "")
        page.get_by_label("benchmark").select_option("")
        page.fill("input[type=search]", "BERT server")
        assert page.inner_text(".count") == "1 of 10 cases"
        page.click(".opener")
        page.wait_for_selector(".opened canvas >> nth=1")
        assert page.inner_text(".opened .rules").count("3.5 % below the limit") == 1
        assert "98.5 % of the median of 4 published figures" in page.inner_text(".opened")
        assert "limit: 99 % within 130 ms" in page.inner_text(".opened .charts")
        assert "1084 samples/s" in page.inner_text(".opened .charts")
        page.click(".opener")
        assert page.locator(".opened").count() == 0


def test_a_link_in_the_head_opens_its_case(session: Session, browser: Browser) -> None:
    with opened(browser, report(session, mixed())) as page:
        page.click("summary:has-text('dlrm-late')")
        page.click("details[open] a")
        page.wait_for_selector(".opened .rules .broken")
        assert page.locator(".opened").count() == 1
        page.click(".stacked a >> nth=0")
        page.wait_for_function("document.querySelectorAll('.opened .headline').length == 2")


def test_cases_open_and_sort_by_keyboard(session: Session, browser: Browser) -> None:
    focused = "document.activeElement"
    with opened(browser, report(session, mixed())) as page:
        page.focus("input[type=search]")
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate(f"{focused}.closest('th.benchmark')"):
                break
        assert page.evaluate(f"getComputedStyle({focused}).outlineStyle") == "solid"
        for order in ("ascending", "descending"):
            page.keyboard.press("Enter")
            assert page.get_attribute("th.benchmark", "aria-sort") == order
        assert cases(page)[0].startswith("ssd-resnet34")
        page.evaluate("getSelection().selectAllChildren(document.querySelector('.answer'))")
        page.focus(".opener")
        assert page.evaluate(f"getComputedStyle({focused}).outlineStyle") == "solid"
        for key in ("Enter", "Space"):
            page.keyboard.press(key)
            page.wait_for_selector(".opened .headline")
            assert page.get_attribute(".opener >> nth=0", "aria-expanded") == "true"
            page.keyboard.press(key)
            assert page.locator(".opened").count() == 0
            assert page.get_attribute(".opener >> nth=0", "aria-expanded") == "false"
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.get_attribute(".opener >> nth=1", "aria-expanded") == "true"


def test_what_is_opened_is_printed_as_it_is(session: Session, browser: Browser) -> None:
    with opened(browser, report(session, mixed())) as page:
        page.click(".opener >> nth=0")
        page.wait_for_selector(".opened canvas >> nth=1")
        count = "document.querySelectorAll('.opened canvas').length"
        page.evaluate(f"addEventListener('beforeprint', () => {{ printed = {count}; }})")
        page.pdf()
        assert page.evaluate("printed") == 2
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 720, "height": 900})
        for tools in (".tools", ".scripted", "#mlperf-cases > button"):
            assert page.locator(tools).first.is_hidden()
        page.wait_for_function("document.documentElement.scrollWidth <= 720", timeout=5000)
        for chart in page.locator(".opened .chart").all():
            # On paper nothing draws it anew: it is as wide as it was on the screen.
            chart.evaluate("one => { one.querySelector('.u-wrap').style.width = '900px'; }")
            assert chart.evaluate("one => one.querySelector('canvas').clientWidth <= one.clientWidth")


def test_nothing_is_told_by_colour_alone(session: Session, browser: Browser) -> None:
    with opened(browser, report(session, mixed()), forced_colors="active") as page:
        verdicts = page.locator(".cases .mark").all_inner_texts()
    assert verdicts == ["\u2713 VALID"] * 6 + ["\u2717 INVALID", "! error", "\u2013 unplaced"]


def test_all_cases_are_printed(session: Session, browser: Browser) -> None:
    records = [make_record(case=make_case(id=f"c{n}")) for n in range(449)]
    records.append(make_record(case=make_case(id="bad"), ending="error", reason="run: the engine is missing"))
    with opened(browser, report(session, records)) as page:
        assert not page.locator("pre").is_visible()
        assert page.locator(".cases tbody tr").count() == 200
        page.click("button:has-text('Show 200 more of 250')")
        assert page.locator(".cases tbody tr").count() == 400
        assert page.pdf().count(b"/Type /Page") > 5
        assert page.locator(".cases tbody tr").count() == 450
        assert "the engine is missing" in page.inner_text("pre")
        assert page.locator("pre").is_visible()


# What Jenkins sends with an archived file: https://www.jenkins.io/doc/book/security/configuring-content-security-policy
JENKINS = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the files of a folder as Jenkins does."""

    class Handler(SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            self.send_header("Content-Security-Policy", JENKINS)
            super().end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_in_the_sandbox_of_jenkins_the_answer_is_there(session: Session, browser: Browser) -> None:
    page_path = report(session, mixed())
    with served(page_path.parent) as address, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}/{page_path.name}")
        text = page.inner_text("#mlperf")
    assert text.startswith("NOT CONFORMANT 6 of 9 planned cases passed")
    assert "Performance constraints satisfied\t3.5 % below the limit" in text
    assert "Sorting, filters, charts and the rules of each case need scripts" in text
    for record in mixed():
        shown = record.ending in ("pass", "fail", "error")
        assert (f"/{record.case.id}\t" in text) == shown


@pytest.mark.long
def test_ten_thousand_cases_are_a_small_page(session: Session, browser: Browser) -> None:
    records = [
        make_record(
            case=make_case(id=f"bert-A100-{n}-PerformanceMode", benchmark=f"b{n % 7}", sku=f"A100-{n % 40}"),
            findings=tuple(finding((n * k * 7919 % 10_007) / 100) for k in range(1, 16)),
            measurements=(Measurement(name="qps", value=n * 7919 % 10_007, unit="samples/s"),),
            latencies=(
                Distribution(of="query", quantiles=tuple((p, 1e6 * (n + p)) for p in (0, 0.5, 0.9, 0.99, 1))),
            ),
        )
        for n in range(10_000)
    ]
    path = report(session, records)
    assert path.stat().st_size < MOST_BYTES
    with opened(browser, path) as page:
        page.click("th.value button")
        page.fill("input[type=search]", "a100-77")
        assert page.inner_text(".count") == "111 of 10000 cases"
        page.click(".opener >> nth=0")
        page.wait_for_selector(".opened canvas")
