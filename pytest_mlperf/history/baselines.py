"""Earlier runs of a case, to compare it with."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from pytest_mlperf.errors import HostError
from pytest_mlperf.history.counted import once
from pytest_mlperf.history.store import good_for
from pytest_mlperf.history.tables import METRICS, RECORDS, RUNS, SESSIONS
from pytest_mlperf.verdict.baseline import Baseline, baseline, is_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Row, Select

    from pytest_mlperf.history.store import History
    from pytest_mlperf.record import Record

_ASK_AGAIN_S = 60
"""How long a history that does not answer is not asked again: each case would wait for it."""


@dataclass(kw_only=True, eq=False)
class Recollection:
    """Asks a history for the runs of a case on the same SKU and platform that passed.

    A session is one value, the median of its attempts.
    """

    history: History
    _silent: tuple[float, str] | None = field(default=None, init=False)
    """When it did not answer, and what was said instead."""

    def __call__(self, record: Record, platform: str | None) -> Baseline:
        """Return the baseline of a record's first measurement."""
        metric = record.measurements[0]
        source = f"earlier runs on {platform}, history {self.history}"
        try:
            rows = self._rows(record, platform) if platform else []
        except HostError as error:
            return _unknown(record, source, str(error))
        if platform is None:
            return _unknown(record, source, "what it ran on is not known")
        days = sorted(str(row.started_at)[:10] for row in rows if row.started_at)
        period = f", {days[0]} to {days[-1]}" if days else ""
        values = _by_session(rows)
        return baseline("own", metric=(metric.name, metric.unit), values=values, source=source + period)

    def _rows(self, record: Record, platform: str) -> list[Row[Any]]:
        """Return the values, each once. Raises HostError."""
        if self._silent and time.monotonic() - self._silent[0] < _ASK_AGAIN_S:
            raise HostError(self._silent[1])
        try:
            with self.history.reading() as connection:
                rows = connection.execute(_query(record, platform)).all()
        except HostError as error:
            self._silent = (time.monotonic(), str(error))
            raise
        return [row for row in once(rows) if is_value(row.value)]


def _by_session(rows: Iterable[Row[Any]]) -> list[float]:
    """Return a value a session: its attempts have clocks, temperature and neighbours in common."""
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(row.session, []).append(row.value)
    return [median(of_session) for of_session in values.values()]


def _unknown(record: Record, source: str, problem: str) -> Baseline:
    metric = record.measurements[0]
    return Baseline(kind="own", metric=metric.name, unit=metric.unit, n=0, source=source, problem=problem)


def _query(record: Record, platform: str) -> Select[Any]:
    """Return what asks for the runs of the same case: its id names SKU, harness, accuracy and power, too."""
    same_record = (RECORDS.c.session == RUNS.c.session) & (RECORDS.c.case_id == RUNS.c.case_id)
    same_run = (RUNS.c.session == METRICS.c.session) & (RUNS.c.case_id == METRICS.c.case_id)
    same_run &= RUNS.c.number == METRICS.c.number
    case, metric = record.case, record.measurements[0]
    configuration = case.metric_name.rpartition("-")[0]
    return (
        select(
            *(RUNS.c[name] for name in ("session", "case_id", "number", "started_at", "duration_s")),
            METRICS.c.value,
            RECORDS.c.resumed,
            SESSIONS.c.host,
        )
        .join_from(SESSIONS, RECORDS, RECORDS.c.session == SESSIONS.c.id)
        .join(RUNS, same_record)
        .join(METRICS, same_run)
        .where(
            RECORDS.c.case_id == case.id,
            RECORDS.c.round == case.round,
            RECORDS.c.platform == platform,
            RECORDS.c.conformance == good_for(record),
            RECORDS.c.replayed.is_(None),
            RUNS.c.ending == "pass",
            METRICS.c.name == f"{configuration}-{metric.name}",
            METRICS.c.unit == metric.unit,
        )
        .order_by(RECORDS.c.resumed.is_not(None))
    )
