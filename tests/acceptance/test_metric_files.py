"""The metrics of a session in every format, read by what reads them elsewhere."""

from __future__ import annotations

import csv
import http.server
import json
import os
import socket
import subprocess
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from pyarrow import parquet

from pytest_mlperf.errors import HostError
from pytest_mlperf.record import from_json
from pytest_mlperf.report import opentelemetry
from pytest_mlperf.report.conformance import add_up
from pytest_mlperf.report.metrics import Results
from tests.containers import needed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sessions import Session

NAME = "CPU_SCRIPT-scripted_k_99_MaxP-Offline"
IDENTITY = {"sku": "CPU", "round": "v2.0", "scenario": "Offline", "conformance": "smoke (shortened)"}

Sample = tuple[str, frozenset[tuple[str, str]]]


def program(name: str) -> str:
    folder = os.environ.get("MLPERF_PROMETHEUS")
    return (
        f"{folder}/{name}" if folder else needed("the programs of Prometheus", command=".ci/readers FOLDER")
    )


def samples(text: str) -> dict[Sample, float]:
    """Return the samples of a page of Prometheus, after checking that none is there twice."""
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    by_name = {(s.name, frozenset(s.labels.items())): s.value for s in found if s.name.startswith("mlperf_")}
    assert len(by_name) == sum(s.name.startswith("mlperf_") for s in found)
    return by_name


def case(benchmark: str, mode: str, **more: str) -> frozenset[tuple[str, str]]:
    word = {"AccuracyOnly": "AccuracyMode", "PerformanceOnly": "PerformanceMode"}[mode]
    labels = {"case": f"{benchmark}-{NAME}-{word}", "benchmark": benchmark, "mode": mode, **IDENTITY, **more}
    return frozenset(labels.items())


