"""How what a case measures changes from run to run: series of points, on each host and on all of them."""

from __future__ import annotations

import json
from bisect import insort
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from sqlalchemy import select

from pytest_mlperf.history.counted import ALL, counted
from pytest_mlperf.history.tables import SESSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import Connection

    from pytest_mlperf.history.counted import Choice, Run
    from pytest_mlperf.history.store import History


@dataclass(frozen=True, kw_only=True)
class Point:
    """A run, and what was before it in its series.

    driver:  version of the accelerators' driver, None where it is unknown or there is none
    before:  median of the same quantity over the points before it, None where there is none
    """

    run: Run
    driver: str | None
    before: float | None

    @property
    def verdict(self) -> str:
        """PASS or FAIL, VALID or INVALID."""
        good, _, bad = self.run.words.partition("/")
        return good if self.run.passed else bad

    @property
    def change_percent(self) -> float | None:
        """How far its value is from the median before it; None without a value or a median to divide by."""
        return _change_percent(self.run.value, self.before)


@dataclass(frozen=True, kw_only=True)
class Series:
    """The runs of one configuration, on one host or on all.

    conformance:  what the results are good for
    hosts:        names of the machines that the points are of: one, or all that there are; None is unknown
    points:       at least one, the newest last
    """

    benchmark: str
    metric: str
    sku: str
    conformance: str
    hosts: tuple[str | None, ...]
    points: tuple[Point, ...]

    @property
    def configuration(self) -> tuple[str, str, str, str]:
        """What it is of, on whatever host."""
        return (self.conformance, self.benchmark, self.metric, self.sku)

    @property
    def n(self) -> int:
        """How many runs there are."""
        return len(self.points)

    @property
    def passed(self) -> int:
        """How many of them passed."""
        return sum(point.run.passed for point in self.points)

    @property
    def last(self) -> Run | None:
        """The newest run that has a value, None without any."""
        return next((point.run for point in reversed(self.points) if point.run.value is not None), None)

    @property
    def values(self) -> tuple[float, ...]:
        """The values of the quantity that the last one has, the newest last."""
        kind = _kind(self.last)
        runs = (point.run for point in self.points)
        return tuple(run.value for run in runs if run.value is not None and _kind(run) == kind)

    @property
    def median(self) -> float | None:
        """The median of the values."""
        return median(self.values) if self.values else None

    @property
    def mad(self) -> float | None:
        """The median absolute deviation from the median, in the unit of the values, not scaled."""
        middle = self.median
        return None if middle is None else median(abs(value - middle) for value in self.values)

    @property
    def last_change_percent(self) -> float | None:
        """How far the last value is from the median of all."""
        return _change_percent(self.last.value if self.last else None, self.median)


def trend(history: History, choice: Choice = ALL) -> list[Series]:
    """Return the series of every configuration. Raises HostError, and ConfigurationError for unknown names.

    What counts is what `rates` counts. There is one series for each host, and then, where there are several
    hosts, one of all of them.
    """
    with history.reading() as connection:
        runs = counted(connection, choice)
        drivers = _drivers(connection)
    return list(series(runs, drivers))


def series(runs: Iterable[Run], drivers: Mapping[str, str]) -> Iterator[Series]:
    """Give the series of runs, by configuration and host. `runs` are in order, `drivers` by session."""
    configurations: dict[tuple[str, str, str, str], list[Run]] = {}
    for run in runs:
        key = (run.conformance, run.benchmark, run.metric, run.sku)
        configurations.setdefault(key, []).append(run)
    for _, found in sorted(configurations.items()):
        hosts = sorted({run.host for run in found}, key=str)
        for host in hosts:
            yield _series([run for run in found if run.host == host], drivers, (host,))
        if len(hosts) > 1:
            yield _series(found, drivers, tuple(hosts))


def _series(runs: list[Run], drivers: Mapping[str, str], hosts: tuple[str | None, ...]) -> Series:
    of = runs[0]
    return Series(
        benchmark=of.benchmark,
        metric=of.metric,
        sku=of.sku,
        conformance=of.conformance,
        hosts=hosts,
        points=tuple(_points(runs, drivers)),
    )


def _points(runs: Iterable[Run], drivers: Mapping[str, str]) -> Iterator[Point]:
    sorted_by_kind: dict[tuple[str | None, str | None], list[float]] = {}
    for run in runs:
        earlier = sorted_by_kind.setdefault(_kind(run), [])
        before = median(earlier) if earlier else None
        yield Point(run=run, driver=drivers.get(run.session), before=before)
        if run.value is not None:
            insort(earlier, run.value)


def _kind(run: Run | None) -> tuple[str | None, str | None]:
    """Return what was measured: values of different kinds are not compared."""
    return (run.quantity, run.unit) if run else (None, None)


def _change_percent(value: float | None, middle: float | None) -> float | None:
    return None if value is None or not middle else 100 * (value - middle) / middle


def _drivers(connection: Connection) -> dict[str, str]:
    """Return the versions of the accelerators' drivers by session, where they are known."""
    rows = connection.execute(select(SESSIONS.c.id, SESSIONS.c.inventory))
    found = {session: _versions(json.loads(inventory)) for session, inventory in rows}
    return {session: versions for session, versions in found.items() if versions}


def _versions(inventory: object) -> str:
    """Return what an inventory says of its drivers; an imported one may be of any kind."""
    drivers = inventory.get("drivers") if isinstance(inventory, dict) else None
    known = [driver.get("version") for driver in drivers or () if isinstance(driver, dict)]
    return ", ".join(str(version) for version in known if version)
