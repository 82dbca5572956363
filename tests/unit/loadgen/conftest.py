from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import pytest

from pytest_mlperf.harness.onnxruntime.specification import Specification
from pytest_mlperf.harness.onnxruntime.surroundings import THREAD_VARIABLES
from pytest_mlperf.rounds import Seeds

CHILD = ("-m", "pytest_mlperf.harness.onnxruntime.child")
SCORE = ("-m", "pytest_mlperf.harness.onnxruntime.score")
ROOT = Path(__file__).parents[3]
FAKE_CHILD = Path(__file__).with_name("fake_child.py")
SEEDS = Seeds(qsl=6655344265603136530, sample_index=15863379492028895792, schedule=12662793979680847247)


class Write(Protocol):
    """Writes a specification, the usual one but for the changes."""

    def __call__(self, **changes: Any) -> Path: ...


class Start(Protocol):
    """Starts a child: the real one, its score, or one with a task of `fake_child.py`."""

    def __call__(self, program: str, specification: Path, **env: str) -> subprocess.Popen[str]: ...


class Run(Protocol):
    """Starts a child and waits for its end."""

    def __call__(self, program: str, specification: Path, **env: str) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    path = tmp_path / "logs"
    path.mkdir()
    return path


@pytest.fixture
def write(tmp_path: Path, log_dir: Path) -> Write:
    def write(**changes: Any) -> Path:
        terms: dict[str, Any] = {
            "miniature": "resnet8-digits",
            "model": "resnet50",
            "precision": "fp32",
            "scenario": "SingleStream",
            "mode": "AccuracyOnly",
            "log_dir": log_dir,
            "seeds": SEEDS,
            "min_duration_ms": 300,
            "workers": 2,
        }
        path = tmp_path / "specification.json"
        path.write_text(Specification(**{**terms, **changes}).to_json(), encoding="utf-8")
        return path

    return write


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def start(program: str, specification: Path, **env: str) -> subprocess.Popen[str]:
        source = {"child": CHILD, "score": SCORE}.get(program, (str(FAKE_CHILD), program))
        threads = dict.fromkeys(THREAD_VARIABLES, "1")
        return subprocess.Popen(
            [sys.executable, *source, str(specification)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **threads, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def run(start: Start) -> Run:
    def run(program: str, specification: Path, **env: str) -> subprocess.CompletedProcess[str]:
        with start(program, specification, **env) as process:
            try:
                stdout, stderr = process.communicate(timeout=30)
            finally:
                process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    return run
