"""What GitHub Actions shows of a session: a page for the step, and annotations.

Sources: GitHub's documentation, "Workflow commands for GitHub Actions" (escaping, GITHUB_STEP_SUMMARY of at
most 1 MiB a step) and "Limits" of annotations (10 errors a step); its REST API, "Check runs" (64 KB of text
in an annotation).
"""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING

from pytest_mlperf.report.explanation import explain, headline, nearest, shortened
from pytest_mlperf.verdict import tightest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_mlperf.record import Record
    from pytest_mlperf.report.conformance import Conformance

MOST_BYTES = 1 << 19
"""Half of what GitHub takes: other commands of the step may say something, too."""
MOST_ANNOTATIONS = 10
MOST_CHARACTERS = 16_000
"""Of an annotation: 64 KB, if each takes four bytes."""

_MARKS = {ord(character): f"&#{ord(character)};" for character in "\\`*_[]|~@"}
_ENDINGS = ("fail", "error", "pass")


def page(conformance: Conformance, records: Sequence[Record]) -> str:
    """Return the summary of a session in Markdown, no longer than GitHub takes.

    What was run stands in a table, what went wrong first; what was not, as a count with its reason.
    """
    lines = [f"## MLPerf: {_cell(str(conformance))}", "", _cell(conformance.sum()), ""]
    near = nearest(records)
    if near:
        lines += [_cell(near), ""]
    others = Counter((r.ending, shortened(r.reason or "")) for r in records if r.ending not in _ENDINGS)
    lines += [f"- {count} {ending}: {_cell(reason)}" for (ending, reason), count in others.items()]
    ran = [record for ending in _ENDINGS for record in records if record.ending == ending]
    if ran:
        lines += ["", "| case | verdict | margin | why |", "|---|---|---|---|"]
    return _shortened(lines, [_row(record) for record in ran])


def commands(records: Iterable[Record]) -> Iterator[str]:
    """Give a workflow command for each case that failed or is an error, as many as GitHub shows."""
    bad = [r for r in records if r.ending in ("fail", "error") and not r.expected_failure]
    shown = bad if len(bad) <= MOST_ANNOTATIONS else bad[: MOST_ANNOTATIONS - 1]
    for record in shown:
        yield _error(record.case.id, explain(record)[:MOST_CHARACTERS])
    if len(shown) < len(bad):
        yield _error("MLPerf", f"and {len(bad) - len(shown)} more cases that did not pass: see the summary")


def _row(record: Record) -> str:
    near = tightest(record.findings) if record.ending == "pass" else None
    verdict = "; ".join([headline(record), *record.short_labels])
    cells = (record.case.id, verdict, str(near.margin) if near else "", shortened(record.reason or ""))
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Return a text that is shown as it is: nothing in it is HTML, Markdown, or the end of a cell."""
    escaped = escape(text, quote=False).translate(_MARKS)
    return "<br>".join(escaped.splitlines())


def _shortened(lines: Sequence[str], rows: Sequence[str]) -> str:
    """Return the lines, and as many of the rows as there is room for."""
    room = MOST_BYTES - sum(len(line.encode()) + 1 for line in lines)
    kept: list[str] = []
    for row in rows:
        room -= len(row.encode()) + 1
        if room < 0:
            break
        kept.append(row)
    left_out = len(rows) - len(kept)
    more = ["", f"{left_out} more are left out here: they stand in records.jsonl"] if left_out else []
    return "\n".join([*lines, *kept, *more, ""])


def _error(title: str, text: str) -> str:
    """Return a workflow command that annotates the step."""
    message = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    name = title.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::error title={name.replace(':', '%3A').replace(',', '%2C')}::{message}"
