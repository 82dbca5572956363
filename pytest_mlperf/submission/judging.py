"""Judge one directory of results: its runs, its compliance tests, the files around them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pytest_mlperf.errors import EvidenceError
from pytest_mlperf.evidence import DetailLog
from pytest_mlperf.submission import layout, reading
from pytest_mlperf.verdict import Finding
from pytest_mlperf.verdict.official import Ruling, Terms, accuracy, compliance, files, performance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pytest_mlperf.rounds.checker import CheckerRound
    from pytest_mlperf.submission.reading import Reader
    from pytest_mlperf.verdict.official import Level

# unchecked: what is wrong around a result keeps the round's checker from looking at it; error: unreadable.
Outcome = Literal["valid", "invalid", "unchecked", "error"]
Mode = str
T = TypeVar("T")

FILES: Mode = "files"
PERFORMANCE: Mode = "performance"
ACCURACY: Mode = "accuracy"


@dataclass(frozen=True, kw_only=True)
class AuditedResult:
    """A result of a submission tree, judged.

    benchmark: the official name, None for a directory that is none of the round's
    mode:      performance, accuracy, the name of a compliance test, or files (what stands around the runs)
    path:      of the run's folder, from the tree
    accepted:  whether the result of this scenario stands, all its modes together
    log:       the detail log that was judged, None where none was
    """

    folder: layout.ScenarioFolder
    benchmark: str | None
    mode: Mode
    path: str
    rulings: tuple[Ruling, ...]
    error: EvidenceError | None
    outcome: Outcome
    accepted: bool = False
    log: DetailLog | None = None


@dataclass(frozen=True, kw_only=True)
class SystemUnderAudit:
    """A system of a submission: its description, and the submitter's own names of benchmarks.

    flaws: what is untidy in the whole submission
    """

    description: Mapping[str, Any] | None
    names: Mapping[str, str]
    flaws: tuple[str, ...] = ()
    error: EvidenceError | None = None

    @classmethod
    def read(
        cls, reader: Reader, submission: layout.Submission, system: str, flaws: tuple[str, ...]
    ) -> SystemUnderAudit:
        """Read what a submission says of a system; what cannot be read is kept as its error."""
        try:
            names = reader.mapping(f"{submission.path}/model_mapping.json")
            description = reader.mapping(f"{submission.path}/systems/{system}.json")
        except EvidenceError as error:
            return cls(description=None, names={}, flaws=flaws, error=error)
        own = names if names and submission.division == "open" else {}
        texts = {key: name for key, name in own.items() if isinstance(name, str)}
        return cls(description=description, names=texts, flaws=flaws)

    def terms(self, folder: layout.ScenarioFolder, round_: CheckerRound, level: Level) -> Terms | None:
        """Return what a result of the system is held to, None for a directory that is none of the round's."""
        benchmark = round_.benchmark(folder.benchmark, self.names)
        if benchmark is None:
            return None
        description = self.description or {}
        kind = str(description.get("system_type"))
        return Terms(
            round=round_,
            benchmark=benchmark,
            scenario=folder.scenario,
            division=folder.submission.division,
            category=files.CATEGORIES.get(kind, kind),
            level=level,
            is_network=str(description.get("is_network")).lower() == "true",
        )


def modes(terms: Terms | None) -> tuple[Mode, ...]:
    """Return what is judged of a directory: its files, its runs, the compliance tests that it must have."""
    return (FILES, PERFORMANCE, ACCURACY, *(_tests(terms) if terms else ()))


def _tests(terms: Terms) -> tuple[Mode, ...]:
    return () if terms.division == "open" else terms.benchmark.compliance


def stands(result: AuditedResult, round_: CheckerRound, level: Level) -> bool:
    """Whether the scenario's result stands with this. An open submission need not reach the accuracy."""
    open_accuracy = result.mode == ACCURACY and result.folder.submission.division == "open"
    if open_accuracy and result.outcome == "invalid":
        tolerant = level == "official" and "open_accuracy_is_sound" not in round_.quirks
        excused = ("accuracy",) if level == "strict" else ("accuracy", "accuracy_hash")
        return tolerant or not any(r.rejects(level) for r in result.rulings if r.rule not in excused)
    return result.outcome == "valid"


def unknown(folder: layout.ScenarioFolder, round_: CheckerRound) -> Iterator[AuditedResult]:
    """Give the results of a directory that holds none of the round's benchmarks."""
    found = Finding(
        rule="benchmark",
        expected=f"a benchmark of {round_.name}",
        observed=folder.benchmark,
        satisfied=False,
        source=f"MLPerf Inference {round_.name}",
    )
    for mode in modes(None):
        yield AuditedResult(
            folder=folder,
            benchmark=None,
            mode=mode,
            path=path_of(folder, mode),
            rulings=(Ruling(rule="benchmark", finding=found, severity="fail"),),
            error=None,
            outcome="invalid" if mode == FILES else "unchecked",
        )


def unreadable(folder: layout.ScenarioFolder, mode: Mode, error: EvidenceError) -> AuditedResult:
    """Return the result of a mode in a directory that cannot be listed."""
    return AuditedResult(
        folder=folder,
        benchmark=folder.benchmark,
        mode=mode,
        path=path_of(folder, mode),
        rulings=(),
        error=error,
        outcome="error",
    )


