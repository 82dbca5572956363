"""The tables of a history, as they are now; `migrations` leads older ones here.

Texts are those of the records. `content` is a whole record as JSON, in ASCII: what comes from logs may hold
what a database refuses in a text.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("started_at", String(40), nullable=False),
    Column("host", Text),
    Column("pytest_mlperf", Text, nullable=False),
    Column("inventory", Text, nullable=False),
    Column("conformance", Text),
)
"""`inventory` is JSON; `conformance` is NULL for a session that did not end."""

RECORDS = Table(
    "records",
    METADATA,
    Column("session", String(64), primary_key=True),
    Column("case_id", String(255), primary_key=True),
    Column("metric_name", Text, nullable=False),
    Column("round", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("benchmark", Text, nullable=False),
    Column("scenario", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("conformance", Text, nullable=False),
    Column("ending", Text, nullable=False),
    Column("verdict", Text),
    Column("reason", Text),
    Column("image", Text),
    Column("replayed", Text),
    Column("resumed", Text),
    Column("content", Text, nullable=False),
    Column("platform", Text),
    ForeignKeyConstraint(["session"], ["sessions.id"]),
    Index("records_case_id", "case_id"),
)
"""`conformance` is what the result is good for: `round`, or `smoke (shortened: not submission-valid)`; a
partial match is named there, too. `platform` is the driver of the devices that were used, or the processor of
a case without; NULL where nothing ran."""

RUNS = Table(
    "runs",
    METADATA,
    Column("session", String(64), primary_key=True),
    Column("case_id", String(255), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("ending", Text, nullable=False),
    Column("reason", Text),
    Column("started_at", Text),
    Column("duration_s", Double),
    ForeignKeyConstraint(["session", "case_id"], ["records.session", "records.case_id"]),
)
"""The attempts of a case, counted from 1; a case that is run once has one."""


def _of_a_run() -> ForeignKeyConstraint:
    key = ["session", "case_id", "number"]
    return ForeignKeyConstraint(key, [f"runs.{name}" for name in key])


FINDINGS = Table(
    "findings",
    METADATA,
    Column("session", String(64), primary_key=True),
    Column("case_id", String(255), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("expected", Text, nullable=False),
    Column("observed", Text, nullable=False),
    Column("satisfied", Boolean),
    Column("relaxed", Boolean, nullable=False),
    _of_a_run(),
)
"""`satisfied` is NULL of a rule that there was nothing to hold to."""

METRICS = Table(
    "metrics",
    METADATA,
    Column("session", String(64), primary_key=True),
    Column("case_id", String(255), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("value", Double, nullable=False),
    Column("unit", Text, nullable=False),
    Column("is_verdict", Boolean, nullable=False),
    _of_a_run(),
)
"""What `metrics.csv` holds; `is_verdict` marks the case's own metric, 1.0 or 0.0."""
