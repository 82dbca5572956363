"""What a record ran on, and rules that there was nothing to hold to."""

from __future__ import annotations

import json
from typing import Any

from alembic import op
from sqlalchemy import Boolean, Column, String, Text, column, select, table

from pytest_mlperf.hardware.platforms import platform_of

revision = "2"
down_revision = "1"

_SESSIONS = table("sessions", column("id", String), column("inventory", Text))
_RECORDS = table(
    "records",
    column("session", String),
    column("case_id", String),
    column("content", Text),
    column("platform", Text),
)


def upgrade() -> None:
    """Add the columns, and say of older records what they ran on, where it is known."""
    op.add_column("records", Column("platform", Text))
    op.create_index("records_case_id", "records", ["case_id"])
    with op.batch_alter_table("findings") as findings:
        findings.alter_column("satisfied", existing_type=Boolean(), nullable=True)
    for session, inventory in op.get_bind().execute(select(_SESSIONS.c.id, _SESSIONS.c.inventory)).all():
        _fill(session, _object(inventory))


def _fill(session: str, inventory: dict[str, Any]) -> None:
    of_session = _RECORDS.c.session == session
    rows = op.get_bind().execute(select(_RECORDS.c.case_id, _RECORDS.c.content).where(of_session)).all()
    for case_id, content in rows:
        platform = _platform(_object(content), inventory)
        if platform is not None:
            one = of_session & (_RECORDS.c.case_id == case_id)
            op.execute(_RECORDS.update().where(one).values(platform=platform))


def _platform(record: dict[str, Any], inventory: dict[str, Any]) -> str | None:
    if record.get("folder") is None or record.get("replayed") is not None:
        return None
    # By the function that fills new rows: of one machine, both must say the same.
    return platform_of(inventory, record.get("devices") or ())


def _object(text: str) -> dict[str, Any]:
    """Return an object that was written as JSON: an empty one where it is none."""
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