def path_of(folder: layout.ScenarioFolder, mode: Mode) -> str:
    """Return the directory of a run, from the tree."""
    if mode == FILES:
        return folder.path
    if mode == PERFORMANCE:
        return f"{folder.path}/performance/run_1"
    return f"{folder.path}/accuracy" if mode == ACCURACY else f"{folder.compliance_path}/{mode}"


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The audit of one directory of results."""

    reader: Reader
    system: SystemUnderAudit
    folder: layout.ScenarioFolder
    terms: Terms

    def results(self) -> Iterator[AuditedResult]:
        """Give its results: the files around it first, which may keep a checker from the rest."""
        around = self._attempt(FILES, [], _nothing, lambda _: self._around())
        yield around
        accuracy_files = files.accuracy_files(self.terms, self._listing("accuracy").files)
        gates = [ruling for ruling in around.rulings if ruling.gates]
        closed = self._rejected([*gates, accuracy_files]) or around.outcome == "error"
        yield self._gated(self._performance(), closed=closed)
        yield self._gated(self._accuracy(accuracy_files), closed=closed)
        for test in _tests(self.terms):
            yield self._compliance(replace(self.terms, test=test))

    def _listing(self, name: str) -> layout.Listing:
        return self.reader.listing(f"{self.folder.path}/{name}")

    @cached_property
    def _runs(self) -> layout.Listing:
        return self._listing("performance")

    @cached_property
    def _run(self) -> layout.Listing:
        return self._listing("performance/run_1") if "run_1" in self._runs.folders else layout.NOTHING

    def _rejected(self, rulings: Iterable[Ruling]) -> bool:
        return any(ruling.rejects(self.terms.level) for ruling in rulings)

    def _gated(self, result: AuditedResult, *, closed: bool) -> AuditedResult:
        """Return the result of a run, unless the round's checker would not have come to it."""
        own = [ruling for ruling in result.rulings if ruling.rule in _FILE_LISTS]
        if self.terms.level == "official" and (closed or self._rejected(own)):
            return replace(result, outcome="unchecked")
        return result

    def _attempt(
        self,
        mode: Mode,
        before: list[Ruling],
        read: Callable[[], T],
        judged: Callable[[T], Iterator[Ruling]],
    ) -> AuditedResult:
        """Judge one mode. What is ruled before a file cannot be read is kept."""
        rulings = before
        error: EvidenceError | None = None
        log: DetailLog | None = None
        try:
            evidence = read()
            log = evidence if isinstance(evidence, DetailLog) else getattr(evidence, "log", None)
            rulings.extend(judged(evidence))
        except EvidenceError as unreadable:
            error = unreadable
        outcome: Outcome = "error" if error else "invalid" if self._rejected(rulings) else "valid"
        return AuditedResult(
            folder=self.folder,
            benchmark=self.terms.benchmark.name,
            mode=mode,
            path=path_of(self.folder, mode),
            rulings=tuple(rulings),
            error=error,
            outcome=outcome,
            log=log,
        )

    def _around(self) -> Iterator[Ruling]:
        if self.system.error:
            raise self.system.error
        folder, terms = self.folder, self.terms
        yield files.tidiness(terms, self.system.flaws)
        yield from files.system(terms, folder.submission.submitter, self.system.description)
        yield files.scenario_allowed(terms)
        yield files.missing_scenarios(terms, folder.together)
        sizes = layout.file_sizes(self.reader.place(folder.measurements_path))
        described = reading.implementation(self.reader, folder, sizes or (), terms)
        yield from files.measurements(terms, sizes, described)
        code = reading.has_code(self.reader, folder, terms)
        if code is not None:
            yield files.code(terms, found=code)
        if "power" in self._runs.folders:
            power, ranging = (self._listing(f"performance/{name}").files for name in ("power", "ranging"))
            yield from files.power_measurements(terms, reading.measurement_names(folder))
            yield from files.power_files(terms, power, ranging, self._run.files)

    def _performance(self) -> AuditedResult:
        has_power = "power" in self._runs.folders
        listed = files.performance_files(self.terms, self._run.files, has_power=has_power)
        path = path_of(self.folder, PERFORMANCE)
        read = partial(self.reader.detail_log, path, self.terms)
        return self._attempt(PERFORMANCE, [listed], read, self._performance_rulings)

    def _performance_rulings(self, log: DetailLog) -> Iterator[Ruling]:
        yield from performance.judge(self.terms, log)
        if self.terms.level == "strict":
            summary = self.reader.summary_log(path_of(self.folder, PERFORMANCE))
            yield from performance.agreement(self.terms, log, summary)

    def _accuracy(self, listed: Ruling) -> AuditedResult:
        read = partial(reading.accuracy_run, self.reader, path_of(self.folder, ACCURACY), self.terms)
        return self._attempt(ACCURACY, [listed], read, partial(accuracy.judge, self.terms))

    def _compliance(self, terms: Terms) -> AuditedResult:
        test = str(terms.test)
        read = partial(reading.compliance_run, self.reader, path_of(self.folder, test), terms)
        return self._attempt(test, [], read, partial(compliance.judge, terms))


def _nothing() -> None:
    """Read nothing."""


# What keeps a checker from looking at one of the runs.
_FILE_LISTS = ("performance_files", "accuracy_files")
