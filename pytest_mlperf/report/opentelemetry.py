"""The metrics of a session for OpenTelemetry: sent to a collector by OTLP, or written as OTLP's JSON.

Where to, and with what, is said by OpenTelemetry's own environment variables. The values are made outright:
instruments of the SDK would count and combine them, and keep no more than 2,000 series.

Sources: OpenTelemetry's specification, "Environment Variable Specification" and "OpenTelemetry Protocol File
Exporter".
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.json.file.metric_exporter import FileMetricExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    Gauge,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from pytest_mlperf.errors import ConfigurationError, HostError
from pytest_mlperf.report.series import points
from pytest_mlperf.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from opentelemetry.sdk.metrics.export import MetricExporter

    from pytest_mlperf.report.metrics import Results
    from pytest_mlperf.report.series import Family, Point

FILE = "metrics.otlp.jsonl"

_OTLP, _JSON_FILE = "otlp", "otlp_json_file"
_AT_ONCE = 2000
"""Points in a request: half a megabyte or so, where collectors take some 20."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the environment asks for."""

    to_collector: bool
    to_file: bool


def settings() -> Settings:
    """Return what the environment asks for. Raises ConfigurationError for what cannot be."""
    names = {name.strip() for name in (os.environ.get("OTEL_METRICS_EXPORTER") or _OTLP).split(",")}
    _check("OTEL_METRICS_EXPORTER", names, {_OTLP, _JSON_FILE})
    if _OTLP in names:
        for variable in ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"):
            _check(variable, {os.environ.get(variable) or "http/protobuf"}, {"http/protobuf"})
    return Settings(to_collector=_OTLP in names, to_file=_JSON_FILE in names)


def _check(variable: str, found: set[str], allowed: set[str]) -> None:
    for name in sorted(found - allowed):
        raise ConfigurationError(f"{variable}: found '{name}', allowed: {', '.join(sorted(allowed))}")


def write(folder: Path, results: Results, asked: Settings) -> None:
    """Send the metrics to a collector, write them into the folder, or both. Raises OSError or HostError.

    It takes no longer than a request may (OTEL_EXPORTER_OTLP_TIMEOUT, ten seconds) where nobody answers.
    """
    if asked.to_file:
        _export(lambda: FileMetricExporter(folder / FILE), results)
    if asked.to_collector:
        _export(OTLPMetricExporter, results)


def _export(make: Callable[[], MetricExporter], results: Results) -> None:
    with _complaints() as said:
        resource = Resource.create(_resource(results))
        exporter = make()
        try:
            parts = (exporter.export(data) for data in _data(results, resource))
            if not all(part is MetricExportResult.SUCCESS for part in parts):
                why = "; ".join(dict.fromkeys([*said[:1], *said[-1:]]))
                raise HostError(f"the metrics were not taken: {why or 'nobody says why'}")
        finally:
            exporter.shutdown()


def _resource(results: Results) -> dict[str, str]:
    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return {
        **({} if named else {"service.name": "pytest-mlperf"}),
        "service.version": __version__,
        "service.instance.id": results.session,
        "host.name": results.host,
    }


def _data(results: Results, resource: Resource) -> Iterator[MetricsData]:
    scope = InstrumentationScope("pytest_mlperf", __version__)
    started_ns = int(datetime.fromisoformat(results.started_at).timestamp()) * 10**9
    now_ns = time.time_ns()
    found = points(results)
    while some := list(islice(found, _AT_ONCE)):
        of_scope = ScopeMetrics(scope=scope, metrics=list(_metrics(some, started_ns, now_ns)), schema_url="")
        of_resource = ResourceMetrics(resource=resource, scope_metrics=[of_scope], schema_url="")
        yield MetricsData(resource_metrics=[of_resource])


def _metrics(found: Iterable[Point], started_ns: int, now_ns: int) -> Iterator[Metric]:
    families: dict[Family, list[NumberDataPoint]] = {}
    for point in found:
        families.setdefault(point.family, []).append(
            NumberDataPoint(
                attributes={f"mlperf.{name}": text for name, text in point.labels.items()},
                start_time_unix_nano=started_ns,
                time_unix_nano=now_ns,
                value=float(point.value),
            )
        )
    for family, values in families.items():
        yield Metric(
            name=family.dotted,
            description=family.meaning,
            unit=family.unit,
            data=Gauge(data_points=values),
        )


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what the exporters log, which is the only place where they say why."""
    said: list[str] = []

    class _Collecting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, handler = logging.getLogger("opentelemetry"), _Collecting(logging.WARNING)
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
