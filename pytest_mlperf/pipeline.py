"""The whole story of one case: place it, run it, read its logs, judge them, and write down what is left."""

from __future__ import annotations

import json
import sys
import time
import uuid
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol

from pytest_mlperf.attempts import decide, holds, is_decided
from pytest_mlperf.baselines import Standards
from pytest_mlperf.errors import EvidenceError, HostError, MlperfError, Place, RunError
from pytest_mlperf.evidence.locating import locate
from pytest_mlperf.evidence.reading import read, read_trace
from pytest_mlperf.executor import Terms, limit
from pytest_mlperf.executor.stages import Runner, Step
from pytest_mlperf.hardware.matching import differences, identify
from pytest_mlperf.matrix.privileges import combined
from pytest_mlperf.placement import Placement, Unplaced, place
from pytest_mlperf.placement.leases import Lease, Request, lease
from pytest_mlperf.placement.visibility import environment
from pytest_mlperf.record import CASES, RECORD, Measurement, Record, from_json
from pytest_mlperf.replay import Logs
from pytest_mlperf.verdict import Finding, Verdict
from pytest_mlperf.verdict.latencies import distributions
from pytest_mlperf.verdict.rules import judge
from pytest_mlperf.verdict.run import Run
from pytest_mlperf.verdict.statement import compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pytest_mlperf.evidence import Evidence, Fact
    from pytest_mlperf.executor import Execute, FindImage, Limit
    from pytest_mlperf.hardware import Inventory, Sku
    from pytest_mlperf.hardware.matching import Identity, Match
    from pytest_mlperf.harness import Command, Container, Harness, Preparation, Statement
    from pytest_mlperf.matrix import Attempts, Case, HardwareMatch, HarnessTerms, Scenario
    from pytest_mlperf.replay import Replay
    from pytest_mlperf.resume import Resume
    from pytest_mlperf.rounds import Benchmark, Round

COMMAND = "command"
"""The harness that runs what matrices describe themselves, whatever they call it."""


class Watch(Protocol):
    """Looks after a case while it runs."""

    def begin(self, step: str, limit: Limit) -> None:
        """Take note of a step that begins."""
        ...


@dataclass(frozen=True, kw_only=True)
class Site:
    """What cases run with: the machine, the adapters, and where results go.

    strict:      hardware that is not here is a failure, not a skip
    match:       whether devices may differ from the SKU, for all cases; None leaves it to their matrices
    notice:      is told, in a line, what a case is waiting for; None where nobody listens
    watch:       looks after a case while it runs in its folder, and is told of each step; None: nobody does
    replay:      logs that exist are judged, and nothing is run
    resume:      an earlier session, whose finished cases are not run again
    attempts:    how often a case may be run, for all cases; None leaves it to their matrices
    standards:   the baselines that measurements are compared with
    find_image:  knows the images of the container engine; only asked for cases that run in a container
    """

    inventory: Inventory
    skus: Mapping[str, Sku]
    rounds: Mapping[str, Round]
    harnesses: Mapping[str, Harness]
    execute: Execute
    find_image: FindImage
    output: Path
    strict: bool
    match: HardwareMatch | None = None
    notice: Callable[[str], None] | None = None
    watch: Callable[[str, Path], AbstractContextManager[Watch]] | None = None
    replay: Replay | None = None
    resume: Resume | None = None
    attempts: Attempts | None = None
    standards: Standards = field(default_factory=Standards)
    _fits: dict[tuple[str, HardwareMatch], Match | Unplaced] = field(default_factory=dict, init=False)

    def harness(self, case: Case) -> Harness:
        """Return what says how a case is run."""
        return self.harnesses[case.harness if case.command is None else COMMAND]

    def terms(self, case: Case) -> HarnessTerms:
        """Return what the harness of a case runs in its round."""
        return self.harness(case).terms(self.rounds[case.round])

    def benchmark(self, case: Case) -> Benchmark:
        """Return the benchmark of a case, as its harness runs it."""
        return self.terms(case).benchmarks[case.benchmark]

    @cached_property
    def identity(self) -> Identity:
        """What this machine is as a whole."""
        return identify(self.inventory, self.skus.values())

    def estimated_duration_s(self, case: Case) -> float | None:
        """Return how long a case will take, or None where nothing is known about it."""
        if self.replay is not None:
            return 0.0
        return self.harness(case).estimated_duration_s(case, self.rounds[case.round])

    def taken(self, case: Case) -> Record | None:
        """Return the record of a case that an earlier session has finished, None for one that is to run."""
        if self.resume is None or self.changed(case):
            return None
        return self.resume.take(case, self.inventory, output=self.output)

    def changed(self, case: Case) -> str | None:
        """Return why a case that an earlier session has finished runs again; None also where none has."""
        if self.resume is None:
            return None
        changed = self.resume.changed(case, self.inventory)
        record = None if changed else self.resume.take(case, self.inventory, output=self.output)
        if record is None:
            return changed
        if record.deltas and (self.match or case.match) == "exact":
            return "devices may not differ from the SKU any more"
        allowed = self.allowed_attempts(case)
        if not holds(record, allowed):
            return f"attempts: {allowed.need} of at most {allowed.max} must pass now"
        return self.standards.changed(record)

    def allowed_attempts(self, case: Case) -> Attempts:
        """Return how often a case may be run."""
        return self.attempts or case.settings.attempts

    def fit(self, case: Case) -> Match | Unplaced:
        """Return the devices that a case can have, or why this machine is not its SKU."""
        allowed = self.match or case.match
        key = (case.sku, allowed)
        if key not in self._fits:
            sku = self.skus[case.sku]
            self._fits[key] = place(sku, self.inventory, self.identity, allowed=allowed)
        return self._fits[key]

    def place(self, case: Case) -> Match | Logs | Unplaced:
        """Return the devices that a case can have, in a replay its logs, or why it cannot end here."""
        if self.replay is not None:
            tree = self.harness(case).log_tree(case, self.rounds[case.round])
            return self.replay.find(case, named=(f"{CASES}/{case.id}", case.id), tree=tree)
        fit = self.fit(case)
        missing = self.harness(case).missing(self.rounds[case.round])
        if not isinstance(fit, Unplaced) and missing:
            return Unplaced(expected=f"harness '{case.harness}'", found=missing, what="harness")
        return fit


