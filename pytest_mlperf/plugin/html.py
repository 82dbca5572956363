"""The hooks of pytest-html: one page that tells of the cases, and a table of all other tests.

pytest-html takes ten seconds to show ten thousand rows, and forty megabytes for what is to be told of them:
so what a record tells as well is left out of its table.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from pytest_mlperf.plugin import output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_mlperf.record import Ending, Record

_MOST_FILES = 30

_SAME = {
    "pass": {("setup", "passed"), ("call", "passed")},
    "fail": {("setup", "passed"), ("call", "failed"), ("call", "skipped")},
    "unplaced": {("setup", "skipped")},
    "error": {("setup", "failed")},
    "dropped": {("setup", "skipped")},
}
"""What pytest says of an item that says what its record says. Any other word is told by pytest-html, too."""


@dataclass(kw_only=True, eq=False)
class HtmlPage:
    """Tells pytest-html of the records of a session."""

    config: pytest.Config
    others: int = 0
    """Rows of other tests."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_report_title(self, report: Any) -> None:
        """Say what the report is about, instead of the name of its file."""
        report.title = "MLPerf conformance"

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Leave out the row of what its record tells."""
        record = self._record(report)
        if record is not None and not getattr(report, "extras", None) and _is_same(report, record.ending):
            cells.clear()
        elif cells and (report.when == "call" or not report.passed):
            self.others += 1

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str], postfix: list[str]) -> None:
        """Put the cases over the table of the other tests."""
        from pytest_mlperf.plugin.telling import TOLD  # noqa: PLC0415  may not be awake
        from pytest_mlperf.report import html  # noqa: PLC0415  only where HTML is written

        told = self.config.stash.get(TOLD, None)
        if told is None or told.conformance is None:
            return
        records = tuple(told.records.values())
        prefix.extend(html.fragments(told.conformance, records, told.machines, self._links))
        if self.others:
            postfix.append("<h2>Other tests</h2>")
        else:
            prefix.append(html.style("alone.css"))

    def _record(self, report: pytest.TestReport) -> Record | None:
        from pytest_mlperf.plugin.telling import TOLD  # noqa: PLC0415  may not be awake

        told = self.config.stash.get(TOLD, None)
        return told.record_of(report.nodeid) if told is not None else None

    def _links(self, record: Record) -> Iterator[tuple[str, str]]:
        """Give the files that a case left, as seen from the page."""
        if record.folder is None:
            return
        folder = output.folder(self.config).resolve() / record.folder
        files = (path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
        for path in sorted(itertools.islice(files, _MOST_FILES)):
            name = os.fsencode(path.relative_to(folder)).decode(errors="backslashreplace")
            yield name, quote(os.fsencode(os.path.relpath(path, self._place)))

    @cached_property
    def _place(self) -> Path:
        """The folder of the page."""
        page: Path = self.config.invocation_params.dir / self.config.getoption("htmlpath")
        return page.parent.resolve()


def _is_same(report: pytest.TestReport, ending: Ending) -> bool:
    """Return whether pytest says of an item what its record says."""
    return (report.when == "teardown" and report.passed) or (report.when, report.outcome) in _SAME[ending]


def add_page(config: pytest.Config) -> None:
    """Register the hooks when a report is written in a project with matrices."""
    if not config.getoption("htmlpath", None) or hasattr(config, "workerinput"):
        return
    patterns = config.getini("mlperf_matrices")
    named = any(config.getoption(f"mlperf_{name}") for name in ("matrix", "results", "merge"))
    if named or any(any(config.rootpath.glob(pattern)) for pattern in patterns):
        config.pluginmanager.register(HtmlPage(config=config), "pytest_mlperf.html")
