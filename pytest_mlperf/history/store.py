"""A history in a database: sessions go in once and whole, whoever writes beside."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, exc, func, insert, inspect, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from pytest_mlperf.errors import ConfigurationError, HostError
from pytest_mlperf.hardware.platforms import platform_of
from pytest_mlperf.history.tables import FINDINGS, METRICS, RECORDS, RUNS, SESSIONS
from pytest_mlperf.matrix import SHORTENED
from pytest_mlperf.report.metrics import measured, verdict_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import URL, Connection, Engine, Table

    from pytest_mlperf.history.past import Past
    from pytest_mlperf.record import Attempt, Record

    Row = Mapping[str, Any]

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 73_617_465  # any number that no other program takes as its lock
_OF_LIBPQ = ("psycopg", "psycopg2")
_CALL_S = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10}
"""How long a PostgreSQL may be silent, for drivers that leave that to libpq; unless the URL says otherwise.

The kernel would wait minutes for a machine that is gone, hours for one that goes in between, and for ever for
a server that takes calls and says nothing.
"""
_BUSY_S = 60
"""How long a session waits for others that end at the same time."""
_STATEMENT_S = 120
"""How long PostgreSQL may work on one statement; a report reads all verdicts in one."""
_LIMITS_S = {
    "lock_timeout": _BUSY_S,
    "statement_timeout": _STATEMENT_S,
    # A writer that was stopped would keep all others out.
    "idle_in_transaction_session_timeout": _STATEMENT_S,
}
"""Settings of PostgreSQL, unless the URL has them among its `options`."""


@dataclass(frozen=True, kw_only=True)
class History:
    """A database. Nothing is asked of it before it is used; every method raises HostError when it fails.

    url: as SQLAlchemy has it, of SQLite or PostgreSQL
    """

    url: str

    def __str__(self) -> str:
        return make_url(self.url).difference_update_query(["password"]).render_as_string(hide_password=True)

    @property
    def exists(self) -> bool:
        """Whether there is a database; of a server that is not known before it is asked."""
        url = make_url(self.url)
        return url.get_dialect().name != "sqlite" or Path(url.database or "").exists()

    def add(self, past: Past) -> int:
        """Add what is not there yet of a session; return how many records that were."""
        with self.transaction() as connection:
            stored = SESSIONS.c.id == past.id
            if connection.execute(select(SESSIONS.c.id).where(stored)).first() is None:
                connection.execute(insert(SESSIONS), _texts(_session(past)))
            elif past.conformance is not None:
                connection.execute(update(SESSIONS).where(stored).values(conformance=past.conformance))
            known = select(RECORDS.c.case_id).where(RECORDS.c.session == past.id)
            there = set(connection.scalars(known))
            new = [record for record in past.planned if record.case.id not in there]
            for table, rows in _rows(past, new).items():
                if rows:
                    connection.execute(insert(table), [_texts(row) for row in rows])
        return len(new)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a transaction that only reads, and waits for nobody, on tables that are up to date."""
        with self._told(), _transaction(self._engine, writes=False) as connection:
            yield connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give a transaction that no other one that writes is beside, on tables that are up to date."""
        with self._told(), _transaction(self._engine, writes=True) as connection:
            yield connection

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except exc.SQLAlchemyError as error:
            why = getattr(error, "orig", None) or error
            raise HostError(f"history {self}: {str(why).partition(chr(10))[0]}") from error

    @cached_property
    def _engine(self) -> Engine:
        """The way to the database, whose tables are brought up to date when it is first gone."""
        engine = _engine_of(make_url(self.url))
        with _transaction(engine, writes=False) as connection:
            newest = _version(connection) == newest_version()
        if not newest:
            with _transaction(engine, writes=True) as connection:
                # Another one may have been faster.
                if _version(connection) != newest_version():
                    self._migrate(connection)
        return engine

    def _migrate(self, connection: Connection) -> None:
        from alembic import command  # noqa: PLC0415  heavy, and rarely needed
        from alembic.config import Config  # noqa: PLC0415  see above
        from alembic.util.exc import CommandError  # noqa: PLC0415  see above

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        if connection.dialect.name == "postgresql":
            # It takes as long as there is much in the tables, and would begin anew each time.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise HostError(
                f"history {self}: {error}", hint="was it written by a newer pytest-mlperf?"
            ) from error


def open_history(url: str) -> History:
    """Return the history at a URL. Raises ConfigurationError; ModuleNotFoundError without what it needs."""
    if find_spec("alembic") is None:
        raise ModuleNotFoundError("No module named 'alembic'", name="alembic")
    try:
        dialect = make_url(url).get_dialect()
    except (exc.ArgumentError, exc.NoSuchModuleError) as error:
        raise ConfigurationError(f"--mlperf-history: {error}") from error
    name = dialect.name
    if name not in ("sqlite", "postgresql"):
        raise ConfigurationError(
            f"--mlperf-history: found a URL of {name}, allowed: a file, sqlite:///..., postgresql+psycopg://..."
        )
    dialect.import_dbapi()
    return History(url=url)


def _engine_of(url: URL) -> Engine:
    limits_s = _CALL_S if url.get_driver_name() in _OF_LIBPQ else {}
    unsaid = {name: limit_s for name, limit_s in limits_s.items() if name not in url.query}
    engine = create_engine(url, poolclass=NullPool, connect_args=unsaid)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _leave_transactions_to_us)
    return engine


@contextlib.contextmanager
def _transaction(engine: Engine, *, writes: bool) -> Iterator[Connection]:
    """Give a transaction; no two that write are beside each other in one history."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
        else:
            _limit(connection)
            if writes:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        yield connection


