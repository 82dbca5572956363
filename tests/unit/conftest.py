"""What unit tests are built from: cases, records, lines of LoadGen, and other processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_mlperf import rounds
from pytest_mlperf.errors import ConfigurationError
from pytest_mlperf.harness.nvidia import Nvidia
from pytest_mlperf.matrix import Vocabulary
from pytest_mlperf.matrix.loading import load
from tests import records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_mlperf.matrix import Case, Matrix
    from pytest_mlperf.record import Record

ROOT = Path(__file__).parents[2]


class MakeCase(Protocol):
    """Makes a case: the usual one but for the changes."""

    def __call__(self, **changes: Any) -> Case: ...


class MakeRecord(Protocol):
    """Makes a record of a passed case, but for the changes."""

    def __call__(self, **changes: Any) -> Record: ...


class DetailLine(Protocol):
    """Writes a line of a detail log, as LoadGen 1.0 and later do; marks are is_error and is_warning."""

    def __call__(self, key: str, value: Any, **marks: bool) -> str: ...


class LoadText(Protocol):
    """Loads a matrix from its text, as a file of this name in the current folder."""

    def __call__(self, text: str, name: str = "m.yaml", vocabulary: Vocabulary | None = None) -> Matrix: ...


class Refusal(Protocol):
    """Returns the message with which a matrix is refused."""

    def __call__(self, text: str, vocabulary: Vocabulary | None = None) -> str: ...


class StartPython(Protocol):
    """Starts a Python program of this project, with its output to read."""

    def __call__(self, program: str, *arguments: object, **env: str) -> subprocess.Popen[str]: ...


@pytest.fixture
def make_case() -> MakeCase:
    return records.make_case


@pytest.fixture
def make_record() -> MakeRecord:
    return records.make_record


@pytest.fixture
def detail_line() -> DetailLine:
    def line(key: str, value: Any, **marks: bool) -> str:
        metadata = {"is_error": False, "is_warning": False, "file": "written.cc", "line_no": 1, **marks}
        entry = {
            "key": key,
            "value": value,
            "time_ms": 0.5,
            "namespace": "mlperf::logging",
            "event_type": "POINT_IN_TIME",
            "metadata": metadata,
        }
        return f":::MLLOG {json.dumps(entry)}\n"

    return line


@pytest.fixture
def load_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadText:
    """Load with the three harnesses of NVIDIA and three SKUs, unless another vocabulary is given.

    What NVIDIA registered is not asked.
    """
    monkeypatch.chdir(tmp_path)
    round_v2 = rounds.load("v2.0")
    usual = Vocabulary(
        round=round_v2,
        system_ids={"A2x2": "A2x2", "A30x8": "A30x8", "A100-SXM4-40GBx8": "DGX-A100_A100-SXM4-40GBx8"},
        harnesses={
            name: replace(Nvidia(name=name).terms(round_v2), registered=None)
            for name in ("custom", "lwis", "triton")
        },
    )

    def load_text(text: str, name: str = "m.yaml", vocabulary: Vocabulary | None = None) -> Matrix:
        Path(name).write_text(text, encoding="utf-8")
        return load(Path(name), {"v2.0": vocabulary or usual}.__getitem__, ["v2.0"])

    return load_text


@pytest.fixture
def refusal(load_text: LoadText) -> Refusal:
    def refusal(text: str, vocabulary: Vocabulary | None = None) -> str:
        with pytest.raises(ConfigurationError) as caught:
            load_text(text, vocabulary=vocabulary)
        return str(caught.value)

    return refusal


@pytest.fixture
def start_python() -> Iterator[StartPython]:
    """Start programs, and end those that are still there after the test."""
    with ExitStack() as after:

        def start(program: str, *arguments: object, **env: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", program, *map(str, arguments)],
                env={**os.environ, **env},
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            after.enter_context(process)
            after.callback(process.kill)
            return process

        yield start
