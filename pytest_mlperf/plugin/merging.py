"""Several sessions as one: their records are the items of a session that runs nothing, and reports them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from pytest_mlperf.errors import EvidenceError
from pytest_mlperf.hardware import Inventory
from pytest_mlperf.history import merged, past
from pytest_mlperf.plugin import output
from pytest_mlperf.plugin.telling import TOLD, check, summarise, tell, tell_junit
from pytest_mlperf.record import CASES, RECORDS
from pytest_mlperf.report import metrics
from pytest_mlperf.report.conformance import add_up
from pytest_mlperf.report.machine import Machine, hardware
from pytest_mlperf.report.metrics import Results

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from pytest_mlperf.history.past import Past
    from pytest_mlperf.record import Record
    from pytest_mlperf.report.conformance import Conformance

_INVENTORY = TypeAdapter(Inventory)
_MOST_NAMED = 10


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

    def __init__(self, *, records: tuple[Record, ...], **attributes: Any) -> None:
        """Take the records, and what every node of pytest has."""
        super().__init__(**attributes)
        self._records = records

    def collect(self) -> Iterator[RecordItem]:
        """Give an item for each case that was asked for."""
        for record in self._records:
            if record.ending != "dropped":
                item: RecordItem = RecordItem.from_parent(self, name=record.case.id, record=record)
                yield item


class ProblemItem(pytest.Item):
    """What no record tells of: an error."""

    def __init__(self, *, problem: str, **attributes: Any) -> None:
        """Take what is to be said, and what every node of pytest has."""
        super().__init__(**attributes)
        self._problem = problem

    def setup(self) -> None:
        """Say it."""
        pytest.fail(self._problem, pytrace=False)

    def runtest(self) -> None:
        """Do nothing: it is said."""

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return where it is from."""
        return self.path, None, self.name


