"""What pytest-html shows of a record: columns, and a block. Everything from logs and YAML is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from pytest_mlperf.matrix import Case
from pytest_mlperf.report.conformance import acceptance
from pytest_mlperf.report.explanation import explain, headline
from pytest_mlperf.verdict import tightest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_mlperf.record import Record
    from pytest_mlperf.report.conformance import Conformance
    from pytest_mlperf.verdict import Finding

_COLUMNS = ("benchmark", "scenario", "mode", "verdict", "value", "margin")


def header_cells() -> list[str]:
    """Return the header cells of the columns, each one to sort by."""
    return [f'<th class="sortable" data-column-type="{name}">{name.capitalize()}</th>' for name in _COLUMNS]


def row_cells(record: Record | None) -> list[str]:
    """Return the cells of a row: empty for a test that is no case."""
    if record is None:
        return ["<td></td>"] * len(_COLUMNS)
    case = record.case
    _, _, value = headline(record).partition(", ")
    verdict = record.verdict or record.ending
    values = (
        case.benchmark,
        case.scenario,
        case.mode,
        ", ".join([verdict, *(label.partition(":")[0] for label in record.labels)]),
        value,
    )
    texts = zip(_COLUMNS[:-1], values, strict=True)
    return [*(f'<td class="col-{name}">{escape(text)}</td>' for name, text in texts), _margin_cell(record)]


def _margin_cell(record: Record) -> str:
    """Return how near a passed case is to a limit; which one it is shows under the mouse.

    pytest-html sorts a column by the source of its cells, as text: a comment makes that the order of numbers.
    """
    near = tightest(record.findings) if record.ending == "pass" else None
    if near is None or near.margin is None:
        return '<td class="col-margin"></td>'
    order = f"<!--{near.margin.percent:020.6f}-->"
    return f'<td class="col-margin" title="{escape(near.rule)}">{order}{escape(str(near.margin))}</td>'


def block(record: Record, *, logs: str | None) -> list[str]:
    """Return the verdict with what was held against it, rule by rule, and a link to the logs."""
    parts = [f'<pre style="white-space: pre-wrap">{escape(explain(record))}</pre>']
    if findings := _shown(record):
        rows = "".join(
            f"<tr><td>{'<b>broken</b>' if f.broken else f.word}</td><td>{escape(f.rule)}</td>"
            f"<td>{escape(f.expected)}</td><td>{escape(f.observed)}</td><td>{f.margin or ''}</td>"
            f"<td>{escape(f.next_step or '')}</td><td>{escape(str(f.place or ''))}</td></tr>"
            for f in findings
        )
        names = ("", "Rule", "Expected", "Observed", "Margin", "Next step", "In")
        head = "".join(f"<th>{name}</th>" for name in names)
        parts.append(f"<table><tr>{head}</tr>{rows}</table>")
    if logs:
        parts.append(f'<p><a href="{escape(quote(logs))}">logs</a></p>')
    return parts


def _shown(record: Record) -> list[Finding]:
    """Return the findings to tell; of published results, which come in thousands, those with news."""
    if isinstance(record.case, Case):
        return [*record.findings]
    return [finding for finding in record.findings if finding.margin or not finding.satisfied]


def head(conformance: Conformance, records: Iterable[Record]) -> Iterator[str]:
    """Give the sum over the table, and what it stands on."""
    yield f"<h2>{escape(str(conformance))}</h2>"
    yield f"<p>{escape(conformance.sum())}</p>"
    records = list(records)
    yield from (f"<p>{escape(line)}</p>" for line in acceptance(records))
    ran = [r.case for r in records if r.folder and isinstance(r.case, Case)]
    machines = {f"{case.sku}, round {case.round}": None for case in ran}
    yield "".join(f"<p>SKU {escape(machine)}</p>" for machine in machines)