def _limit(connection: Connection) -> None:
    """Set limits for this transaction alone: with a pooler between, the next one may be of somebody else."""
    named = str(connection.engine.url.query.get("options", ""))
    limits = [func.set_config(name, f"{s}s", True) for name, s in _LIMITS_S.items() if name not in named]
    if limits:
        connection.execute(select(*limits))


def _leave_transactions_to_us(connection: Any, _: object) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_S * 1000}")
    connection.execute("PRAGMA foreign_keys = ON")


def _version(connection: Connection) -> str | None:
    """Return the version of the tables, None where there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def newest_version() -> str:
    """Return the version that the migrations lead to: `versions/v1.py` leads to 1."""
    return str(max(int(path.stem[1:]) for path in (_MIGRATIONS / "versions").glob("v*.py")))


def _session(past: Past) -> Row:
    return {
        "id": past.id,
        "started_at": past.started_at,
        "host": past.host,
        "pytest_mlperf": past.version,
        "inventory": json.dumps(past.inventory),
        "conformance": past.conformance,
    }


def _rows(past: Past, records: list[Record]) -> dict[Table, list[Row]]:
    """Return the rows of records by table, in the order in which they refer to each other."""
    rows: dict[Table, list[Row]] = {RECORDS: [], RUNS: [], FINDINGS: [], METRICS: []}
    for record in records:
        key = {"session": past.id, "case_id": record.case.id}
        rows[RECORDS].append({**key, **_record(record), "platform": _platform(record, past)})
        for number, run in enumerate(record.runs, 1):
            of_run = {**key, "number": number}
            rows[RUNS].append({**of_run, **_run(run)})
            rows[FINDINGS] += ({**of_run, "position": n, **row} for n, row in enumerate(_findings(run)))
            rows[METRICS] += ({**of_run, "position": n, **row} for n, row in enumerate(_metrics(record, run)))
    return rows


def _record(record: Record) -> Row:
    case = record.case
    named = ("metric_name", "round", "sku", "benchmark", "scenario", "mode")
    kept = ("ending", "verdict", "reason", "image", "replayed", "resumed")
    return {
        **{name: getattr(case, name) for name in named},
        **{name: getattr(record, name) for name in kept},
        "conformance": good_for(record),
        "content": json.dumps(record.to_json()),
    }


def _platform(record: Record, past: Past) -> str | None:
    ran = record.folder is not None and record.replayed is None
    return platform_of(past.inventory, record.devices) if ran else None


def good_for(record: Record) -> str:
    """Return what results may be added up with: those of the same length, on machines that match as well."""
    labels = [SHORTENED] if record.case.conformance == "smoke" else []
    labels += ["partial match"] if record.deltas else []
    return record.case.conformance + (f" ({'; '.join(labels)})" if labels else "")


def _run(run: Record | Attempt) -> Row:
    return {name: getattr(run, name) for name in ("ending", "reason", "started_at", "duration_s")}


def _findings(run: Record | Attempt) -> Iterator[Row]:
    for finding in run.findings:
        names = ("rule", "expected", "observed", "satisfied", "relaxed")
        yield {name: getattr(finding, name) for name in names}


def _metrics(record: Record, run: Record | Attempt) -> Iterator[Row]:
    for name, word, unit in verdict_row(record, run.ending):
        yield {"name": name, "value": float(word), "unit": unit, "is_verdict": True}
    for name, value, unit in measured(record, run):
        yield {"name": name, "value": value, "unit": unit, "is_verdict": False}


def _texts(row: Row) -> Row:
    """Return a row whose texts every database takes: what is no character is written as an escape."""
    return {name: _text(value) if isinstance(value, str) else value for name, value in row.items()}


def _text(value: str) -> str:
    return value.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
