"""What is left of a case: one record, whatever happened to it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from pytest_mlperf.errors import Place  # noqa: TC001  records are read by their types
from pytest_mlperf.evidence import Distribution, Throughput  # noqa: TC001  records are read by their types
from pytest_mlperf.executor.stages import Step  # noqa: TC001  records are read by their types
from pytest_mlperf.hardware.matching import Delta  # noqa: TC001  records are read by their types
from pytest_mlperf.matrix import SHORTENED, Case
from pytest_mlperf.matrix.privileges import beyond_least
from pytest_mlperf.units import format_number
from pytest_mlperf.verdict import Finding  # noqa: TC001  records are read by their types
from pytest_mlperf.verdict.baseline import Comparison  # noqa: TC001  records are read by their types

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import TypeAdapter

Ending = Literal["pass", "fail", "unplaced", "error", "dropped"]
CASES = "cases"
"""The folder of the cases in that of their session."""
RECORD = "record.json"
"""The file of a record in the folder of its case."""
RECORDS = "records.jsonl"
"""The file of all records in the folder of their session."""

ENDINGS: tuple[Ending, ...] = get_args(Ending)

ACCEPTED = "an open submission need not reach the accuracy: its result is accepted all the same"
"""What is said of a published run that breaks a rule and does not fall by it."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A measured value. `name` is the key that LoadGen or the accuracy script has for it."""

    name: str
    value: float
    unit: str

    def __str__(self) -> str:
        """Return value and unit; a ratio, whose unit is 1, is a mere number."""
        unit = "" if self.unit == "1" else f" {self.unit}"
        return f"{format_number(self.value)}{unit}"