class Collector(http.server.ThreadingHTTPServer):
    """A receiver of OTLP by HTTP, that reads by the official definitions; it answers as told."""

    def __init__(self, *answers: int) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.answers = list(answers)
        self.requests: list[ExportMetricsServiceRequest] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Receiver(http.server.BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        request = ExportMetricsServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/metrics"
        self.server.requests.append(request)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collector(*answers: int) -> Iterator[Collector]:
    with Collector(*answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


def test_the_table_has_what_the_csv_has_and_types(any_session: Session) -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    any_session.run("--mlperf-output=out", "--mlperf-metrics=parquet")

    out = any_session.pytester.path / "out"
    table = parquet.read_table(out / "metrics.parquet")
    rows = table.to_pylist()
    with (out / "metrics.csv").open(encoding="utf-8") as stream:
        texts = list(csv.DictReader(stream))
    assert [(r["benchmark"], r["metric_name"], r["unit"], r["conformance"]) for r in rows] == [
        (t["Scenario"], t["Metric Name"], t["Unit"], t["Conformance"]) for t in texts
    ]
    assert [r["value"] for r in rows] == pytest.approx([float(t["Value"]) for t in texts], rel=1e-5)
    assert table.schema.field("value").type == pa.float64()
    header = any_session.lines()[0]["header"]
    assert {(r["session"], r["host"]) for r in rows} == {(header["session"], header["host"])}
    assert all(before <= r["session_started_at"] <= r["started_at"] for r in rows)
    assert {(r["measurement"], r["is_verdict"]) for r in rows if r["benchmark"] == "good"} == {
        (None, True),
        ("AccuracyValue", False),
        ("ThresholdValue", False),
        ("Accuracy Threshold Ratio", False),
        ("result_samples_per_second", False),
    }


def test_a_table_has_each_attempt(session: Session) -> None:
    session.write_matrix(
        "round: v2.0\ncategory: smoke\naxes: {sku: CPU, harness: scripted, scenario: Offline}\n"
        "include:\n  - {benchmark: [flaky, shaky], mode: PerformanceOnly}\n"
    )
    session.run(
        "--mlperf-output=out",
        "--mlperf-attempts=2/3",
        "--mlperf-metrics=parquet",
        "--mlperf-metrics=prometheus",
    )

    out = session.pytester.path / "out"
    rows = parquet.read_table(out / "metrics.parquet").to_pylist()
    verdicts = [(r["benchmark"], r["attempt"], r["value"]) for r in rows if r["is_verdict"]]
    of_flaky = [("flaky", 1, 0.0), ("flaky", 2, 1.0), ("flaky", 3, 0.0)]
    assert verdicts == [*of_flaky, ("shaky", 2, 1.0), ("shaky", 3, 0.0)]
    found = samples((out / "metrics.prom").read_text(encoding="utf-8"))
    passed = [(dict(labels), value) for (name, labels), value in found.items() if "passed" in name]
    assert {(labels["benchmark"], labels.get("attempt"), value) for labels, value in passed} == {
        *((name, str(attempt), value) for name, attempt, value in verdicts),
        ("flaky", None, 0.0),
    }


def test_prometheus_gets_base_units_and_counts(any_session: Session) -> None:
    any_session.run("--mlperf-output=out", "--mlperf-metrics=prometheus")

    path = any_session.pytester.path / "out/metrics.prom"
    found = samples(path.read_text(encoding="utf-8"))
    counts = {"pass": 2, "fail": 2, "unplaced": 1, "error": 1, "dropped": 1}
    for ending, count in counts.items():
        assert found.pop(("mlperf_session_cases", frozenset({("ending", ending)}))) == count
    assert found.pop(("mlperf_session_conformant", frozenset())) == 0
    started = found.pop(("mlperf_session_start_time_seconds", frozenset()))
    assert started == pytest.approx(time.time(), abs=120)
    expected: dict[Sample, float] = {}
    for benchmark, passed, quality in (("good", 1.0, 0.9), ("bad", 0.0, 0.805)):
        for mode in ("AccuracyOnly", "PerformanceOnly"):
            expected["mlperf_case_passed", case(benchmark, mode)] = passed
            expected["mlperf_run_passed", case(benchmark, mode, attempt="1")] = passed
        for family, mode, measurement, value in (
            ("quality_ratio", "AccuracyOnly", "AccuracyValue", quality),
            ("quality_ratio", "AccuracyOnly", "ThresholdValue", 0.891),
            ("score", "AccuracyOnly", "Accuracy Threshold Ratio", quality / 0.891),
            ("throughput_samples_per_second", "PerformanceOnly", "result_samples_per_second", 1234.5),
        ):
            labels = case(benchmark, mode, attempt="1", measurement=measurement)
            expected[f"mlperf_{family}", labels] = value
    assert found == pytest.approx(expected)
    assert sorted(p.name for p in path.parent.iterdir() if "prom" in p.name) == ["metrics.prom"]


def test_promtool_finds_nothing_to_say(session: Session) -> None:
    session.run("--mlperf-output=out", "--mlperf-metrics=prometheus")
    with (session.pytester.path / "out/metrics.prom").open("rb") as page:
        done = subprocess.run(
            [program("promtool"), "check", "metrics"], stdin=page, capture_output=True, text=True, check=False
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_node_exporter_serves_the_file(session: Session) -> None:
    exporter = program("prometheus-node-exporter")
    session.run("--mlperf-output=out", "--mlperf-metrics=prometheus")
    out = session.pytester.path / "out"
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = (
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={out}",
    )
    with (out / "said.txt").open("wb") as said:
        process = subprocess.Popen([exporter, *options, f"--web.listen-address={address}"], stderr=said)
    try:
        page = _page(f"http://{address}/metrics")
    finally:
        process.kill()
        process.wait()
    assert samples(page) == samples((out / "metrics.prom").read_text(encoding="utf-8"))
    assert "node_textfile_scrape_error 0" in page


def _page(url: str) -> str:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  of this test
            return str(answer.read().decode())
        time.sleep(0.1)
    pytest.fail(f"{url}: nobody answers")


def test_a_collector_gets_the_same_values(any_session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab,service.name=racks")
        monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp,otlp_json_file")
        options = ("--mlperf-metrics=opentelemetry", "--mlperf-metrics=prometheus")
        result = any_session.run("--mlperf-output=out", *options)

    result.stdout.no_fnmatch_line("*--mlperf-metrics*")
    (request,) = receiver.requests
    assert receiver.headers[0]["content-type"] == "application/x-protobuf"
    assert receiver.headers[0]["authorization"] == "Bearer abc"
    header = any_session.lines()[0]["header"]
    (of_resource,) = request.resource_metrics
    resource = {a.key: a.value.string_value for a in of_resource.resource.attributes}
    assert resource["service.name"] == "racks"
    assert resource["deployment.environment.name"] == "lab"
    assert resource["service.instance.id"] == header["session"]
    assert resource["host.name"] == header["host"]
    out = any_session.pytester.path / "out"
    assert values(request) == pytest.approx(
        {
            (name.replace("_", "."), labels): value
            for (name, labels), value in samples((out / "metrics.prom").read_text(encoding="utf-8")).items()
        }
    )
    written = json.loads((out / "metrics.otlp.jsonl").read_text(encoding="utf-8"))
    assert values(json_format.ParseDict(written, ExportMetricsServiceRequest())) == values(request)


# Names that are other words in OpenTelemetry, where a unit is no part of the name.
SUFFIXES = {
    "mlperf.quality": "mlperf.quality.ratio",
    "mlperf.throughput.samples": "mlperf.throughput.samples.per.second",
    "mlperf.session.start_time": "mlperf.session.start.time.seconds",
}


def values(request: ExportMetricsServiceRequest) -> dict[Sample, float]:
    """Return the values of a request, under names that are Prometheus' with dots."""
    found = {}
    for of_resource in request.resource_metrics:
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                for point in metric.gauge.data_points:
                    labels = ((a.key.removeprefix("mlperf."), a.value.string_value) for a in point.attributes)
                    found[SUFFIXES.get(metric.name, metric.name), frozenset(labels)] = point.as_double
    return found


def test_what_the_sdk_names_stays_when_nothing_is_named(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{receiver.url}/v1/metrics")
        session.run("--mlperf-output=out", "--mlperf-metrics=opentelemetry", "-k", "good")
    (of_resource,) = receiver.requests[0].resource_metrics
    assert ("service.name", "pytest-mlperf") in {
        (a.key, a.value.string_value) for a in of_resource.resource.attributes
    }
    units = {m.name: m.unit for m in of_resource.scope_metrics[0].metrics}
    assert units["mlperf.throughput.samples"] == "{sample}/s"
    assert units["mlperf.session.start_time"] == "s"
    assert not (session.pytester.path / "out/metrics.otlp.jsonl").exists()


def test_a_session_ends_although_the_collector_is_down(
    any_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
    result = any_session.run("--mlperf-output=out", "--mlperf-metrics=opentelemetry", "-k", "good and CPU")
    assert result.ret == pytest.ExitCode.OK
    said = "--mlperf-metrics opentelemetry: the metrics were not taken: *port=9*Connection refused*"
    result.stdout.fnmatch_lines([said])
    assert "opentelemetry" not in result.stderr.str().lower()


def test_a_collector_that_never_answers_holds_a_session_for_its_time_limit(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
        start = time.monotonic()
        result = session.run("--mlperf-output=out", "--mlperf-metrics=opentelemetry", "-k", "good and CPU")
    assert time.monotonic() - start < 30
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["--mlperf-metrics opentelemetry: the metrics were not taken: *"])


def test_what_a_collector_refuses_is_said(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    with collector(401) as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        result = session.run("--mlperf-output=out", "--mlperf-metrics=opentelemetry", "-k", "good and CPU")
    result.stdout.fnmatch_lines(["--mlperf-metrics opentelemetry: the metrics were not taken: *401*"])


def test_many_metrics_go_in_several_requests_until_one_is_refused(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    session.run("--mlperf-output=out", "-k", "good and CPU")
    records = tuple(from_json(line["record"]) for line in session.lines() if "record" in line)
    many = Results(
        session="s",
        host="h",
        started_at="2026-01-02T03:04:05+00:00",
        conformance=add_up(records),
        records=records * 700,
    )
    asked = opentelemetry.Settings(to_collector=True, to_file=False)
    with collector() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        opentelemetry.write(tmp_path, many, asked)
    sizes = [
        sum(len(m.gauge.data_points) for m in r.resource_metrics[0].scope_metrics[0].metrics)
        for r in receiver.requests
    ]
    # Two cases with a verdict each, their runs, three values of accuracy and one of performance.
    assert sum(sizes) == 7 + 700 * (2 + 2 + 3 + 1)
    assert max(sizes) == 2000
    with collector(200, 400) as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        with pytest.raises(HostError, match="400"):
            opentelemetry.write(tmp_path, many, asked)
    assert len(receiver.requests) == 2


def test_a_file_that_cannot_be_written_is_said(session: Session) -> None:
    source = (session.pytester.path / "conftest.py").read_text(encoding="utf-8")
    source += """
def pytest_mlperf_record(config):
    from pathlib import Path
    for name in ("metrics.parquet", "metrics.prom"):
        Path("out", name).mkdir(exist_ok=True)
"""
    session.pytester.makeconftest(source)
    options = ("--mlperf-metrics=parquet", "--mlperf-metrics=prometheus")
    result = session.run("--mlperf-output=out", *options, "-k", "good and CPU")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["--mlperf-metrics parquet: *metrics.parquet*", "--mlperf-metrics prometheus: *"]
    )


@pytest.mark.parametrize(
    ("name", "module"),
    [("parquet", "pyarrow"), ("prometheus", "prometheus_client"), ("opentelemetry", "opentelemetry")],
)
def test_a_missing_package_is_named_before_anything_runs(session: Session, name: str, module: str) -> None:
    with (session.pytester.path / "conftest.py").open("a") as stream:
        stream.write(f"\nsys.modules[{module!r}] = None\n")
    result = session.run("--mlperf-output=out", f"--mlperf-metrics={name}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = f"*--mlperf-metrics {name}: found no module {module}* (pip install 'pytest-mlperf?{name}?')"
    result.stderr.fnmatch_lines([said])
    assert not (session.pytester.path / "out").exists()


def test_workers_do_not_hide_that_a_package_is_missing(session: Session) -> None:
    with (session.pytester.path / "conftest.py").open("a") as stream:
        stream.write("\nsys.modules['pyarrow'] = None\n")
    result = session.pytester.runpytest_subprocess("-n2", "--mlperf-metrics=parquet", timeout=120)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--mlperf-metrics parquet: found no module pyarrow*"])


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("OTEL_METRICS_EXPORTER", "console", "otlp, otlp_json_file"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
    ],
)
def test_settings_that_are_not_known_are_refused(
    session: Session, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(variable, value)
    result = session.run("--mlperf-output=out", "--mlperf-metrics=opentelemetry")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{variable}: found '{value}', allowed: {allowed}"])
