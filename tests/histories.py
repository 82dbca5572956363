"""Databases for histories: a SQLite file, and a PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.containers import needed

# Imported here: a test with `pytester` forgets what it was the first to import, and then there are two of it.
# Where an extra is not installed, pytest reads this file all the same, also when it is to run no test.
with contextlib.suppress(ModuleNotFoundError):
    import alembic.command  # noqa: F401
    import psycopg  # noqa: F401
    from sqlalchemy import create_engine, make_url, text

    from pytest_mlperf.history.store import History, open_history

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give a database of its own: a file, or a new one in the server."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/history.sqlite"
    return str(request.getfixturevalue("postgresql"))


@pytest.fixture
def postgresql() -> Iterator[str]:
    """Give a new database in the server."""
    server = os.environ.get("MLPERF_POSTGRESQL")
    if not server:
        needed("a PostgreSQL", command=".ci/postgresql start FOLDER")
    name = f"t{uuid.uuid4().hex}"
    engine = create_engine(str(server), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        yield make_url(str(server)).set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


def limited(url: str, **limits: str) -> str:
    """Return a URL of PostgreSQL with settings of the server."""
    options = " ".join(f"-c {name}={value}" for name, value in limits.items())
    return make_url(url).update_query_dict({"options": options}).render_as_string(hide_password=False)


@pytest.fixture
def history(url: str) -> History:
    return open_history(url)
