"""The hooks of pytest-html: columns for cases, the sum over the table, and the verdict in each row.

pytest-html fixes its columns before anything is collected, so they are there whenever the session has
matrices, also when none of their cases is selected.
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf.plugin import output

if TYPE_CHECKING:
    from pytest_mlperf.record import Record


@dataclass(kw_only=True, eq=False)
class HtmlColumns:
    """Tells pytest-html of the records of a session."""

    config: pytest.Config

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_report_title(self, report: Any) -> None:
        """Say what the report is about, instead of the name of its file."""
        report.title = "MLPerf conformance"

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Name the columns."""
        from pytest_mlperf.report import html  # noqa: PLC0415  only where HTML is written

        cells[1:1] = html.header_cells()

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str]) -> None:
        """Put the sum over the table."""
        from pytest_mlperf.plugin.session import SESSION  # noqa: PLC0415  may not be awake
        from pytest_mlperf.report import html  # noqa: PLC0415  only where HTML is written

        session = self.config.stash.get(SESSION, None)
        if session is not None and session.conformance is not None:
            prefix.extend(html.head(session.conformance, session.records.values()))

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Fill the columns; tests that are no cases leave them empty."""
        from pytest_mlperf.report import html  # noqa: PLC0415  only where HTML is written

        if cells and _has_row(report):
            cells[1:1] = html.row_cells(self._record(report))

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_html(self, report: pytest.TestReport, data: list[str]) -> None:
        """Put the verdict with its reasons into the row's details."""
        from pytest_mlperf.report import html  # noqa: PLC0415  only where HTML is written

        record = self._record(report) if _has_row(report) else None
        if record is not None:
            data[:] = html.block(record, logs=self._link(record))

    def _record(self, report: pytest.TestReport) -> Record | None:
        from pytest_mlperf.plugin.session import SESSION  # noqa: PLC0415  may not be awake

        session = self.config.stash.get(SESSION, None)
        return session.record_of(report.nodeid) if session is not None else None

    def _link(self, record: Record) -> str | None:
        """Return where the logs are, as seen from the report."""
        return posixpath.normpath(f"{self._folder}/{record.folder}") if record.folder else None

    @cached_property
    def _folder(self) -> str:
        """The output folder, as seen from the report."""
        page = self.config.invocation_params.dir / self.config.getoption("htmlpath")
        return Path(os.path.relpath(output.folder(self.config), page.parent)).as_posix()


def _has_row(report: pytest.TestReport) -> bool:
    """Return whether pytest-html shows a phase: it asks about all of them."""
    return report.when == "call" or not report.passed


def add_columns(config: pytest.Config) -> None:
    """Register the hooks when a report is written in a project with matrices."""
    if not config.getoption("htmlpath", None) or hasattr(config, "workerinput"):
        return
    patterns = config.getini("mlperf_matrices")
    named = config.getoption("mlperf_matrix") or config.getoption("mlperf_results")
    if named or any(any(config.rootpath.glob(pattern)) for pattern in patterns):
        config.pluginmanager.register(HtmlColumns(config=config), "pytest_mlperf.html")
