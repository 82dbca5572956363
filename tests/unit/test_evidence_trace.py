"""What LoadGen's trace says: by lines as LoadGen writes them, and by a trace that it has written itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.evidence import trace
from pytest_mlperf.evidence.reading import TRACE, read_trace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import StartPython


def sample(number: int, issued_us: float, latency_ns: int) -> bytes:
    return (
        f'{{"name":"Sample","cat":"default","ph":"b","pid":7,"id":{number},"ts":{issued_us:.3f},'
        f'"args":{{"sample_seq":{number},"query_seq":{number},"sample_idx":3,"issue_start_ns":70,'
        f'"complete_ns":{latency_ns}}}}},\n'
    ).encode()


def test_samples_are_counted_where_they_were_answered() -> None:
    lines = [sample(n, issued_us=1000 * n, latency_ns=500_000) for n in range(100)]
    found = trace.parse(lines)
    assert found is not None
    rates, bin_s = found.throughput.samples_per_s, found.throughput.bin_s
    assert bin_s == 1 / 1024
    assert sum(rate * bin_s for rate in rates[:-1]) == pytest.approx(99, abs=1)
    assert set(rates[:-1]) == {0, 1024}


@pytest.mark.parametrize("duration_s", [0.2, 3, 60, 600, 86_400])
def test_a_long_test_has_as_many_bins_as_a_short_one(duration_s: float) -> None:
    count = 1000
    lines = [sample(n, issued_us=n * duration_s * 1e6 / count, latency_ns=0) for n in range(count)]
    found = trace.parse(lines)
    assert found is not None
    rates = found.throughput.samples_per_s
    assert 100 <= len(rates) <= 240
    assert found.throughput.bin_s * (len(rates) - 1) < duration_s <= found.throughput.bin_s * len(rates)
    middle = rates[len(rates) // 4 : -len(rates) // 4]
    assert sum(middle) / len(middle) == pytest.approx(count / duration_s, rel=0.05)


def test_latencies_are_known_to_one_percent() -> None:
    lines = [sample(n, issued_us=n, latency_ns=1_000_000 * (n + 1)) for n in range(100)]
    found = trace.parse(lines)
    assert found is not None
    quantiles = found.latencies.quantiles
    assert list(quantiles) == sorted(quantiles)
    by_share = dict(quantiles)
    assert by_share[0.5] == pytest.approx(50_000_000, rel=0.011)
    assert by_share[1.0] == pytest.approx(100_000_000, rel=0.011)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"traceEvents":[\n{"name":"LastTrace"}\n]}',
        b'{"complete_ns": "soon"}\n',
        b'{"ts":1e999,"args":{"complete_ns":-5}}\n',
        b'"ts":1, "complete_ns":99999999999999999999999999\n',
        b"\xff\xfe\x00",
    ],
)
def test_a_trace_without_samples_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / TRACE).write_bytes(content)
    assert read_trace(tmp_path) is None


def test_no_trace_is_none(tmp_path: Path) -> None:
    assert read_trace(tmp_path) is None


LOADGEN = """
import os, sys, time
import mlperf_loadgen as lg

def issue(samples):
    time.sleep(0.002)
    lg.QuerySamplesComplete([lg.QuerySampleResponse(s.id, 0, 0) for s in samples])

sut = lg.ConstructSUT(issue, lambda: None)
qsl = lg.ConstructQSL(16, 16, lambda _: None, lambda _: None)
settings, logs = lg.TestSettings(), lg.LogSettings()
settings.scenario = getattr(lg.TestScenario, sys.argv[1])
settings.mode = lg.TestMode.PerformanceOnly
settings.min_duration_ms, settings.min_query_count = 500, 100
settings.offline_expected_qps = settings.server_target_qps = 200
logs.log_output.outdir = sys.argv[2]
logs.enable_trace = True
lg.StartTestWithLogSettings(sut, qsl, settings, logs)
"""


@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Server", "Offline"])
def test_loadgens_own_trace_is_read(start_python: StartPython, tmp_path: Path, scenario: str) -> None:
    done = start_python(LOADGEN, scenario, tmp_path)
    _, complaint = done.communicate(timeout=60)
    assert done.returncode == 0, complaint
    found = read_trace(tmp_path)
    assert found is not None
    summary = (tmp_path / "mlperf_log_summary.txt").read_text(encoding="utf-8")
    (slowest_ns,) = re.findall(r"Max latency \(ns\) +: (\d+)", summary)
    assert found.latencies.quantiles[0][1] >= 2_000_000
    assert found.latencies.quantiles[-1][1] == pytest.approx(int(slowest_ns), rel=0.011)
    assert len(found.throughput.samples_per_s) > 1
