"""Several sessions as one: their records are the items of a session that runs nothing, and reports them."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from pytest_mlperf.errors import EvidenceError
from pytest_mlperf.hardware import Inventory
from pytest_mlperf.history import past
from pytest_mlperf.plugin import output
from pytest_mlperf.plugin.telling import TOLD, check, summarise, tell, tell_junit
from pytest_mlperf.record import RECORDS
from pytest_mlperf.report import metrics
from pytest_mlperf.report.conformance import add_up
from pytest_mlperf.report.machine import Machine, hardware
from pytest_mlperf.report.metrics import Results

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_mlperf.history.past import Past
    from pytest_mlperf.record import Record
    from pytest_mlperf.report.conformance import Conformance

_INVENTORY = TypeAdapter(Inventory)


class RecordItem(pytest.Item):
    """A record of an earlier session."""

    def __init__(self, *, record: Record, **attributes: Any) -> None:
        """Take the record, and what every node of pytest has."""
        super().__init__(**attributes)
        self.record = record

    def setup(self) -> None:
        """Tell the record."""
        tell(self, self.record)

    def runtest(self) -> None:
        """Fail unless it passes."""
        check(self.record)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return where the record stands."""
        return self.path, None, self.name


class RecordsFile(pytest.File):
    """The records of an earlier session."""

    def collect(self) -> Iterator[RecordItem]:
        """Give an item for each case that was asked for."""
        merging = self.config.pluginmanager.get_plugin(_NAME)
        assert isinstance(merging, Merging)
        for record in merging.records_of(self.path.parent):
            if record.ending != "dropped":
                item: RecordItem = RecordItem.from_parent(self, name=record.case.id, record=record)
                merging.items[item.nodeid] = record.case.id
                yield item


@dataclass(kw_only=True, eq=False)
class Merging:
    """The sessions that are told as one.

    sessions:  by folder of their results
    items:     case id by node id
    """

    config: pytest.Config
    sessions: Mapping[Path, Past]
    items: dict[str, str] = field(default_factory=dict)
    conformance: Conformance | None = None

    @cached_property
    def _records(self) -> Mapping[Path, tuple[Record, ...]]:
        """The records by folder of their session; each case is called after its machine, too."""
        hosts = Counter(session.host for session in self.sessions.values())
        return {
            folder: tuple(
                replace(
                    record,
                    case=replace(record.case, id=f"{_name(session, hosts)}/{record.case.id}"),
                    folder=self._seen_from_here(folder, record),
                )
                for record in session.records
            )
            for folder, session in self.sessions.items()
        }

    def _seen_from_here(self, folder: Path, record: Record) -> str | None:
        return os.path.relpath(folder / record.folder, output.folder(self.config)) if record.folder else None

    def records_of(self, folder: Path) -> tuple[Record, ...]:
        """Return the records of the session in a folder."""
        return self._records.get(folder, ())

    @cached_property
    def records(self) -> Mapping[str, Record]:
        """All records, by case id."""
        return {record.case.id: record for records in self._records.values() for record in records}

    @property
    def machines(self) -> tuple[Machine, ...]:
        """What the sessions ran on."""
        return tuple(
            Machine(
                host=session.host,
                hardware=hardware(_INVENTORY.validate_python(session.inventory)),
                started_at=session.started_at,
                word=session.conformance,
            )
            for session in self.sessions.values()
        )

    def record_of(self, nodeid: str) -> Record | None:
        """Return the record of an item."""
        return self.records.get(self.items.get(nodeid, ""))

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> RecordsFile | None:
        """Collect the records of a session."""
        if file_path.name != RECORDS or file_path.parent not in self.sessions:
            return None
        collector: RecordsFile = RecordsFile.from_parent(parent, path=file_path)
        return collector

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Tell JUnit of a record, as where it was run."""
        report = yield
        if call.when == "teardown":
            tell_junit(item, report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Add up the records, and write their metrics."""
        if session.config.getoption("collectonly") or not self.items:
            return
        ended = all(one.conformance for one in self.sessions.values())
        self.conformance = add_up(self.records.values(), ended=ended)
        metrics.write(output.make(self.config), self._results())
        if session.exitstatus == pytest.ExitCode.OK and not ended:
            session.exitstatus = int(pytest.ExitCode.TESTS_FAILED)

    def _results(self) -> Iterator[Results]:
        for folder, session in self.sessions.items():
            records = self.records_of(folder)
            yield Results(
                session=session.id,
                host=session.host,
                started_at=session.started_at,
                conformance=add_up(records, ended=session.conformance is not None),
                records=records,
            )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what the sessions say about their machines."""
        if self.conformance is None:
            return
        summarise(terminalreporter, self.conformance, self.records.values())
        for session in self.sessions.values():
            word = session.conformance or "ended before its end"
            terminalreporter.write_line(f"{session.host}, {session.started_at}: {word}")
        terminalreporter.write_line(f"results: {output.shown(self.config)}")


def _name(session: Past, hosts: Mapping[str, int]) -> str:
    return session.host if hosts[session.host] == 1 else f"{session.host}@{session.started_at}"


_NAME = "pytest_mlperf.merging"


def begin(config: pytest.Config) -> None:
    """Collect the records of the folders that are named, and nothing else. Raises UsageError."""
    if config.getoption("mlperf_metrics"):
        raise pytest.UsageError(
            "--mlperf-merge: found --mlperf-metrics too, allowed: metrics.csv, which is written"
        )
    folders: list[Path] = []
    for name in config.getoption("mlperf_merge"):
        found = past.below((config.invocation_params.dir / name).resolve())
        if not found:
            raise pytest.UsageError(
                f"{name}: --mlperf-merge: found no {RECORDS} in or below it, allowed: results of sessions"
            )
        folders += found
    try:
        merging = Merging(config=config, sessions=_read(folders))
    except EvidenceError as error:
        raise pytest.UsageError(f"--mlperf-merge: {error}") from error
    config.args[:] = [str(folder / RECORDS) for folder in merging.sessions]
    config.option.dist = "no"
    config.stash[TOLD] = merging
    config.pluginmanager.register(merging, _NAME)


def _read(folders: Iterable[Path]) -> Mapping[Path, Past]:
    """Return the sessions, each once, without those that another one went on with. Raises EvidenceError."""
    sessions = {folder: past.read(folder) for folder in folders}
    gone_on = {(folder / one.goes_on).resolve() for folder, one in sessions.items() if one.goes_on}
    once = {one.id: folder for folder, one in sessions.items() if folder not in gone_on}
    return {folder: sessions[folder] for folder in once.values()}
