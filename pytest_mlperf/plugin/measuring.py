"""The metrics of a session: `metrics.csv`, and the formats that are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.errors import ConfigurationError, HostError
from pytest_mlperf.plugin import output
from pytest_mlperf.report import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_mlperf.record import Record
    from pytest_mlperf.report.conformance import Conformance
    from pytest_mlperf.report.metrics import Results
    from pytest_mlperf.report.records import RecordFile

    Write = Callable[[Path, Results], None]


def _parquet() -> Write:
    from pytest_mlperf.report import parquet  # noqa: PLC0415  only where it is asked for

    return parquet.write


def _prometheus() -> Write:
    from pytest_mlperf.report import prometheus  # noqa: PLC0415  only where it is asked for

    return prometheus.write


def _opentelemetry() -> Write:
    from pytest_mlperf.report import opentelemetry  # noqa: PLC0415  only where it is asked for

    asked = opentelemetry.settings()
    return lambda folder, results: opentelemetry.write(folder, results, asked)


_FORMATS: Mapping[str, Callable[[], Write]] = {
    "parquet": _parquet,
    "prometheus": _prometheus,
    "opentelemetry": _opentelemetry,
}


@dataclass(kw_only=True, eq=False)
class _Measuring:
    writers: Mapping[str, Write]
    told: list[str] = field(default_factory=list)


_STASH = pytest.StashKey[_Measuring]()


def begin(config: pytest.Config) -> None:
    """Make ready for the formats that are asked for. Raises UsageError for what is missing."""
    asked = dict.fromkeys(config.getoption("mlperf_metrics") or ())
    config.stash[_STASH] = _Measuring(writers={name: _writer(name) for name in asked})


def _writer(name: str) -> Write:
    try:
        return _FORMATS[name]()
    except ModuleNotFoundError as error:
        raise pytest.UsageError(
            f"--mlperf-metrics {name}: found no module {error.name} (pip install 'pytest-mlperf[{name}]')"
        ) from error
    except ConfigurationError as error:
        raise pytest.UsageError(f"--mlperf-metrics {name}: {error}") from error


def end(config: pytest.Config, file: RecordFile, conformance: Conformance, records: Iterable[Record]) -> None:
    """Write the metrics in each format; one that cannot be written is told, and changes nothing else."""
    results = metrics.Results(
        session=file.session,
        host=file.host,
        started_at=file.started_at,
        conformance=conformance,
        records=tuple(records),
    )
    folder = output.folder(config)
    metrics.write(folder, [results])
    measuring = config.stash[_STASH]
    for name, write in measuring.writers.items():
        measuring.told.extend(f"--mlperf-metrics {name}: {why}" for why in _failure(write, folder, results))


def _failure(write: Write, folder: Path, results: Results) -> Iterator[str]:
    try:
        write(folder, results)
    except (HostError, OSError, UnicodeError) as error:
        yield str(error)


def told(config: pytest.Config) -> Iterable[str]:
    """Return what is to be said of metrics."""
    measuring = config.stash.get(_STASH, None)
    return measuring.told if measuring else ()
