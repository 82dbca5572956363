"""The session as it is seen where pytest reports: every record once, the sum of them, and the exit code.

Lives in one process: pytest itself, also when xdist's workers run the cases.
"""

from __future__ import annotations

import platform
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf import process
from pytest_mlperf.errors import HostError
from pytest_mlperf.hardware.matching import Match
from pytest_mlperf.matrix import Case
from pytest_mlperf.packing import AT_ONCE, Need
from pytest_mlperf.pipeline import has_host_alone, left_record
from pytest_mlperf.placement.leases import check_folder
from pytest_mlperf.plugin import exporting, measuring, output, remembering
from pytest_mlperf.plugin.nodeids import case_id
from pytest_mlperf.plugin.planning import write_plan
from pytest_mlperf.plugin.suite import Suite, suite_of
from pytest_mlperf.plugin.telling import TOLD, summarise
from pytest_mlperf.record import CASES, PublishedCase, Record, from_json
from pytest_mlperf.report.conformance import Conformance, add_up
from pytest_mlperf.report.machine import Machine, hardware
from pytest_mlperf.report.records import RecordFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_mlperf.plugin.scheduling import Demand


@dataclass(kw_only=True, eq=False)
class Session:
    """Takes the records as they come, and adds those of the cases that left none."""

    config: pytest.Config
    suite: Suite
    chosen: dict[str, str] = field(default_factory=dict)
    """Case id by node id, of the items that were selected."""
    started: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    """Case ids, of the items that were begun, and of those that came to their end."""
    records: dict[str, Record] = field(default_factory=dict)
    file: RecordFile | None = None
    conformance: Conformance | None = None
    plan_line: str | None = None
    started_at: str = field(
        default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"), init=False
    )

    def selected(self, nodeids: Iterable[str]) -> None:
        """Take note of the items that will run."""
        for nodeid in nodeids:
            named = case_id(nodeid)
            if named and self.suite.case(named):
                self.chosen[nodeid] = named

    def begin(self) -> None:
        """Make the output folder before any case runs. Raises UsageError when something is in the way."""
        if self.chosen and not self.config.getoption("collectonly") and self.file is None:
            self._open()
            exporting.begin(self.config, self.suite, set(self.chosen.values()))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note the selection. pytest calls this also when it goes on to refuse the session."""
        if not self.suite.problems:
            self.selected(item.nodeid for item in session.items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> bool | None:
        """Begin; or write the plan and run nothing, if that is all that is asked for."""
        target = self.config.getoption("mlperf_plan")
        if not target:
            self.begin()
            return None
        path = Path(self.config.invocation_params.dir / target)
        self.plan_line = write_plan(path, self.suite, set(self.chosen.values()), self._not_selected())
        return True

    def _open(self) -> RecordFile:
        if self.file is None:
            self._check_leases()
            process.reap()
            measuring.begin(self.config)
            folder = output.make(self.config)
            remembering.begin(self.config, folder)
            self.file = RecordFile(
                folder,
                inventory=asdict(self.suite.site.inventory),
                started_at=self.started_at,
                asked=self.chosen.values(),
                after=self.suite.resume,
            )
        return self.file

    def _check_leases(self) -> None:
        ran = (self.suite.case(case_id) for case_id in self.chosen.values())
        if self.suite.replay is None and any(isinstance(case, Case) for case in ran):
            try:
                check_folder()
            except HostError as error:
                raise pytest.UsageError(str(error)) from error

    def demand(self) -> Demand:
        """Return what the selected cases take of this machine, for xdist."""
        from pytest_mlperf.plugin.scheduling import Demand  # noqa: PLC0415  only with xdist

        needs = {nodeid: self._need(case_id) for nodeid, case_id in self.chosen.items()}
        return Demand(devices=len(self.suite.site.identity.devices), needs=needs)

    def _need(self, case_id: str) -> Need:
        case, site = self.suite.plan.cases[case_id], self.suite.site
        placed = site.place(case)
        if not isinstance(placed, Match) or site.taken(case):
            return AT_ONCE
        duration_s = site.estimated_duration_s(case)
        return Need(devices=placed.sku.count, exclusive=has_host_alone(case), duration_s=duration_s)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note that an item has begun."""
        self.started.add(self.chosen.get(nodeid, ""))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write down the record that came with a report, or what is known of a case that left none."""
        case_id = self.chosen.get(report.nodeid)
        if case_id is None:
            return
        if report.when == "teardown":
            self.ended.add(case_id)
        content = vars(report).get("mlperf_record")
        if content is not None:
            self._add(content if isinstance(content, Record) else from_json(content))
        elif case_id not in self.records and (report.failed or report.skipped):
            ran = isinstance(self._case(case_id), Case)
            left = left_record(output.folder(self.config), case_id) if ran else None
            self._add(left or self._without_record(case_id, report))

    def _without_record(self, case_id: str, report: pytest.TestReport) -> Record:
        case = self._case(case_id)
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            return Record(case=case, ending="dropped", reason=reason)
        said = report.longreprtext.strip().splitlines()
        why = said[-1] if said else "it said nothing"
        logs = f"{CASES}/{case_id}"
        where = f": see {logs}" if (output.folder(self.config) / logs).is_dir() else ""
        return Record(case=case, ending="error", reason=f"left no record: {why}{where}")

    def _add(self, *records: Record) -> None:
        records = tuple(record for record in records if record.case.id not in self.records)
        # What was run must not be lost with the machine; what was read can be read again.
        self._open().add(*records, durable=any(isinstance(record.case, Case) for record in records))
        for record in records:
            self.records[record.case.id] = record
            self.config.hook.pytest_mlperf_record(config=self.config, record=record)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Complete the records, close the files, and let nothing be green where nothing ran."""
        if self.file is None:
            return
        self._add(*self._remaining())
        self.conformance = add_up(self.records.values())
        self.file.close(self.conformance)
        measuring.end(self.config, self.file, self.conformance, self.records.values())
        exporting.end(self.config, self.suite, self.records.values())
        remembering.end(self.config)
        if session.exitstatus != pytest.ExitCode.OK:
            return
        if any(_is_bad(record) for record in self.records.values()):
            session.exitstatus = int(pytest.ExitCode.TESTS_FAILED)
        elif not self._executed():
            session.exitstatus = int(pytest.ExitCode.NO_TESTS_COLLECTED)

    def _remaining(self) -> list[Record]:
        chosen = set(self.chosen.values())
        records = []
        for case in self.suite.cases:
            if case.id in self.records:
                continue
            if case.id in chosen:
                ran = isinstance(case, Case) and case.id in self.started
                left = left_record(output.folder(self.config), case.id) if ran else None
                why = self._why_without(case.id)
                records.append(left or Record(case=case, ending="error", reason=why))
            else:
                reason = self._not_selected()
                if isinstance(case, Case):
                    reason = self.suite.plan.dropped.get(case.id, reason)
                records.append(Record(case=case, ending="dropped", reason=reason))
        return records

    def _case(self, case_id: str) -> Case | PublishedCase:
        case = self.suite.case(case_id)
        if case is None:
            raise KeyError(case_id)
        return case

    def _why_without(self, case_id: str) -> str:
        if case_id in self.ended:
            return "its test ended without asking for mlperf_record"
        if case_id in self.started:
            return f"interrupted while it ran: see {CASES}/{case_id}"
        return "not run: the session ended before its turn"

    def _not_selected(self) -> str:
        asked = [
            f"{option} '{self.config.getoption(name)}'"
            for option, name in (("-m", "markexpr"), ("-k", "keyword"))
            if self.config.getoption(name)
        ]
        return "not selected" + (f" by {' and '.join(asked)}" if asked else "")

    def _executed(self) -> bool:
        return any(record.folder is not None for record in self.records.values())

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what the session says about this machine."""
        write = terminalreporter.write_line
        if self.plan_line:
            terminalreporter.section("MLPerf plan")
            write(self.plan_line)
        if self.conformance is None:
            return
        summarise(terminalreporter, self.conformance, self.records.values())
        for line in self._resumed():
            write(line)
        if not self._executed():
            write("no case was executed")
        write(f"results: {output.shown(self.config)}")
        for line in (*measuring.told(self.config), *remembering.told(self.config)):
            write(line)

    def _resumed(self) -> Iterator[str]:
        """Say what was taken over from an earlier session, and why finished cases ran again."""
        resume = self.suite.resume
        if resume is None:
            return
        taken = sum(record.resumed is not None for record in self.records.values())
        yield f"{taken} taken over from {resume.name}"
        cases = (self.suite.plan.cases.get(named) for named in set(self.chosen.values()))
        reasons = Counter(self.suite.site.changed(case) for case in cases if case)
        yield from (f"  {count} not taken over: {why}" for why, count in reasons.items() if why)

    @property
    def machines(self) -> tuple[Machine, ...]:
        """What the records are of."""
        return (
            Machine(
                host=platform.node(),
                hardware=hardware(self.suite.site.inventory),
                started_at=self.started_at,
                word=self.conformance.word if self.conformance else None,
            ),
        )

    def record_of(self, nodeid: str) -> Record | None:
        """Return the record of an item, or None when it is no case."""
        return self.records.get(self.chosen.get(nodeid, ""))


def _is_bad(record: Record) -> bool:
    """Return whether a record must not be green, whatever its test made of it."""
    return record.ending == "error" or (record.ending == "fail" and not record.expected_failure)


SESSION = pytest.StashKey[Session]()


def start(config: pytest.Config) -> Session:
    """Return the session, made when it is first asked for."""
    if SESSION not in config.stash:
        session = Session(config=config, suite=suite_of(config))
        config.stash[SESSION] = config.stash[TOLD] = session
        config.pluginmanager.register(session, "pytest_mlperf.session")
    return config.stash[SESSION]
