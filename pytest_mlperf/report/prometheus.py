"""`metrics.prom`: the metrics of a session for the textfile collector of Prometheus' node_exporter.

Sources: Prometheus' documentation, "Metric and label naming" and "Exposition formats".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pytest_mlperf.report.series import Family, points

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from prometheus_client import Metric

    from pytest_mlperf.report.metrics import Results

FILE = "metrics.prom"


def write(folder: Path, results: Results) -> None:
    """Write the metrics; no reader ever sees half a file. Raises OSError."""
    registry = CollectorRegistry()
    registry.register(_Once(results))
    write_to_textfile(str(folder / FILE), registry)


class _Once(Collector):
    """The series of a session, as the library asks for them."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def describe(self) -> Iterable[Metric]:
        """Name nothing ahead: asked once, it would be worked out twice."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Give each family with all its series."""
        families: dict[Family, Metric] = {}
        for point in points(self._results):
            family = point.family
            if family not in families:
                families[family] = GaugeMetricFamily(family.snake, family.meaning)
            families[family].add_sample(family.snake, dict(point.labels), point.value)
        return families.values()
