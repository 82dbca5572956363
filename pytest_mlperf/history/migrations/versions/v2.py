"""What a record ran on, and rules that there was nothing to hold to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from alembic import op
from sqlalchemy import Boolean, Column, String, Text, column, select, table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

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
    return platform_of(inventory, record.get("devices") or ())


# What `hardware.platforms` said of a machine when this version was made. That may change; this must not.
def platform_of(inventory: Mapping[str, Any], devices: Collection[str]) -> str | None:
    """Return the driver of devices, or the processor with its cores; None is unknown."""
    try:
        return _driver(inventory, devices) if devices else _processor(inventory)
    except (AttributeError, KeyError, TypeError):
        return None


def _processor(inventory: Mapping[str, Any]) -> str | None:
    host = inventory.get("host") or {}
    return f"{host['cpu']}, {host.get('cores')} cores" if host.get("cpu") else None


def _driver(inventory: Mapping[str, Any], devices: Collection[str]) -> str | None:
    there = inventory.get("devices") or ()
    vendors = {device.get("vendor") for device in there if _key(device) in devices}
    drivers = (driver for driver in inventory.get("drivers") or () if driver.get("vendor") in vendors)
    known = (driver for driver in drivers if driver.get("version"))
    return next((f"{driver['vendor']} {driver['version']}" for driver in known), None)


def _key(device: Mapping[str, Any]) -> str | None:
    return device.get("uuid") or device.get("pci_bus") or device.get("name")


def _object(text: str) -> dict[str, Any]:
    """Return an object that was written as JSON: an empty one where it is none."""
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
