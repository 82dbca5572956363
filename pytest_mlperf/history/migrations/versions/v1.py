"""The first tables."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Double, ForeignKeyConstraint, Integer, String, Text

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "sessions",
        Column("id", String(64), primary_key=True),
        Column("started_at", String(40), nullable=False),
        Column("host", Text),
        Column("pytest_mlperf", Text, nullable=False),
        Column("inventory", Text, nullable=False),
        Column("conformance", Text),
    )
    needed = ("metric_name", "round", "sku", "benchmark", "scenario", "mode", "conformance", "ending")
    op.create_table(
        "records",
        *_key(),
        *(Column(name, Text, nullable=False) for name in needed),
        *(Column(name, Text) for name in ("verdict", "reason", "image", "replayed", "resumed")),
        Column("content", Text, nullable=False),
        ForeignKeyConstraint(["session"], ["sessions.id"]),
    )
    op.create_table(
        "runs",
        *_key("number"),
        Column("ending", Text, nullable=False),
        Column("reason", Text),
        Column("started_at", Text),
        Column("duration_s", Double),
        ForeignKeyConstraint(["session", "case_id"], ["records.session", "records.case_id"]),
    )
    op.create_table(
        "findings",
        *_key("number", "position"),
        *(Column(name, Text, nullable=False) for name in ("rule", "expected", "observed")),
        *(Column(name, Boolean, nullable=False) for name in ("satisfied", "relaxed")),
        _of_a_run(),
    )
    op.create_table(
        "metrics",
        *_key("number", "position"),
        Column("name", Text, nullable=False),
        Column("value", Double, nullable=False),
        Column("unit", Text, nullable=False),
        Column("is_verdict", Boolean, nullable=False),
        _of_a_run(),
    )


def _key(*numbers: str) -> list[Column[object]]:
    columns: list[Column[object]] = [
        Column("session", String(64), primary_key=True),
        Column("case_id", String(255), primary_key=True),
    ]
    return columns + [Column(name, Integer, primary_key=True) for name in numbers]


def _of_a_run() -> ForeignKeyConstraint:
    key = ["session", "case_id", "number"]
    return ForeignKeyConstraint(key, [f"runs.{name}" for name in key])