def run_case(case: Case, site: Site) -> Record:
    """Run a case to its end. Every end but an interrupt is a record, which is also in the case's folder.

    A case that has ended in this session already is not run again: a worker of xdist may die after it has run
    a case and before it has told so.
    """
    ended = left_record(site.output, case.id) or site.taken(case)
    if ended is not None:
        return ended
    return _kept(lambda: _run(case, site), site)


def _kept(run: Callable[[], Record], site: Site) -> Record:
    """Return the record of a run with its times, which is then in the folder of the run too."""
    started_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    started = time.monotonic()
    record = run()
    record = replace(
        record,
        started_at=started_at,
        duration_s=round(time.monotonic() - started, 3),
        replayed=site.replay.name if site.replay else None,
    )
    if record.folder is not None:
        text = json.dumps(record.to_json(), indent=1, allow_nan=False)
        draft = site.output / record.folder / f"{RECORD}.draft"
        draft.write_text(text + "\n", encoding="utf-8")
        draft.replace(site.output / record.folder / RECORD)
    return record


def left_record(output: Path, case_id: str) -> Record | None:
    """Return the record that stands in a case's folder, or None."""
    path = output / CASES / case_id / RECORD
    return from_json(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def _run(case: Case, site: Site) -> Record:
    placed = site.place(case)
    if isinstance(placed, Unplaced):
        return _unplaced(case, placed, strict=site.strict)
    try:
        folder = _folder(case, site)
    except RunError as error:
        return Record(case=case, ending="error", reason=str(error), error=type(error).__name__)
    allowed = site.allowed_attempts(case)
    if allowed.max == 1 or isinstance(placed, Logs):
        return _attempt(case, site, placed, folder)
    records: list[Record] = []
    while not is_decided(records, allowed):
        attempt = folder / f"attempt-{len(records) + 1}"
        attempt.mkdir()
        records.append(_kept(partial(_attempt, case, site, placed, attempt), site))
    return replace(decide(records, allowed), folder=str(folder.relative_to(site.output)))


def _attempt(case: Case, site: Site, placed: Match | Logs, folder: Path) -> Record:
    record = Record(case=case, ending="error", folder=str(folder.relative_to(site.output)))
    try:
        if isinstance(placed, Logs):
            record = replace(record, deltas=placed.deltas(case))
            log_dir = placed.copy(folder)
            evidence = _read(case, site, log_dir)
        else:
            with lease(_request(case, placed), notice=site.notice) as held:
                placement = _placement(placed, held, site.inventory)
                record = replace(
                    record,
                    devices=held.devices,
                    deltas=differences(placed.sku, placement.devices, site.inventory),
                    foreign=tuple(_foreign(placement)),
                    waited_s=round(held.waited_s, 3),
                )
                steps: list[Step] = []
                watched = site.watch(case.id, folder) if site.watch else nullcontext()
                try:
                    preparation = _prepare(case, placement, site, folder)
                    terms = Terms(
                        limit=limit(preparation.time_limit_s),
                        lease=held.handle,
                        devices=placement.devices,
                        notice=site.notice,
                        case=case.id,
                    )
                    with watched as watch:
                        begin = watch.begin if watch else None
                        runner = Runner(
                            execute=site.execute,
                            find_image=site.find_image,
                            terms=terms,
                            ended=steps.append,
                            progress=begin,
                        )
                        statement = _run_steps(preparation, runner, folder, steps)
                    record = replace(record, statement=statement.text if statement else None)
                    log_dir = _log_dir(preparation, folder)
                    evidence = _read(case, site, log_dir)
                finally:
                    record = replace(record, neighbours=held.neighbours(), steps=tuple(steps))
                if statement is not None:
                    target = site.benchmark(case).target_quality(case.accuracy)
                    compare(statement, evidence, target=target)
        mlperf_round = site.rounds[case.round]
        verdict = judge(case, site.benchmark(case), evidence, mlperf_round=mlperf_round)
        measurements = tuple(_measure(case, site.benchmark(case), evidence))
        record = _with_course(record, evidence, log_dir)
        record = _compared(replace(record, measurements=measurements), site)
    except MlperfError as error:
        return replace(record, reason=str(error), error=type(error).__name__)
    further = site.standards.hold(record.comparisons, _place_of_first(measurements, evidence))
    verdict = Verdict(findings=(*verdict.findings, *further))
    broken = "; ".join(str(finding) for finding in verdict.findings if finding.broken)
    return replace(
        record,
        ending="pass" if verdict.passed else "fail",
        reason=broken or None,
        findings=verdict.findings,
    )


def _compared(record: Record, site: Site) -> Record:
    comparisons = site.standards.compare(record, site.skus[record.case.sku], site.inventory)
    return replace(record, comparisons=tuple(comparisons))


def _place_of_first(measurements: tuple[Measurement, ...], evidence: Evidence) -> Place | None:
    fact = evidence.detail.facts.get(measurements[0].name) if measurements else None
    return fact.place if fact else None


def _unplaced(case: Case, why: Unplaced, *, strict: bool) -> Record:
    if not strict:
        return Record(case=case, ending="unplaced", reason=str(why))
    finding = Finding(
        rule=f"promised {why.what}",
        expected=why.expected,
        observed=why.found,
        satisfied=False,
        source="--mlperf-strict",
        place=case.place,
    )
    return Record(case=case, ending="fail", reason=str(finding), findings=(finding,))


def _folder(case: Case, site: Site) -> Path:
    """Make the folder of a case; what a run that never ended left there is kept beside it."""
    folder = site.output / CASES / case.id
    try:
        if folder.exists():
            folder.rename(folder.with_name(f"{case.id}.interrupted-{uuid.uuid4().hex[:8]}"))
        folder.mkdir(parents=True)
    except OSError as error:
        raise RunError(f"cannot make the folder: {error.strerror}", place=Place(path=str(folder))) from error
    return folder


def has_host_alone(case: Case) -> bool:
    """Return whether nobody may use the host beside a case: a measurement whose matrix does not share it."""
    return case.mode == "PerformanceOnly" and not case.settings.share_host


def _request(case: Case, fit: Match) -> Request:
    """Ask for devices; those that nobody was seen on come first."""
    idle_first = sorted(fit.devices, key=lambda device: bool(device.processes))
    keys = tuple(device.key for device in idle_first)
    if len(set(keys)) < len(keys):
        raise HostError(f"{', '.join(keys)}: devices that cannot be told apart", hint="they have no UUIDs")
    return Request(case=case.id, count=fit.sku.count, devices=keys, exclusive=has_host_alone(case))


def _placement(fit: Match, held: Lease, inventory: Inventory) -> Placement:
    devices = {device.key: device for device in fit.devices}
    used = tuple(devices[key] for key in held.devices)
    vendors = {device.vendor for device in used}
    driver = next((driver.version for driver in inventory.drivers if driver.vendor in vendors), None)
    return Placement(sku=fit.sku.name, devices=used, driver=driver)


def _foreign(placement: Placement) -> Iterator[str]:
    for device in placement.devices:
        for process in device.processes or ():
            yield f"process {process.pid} ({process.name or 'unknown'}) on {device.key}"


def _run_steps(
    preparation: Preparation, runner: Runner, folder: Path, ended: Sequence[Step]
) -> Statement | None:
    """Run the steps of a case, and return what its harness says of it.

    ended: what the runner adds them to
    """
    failure: RunError | None = None
    try:
        runner.run(preparation.steps, folder)
    except RunError as error:
        saying = {step.name for step in preparation.steps if step.says_verdict}
        if preparation.statement is None or not ended or ended[-1].name not in saying:
            raise
        failure = error
    return preparation.statement(failure) if preparation.statement else None


def _prepare(case: Case, placement: Placement, site: Site, folder: Path) -> Preparation:
    """Prepare a case for its devices alone."""
    harness = site.harness(case)
    preparation = harness.prepare(case, placement, mlperf_round=site.rounds[case.round], folder=folder)
    steps = tuple(
        replace(
            step,
            env={**step.env, **environment(placement.devices, contained=step.container is not None)},
            container=_container(step, case),
        )
        for step in preparation.steps
    )
    return replace(preparation, steps=steps)


def _container(step: Command, case: Case) -> Container | None:
    """Return the container of a step, which may do what its matrix allows the case."""
    if step.container is None:
        return None
    privileges = combined(step.container.privileges, case.settings.privileges)
    return replace(step.container, privileges=privileges)


def _log_dir(preparation: Preparation, folder: Path) -> Path:
    appearance = preparation.appearance
    return locate(appearance, folder) if appearance else preparation.log_dir


def _read(case: Case, site: Site, log_dir: Path) -> Evidence:
    terms = site.terms(case)
    metric = terms.benchmarks[case.benchmark].metric if case.mode == "AccuracyOnly" else None
    pattern = case.command.accuracy_pattern if case.command else None
    return read(log_dir, metric=metric, hashed=terms.hashes_log, pattern=pattern)


def _with_course(record: Record, evidence: Evidence, log_dir: Path) -> Record:
    """Return the record of a measurement with how it went: its latencies, and its throughput over time."""
    if record.case.mode != "PerformanceOnly":
        return record
    run = Run(evidence=evidence)
    latencies, trace = distributions(run), read_trace(log_dir)
    if trace and run.scenario in ("SingleStream", "Server") and len(latencies) == 1:
        # There a sample is a query, and the trace has them all.
        latencies = (replace(latencies[0], quantiles=trace.latencies.quantiles),)
    return replace(record, latencies=latencies, throughput=trace.throughput if trace else None)


# The headline values by scenario: key of the detail log, and unit.
_HEADLINES: Mapping[Scenario, tuple[tuple[str, str], ...]] = {
    "SingleStream": (("result_90.00_percentile_latency_ns", "ns"), ("early_stopping_latency_ss", "ns")),
    "MultiStream": (
        ("result_99.00_percentile_per_query_latency_ns", "ns"),
        ("early_stopping_latency_ms", "ns"),
    ),
    "Server": (
        ("result_scheduled_samples_per_sec", "samples/s"),
        ("result_completed_samples_per_sec", "samples/s"),
        ("result_99.00_percentile_latency_ns", "ns"),
    ),
    "Offline": (("result_samples_per_second", "samples/s"),),
}


def _measure(case: Case, benchmark: Benchmark, evidence: Evidence) -> Iterator[Measurement]:
    if evidence.accuracy is not None:
        target = benchmark.target_quality(case.accuracy)
        quality = float(evidence.accuracy.quality.value)
        yield Measurement(name="AccuracyValue", value=quality, unit=benchmark.unit)
        yield Measurement(name="ThresholdValue", value=target, unit=benchmark.unit)
        yield Measurement(name="Accuracy Threshold Ratio", value=quality / target, unit="1")
        return
    headlines = _HEADLINES[case.scenario]
    ran = evidence.detail.facts.get("effective_scenario")
    if ran is not None and ran.value != case.scenario:
        return
    if not any(key in evidence.detail.facts for key, _ in headlines) and evidence.summary.validity:
        raise EvidenceError(
            f"no key {headlines[0][0]}: a verdict without a value", place=evidence.summary.validity.place
        )
    for key, unit in headlines:
        fact = evidence.detail.facts.get(key)
        if fact is not None:
            yield Measurement(name=key, value=_number(fact), unit=unit)


def _number(fact: Fact) -> float:
    if isinstance(fact.value, int | float) and abs(fact.value) <= sys.float_info.max:
        return float(fact.value)
    raise EvidenceError(f"{fact.key}: found {fact.value!r}, allowed: a number", place=fact.place)
