"""Judge one directory of results: its runs, its compliance tests, the files around them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pytest_mlperf.errors import EvidenceError
from pytest_mlperf.evidence import DetailLog
from pytest_mlperf.submission import layout, reading
from pytest_mlperf.verdict import Finding
from pytest_mlperf.verdict.official import Ruling, Terms, accuracy, compliance, files, performance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_mlperf.rounds.checker import Benchmark, CheckerRound
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

    tree: Path
    submission: layout.Submission
    description: Mapping[str, Any] | None
    names: Mapping[str, str]
    flaws: tuple[str, ...] = ()
    error: EvidenceError | None = None

    @classmethod
    def read(
        cls, tree: Path, submission: layout.Submission, system: str, flaws: tuple[str, ...]
    ) -> SystemUnderAudit:
        """Read what a submission says of a system; what cannot be read is kept as its error."""
        found = cls(tree=tree, submission=submission, description=None, names={}, flaws=flaws)
        try:
            names = reading.mapping(submission.folder / "model_mapping.json", tree)
            path = submission.folder / "systems" / f"{system}.json"
            description = reading.mapping(path, tree)
        except EvidenceError as error:
            return replace(found, error=error)
        own = names if names and submission.division == "open" else {}
        return replace(
            found,
            description=description,
            names={key: name for key, name in own.items() if isinstance(name, str)},
        )


def judge(
    system: SystemUnderAudit,
    folder: layout.ScenarioFolder,
    together: tuple[layout.ScenarioFolder, ...],
    round_: CheckerRound,
    level: Level,
) -> Iterator[AuditedResult]:
    """Give the results of a directory as they are judged.

    together: the directories of the same system and benchmark
    """
    audited = list(_audited(system, folder, together, round_, level))
    accepted = all(_stands(result, round_, level) for result in audited)
    for result in audited:
        yield replace(result, accepted=accepted)


def _stands(result: AuditedResult, round_: CheckerRound, level: Level) -> bool:
    """Whether the scenario's result stands with this. An open submission need not reach the accuracy."""
    open_accuracy = result.mode == ACCURACY and result.folder.submission.division == "open"
    if open_accuracy and result.outcome == "invalid":
        tolerant = "open_accuracy_is_sound" not in round_.quirks
        return tolerant or not any(r.rejects(level) for r in result.rulings if r.rule != "accuracy")
    return result.outcome == "valid"


def _audited(
    system: SystemUnderAudit,
    folder: layout.ScenarioFolder,
    together: tuple[layout.ScenarioFolder, ...],
    round_: CheckerRound,
    level: Level,
) -> Iterator[AuditedResult]:
    benchmark = round_.benchmark(folder.benchmark, system.names)
    if benchmark is None:
        unknown = _unknown_benchmark(folder, round_)
        for mode in (FILES, PERFORMANCE, ACCURACY):
            yield _result(system, folder, mode, [unknown], gated=mode != FILES)
        return
    kind = str((system.description or {}).get("system_type"))
    terms = Terms(
        round=round_,
        benchmark=benchmark,
        scenario=folder.scenario,
        division=folder.submission.division,
        category=files.CATEGORIES.get(kind, kind),
        level=level,
        is_network=str((system.description or {}).get("is_network")).lower() == "true",
    )
    yield from _Audit(system=system, folder=folder, terms=terms).results(together)


def modes(system: SystemUnderAudit, folder: layout.ScenarioFolder, round_: CheckerRound) -> tuple[Mode, ...]:
    """Return what of a directory is judged, without a look at its logs."""
    benchmark = round_.benchmark(folder.benchmark, system.names)
    tests = compliance_tests(benchmark, folder.submission.division) if benchmark else ()
    return (FILES, PERFORMANCE, ACCURACY, *tests)


def compliance_tests(benchmark: Benchmark, division: str) -> tuple[str, ...]:
    """Return the compliance tests that a benchmark needs in a division."""
    return () if division == "open" else benchmark.compliance


def _unknown_benchmark(folder: layout.ScenarioFolder, round_: CheckerRound) -> Ruling:
    found = Finding(
        rule="benchmark",
        expected=f"a benchmark of {round_.name}",
        observed=folder.benchmark,
        satisfied=False,
        source=f"MLPerf Inference {round_.name}",
    )
    return Ruling(rule="benchmark", finding=found, severity="fail")


