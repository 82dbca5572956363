from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.loadgen.conftest import Run, Write


def test_a_missing_log_folder_is_refused(write: Write, run: Run, log_dir: Path) -> None:
    log_dir.rmdir()
    ended = run("child", write())
    assert ended.returncode == 2
    assert ended.stderr == f"{log_dir}: log_dir: found no folder (make it first)\n"


def test_logs_of_another_test_are_not_overwritten(write: Write, run: Run, log_dir: Path) -> None:
    log = log_dir / "mlperf_log_summary.txt"
    log.write_text("precious", encoding="utf-8")
    ended = run("child", write())
    assert ended.returncode == 2
    hint = "give every test a folder of its own"
    assert ended.stderr == f"{log_dir}: log_dir: found mlperf_log_summary.txt ({hint})\n"
    assert log.read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize("folder", [".", "logs"])
def test_an_audit_file_is_refused(folder: str, write: Write, run: Run, tmp_path: Path, log_dir: Path) -> None:
    audit = tmp_path / folder / "audit.config"
    audit.touch()
    ended = run("child", write())
    assert ended.returncode == 2
    hint = "remove it: LoadGen would change the test by it"
    assert ended.stderr == f"{audit}: audit: found a file, allowed none ({hint})\n"
    assert not (log_dir / "user.conf").exists()


def test_more_than_one_thread_below_numpy_is_refused(write: Write, run: Run) -> None:
    ended = run("child", write(), OMP_NUM_THREADS="2")
    assert ended.returncode == 2
    assert ended.stderr == "OMP_NUM_THREADS: found 2, allowed 1 (set it before Python starts)\n"


def test_an_unknown_miniature_is_refused(write: Write, run: Run) -> None:
    ended = run("child", write(miniature="resnet9"))
    assert ended.returncode == 2
    assert ended.stderr.startswith("miniature: found resnet9, allowed resnet8-digits")


@pytest.mark.parametrize("program", ["child", "score"])
def test_a_wrong_specification_is_refused(program: str, write: Write, run: Run) -> None:
    specification = write(workers=0)
    ended = run(program, specification)
    assert ended.returncode == 2
    assert ended.stderr == f"{specification}: workers: found 0, allowed a whole number above 0\n"


def test_queries_that_exceed_the_memory_are_refused(write: Write, run: Run, log_dir: Path) -> None:
    # Half a microsecond for ten hours: 144 thousand million queries.
    specification = write(mode="PerformanceOnly", expected_latency_ms=0.0005, min_duration_ms=36_000_000)
    ended = run("Even", specification)
    assert ended.returncode == 2
    assert ended.stderr.startswith(
        "resnet8-digits: SingleStream: found 1.44e+11 samples for LoadGen to prepare"
    )
    assert not (log_dir / "mlperf_log_summary.txt").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_log_folder_that_cannot_be_written_to_is_refused(write: Write, run: Run, log_dir: Path) -> None:
    log_dir.chmod(0o500)
    ended = run("child", write())
    assert ended.returncode == 2
    assert ended.stderr == f"{log_dir / 'user.conf'}: cannot write: Permission denied\n"
