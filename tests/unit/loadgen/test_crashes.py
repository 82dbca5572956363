from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.loadgen.conftest import Run, Start, Write


@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Server", "Offline"])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_under_loadgen_ends_the_process(
    scenario: str, workers: int, write: Write, run: Run
) -> None:
    started = time.monotonic()
    ended = run("Raising", write(scenario=scenario, workers=workers))
    assert ended.returncode == 70
    assert "Traceback" in ended.stderr
    assert "RuntimeError: broken on purpose at [" in ended.stderr
    assert time.monotonic() - started < 10


def test_a_response_too_few_is_no_endless_wait(write: Write, run: Run) -> None:
    ended = run("Short", write(scenario="Offline"))
    assert ended.returncode == 70
    assert "ValueError: predict: found 3 responses, expected 4" in ended.stderr


def test_a_crash_of_native_code_shows_where_python_was(write: Write, run: Run) -> None:
    ended = run("Segfault", write(scenario="Offline"))
    assert ended.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in ended.stderr
    assert "in predict" in ended.stderr


def test_an_exception_before_loadgen_is_shown(write: Write, run: Run) -> None:
    ended = run("Raising", write(mode="PerformanceOnly"))
    assert ended.returncode == 1
    assert "RuntimeError: broken on purpose at [" in ended.stderr


def is_running(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_the_child_dies_with_its_parent(write: Write, start: Start) -> None:
    with start("Parent", write()) as parent:
        assert parent.stdout is not None
        process = int(parent.stdout.readline())
        assert is_running(process)
        os.kill(parent.pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while is_running(process) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not is_running(process)