def _result(
    system: SystemUnderAudit, folder: layout.ScenarioFolder, mode: Mode, rulings: list[Ruling], *, gated: bool
) -> AuditedResult:
    return AuditedResult(
        folder=folder,
        benchmark=None,
        mode=mode,
        path=path_of(system, folder, mode),
        rulings=tuple(rulings),
        error=None,
        outcome="unchecked" if gated else "invalid",
    )


def path_of(system: SystemUnderAudit, folder: layout.ScenarioFolder, mode: Mode) -> str:
    """Return the path of a run's directory, from the tree."""
    own = {FILES: folder.results, PERFORMANCE: folder.run, ACCURACY: folder.accuracy}
    return own.get(mode, folder.compliance / mode).relative_to(system.tree).as_posix()


@dataclass(frozen=True, kw_only=True)
class _Audit:
    """The audit of one directory of results."""

    system: SystemUnderAudit
    folder: layout.ScenarioFolder
    terms: Terms

    def results(self, together: tuple[layout.ScenarioFolder, ...]) -> Iterator[AuditedResult]:
        """Give its results: the files around it first, which may keep a checker from the rest."""
        around = self._attempt(FILES, [], lambda: None, lambda _: self._around(together))
        yield around
        accuracy_files = files.accuracy_files(self.terms, layout.files(self.folder.accuracy))
        gates = [ruling for ruling in around.rulings if ruling.gates]
        closed = self._rejected([*gates, accuracy_files]) or around.outcome == "error"
        yield self._gated(self._performance(), closed=closed)
        yield self._gated(self._accuracy(accuracy_files), closed=closed)
        for test in compliance_tests(self.terms.benchmark, self.terms.division):
            yield self._compliance(replace(self.terms, test=test))

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
            path=path_of(self.system, self.folder, mode),
            rulings=tuple(rulings),
            error=error,
            outcome=outcome,
            log=log,
        )

    def _around(self, together: tuple[layout.ScenarioFolder, ...]) -> Iterator[Ruling]:
        if self.system.error:
            raise self.system.error
        folder, terms, tree = self.folder, self.terms, self.system.tree
        yield files.tidiness(terms, self.system.flaws)
        yield from files.system(terms, folder.submission.submitter, self.system.description)
        yield files.scenario_allowed(terms)
        yield files.missing_scenarios(terms, frozenset(each.scenario for each in together))
        described = reading.implementation(folder, tree, terms)
        yield from files.measurements(terms, layout.file_sizes(folder.measurements), described)
        code = reading.has_code(folder, tree, terms)
        if code is not None:
            yield files.code(terms, found=code)
        power = layout.files(folder.power)
        if power is not None:
            yield from files.power_measurements(terms, reading.measurement_names(folder))
            yield from files.power_files(terms, power, layout.files(folder.ranging), layout.files(folder.run))

    def _performance(self) -> AuditedResult:
        has_power = self.folder.power.is_dir()
        listed = files.performance_files(self.terms, layout.files(self.folder.run), has_power=has_power)
        tree = self.system.tree
        return self._attempt(
            PERFORMANCE,
            [listed],
            lambda: reading.detail_log(self.folder.run, tree, self.terms),
            self._performance_rulings,
        )

    def _performance_rulings(self, log: DetailLog) -> Iterator[Ruling]:
        yield from performance.judge(self.terms, log)
        if self.terms.level == "strict":
            summary = reading.summary_log(self.folder.run, self.system.tree)
            yield from performance.agreement(self.terms, log, summary)

    def _accuracy(self, listed: Ruling) -> AuditedResult:
        return self._attempt(
            ACCURACY,
            [listed],
            lambda: reading.accuracy_run(self.folder, self.system.tree, self.terms),
            lambda run: accuracy.judge(self.terms, run),
        )

    def _compliance(self, terms: Terms) -> AuditedResult:
        return self._attempt(
            str(terms.test),
            [],
            lambda: reading.compliance_run(self.folder, self.system.tree, terms),
            lambda run: compliance.judge(terms, run),
        )


# What keeps a checker from looking at one of the runs.
_FILE_LISTS = ("performance_files", "accuracy_files")
