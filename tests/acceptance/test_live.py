"""What a session says of the case that runs."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sessions import Session

MATRIX = """\
round: v2.0
category: smoke
axes: {sku: CPU, harness: scripted, scenario: Offline, mode: PerformanceOnly, benchmark: late}
"""
CASE = "late-CPU_SCRIPT-scripted_k_99_MaxP-Offline-PerformanceMode"


def test_without_a_terminal_there_is_a_line_now_and_then(any_session: Session) -> None:
    any_session.write_matrix(MATRIX)
    result = any_session.run("--mlperf-output", "out", "--mlperf-heartbeat", "0.4")
    result.assert_outcomes(passed=1)
    said = result.stderr.str() + result.stdout.str()
    lines = re.findall(rf"\[\d\d:\d\d:\d\d\] {CASE}: (.*)", said)
    assert lines
    assert all(re.fullmatch(r"run, \S+ m?s of at most .*|starts", line) for line in lines)
    assert any("says: half way" in line for line in lines)


@pytest.mark.parametrize("seconds", ["0", "60"])
def test_short_cases_are_not_spoken_of(seconds: str, session: Session) -> None:
    session.write_matrix(MATRIX)
    result = session.run("--mlperf-output", "out", "--mlperf-heartbeat", seconds)
    result.assert_outcomes(passed=1)
    assert f"{CASE}: " not in result.stderr.str() + result.stdout.str()


def test_a_terminal_has_a_line_below_that_goes_away(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    session.write_matrix(MATRIX)
    near, far = pty.openpty()
    argv = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist")
    with subprocess.Popen(
        [*argv, "--mlperf-output", "out"], cwd=session.pytester.path, stdout=far, stderr=far
    ) as process:
        os.close(far)
        said = bytearray()
        while piece := _read(near):
            said += piece
        assert process.wait(60) == 0
    os.close(near)
    below = re.findall(rb"\x1b7\x1b\[1B\r\x1b\[2K([^\x1b]*)\x1b8", bytes(said))
    assert below[-1] == b""
    assert all(line.startswith(CASE.encode()[:40]) for line in below[:-1])
    assert len(below) > 1


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 65536)
    except OSError:  # nobody is at the other end any more
        return b""
