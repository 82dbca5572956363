"""What cases run with: the machine, the adapters, and where results go."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from pytest_mlperf.attempts import holds
from pytest_mlperf.baselines import Standards
from pytest_mlperf.hardware.matching import identify
from pytest_mlperf.placement import Unplaced, place
from pytest_mlperf.record import CASES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pytest_mlperf.executor import Execute, FindImage, Limit
    from pytest_mlperf.hardware import Inventory, Sku
    from pytest_mlperf.hardware.matching import Identity, Match
    from pytest_mlperf.harness import Harness
    from pytest_mlperf.matrix import Attempts, Case, HardwareMatch, HarnessTerms
    from pytest_mlperf.record import Record
    from pytest_mlperf.replay import Logs, Replay
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
