from __future__ import annotations

from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from pytest_mlperf.errors import Place
from pytest_mlperf.matrix import Settings
from pytest_mlperf.record import Measurement
from pytest_mlperf.report import html
from pytest_mlperf.report.conformance import add_up
from pytest_mlperf.report.explanation import explain
from pytest_mlperf.verdict import Finding, Margin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.unit.conftest import MakeCase, MakeRecord

ID = "bert-A2x2_TRT-custom_k_99_MaxP-Offline-PerformanceMode"
QPS = Measurement(name="result_samples_per_second", value=1234.5, unit="samples/s")
HOSTILE = "</pre></td><script>alert('x')</script>\"><img src=x onerror=alert(1)>&amp;"


class Page(HTMLParser):
    """What a browser would see: the elements, their links, and all of the text."""

    def __init__(self, parts: Iterable[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[str] = set()
        self.links: list[str | None] = []
        self.text = ""
        self.feed("".join(parts))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_there_is_a_cell_for_each_column(make_record: MakeRecord) -> None:
    assert html.header_cells() == [
        '<th class="sortable" data-column-type="benchmark">Benchmark</th>',
        '<th class="sortable" data-column-type="scenario">Scenario</th>',
        '<th class="sortable" data-column-type="mode">Mode</th>',
        '<th class="sortable" data-column-type="verdict">Verdict</th>',
        '<th class="sortable" data-column-type="value">Value</th>',
        '<th class="sortable" data-column-type="margin">Margin</th>',
    ]
    assert html.row_cells(make_record(measurements=(QPS,))) == [
        '<td class="col-benchmark">bert</td>',
        '<td class="col-scenario">Offline</td>',
        '<td class="col-mode">PerformanceOnly</td>',
        '<td class="col-verdict">VALID</td>',
        '<td class="col-value">1234.5 samples/s</td>',
        '<td class="col-margin"></td>',
    ]


def test_margins_sort_as_the_text_of_their_cells(make_record: MakeRecord) -> None:
    def cell(percent: float) -> str:
        near = Margin(percent=percent, bound="most")
        finding = Finding(rule='"late"', expected="a", observed="a", satisfied=True, source="s", margin=near)
        return html.row_cells(make_record(findings=(finding,)))[-1]

    title, order = 'title="&quot;late&quot;"', "<!--0000000000003.000000-->"
    assert cell(3) == f'<td class="col-margin" {title}>{order}3.0 % below the limit</td>'
    cells = [cell(percent) for percent in (0, 0.01, 3, 20, 99, 100, 1e6)]
    assert cells == sorted(cells)


def test_a_case_that_did_not_pass_has_no_margin_to_sort_by(make_record: MakeRecord) -> None:
    near = Margin(percent=3, bound="most")
    finding = Finding(rule="late", expected="a", observed="a", satisfied=True, source="s", margin=near)
    assert (
        html.row_cells(make_record(ending="fail", findings=(finding,)))[-1] == '<td class="col-margin"></td>'
    )


def test_cells_are_empty_for_a_test_that_is_no_case() -> None:
    assert html.row_cells(None) == ["<td></td>"] * len(html.header_cells())


def test_a_shortened_case_says_so_in_its_cell(make_record: MakeRecord, make_case: MakeCase) -> None:
    record = make_record(case=make_case(conformance="smoke"), ending="fail")
    assert html.row_cells(record)[3:] == [
        '<td class="col-verdict">INVALID, shortened</td>',
        '<td class="col-value"></td>',
        '<td class="col-margin"></td>',
    ]


def test_the_block_has_the_explanation_every_rule_and_the_logs(make_record: MakeRecord) -> None:
    holds = Finding(rule="mode", expected="a", observed="a", satisfied=True, source="s")
    broken = Finding(
        rule="validity",
        expected="<= 2",
        observed="3",
        satisfied=False,
        source="s",
        place=Place(path="detail.txt", line=3),
        margin=Margin(percent=-50, bound="most"),
        next_step="turn it",
    )
    relaxed = replace(holds, observed="b", satisfied=False, relaxed=True)
    record = make_record(ending="fail", findings=(holds, broken, relaxed))
    block = html.block(record, logs="out/cases/a b")
    assert block[0] == f'<pre style="white-space: pre-wrap">{escape(explain(record))}</pre>'
    assert "<tr><td>holds</td><td>mode</td><td>a</td><td>a</td><td></td><td></td><td></td></tr>" in block[1]
    assert (
        "<tr><td><b>broken</b></td><td>validity</td><td>&lt;= 2</td><td>3</td><td>50.0 % above the limit</td>"
        "<td>turn it</td><td>detail.txt:3</td></tr>"
    ) in block[1]
    assert "<tr><td>relaxed</td><td>mode</td><td>a</td><td>b</td><td></td><td></td><td></td></tr>" in block[1]
    assert block[2] == '<p><a href="out/cases/a%20b">logs</a></p>'


def test_the_block_of_a_passed_case_has_its_tightest_margin(make_record: MakeRecord) -> None:
    near = Finding(
        rule="latency",
        expected="<= 100 ms",
        observed="97 ms",
        satisfied=True,
        source="s",
        margin=Margin(percent=3, bound="most"),
    )
    page = Page(html.block(make_record(findings=(near,)), logs=None))
    assert "tightest margin: latency, 3.0 % below the limit" in page.text


def test_the_block_of_a_case_that_did_not_run_is_its_reason(make_record: MakeRecord) -> None:
    record = make_record(ending="unplaced", folder=None, reason="needs 2x A2 (<16 GiB)")
    assert html.block(record, logs=None) == [
        f'<pre style="white-space: pre-wrap">{ID}: unplaced\n  needs 2x A2 (&lt;16 GiB)</pre>'
    ]


def test_hostile_words_are_text_everywhere(make_record: MakeRecord, make_case: MakeCase) -> None:
    finding = Finding(
        rule=HOSTILE,
        expected=HOSTILE,
        observed=HOSTILE,
        satisfied=False,
        source=HOSTILE,
        place=Place(path=HOSTILE, line=1),
        next_step=HOSTILE,
        advice=HOSTILE,
    )
    case = make_case(id=HOSTILE, benchmark=HOSTILE, sku=HOSTILE, settings=Settings(expected_failure=HOSTILE))
    measurement = Measurement(name=HOSTILE, value=1, unit=HOSTILE)
    record = make_record(case=case, ending="fail", findings=(finding,), measurements=(measurement,))
    without = make_record(case=case, ending="error", reason=HOSTILE)

    cells = Page(html.row_cells(record))
    assert cells.elements == {"td"}
    assert HOSTILE in cells.text

    block = Page(html.block(record, logs=HOSTILE))
    assert block.elements == {"pre", "table", "tr", "th", "td", "b", "p", "a"}
    assert block.text.count(HOSTILE) == explain(record).count(HOSTILE) + 5
    assert [link and "<" in link for link in block.links] == [False]

    reason = Page(html.block(without, logs=None))
    assert reason.elements == {"pre"}
    assert reason.text == explain(without)

    head = Page(html.head(add_up([record]), [record]))
    assert head.elements == {"h2", "p"}
    assert f"SKU {HOSTILE}, round v2.0" in head.text


def test_a_link_is_never_a_program(make_record: MakeRecord) -> None:
    (link,) = Page(html.block(make_record(), logs="javascript:alert(1)")).links
    assert link is not None
    assert not link.startswith("javascript:")


def test_the_head_has_the_sum_and_the_machines_that_ran(make_record: MakeRecord, make_case: MakeCase) -> None:
    records = [
        make_record(),
        make_record(),
        make_record(case=make_case(sku="CPU"), ending="fail"),
        make_record(case=make_case(sku="A30x8"), ending="unplaced", folder=None),
    ]
    assert list(html.head(add_up(records), records)) == [
        "<h2>not conformant: 2 of 4 planned cases passed</h2>",
        "<p>4 in the matrix = 2 pass + 1 fail + 1 unplaced + 0 error + 0 dropped</p>",
        "<p>SKU A2x2, round v2.0</p><p>SKU CPU, round v2.0</p>",
    ]