@dataclass(kw_only=True, eq=False)
class Merging:
    """The sessions that are told as one.

    unread:  what is wrong with files that cannot be read, by folder
    items:   case id by node id
    """

    config: pytest.Config
    sessions: tuple[Past, ...]
    unread: Mapping[str, str]
    items: dict[str, str] = field(default_factory=dict)
    conformance: Conformance | None = None

    @cached_property
    def _records(self) -> Mapping[str, tuple[Record, ...]]:
        """The records that stand, by session; each case is called after its machine, too."""
        return {
            session.id: tuple(_renamed(record, self.names[session.id]) for record in session.records)
            for session in map(self._seen_from_here, merged.each_once(self.sessions))
        }

    def _seen_from_here(self, session: Past) -> Past:
        """Return a session whose records tell of their folders as the records of this one would."""
        here = output.folder(self.config).resolve()
        return replace(session, records=tuple(_moved(record, session, here) for record in session.records))

    @cached_property
    def names(self) -> Mapping[str, str]:
        """What the cases of a session are called after."""
        return merged.names(self.sessions)

    @cached_property
    def problems(self) -> Mapping[str, str]:
        """What no record tells, by a name: cases that a killed session was still to run, and files unread."""
        cut = {f"{self.names[s.id]}/session": self._cut(s) for s in self.sessions if not self._ended(s)}
        return {**cut, **self.unread}

    def _ended(self, session: Past) -> bool:
        return merged.ended(session, self.sessions)

    def _cut(self, session: Past) -> str:
        missing = merged.untold(session, self.sessions)
        some = ", ".join(missing[:_MOST_NAMED]) + (", ..." if len(missing) > _MOST_NAMED else "")
        what = (
            f"{len(missing)} of {len(session.asked)} cases were not run: {some}"
            if missing
            else "cases unknown"
        )
        return f"{session.folder}: the session ended before its end; {what}"

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
                hardware=_hardware(session),
                started_at=session.started_at,
                word=self._word(session),
            )
            for session in self.sessions
        )

    def _word(self, session: Past) -> str:
        word = session.conformance or "ended before its end"
        missing = merged.untold(session, self.sessions)
        cut = f" ({len(missing)} cases were not run)" if missing and session.conformance is None else ""
        later = any(session.id in other.earlier for other in self.sessions)
        return f"{word}{cut}{', and was gone on with' if later else ''}"

    def record_of(self, nodeid: str) -> Record | None:
        """Return the record of an item."""
        return self.records.get(self.items.get(nodeid, ""))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> bool:
        """Collect the records, and nothing else: names of folders are not read as names of tests."""
        session.items = []
        for one in self.sessions:
            assert one.folder is not None, "sessions were read from folders"
            records = self._records[one.id]
            file: RecordsFile = RecordsFile.from_parent(session, path=one.folder / RECORDS, records=records)
            report = file.ihook.pytest_make_collect_report(collector=file)
            file.ihook.pytest_collectreport(report=report)
            session.items += report.result
        for name, problem in self.problems.items():
            item: ProblemItem = ProblemItem.from_parent(session, name=name, problem=problem)
            session.items.append(item)
        session.testscollected = len(session.items)
        told = (item for item in session.items if isinstance(item, RecordItem))
        self.items = {item.nodeid: item.record.case.id for item in told}
        self.config.hook.pytest_collection_finish(session=session)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Make the folder of the results, before anything is told. Raises UsageError."""
        if not self.config.getoption("collectonly"):
            output.make(self.config)

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
        if session.config.getoption("collectonly") or not output.folder(self.config).is_dir():
            return
        self.conformance = add_up(self.records.values(), ended=not self.problems)
        metrics.write(output.folder(self.config), self._results())

    def _results(self) -> Iterator[Results]:
        for session in self.sessions:
            records = self._records[session.id]
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
        for session in self.sessions:
            terminalreporter.write_line(f"{session.host}, {session.started_at}: {self._word(session)}")
        terminalreporter.write_line(f"results: {output.shown(self.config)}")


def _renamed(record: Record, name: str) -> Record:
    return replace(record, case=replace(record.case, id=f"{name}/{record.case.id}"))


def _moved(record: Record, session: Past, here: Path) -> Record:
    """Return a record with its folder as seen from here; None for what is no folder of a case."""
    if record.folder is None or session.folder is None or CASES not in Path(record.folder).parts:
        return replace(record, folder=None)
    return replace(record, folder=os.path.relpath((session.folder / record.folder).resolve(), here))


def _hardware(session: Past) -> tuple[str, ...]:
    try:
        return hardware(_INVENTORY.validate_python(session.inventory))
    except ValueError:
        return ("hardware that this version cannot read",)


def begin(config: pytest.Config) -> None:
    """Collect the records of the folders that are named, and nothing else. Raises UsageError."""
    for other in ("metrics", "history"):
        if config.getoption(f"mlperf_{other}"):
            raise pytest.UsageError(
                f"--mlperf-merge: found --mlperf-{other} too, allowed: one of them "
                "(metrics.csv is written anyway; sessions go into a history by --mlperf-import)"
            )
    folders: list[Path] = []
    for name in config.getoption("mlperf_merge"):
        found = past.below((config.invocation_params.dir / name).resolve())
        if not found:
            raise pytest.UsageError(
                f"{name}: --mlperf-merge: found no {RECORDS} in or below it, allowed: results of sessions"
            )
        folders += found
    read = {folder: _read(folder) for folder in dict.fromkeys(folders)}
    sessions = merged.distinct(one for one in read.values() if not isinstance(one, str))
    unread = {str(folder): one for folder, one in read.items() if isinstance(one, str)}
    merging = Merging(config=config, sessions=tuple(sessions), unread=unread)
    config.option.dist = "no"
    config.stash[TOLD] = merging
    config.pluginmanager.register(merging, "pytest_mlperf.merging")


def _read(folder: Path) -> Past | str:
    """Return the session in a folder, or why it cannot be read."""
    try:
        return past.read(folder)
    except EvidenceError as error:
        return str(error)
