"""`metrics.parquet`: the metrics of a session as a table with types, for those that query many sessions.

Where `metrics.csv` has VirtualClient's word `Scenario`, this says `benchmark`; `scenario` is LoadGen's.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import parquet

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mlperf.report.metrics import Results, Row

FILE = "metrics.parquet"

_TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        pa.field("session", pa.string(), nullable=False),
        pa.field("session_started_at", _TIME, nullable=False),
        pa.field("host", pa.string(), nullable=False),
        pa.field("case_id", pa.string(), nullable=False),
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("scenario", pa.string(), nullable=False),
        pa.field("mode", pa.string(), nullable=False),
        pa.field("sku", pa.string(), nullable=False),
        pa.field("round", pa.string(), nullable=False),
        pa.field("conformance", pa.string(), nullable=False),
        pa.field("attempt", pa.int32(), nullable=False),
        pa.field("started_at", _TIME),
        pa.field("duration_s", pa.float64()),
        pa.field("is_verdict", pa.bool_(), nullable=False),
        pa.field("metric_name", pa.string(), nullable=False),
        pa.field("measurement", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("unit", pa.string(), nullable=False),
    ]
)


def write(folder: Path, results: Results) -> None:
    """Write the table. Raises OSError."""
    session = {
        "session": results.session,
        "session_started_at": datetime.fromisoformat(results.started_at),
        "host": results.host,
    }
    rows = [session | _row(row) for row in results.rows]
    parquet.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / FILE)


def _row(row: Row) -> dict[str, Any]:
    case, started_at = row.case, row.run.started_at
    return {
        "case_id": case.id,
        "benchmark": case.benchmark,
        "scenario": case.scenario,
        "mode": case.mode,
        "sku": case.sku,
        "round": case.round,
        "conformance": row.conformance,
        "attempt": row.attempt,
        "started_at": datetime.fromisoformat(started_at) if started_at else None,
        "duration_s": row.run.duration_s,
        "is_verdict": row.is_verdict,
        "metric_name": row.name,
        "measurement": row.measurement,
        "value": row.value,
        "unit": row.unit,
    }
