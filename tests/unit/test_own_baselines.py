"""Own baselines: which runs of a history a case is compared with. In SQLite, in PostgreSQL."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, select, text

from pytest_mlperf.hardware.matching import Delta
from pytest_mlperf.hardware.platforms import platform_of
from pytest_mlperf.history import migrations
from pytest_mlperf.history.baselines import Recollection
from pytest_mlperf.history.migrations.versions import v2
from pytest_mlperf.history.past import Past
from pytest_mlperf.history.store import open_history
from pytest_mlperf.history.tables import FINDINGS, METADATA, RECORDS
from pytest_mlperf.record import Attempt, Measurement
from pytest_mlperf.verdict import Finding

if TYPE_CHECKING:
    from pytest_mlperf.history.store import History
    from pytest_mlperf.record import Record
    from tests.unit.conftest import MakeCase, MakeRecord

INVENTORY = {
    "host": {"cpu": "EPYC 7742", "cores": 128},
    "devices": [
        {"vendor": "NVIDIA", "name": "NVIDIA A2", "uuid": "GPU-0"},
        {"vendor": "AMD", "name": "MI300X", "uuid": None, "pci_bus": "0000:07:00.0"},
    ],
    "drivers": [
        {"vendor": "AMD", "version": "6.12.12"},
        {"vendor": "NVIDIA", "version": "550.54.14", "cuda_version": "12.4"},
    ],
}
NEWER = {**INVENTORY, "drivers": [{"vendor": "NVIDIA", "version": "570.86.15"}]}
DRIVER = "NVIDIA 550.54.14"
METRIC = "result_samples_per_second"


def measured(value: float, name: str = METRIC) -> tuple[Measurement, ...]:
    return (Measurement(name=name, value=value, unit="samples/s"),)


def ran(make_record: MakeRecord, value: float, **changes: Any) -> Record:
    return make_record(**{"measurements": measured(value), "devices": ("GPU-0",), **changes})


def add(history: History, *records: Record, name: str, inventory: dict[str, Any] = INVENTORY) -> None:
    history.add(
        Past(
            id=name,
            started_at="2026-11-24T08:00:00+00:00",
            host="node-7",
            version="0.1.0",
            inventory=inventory,
            conformance="conformant",
            records=records,
        )
    )


@pytest.mark.parametrize(
    ("devices", "inventory", "expected"),
    [
        (("GPU-0",), INVENTORY, DRIVER),
        (("0000:07:00.0",), INVENTORY, "AMD 6.12.12"),
        ((), INVENTORY, "EPYC 7742, 128 cores"),
        (("GPU-1",), INVENTORY, None),
        (("GPU-0",), {**INVENTORY, "drivers": [{"vendor": "NVIDIA", "version": None}]}, None),
        ((), {"devices": []}, None),
        (("GPU-0",), {}, None),
        (("NVIDIA A2",), {**INVENTORY, "devices": [{"vendor": "NVIDIA", "name": "NVIDIA A2"}]}, DRIVER),
        ((), {"host": {"cpu": "EPYC 7742"}}, "EPYC 7742, None cores"),
        ((), {"host": {"cores": 128}}, None),
        ((), {"host": None}, None),
        (("GPU-0",), {"devices": [5], "drivers": 7}, None),
        (("GPU-0",), {"devices": [{"vendor": [], "uuid": "GPU-0"}]}, None),
        ((), {"host": "node-7"}, None),
        ((), ["no inventory"], None),
    ],
)
def test_a_platform_is_a_driver_or_a_processor(
    devices: tuple[str, ...], inventory: Any, expected: str | None
) -> None:
    """In what is added now, and in older records, which the second version filled in."""
    assert platform_of(inventory, devices) == expected
    assert v2.platform_of(inventory, devices) == expected


def test_a_baseline_is_of_runs_that_passed(history: History, make_record: MakeRecord) -> None:
    for number, value in enumerate((100.0, 101.0, 99.0, 98.0, 103.0)):
        started_at = f"2026-11-0{number + 1}T08:00:00+00:00"
        add(history, ran(make_record, value, started_at=started_at), name=f"s{number}")
    base = Recollection(history=history)(ran(make_record, 50.0), DRIVER)
    assert (base.kind, base.metric, base.unit, base.n) == ("own", METRIC, "samples/s", 5)
    assert (base.median, base.mad, base.mean_deviation) == (100.0, 1.0, 1.4)
    source = f"earlier runs on {DRIVER}, history {history}, 2026-11-01 to 2026-11-05"
    assert (base.source, base.problem, base.caveats) == (source, None, ())


def _attempt(ending: str, value: float) -> Attempt:
    return Attempt(
        ending=ending,  # type: ignore[arg-type]
        reason=None,
        findings=(),
        measurements=measured(value),
        devices=("GPU-0",),
        neighbours=None,
        folder="cases/c/attempt-1",
        started_at=None,
        duration_s=None,
    )


def test_a_session_counts_once_by_the_median_of_its_attempts_that_passed(
    history: History, make_record: MakeRecord
) -> None:
    """Five of one warm quarter of an hour are no five sessions, and must not outweigh them."""
    runs = [_attempt("fail", 1.0), *(_attempt("pass", value) for value in (80.0, 81.0, 82.0, 81.0, 95.0))]
    add(history, ran(make_record, 95.0, attempts=tuple(runs)), name="s")
    base = Recollection(history=history)(ran(make_record, 50.0), DRIVER)
    assert (base.n, base.median, base.lack) == (1, 81.0, "fewer than 5 sessions")
    for number, value in enumerate((100.0, 101.0)):
        add(history, ran(make_record, value), name=f"s{number}")
    base = Recollection(history=history)(ran(make_record, 50.0), DRIVER)
    assert (base.n, base.median) == (3, 100.0)


OTHERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "that failed": ({"ending": "fail"}, {}),
    "that could not be found out": ({"ending": "error"}, {}),
    "of logs": ({"replayed": "earlier"}, {}),
    "on a partial match": ({"deltas": (Delta(trait="power limit", expected="60 W", found="40 W"),)}, {}),
    "of another metric": ({"measurements": measured(1.0, "result_99.00_percentile_latency_ns")}, {}),
    "of no value": ({"measurements": measured(0.0)}, {}),
    "on devices that are not known": ({"devices": ("GPU-9",)}, {}),
    "of another case": ({}, {"id": "another"}),
    "of another round": ({}, {"round": "v2.1"}),
    "that were shortened": ({}, {"conformance": "smoke"}),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_runs_of_something_else_do_not_count(
    kind: str, history: History, make_record: MakeRecord, make_case: MakeCase
) -> None:
    changes, of_case = OTHERS[kind]
    other = ran(make_record, 1.0, **{"case": make_case(**of_case), **changes})
    add(history, ran(make_record, 100.0), name="same")
    add(history, other, name="other")
    assert Recollection(history=history)(ran(make_record, 50.0), DRIVER).median == 100.0


def test_runs_with_another_driver_do_not_count(history: History, make_record: MakeRecord) -> None:
    add(history, ran(make_record, 100.0), name="old")
    add(history, ran(make_record, 110.0), name="new", inventory=NEWER)
    recollection = Recollection(history=history)
    assert recollection(ran(make_record, 50.0), DRIVER).median == 100.0
    assert recollection(ran(make_record, 50.0), "NVIDIA 570.86.15").median == 110.0
    assert recollection(ran(make_record, 50.0), "NVIDIA 600.0").n == 0


def test_shortened_runs_are_compared_with_shortened_ones(
    history: History, make_record: MakeRecord, make_case: MakeCase
) -> None:
    short = make_case(conformance="smoke")
    add(history, ran(make_record, 100.0), ran(make_record, 90.0, case=make_case(id="b")), name="whole")
    add(history, ran(make_record, 80.0, case=short), name="short")
    assert Recollection(history=history)(ran(make_record, 50.0, case=short), DRIVER).median == 80.0


def test_what_was_taken_over_counts_once(history: History, make_record: MakeRecord) -> None:
    first = ran(make_record, 100.0, started_at="2026-11-24T08:00:00+00:00")
    add(history, first, name="first")
    add(history, replace(first, resumed="out"), name="second")
    assert Recollection(history=history)(ran(make_record, 50.0), DRIVER).n == 1


def test_of_an_unknown_platform_there_is_no_baseline(history: History, make_record: MakeRecord) -> None:
    add(history, ran(make_record, 100.0), name="s")
    base = Recollection(history=history)(ran(make_record, 50.0), None)
    assert (base.n, base.lack) == (0, "what it ran on is not known")


def test_values_that_are_none_do_not_count(history: History, make_record: MakeRecord) -> None:
    """Others may write into the database, too."""
    for number in range(4):
        add(history, ran(make_record, 100.0), name=f"s{number}")
    with history.transaction() as connection:
        update = "UPDATE metrics SET value = :value WHERE session = :session AND NOT is_verdict"
        connection.execute(text(update), {"value": float("inf"), "session": "s0"})
        connection.execute(text(update), {"value": -1.0, "session": "s1"})
        connection.execute(text(update), {"value": 1e308, "session": "s2"})
    assert Recollection(history=history)(ran(make_record, 50.0), DRIVER).n == 1


def test_a_database_that_is_none_is_said(tmp_path: Path, make_record: MakeRecord) -> None:
    (tmp_path / "h.sqlite").write_text("no database, whatever its name says: " * 100)
    history = open_history(f"sqlite:///{tmp_path}/h.sqlite")
    base = Recollection(history=history)(ran(make_record, 50.0), DRIVER)
    assert base.lack == f"history {history}: file is not a database"


def test_a_server_that_does_not_answer_is_waited_for_once(make_record: MakeRecord) -> None:
    history = open_history("postgresql+psycopg://me:secret@192.0.2.1:5432/d?connect_timeout=2")
    recollection = Recollection(history=history)
    started = time.monotonic()
    lacks = {recollection(ran(make_record, 50.0), DRIVER).lack for _ in range(10)}
    assert time.monotonic() - started < 10
    (lack,) = lacks
    assert str(lack).startswith("history postgresql+psycopg://me:***@192.0.2.1:5432/d")
    assert "secret" not in str(lack)


def as_v1(url: str) -> None:
    """Make a database as the first version did."""
    config = Config()
    config.set_main_option("script_location", str(Path(str(migrations.__file__)).parent))
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "1")
    engine.dispose()


def insert(url: str, table: str, **values: Any) -> None:
    engine = create_engine(url)
    names = ", ".join(values)
    with engine.begin() as connection:
        connection.execute(
            text(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in values)})"),  # noqa: S608  names of this test
            values,
        )
    engine.dispose()


OLD: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "known": (json.dumps(INVENTORY), {}, DRIVER),
    "on the processor": (json.dumps(INVENTORY), {"devices": []}, "EPYC 7742, 128 cores"),
    "where nothing ran": (json.dumps(INVENTORY), {"folder": None}, None),
    "of logs": (json.dumps(INVENTORY), {"replayed": "earlier"}, None),
    "without an inventory": ("{}", {}, None),
    "with a strange inventory": ('{"devices": [5], "drivers": 7}', {}, None),
    "with a broken inventory": ("{", {}, None),
    "with an inventory that is none": ("[]", {}, None),
}


@pytest.mark.parametrize("kind", OLD)
def test_a_history_of_the_first_version_is_led_on(url: str, kind: str, make_record: MakeRecord) -> None:
    inventory, changes, platform = OLD[kind]
    record = ran(make_record, 100.0)
    case = record.case
    content = json.dumps({**record.to_json(), **changes})
    as_v1(url)
    key = {"session": "old", "case_id": case.id}
    run = {**key, "number": 1}
    named = {n: getattr(case, n) for n in ("metric_name", "round", "sku", "benchmark", "scenario", "mode")}
    metric = f"{case.metric_name.rpartition('-')[0]}-{METRIC}"
    insert(url, "sessions", id="old", started_at="2026", pytest_mlperf="0.1.0", inventory=inventory)
    insert(url, "records", **key, **named, conformance="round", ending="pass", content=content)
    insert(url, "runs", **run, ending="pass")
    told = {"rule": "r", "expected": "1", "observed": "1"}
    insert(url, "findings", **run, position=0, **told, satisfied=True, relaxed=False)
    insert(url, "metrics", **run, position=0, name=metric, value=100.0, unit="samples/s", is_verdict=False)

    history = open_history(url)
    with history.transaction() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        assert connection.scalars(select(RECORDS.c.platform)).all() == [platform]
        assert connection.scalars(select(RECORDS.c.content)).all() == [content]
        assert connection.execute(select(FINDINGS.c.rule, FINDINGS.c.satisfied)).all() == [("r", True)]
    assert Recollection(history=history)(record, DRIVER).n == (platform == DRIVER)


def test_a_rule_that_there_was_nothing_to_hold_to_is_kept(history: History, make_record: MakeRecord) -> None:
    unknown = Finding(rule="own baseline", expected="1", observed="none", satisfied=None, source="s")
    add(history, ran(make_record, 100.0, findings=(unknown,)), name="s")
    with history.transaction() as connection:
        assert connection.scalars(select(FINDINGS.c.satisfied)).all() == [None]
