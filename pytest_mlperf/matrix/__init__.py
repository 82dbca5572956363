"""A matrix: which SKU runs which benchmark with which harness, in which scenario and mode.

Here are the values. `source` reads YAML and remembers its lines, `document` is the shape of a matrix
file, `loading` expands it to cases, `schema` describes it to editors; `privileges` are those of containers;
`commands`, `fields` and `own` are for the harnesses that a matrix describes itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from pytest_mlperf.errors import Place  # noqa: TC001  records are read by their types
from pytest_mlperf.matrix.commands import CommandTemplate  # noqa: TC001  records are read by their types

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pytest_mlperf.rounds import Benchmark, Round

Category = Literal["datacenter", "edge", "smoke"]
Conformance = Literal["round", "smoke"]
HardwareMatch = Literal["exact", "partial"]
Scenario = Literal["SingleStream", "MultiStream", "Server", "Offline"]
Mode = Literal["AccuracyOnly", "PerformanceOnly"]
Power = Literal["MaxP", "MaxQ"]
Accuracy = Literal["99", "99.9"]

SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)
MODES: tuple[Mode, ...] = get_args(Mode)

MODE_MARKERS: Mapping[Mode, str] = {"AccuracyOnly": "accuracy", "PerformanceOnly": "performance"}
METRIC_MODES: Mapping[Mode, str] = {"AccuracyOnly": "AccuracyMode", "PerformanceOnly": "PerformanceMode"}
"""How a mode is called at the end of a metric's name. Dashboards know it by this word; LoadGen does not."""

MOST_ATTEMPTS = 100

SHORTENED = "shortened: not submission-valid"
"""What is said of every result of `smoke` conformance."""


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """How often a case may be run, and how many of the runs must pass."""

    max: int = 1
    need: int = 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What may be set for a case. None leaves it to the round, or lets the harness calibrate it.

    share_host:        a performance case may run while others use the same host; its record says so
    expected_failure:  why this case is known to fail; it still counts as failed
    privileges:        what its containers may do beyond the least, sorted: `cap_add=SYS_ADMIN`
    """

    target_qps: float | None = None
    target_latency_ms: int | None = None
    expected_latency_ms: float | None = None
    min_duration_s: float | None = None
    min_query_count: int | None = None
    time_limit_s: float | None = None
    share_host: bool = False
    attempts: Attempts = Attempts()
    expected_failure: str | None = None
    privileges: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Case:
    """One point of the matrix: one test item, one record.

    id:           unique in a session: `<benchmark>-<metric name>`
    match:        whether devices that differ from the SKU may be used; the record names each difference
    metric_name:  `<system name>-<harness>_<k_99|k_99_9>_<MaxP|MaxQ>-<Scenario>-<mode>`;
                  several benchmarks share one
    place:        where in its matrix the case comes from
    command:      of a harness that the matrix describes itself; None for all others
    """

    id: str
    metric_name: str
    round: str
    category: Category
    conformance: Conformance
    match: HardwareMatch
    sku: str
    benchmark: str
    harness: str
    accuracy: Accuracy
    power: Power
    scenario: Scenario
    mode: Mode
    settings: Settings
    place: Place
    command: CommandTemplate | None = None


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A configuration that a harness knows by heart."""

    system_id: str
    benchmark: str
    harness: str
    accuracy: Accuracy
    power: Power
    scenario: Scenario


@dataclass(frozen=True, kw_only=True)
class HarnessTerms:
    """What a harness is called in names, and what it can run in a round.

    system_suffix: is put after the system id: `_TRT` makes `A2x2_TRT`
    submission:    whether its results can be of a round at all; miniatures never are
    accelerated:   whether it runs on accelerators only (True), on the CPU only (False), or on both (None)
    least_driver:  oldest version of the accelerators' driver that it runs with (`510`); None: any
    disk_gb:       what it takes for models and data; None: nothing to speak of
    hashes_log:    whether its accuracy.txt ends with the hash of the accuracy log that was scored
    registered:    all that it can run; None: any system and any of its benchmarks
    contained:     whether its steps run in containers (True), none does (False), or it depends (None)
    """

    system_suffix: str
    benchmarks: Mapping[str, Benchmark]
    submission: bool = True
    accelerated: bool | None = None
    least_driver: str | None = None
    disk_gb: float | None = None
    hashes_log: bool = True
    registered: Collection[Registration] | None = None
    contained: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The words that a matrix of one round may use: SKUs (with their system ids) and harnesses.

    cpu_skus: those of the SKUs that have no accelerator
    """

    round: Round
    system_ids: Mapping[str, str]
    cpu_skus: Collection[str] = ()
    harnesses: Mapping[str, HarnessTerms]


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A matrix file and the cases it names, in the order of the file."""

    path: str
    round: str
    category: Category
    cases: tuple[Case, ...] = field(repr=False)
