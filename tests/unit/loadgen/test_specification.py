from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf.errors import ConfigurationError
from pytest_mlperf.harness.onnxruntime.specification import Specification, available_cpus
from pytest_mlperf.rounds import Seeds

if TYPE_CHECKING:
    from pathlib import Path

REQUIRED = {
    "miniature": "resnet8-digits",
    "model": "resnet50",
    "precision": "int8",
    "scenario": "Server",
    "mode": "PerformanceOnly",
    "log_dir": "/tmp/logs",  # noqa: S108  never opened
    "seeds": {"qsl": 1, "sample_index": 2**64 - 1, "schedule": 0},
}


def read(tmp_path: Path, entries: Any) -> Specification:
    path = tmp_path / "specification.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    return Specification.read(path)


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    specification = read(tmp_path, REQUIRED)
    assert specification.seeds == Seeds(qsl=1, sample_index=2**64 - 1, schedule=0)
    assert specification.min_duration_ms is None
    assert specification.samples_per_query == 8
    assert specification.workers == available_cpus()


def test_survives_the_file(tmp_path: Path) -> None:
    changes = {"min_duration_ms": 300, "target_qps": 0.5, "target_latency_ms": 15.0, "workers": 3}
    specification = read(tmp_path, {**REQUIRED, **changes, "expected_latency_ms": None})
    path = tmp_path / "again.json"
    path.write_text(specification.to_json(), encoding="utf-8")
    assert Specification.read(path) == specification


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("scenario", "server", "SingleStream, MultiStream, Server, Offline"),
        ("mode", "SubmissionRun", "AccuracyOnly, PerformanceOnly"),
        ("precision", None, "fp32, int8"),
        ("min_duration_ms", 0, "a whole number above 0"),
        ("min_query_count", 1.5, "a whole number above 0"),
        ("target_latency_ms", 0.5, "a whole number above 0"),
        ("workers", True, "a whole number above 0"),
        ("samples_per_query", None, "a whole number above 0"),
        ("target_qps", -1, "a number above 0"),
        ("target_qps", float("inf"), "a number above 0"),
        ("expected_latency_ms", "fast", "a number above 0"),
        ("log_dir", "logs", "an absolute path"),
        ("model", "resnet 50", "letters, digits, '.', '_' and '-'"),
        ("seeds", {"qsl": 1, "sample_index": 2}, "whole numbers below 2**64 for qsl, sample_index, schedule"),
        (
            "seeds",
            {"qsl": 2**64, "sample_index": 2, "schedule": 3},
            "whole numbers below 2**64 for qsl, sample_index, schedule",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    tmp_path: Path, key: str, value: Any, allowed: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, {**REQUIRED, key: value})
    found = json.dumps(value)
    assert str(caught.value) == f"{tmp_path / 'specification.json'}: {key}: found {found}, allowed {allowed}"


def test_every_wrong_key_is_named(tmp_path: Path) -> None:
    entries = {**REQUIRED, "min_duration": 5, "mode": "x"}
    del entries["miniature"]
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, entries)
    text = str(caught.value)
    assert len(text.splitlines()) == 3
    assert "min_duration: unknown key (did you mean 'min_duration_ms'?)" in text
    assert "miniature: found nothing, required" in text


@pytest.mark.parametrize("text", ["", "[]", '{"mode": ', "\udcff"])
def test_a_file_that_holds_no_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "specification.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError, match=r"specification\.json: specification: "):
        Specification.read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        Specification.read(tmp_path / "none.json")
