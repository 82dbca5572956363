"""Tells GitHub Actions of a session, where it runs there: see `report.github`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

_PAGE = "GITHUB_STEP_SUMMARY"


@dataclass(kw_only=True, eq=False)
class GitHub:
    """Adds a page to the summary of the step, and annotations to the run."""

    config: pytest.Config

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write both; a page that cannot be written is told, and changes nothing else."""
        from pytest_mlperf.plugin.telling import TOLD  # noqa: PLC0415  may not be awake
        from pytest_mlperf.report.github import commands, page  # noqa: PLC0415  only where something ran

        told = self.config.stash.get(TOLD, None)
        if told is None or told.conformance is None:
            return
        records = tuple(told.records.values())
        for command in commands(records):
            terminalreporter.write_line(command)
        path = os.environ.get(_PAGE)
        if path:
            try:
                with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as stream:
                    stream.write(page(told.conformance, records))
            except OSError as error:
                terminalreporter.write_line(f"{path}: no summary for GitHub ({_PAGE}): {error.strerror}")
