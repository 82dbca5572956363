"""A history never waits without an end: neither for other writers, nor for a server that says nothing."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, make_url, select, text

from pytest_mlperf.errors import HostError
from pytest_mlperf.history.past import Past
from pytest_mlperf.history.rates import rates
from pytest_mlperf.history.store import open_history
from pytest_mlperf.history.tables import SESSIONS
from tests.histories import limited

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mlperf.history.store import History

PAST = Past(
    id="s",
    started_at="2026-11-24T08:00:00+00:00",
    host="node-7",
    version="0.1.0",
    inventory={},
    conformance="conformant",
    records=(),
)
SOON_S = 20


def sessions(history: History) -> list[str]:
    with history.reading() as connection:
        return list(connection.scalars(select(SESSIONS.c.id)))


def test_reading_does_not_wait_for_who_writes(url: str) -> None:
    open_history(url).add(PAST)
    begun = time.monotonic()
    with open_history(url).transaction() as connection:
        connection.execute(text("UPDATE sessions SET conformance = 'incomplete'"))
        assert sessions(open_history(url)) == ["s"]
        assert rates(open_history(url)) == []
    assert time.monotonic() - begun < SOON_S


def test_a_file_that_cannot_be_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    open_history(f"sqlite:///{path}").add(PAST)
    history = open_history(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert sessions(history) == ["s"]
    with pytest.raises(HostError, match="readonly"):
        history.add(PAST)


def test_who_is_kept_out_by_a_writer_gives_up(postgresql: str) -> None:
    open_history(postgresql).add(PAST)
    with open_history(postgresql).transaction(), pytest.raises(HostError, match="due to lock timeout"):
        open_history(limited(postgresql, lock_timeout="300ms")).add(PAST)


def write_slowly(history: History, meanwhile: History) -> None:
    """Begin to write, let another one do so, and go on."""
    with history.transaction() as connection:
        connection.execute(text("UPDATE sessions SET conformance = 'incomplete'"))
        assert meanwhile.add(PAST) == 0
        connection.execute(text("SELECT 1"))


def test_a_writer_that_was_stopped_does_not_keep_others_out(postgresql: str) -> None:
    open_history(postgresql).add(PAST)
    stopped = open_history(limited(postgresql, idle_in_transaction_session_timeout="300ms"))
    with pytest.raises(HostError, match="idle-in-transaction timeout"):
        write_slowly(stopped, open_history(postgresql))
    with open_history(postgresql).reading() as connection:
        assert connection.scalars(select(SESSIONS.c.conformance)).all() == ["conformant"]


SLOW_INDEX = """
CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(2); END';
CREATE EVENT TRIGGER t ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION slow();
"""


def test_tables_are_brought_up_to_date_however_long_it_takes(postgresql: str) -> None:
    engine = create_engine(postgresql)
    with engine.begin() as connection:
        connection.execute(text(SLOW_INDEX))
    engine.dispose()
    assert open_history(limited(postgresql, statement_timeout="1s")).add(PAST) == 0


@pytest.mark.parametrize(
    "named", [{}, {"lock_timeout": "2s"}, {"statement_timeout": "0", "lock_timeout": "2s"}]
)
def test_limits_hold_unless_the_url_has_others(postgresql: str, named: dict[str, str]) -> None:
    usual = {
        "lock_timeout": "1min",
        "statement_timeout": "2min",
        "idle_in_transaction_session_timeout": "2min",
    }
    history = open_history(limited(postgresql, **named) if named else postgresql)
    for way in (history.reading, history.transaction):
        with way() as connection:
            assert {name: connection.scalar(text(f"SHOW {name}")) for name in usual} == {**usual, **named}
            # Not of the connection, which a pooler may hand on.
            connection.exec_driver_sql("COMMIT")
            assert connection.scalar(text("SHOW lock_timeout")) == named.get("lock_timeout", "0")


def test_a_server_that_takes_calls_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        history = open_history(f"postgresql+psycopg://127.0.0.1:{server.getsockname()[1]}/d")
        begun = time.monotonic()
        with pytest.raises(HostError, match="timeout"):
            history.add(PAST)
        assert time.monotonic() - begun < SOON_S


@pytest.mark.parametrize("said", [{}, {"connect_timeout": "7"}, {"keepalives_idle": "9"}])
def test_a_server_may_be_silent_as_long_as_the_url_says(postgresql: str, said: dict[str, str]) -> None:
    usual = {"connect_timeout": "10", "keepalives_idle": "30", "keepalives_interval": "10"}
    url = make_url(postgresql).update_query_dict(said).render_as_string(hide_password=False)
    with open_history(url).reading() as connection:
        called = connection.connection.dbapi_connection
        assert called is not None
        found = called.info.get_parameters()
    assert {name: found[name] for name in usual} == {**usual, **said}
