"""The head of a page: what a reader who has five seconds wants to know, without any script."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from pytest_mlperf.record import ENDINGS
from pytest_mlperf.report import comparisons
from pytest_mlperf.report.conformance import acceptance
from pytest_mlperf.report.explanation import explain, headline, tightest_of
from pytest_mlperf.verdict import tightest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_mlperf.record import Record
    from pytest_mlperf.report.conformance import Conformance
    from pytest_mlperf.report.machine import Machine

_MOST_MARGINS = 5
_MOST_EXPLAINED = 50
_MARKS = {"pass": "\u2713", "fail": "\u2717", "unplaced": "\u2013", "error": "!", "dropped": "\u00b7"}
"""Beside the words, for those who do not see colours."""
_MEANINGS = {
    "pass": "PASS or VALID",
    "fail": "a rule is broken",
    "unplaced": "the hardware is not here",
    "error": "could not be found out",
    "dropped": "not in the plan",
}


def parts(conformance: Conformance, records: Sequence[Record], machines: Sequence[Machine]) -> Iterator[str]:
    """Give the parts: the answer, the machines, the counts, the worst margins, and what did not pass."""
    yield _answer(conformance)
    yield from (f"<p>{escape(line)}</p>" for line in (*acceptance(records), *comparisons.summary(records)))
    yield _machines(machines, records)
    yield _counts(conformance)
    yield _margins(records)
    yield from _explained(records)
    yield from _folded(records)
    yield _plain_table(records)


def _answer(conformance: Conformance) -> str:
    word = conformance.word
    _, _, rest = str(conformance).partition(": ")
    kind = word.replace(" ", "-")
    return f'<p class="answer {kind}"><strong>{escape(word.upper())}</strong> {escape(rest)}</p>'


def _machines(machines: Sequence[Machine], records: Iterable[Record]) -> str:
    asked = [record.case for record in records if record.ending != "dropped"]
    systems: dict[str, dict[str, None]] = {}
    for case in asked:
        systems.setdefault(case.round, {})[case.sku] = None
    rows = "".join(
        f"<tr><th>Machine</th><td><b>{escape(machine.host)}</b>: {escape(', '.join(machine.hardware))}; "
        f"{escape(machine.started_at)}{_word(machine, machines)}</td></tr>"
        for machine in machines
    )
    rows += "".join(
        f"<tr><th>SKU</th><td><b>{escape(', '.join(skus))}</b>; round {escape(name)}</td></tr>"
        for name, skus in systems.items()
    )
    return f'<table class="facts">{rows}</table>'


def _word(machine: Machine, machines: Sequence[Machine]) -> str:
    if len(machines) == 1:
        return ""
    return f": {escape(machine.word or 'ended before its end')}"


def _counts(conformance: Conformance) -> str:
    cells = "".join(
        f'<td class="{ending}"><b>{_MARKS[ending]} {conformance.counts[ending]}</b> {ending}'
        f"<br><small>{_MEANINGS[ending]}</small></td>"
        for ending in ENDINGS
    )
    return f'<table class="counts"><tr>{cells}</tr></table><p><small>{escape(conformance.sum())}</small></p>'


def _margins(records: Iterable[Record]) -> str:
    near = tightest_of(records, most=_MOST_MARGINS)
    if not near:
        return ""
    rows = "".join(
        f"<tr><td>{_link(record)}</td><td>{escape(finding.rule)}</td><td><b>{escape(str(finding.margin))}</b>"
        f"</td><td>{escape(finding.observed)} ({escape(finding.expected)})</td></tr>"
        for record, finding in near
    )
    head = "<tr><th>Case</th><th>Rule</th><th>Margin</th><th>Observed (expected)</th></tr>"
    return f'<h3>Passed, and nearest to a limit</h3><table class="grid stacked">{head}{rows}</table>'


def _explained(records: Sequence[Record]) -> Iterator[str]:
    """Give a block for each case that did not pass, as many as a reader can be asked to look through."""
    bad = [record for ending in ("fail", "error") for record in records if record.ending == ending]
    if not bad:
        return
    yield f"<h3>Did not pass ({len(bad)})</h3>"
    for record in bad[:_MOST_EXPLAINED]:
        word = escape(record.verdict or record.ending)
        expected = " (expected to fail)" if record.expected_failure else ""
        yield (
            f'<details class="bad"><summary><span class="mark {record.ending}">{_MARKS[record.ending]} {word}'
            f"</span> {escape(record.case.id)}{expected}</summary><pre>{escape(explain(record))}</pre>"
            f'<p class="scripted">{_link(record, "all that is known of it")}</p></details>'
        )
    if len(bad) > _MOST_EXPLAINED:
        yield f"<p>and {len(bad) - _MOST_EXPLAINED} more, among the cases below</p>"


def _folded(records: Iterable[Record]) -> Iterator[str]:
    """Give the reasons of what did not run, each once."""
    reasons = Counter((r.ending, r.reason or "") for r in records if r.ending in ("unplaced", "dropped"))
    if reasons:
        items = "".join(
            f"<li>{count} {ending}: {escape(reason)}</li>" for (ending, reason), count in reasons.items()
        )
        summary = f"<summary>Did not run ({reasons.total()})</summary>"
        yield f'<details>{summary}<ul class="reasons">{items}</ul></details>'


def _plain_table(records: Iterable[Record]) -> str:
    """Return the cases that ran where no script may make a table of them: no sorting, no charts."""
    ran = [record for record in records if record.ending in ("pass", "fail", "error")]
    verdicts = ["; ".join([headline(record), *record.short_labels]) for record in ran]
    rows = "".join(
        f"<tr><td>{escape(record.case.id)}</td><td>{escape(verdict)}</td><td>{_margin(record)}</td></tr>"
        for record, verdict in zip(ran, verdicts, strict=True)
    )
    head = "<tr><th>Case</th><th>Verdict</th><th>Margin</th></tr>"
    note = "Sorting, filters, charts and the rules of each case need scripts, which are forbidden here."
    return f'<noscript><h3>Cases</h3><p>{note}</p><table border="1">{head}{rows}</table></noscript>'


def _margin(record: Record) -> str:
    near = tightest(record.findings) if record.ending == "pass" else None
    return escape(f"{near.rule}: {near.margin}") if near else ""


def _link(record: Record, text: str | None = None) -> str:
    return f'<a href="#case={quote(record.case.id)}">{escape(text or record.case.id)}</a>'
