"""What a session leaves where GitHub Actions runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from sessions import Session

BAD = "bad-CPU_SCRIPT-scripted_k_99_MaxP-Offline-PerformanceMode"


@pytest.fixture
def step(any_session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the file for the summary of a step."""
    del any_session
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    return tmp_path / "summary.md"


def test_a_step_has_a_page_and_annotations(any_session: Session, step: Path) -> None:
    step.write_text("# Before\n", encoding="utf-8")
    result = any_session.run("--mlperf-output", "out")
    text = step.read_text(encoding="utf-8")
    assert text.startswith("# Before\n## MLPerf: not conformant: ")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + sum(
        r["ending"] in ("pass", "fail", "error") for r in any_session.records().values()
    )
    assert rows[1].startswith("| bad-CPU&#95;SCRIPT-")
    assert "- 1 unplaced: " in text
    commands = [line for line in result.outlines if line.startswith("::error title=")]
    endings = [record["ending"] for record in any_session.records().values()]
    assert len(commands) == endings.count("fail") + endings.count("error")
    assert any(line.startswith(f"::error title={BAD}::{BAD}: INVALID") for line in commands)
    assert all("%0A" in line for line in commands)


def test_a_page_that_cannot_be_written_changes_nothing(any_session: Session, step: Path) -> None:
    step.mkdir()
    result = any_session.run("--mlperf-output", "out", "-k", "good")
    assert f"{step}: no summary for GitHub (GITHUB_STEP_SUMMARY): Is a directory" in result.outlines
    assert "footer" in any_session.lines()[-1]


def test_elsewhere_nothing_of_it_is_said(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    result = session.run("--mlperf-output", "out")
    assert not (tmp_path / "summary.md").exists()
    assert "::error" not in result.stdout.str()