@dataclass(frozen=True, kw_only=True)
class PublishedCase:
    """One run of a submission tree, as a test item. Named like a case of a matrix where it is the same.

    id:           `<benchmark>-<metric name>`
    metric_name:  `<division>-<submitter>-<system>-<Scenario>-<mode>`
    conformance:  the level of the audit
    category:     as the system is described, None where it is not
    sku:          the system, as its directory is called
    benchmark:    as its directory is called
    scenario:     of the directory, as LoadGen spells it
    mode:         AccuracyOnly, PerformanceOnly, a compliance test, or files (what stands around the runs)
    place:        the directory, from the tree
    """

    id: str
    metric_name: str
    round: str
    conformance: Literal["official", "strict"]
    division: str
    submitter: str
    category: str | None
    sku: str
    benchmark: str
    scenario: str
    mode: str
    place: Place


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One run of a case that may be run more than once; its fields are those of a record."""

    ending: Ending
    reason: str | None
    findings: tuple[Finding, ...]
    measurements: tuple[Measurement, ...]
    devices: tuple[str, ...]
    neighbours: tuple[str, ...] | None
    folder: str | None
    started_at: str | None
    duration_s: float | None
    error: str | None = None
    steps: tuple[Step, ...] = ()
    statement: str | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """One case and how it ended.

    ending:       pass, fail (a rule is broken), unplaced (the hardware is not here), error (could not find
                  out), dropped (in the matrix, not in the plan)
    reason:       why, in a line; None after a pass
    error:        what could not be found out, as the name of its class (RunError: the run itself went wrong)
    findings:     the rules that were applied; none where no verdict was reached
    devices:      UUIDs of the accelerators that were used
    deltas:       in what they differ from the SKU; only where the matrix allows a partial match
    foreign:      other programs that were on these devices as the session began
    neighbours:   cases of any session that used the host at the same time; None where nothing ran
    folder:       where its logs are, relative to the output folder
    started_at:   ISO 8601, UTC
    duration_s:   from start to end, with what it waited
    waited_s:     for its turn on the host; None where nothing ran
    accepted:     whether a published scenario stands, all its runs together; None for a case of a matrix
    steps:        those that have ended, with the images that they ran in
    statement:    what the harness itself said of the run, in its words; None for one that says nothing
    replayed:     the folder whose logs were judged instead of running the case, as the user named it
    attempts:     the runs of a case that might be run more than once; findings and measurements are of the
                  last that ended as the case does
    resumed:      the folder of the earlier session that ran the case, as the user named it
    latencies:    how those of a measurement were spread, as far as its logs tell
    throughput:   over time, where the logs hold a trace
    comparisons:  of its first measurement with baselines, those that it is held to and others
    """

    case: Case | PublishedCase
    ending: Ending
    reason: str | None = None
    error: str | None = None
    findings: tuple[Finding, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    devices: tuple[str, ...] = ()
    deltas: tuple[Delta, ...] = ()
    foreign: tuple[str, ...] = ()
    neighbours: tuple[str, ...] | None = None
    folder: str | None = None
    started_at: str | None = None
    duration_s: float | None = None
    waited_s: float | None = None
    accepted: bool | None = None
    steps: tuple[Step, ...] = ()
    statement: str | None = None
    replayed: str | None = None
    attempts: tuple[Attempt, ...] = ()
    resumed: str | None = None
    latencies: tuple[Distribution, ...] = ()
    throughput: Throughput | None = None
    comparisons: tuple[Comparison, ...] = ()

    @property
    def runs(self) -> tuple[Record | Attempt, ...]:
        """Its attempts, or itself where it is run once."""
        return self.attempts or (self,)

    @property
    def image(self) -> str | None:
        """Digest of the container image that the case ran in (`sha256:...`), None where it ran in none."""
        return next((step.image for step in reversed(self.steps) if step.image is not None), None)

    @property
    def privileges(self) -> tuple[str, ...]:
        """What its containers were allowed beyond the least, in any attempt."""
        return beyond_least(word for run in self.runs for step in run.steps for word in step.privileges)

    @property
    def verdict(self) -> str | None:
        """PASS or FAIL (accuracy), VALID or INVALID (performance), None when nothing was judged."""
        if self.ending not in ("pass", "fail") or self.folder is None:
            return None
        return self._words[0] if self.ending == "pass" else self._words[1]

    @property
    def _words(self) -> tuple[str, str]:
        return ("VALID", "INVALID") if self.case.mode == "PerformanceOnly" else ("PASS", "FAIL")

    @property
    def tally(self) -> str | None:
        """`VALID 2 of 3`: how many attempts passed; None for a case that is run once."""
        passed = sum(attempt.ending == "pass" for attempt in self.attempts)
        return f"{self._words[0]} {passed} of {len(self.attempts)}" if self.attempts else None

    @property
    def labels(self) -> tuple[str, ...]:
        """What must be said beside every result of this case: in a word or two, a colon, and in full."""
        shortened = [SHORTENED] if self.case.conformance == "smoke" else []
        partial = [f"partial match: {'; '.join(map(str, self.deltas))}"] if self.deltas else []
        replayed = [f"replayed: logs of {self.replayed}, nothing was run"] if self.replayed else []
        resumed = [f"taken over: from {self.resumed}, not run again"] if self.resumed else []
        flapping = len({attempt.ending for attempt in self.attempts}) > 1
        attempts = [f"attempts: {self.tally}"] if flapping else []
        return (*shortened, *partial, *attempts, *replayed, *resumed)

    @property
    def short_labels(self) -> tuple[str, ...]:
        """The labels in a word or two, for where there is no room."""
        return tuple(label.partition(":")[0] for label in self.labels)

    @property
    def expected_failure(self) -> str | None:
        """Why a failure is no surprise, though it counts as one; None where it is one."""
        if isinstance(self.case, Case):
            return self.case.settings.expected_failure
        return ACCEPTED if self.accepted and self.ending == "fail" else None

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain values, with verdict and labels, for JSON and for other processes."""
        return {
            **_adapter().dump_python(self),
            "verdict": self.verdict,
            "image": self.image,
            "labels": self.labels,
        }


@cache
def _adapter() -> TypeAdapter[Record]:
    from pydantic import TypeAdapter  # noqa: PLC0415  heavy: only where records are read

    return TypeAdapter(Record)


def from_json(content: object) -> Record:
    """Return the record that `to_json` described. Raises ValueError when it is none."""
    return _adapter().validate_python(content)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of records; a kill may have cut the last one, which is then left out.

    Raises OSError or ValueError.
    """
    texts = path.read_text(encoding="utf-8").splitlines()
    lines = [_line(number, text) for number, text in enumerate(texts[:-1], 1)]
    with contextlib.suppress(ValueError):
        lines += map(json.loads, texts[-1:])
    return lines


def _line(number: int, text: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise ValueError(f"line {number} is damaged: {error}") from error
    return content
