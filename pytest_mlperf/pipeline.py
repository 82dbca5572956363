"""The whole story of one case: place it, run it, read its logs, judge them, and write down what is left."""

from __future__ import annotations

import json
import os
import time
import uuid
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_mlperf.attempts import decide, is_decided
from pytest_mlperf.errors import HostError, MlperfError, Place, RunError
from pytest_mlperf.evidence.locating import locate
from pytest_mlperf.evidence.reading import read
from pytest_mlperf.executor import Terms, limit
from pytest_mlperf.executor.stages import Runner, Step
from pytest_mlperf.hardware.matching import differences
from pytest_mlperf.matrix.privileges import combined
from pytest_mlperf.measurements import measure, with_course
from pytest_mlperf.placement import Placement, Unplaced
from pytest_mlperf.placement.leases import Lease, Request, lease
from pytest_mlperf.placement.visibility import environment
from pytest_mlperf.record import CASES, RECORD, Measurement, Record, from_json
from pytest_mlperf.replay import Logs
from pytest_mlperf.verdict import Finding, Verdict
from pytest_mlperf.verdict.rules import judge
from pytest_mlperf.verdict.statement import compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from pytest_mlperf.evidence import Evidence
    from pytest_mlperf.hardware import Inventory
    from pytest_mlperf.hardware.matching import Match
    from pytest_mlperf.harness import Command, Container, Preparation, Statement
    from pytest_mlperf.matrix import Case
    from pytest_mlperf.site import Site
    from pytest_mlperf.verdict.baseline import Comparison


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
        with draft.open("w", encoding="utf-8") as stream:
            stream.write(f"{text}\n")
            stream.flush()
            os.fsync(stream.fileno())
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


@dataclass(kw_only=True)
class _Draft:
    """The record of an attempt, as far as it has come: what is known stays known when the rest goes wrong."""

    case: Case
    record: Record

    def note(self, **facts: Any) -> None:
        """Write facts down."""
        self.record = replace(self.record, **facts)


def _attempt(case: Case, site: Site, placed: Match | Logs, folder: Path) -> Record:
    record = Record(case=case, ending="error", folder=str(folder.relative_to(site.output)))
    draft = _Draft(case=case, record=record)
    try:
        if isinstance(placed, Logs):
            draft.note(deltas=placed.deltas(case))
            log_dir = placed.copy(folder)
            evidence = _read(case, site, log_dir)
        else:
            log_dir, evidence = _run_placed(draft, site, placed, folder)
        mlperf_round = site.rounds[case.round]
        verdict = judge(case, site.benchmark(case), evidence, mlperf_round=mlperf_round)
        draft.note(measurements=tuple(measure(case, site.benchmark(case), evidence)))
        draft.note(comparisons=_comparisons(draft.record, site))
    except MlperfError as error:
        return replace(draft.record, reason=str(error), error=type(error).__name__)
    record = with_course(draft.record, evidence, log_dir)
    further = site.standards.hold(record.comparisons, _place_of_first(record.measurements, evidence))
    verdict = Verdict(findings=(*verdict.findings, *further))
    broken = "; ".join(str(finding) for finding in verdict.findings if finding.broken)
    return replace(
        record,
        ending="pass" if verdict.passed else "fail",
        reason=broken or None,
        findings=verdict.findings,
    )


def _run_placed(draft: _Draft, site: Site, placed: Match, folder: Path) -> tuple[Path, Evidence]:
    """Run a case on devices that it has alone; return where its logs are, and what they say."""
    case = draft.case
    with lease(_request(case, placed), notice=site.notice) as held:
        placement = _placement(placed, held, site.inventory)
        draft.note(
            devices=held.devices,
            deltas=differences(placed.sku, placement.devices, site.inventory),
            foreign=tuple(_foreign(placement)),
            waited_s=round(held.waited_s, 3),
        )
        steps: list[Step] = []
        try:
            preparation = _prepare(case, placement, site, folder)
            terms = Terms(
                limit=limit(preparation.time_limit_s),
                lease=held.handle,
                devices=placement.devices,
                notice=site.notice,
                case=case.id,
            )
            with site.watch(case.id, folder) if site.watch else nullcontext() as watch:
                runner = Runner(
                    execute=site.execute,
                    find_image=site.find_image,
                    terms=terms,
                    ended=steps.append,
                    progress=watch.begin if watch else None,
                )
                statement = _run_steps(preparation, runner, folder, steps)
            draft.note(statement=statement.text if statement else None)
            log_dir = _log_dir(preparation, folder)
            evidence = _read(case, site, log_dir)
        finally:
            draft.note(neighbours=held.neighbours(), steps=tuple(steps))
    if statement is not None:
        compare(statement, evidence, target=site.benchmark(case).target_quality(case.accuracy))
    return log_dir, evidence


def _comparisons(record: Record, site: Site) -> tuple[Comparison, ...]:
    return tuple(site.standards.compare(record, site.skus[record.case.sku], site.inventory))


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
