"""Which runs of a history count: those that were really run and came to a verdict, each of them once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from pytest_mlperf.errors import ConfigurationError, Problem
from pytest_mlperf.history.tables import METRICS, RECORDS, RUNS, SESSIONS
from pytest_mlperf.matrix.problems import not_among

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Column, Connection, Select

    Row = Any

_HEADLINES = METRICS.alias()


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Whose runs are asked for; nothing named is all of them."""

    skus: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()


ALL = Choice()


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that came to a verdict: an attempt, or a case that is run once.

    metric:       name of the verdict's metric
    words:        what a verdict of this kind is called: `VALID/INVALID`, `PASS/FAIL`
    conformance:  what its result may be added up with
    session:      id of the session; the attempts of a case have the same
    host:         name of the machine, None where it is unknown
    started_at:   ISO 8601, UTC; of the session, where the run does not say
    quantity:     name of what was measured first, the headline; None, as value and unit, where nothing was
    """

    benchmark: str
    metric: str
    words: str
    sku: str
    conformance: str
    passed: bool
    session: str
    host: str | None
    started_at: str
    quantity: str | None = None
    value: float | None = None
    unit: str | None = None


def counted(connection: Connection, choice: Choice = ALL) -> list[Run]:
    """Return the runs that count, the oldest first. Raises ConfigurationError for a name that is unknown.

    A verdict that was replayed is of no run, and one that was taken over counts once.
    """
    _check(connection, choice)
    rows = connection.execute(_chosen(_verdicts(), choice)).all()
    return sorted(map(_run, once(rows)), key=lambda run: run.started_at)


def _check(connection: Connection, choice: Choice) -> None:
    problems = [
        *_unknown(connection, "--mlperf-sku", RECORDS.c.sku, choice.skus),
        *_unknown(connection, "--mlperf-benchmark", RECORDS.c.benchmark, choice.benchmarks),
    ]
    if problems:
        raise ConfigurationError(problems)


def _unknown(
    connection: Connection, option: str, column: Column[str], names: Iterable[str]
) -> Iterator[Problem]:
    """Give what is wrong with names; a history without records knows none, and has nothing to tell."""
    known = sorted(connection.scalars(select(column).distinct())) if names else ()
    for name in names:
        if known and name not in known:
            what, hint = not_among(name, known)
            yield Problem(what=f"{option}: {what}", hint=hint)


def _verdicts() -> Select[Any]:
    of_record = (RECORDS.c.session == RUNS.c.session) & (RECORDS.c.case_id == RUNS.c.case_id)
    of_run = (RUNS.c.session == METRICS.c.session) & (RUNS.c.case_id == METRICS.c.case_id)
    of_run &= RUNS.c.number == METRICS.c.number
    # The first measurement of a run stands behind its verdict.
    first = _HEADLINES.c.position == METRICS.c.position + 1
    for name in ("session", "case_id", "number"):
        first &= _HEADLINES.c[name] == METRICS.c[name]
    return (
        select(
            *(RECORDS.c[name] for name in ("benchmark", "sku", "conformance", "resumed")),
            *(RUNS.c[name] for name in ("session", "case_id", "number", "started_at", "duration_s")),
            SESSIONS.c.host,
            SESSIONS.c.started_at.label("session_at"),
            METRICS.c.name.label("metric"),
            METRICS.c.unit.label("words"),
            METRICS.c.value.label("verdict"),
            *(_HEADLINES.c[name] for name in ("name", "value", "unit")),
        )
        .join_from(SESSIONS, RECORDS, RECORDS.c.session == SESSIONS.c.id)
        .join(RUNS, of_record)
        .join(METRICS, of_run)
        .join(_HEADLINES, first, isouter=True)
        .where(METRICS.c.is_verdict, RECORDS.c.replayed.is_(None))
        .order_by(RECORDS.c.resumed.is_not(None), RUNS.c.session, RUNS.c.case_id, RUNS.c.number)
    )


def _chosen(query: Select[Any], choice: Choice) -> Select[Any]:
    if choice.skus:
        query = query.where(RECORDS.c.sku.in_(choice.skus))
    return query.where(RECORDS.c.benchmark.in_(choice.benchmarks)) if choice.benchmarks else query


def once(rows: Iterable[Row]) -> Iterator[Row]:
    """Give the rows without those of runs that were taken over from a session that is there, too.

    Of a fleet, many runs of a case begin in the same second, and last differently. The host tells only those
    apart whose duration is unknown: a container has another name when its session is gone on with.
    """
    seen = set()
    for row in rows:
        which = row.host if row.duration_s is None else row.duration_s
        run = (row.case_id, row.number, row.started_at, which)
        if row.resumed is None or run not in seen:
            yield row
        seen.add(run)


def _run(row: Row) -> Run:
    return Run(
        benchmark=row.benchmark,
        metric=row.metric,
        words=row.words,
        sku=row.sku,
        conformance=row.conformance,
        passed=row.verdict == 1,
        session=row.session,
        host=row.host,
        started_at=row.started_at or row.session_at,
        quantity=row.name,
        value=row.value,
        unit=row.unit,
    )
