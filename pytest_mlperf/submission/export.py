"""A submission tree from the records of a session: what would be in it, what it lacks, and its writing.

What is not complete is named before anything is written. Only what passed is written: nothing here makes a
result, and no description is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_mlperf.errors import ConfigurationError
from pytest_mlperf.matrix import MODES, Case
from pytest_mlperf.submission import candidates, description, runs, texts, truncation
from pytest_mlperf.submission.places import Home, Spot
from pytest_mlperf.submission.runs import Missing, Piece
from pytest_mlperf.verdict.official.files import IMPLEMENTATION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pytest_mlperf.hardware import Device
    from pytest_mlperf.matrix import Mode
    from pytest_mlperf.record import Record
    from pytest_mlperf.submission.candidates import Candidate, Group, Order, Refused

README = "README.md"
USER_CONF = "user.conf"
MLPERF_CONF = "mlperf.conf"
_CONFIGURATIONS = (MLPERF_CONF, USER_CONF)

_RUN_IT = "a session exports what passed in it"
_FILL_IN = "not known: fill it in"


@dataclass(frozen=True, kw_only=True)
class Export:
    """A submission tree that can be written.

    pieces:   its files
    missing:  what it lacks
    refused:  the cases that are no results of a submission
    round:    None where there is no case of any
    """

    pieces: tuple[Piece, ...]
    missing: tuple[Missing, ...]
    refused: tuple[Refused, ...]
    round: str | None

    @property
    def results(self) -> int:
        """How many runs are in it."""
        return sum(piece.path.endswith("/mlperf_log_summary.txt") for piece in self.pieces)


def forecast(planned: Iterable[Candidate], order: Order) -> Export:
    """Return what is known to be missing before anything runs; without the files that runs leave."""
    return _plan(planned, order)


def plan(records: Iterable[Record], order: Order) -> Export:
    """Return the tree of the records of a session. Raises OSError for a log that cannot be read."""
    # Records of audits are of results that others submitted.
    own = [(record.case, record) for record in records if isinstance(record.case, Case)]
    return _plan([candidates.of_record(case, record) for case, record in own], order)


def write(export: Export, target: Path) -> None:
    """Write a tree into a new or empty folder.

    Raises ConfigurationError when something is in the folder, and OSError where it cannot be written.
    """
    target.mkdir(parents=True, exist_ok=True)
    content = next(target.iterdir(), None)
    if content is not None:
        raise ConfigurationError(f"{target}: found {content.name} in it, allowed: a new or empty folder")
    for piece in export.pieces:
        path = target / piece.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as stream:
            for block in _blocks(piece):
                stream.write(block)


def _blocks(piece: Piece) -> Iterator[bytes]:
    if piece.source is not None and piece.most_bytes is not None:
        yield truncation.shortened(piece.source, most_bytes=piece.most_bytes)
    elif piece.source is not None:
        yield from truncation.blocks(piece.source)
    yield piece.text.encode()


def _plan(members: Iterable[Candidate], order: Order) -> Export:
    groups, refused = candidates.sort(members, order)
    tree = _Tree(order=order)
    for group in groups:
        tree.add(group)
    tree.describe([group for group in groups if group.has()])
    return Export(
        # The code of a benchmark is that of all systems.
        pieces=tuple(dict.fromkeys(tree.pieces)),
        missing=tuple(dict.fromkeys(tree.missing)),
        refused=tuple(refused),
        round=groups[0].round.name if groups else None,
    )


@dataclass(kw_only=True)
class _Tree:
    """The tree as it grows, group by group."""

    order: Order
    pieces: list[Piece] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)

    def add(self, group: Group) -> None:
        """Add a benchmark of a system, with all scenarios that it must have."""
        needed = group.required if self.order.division == "closed" else ()
        planned = [name for (name, _), member in group.members.items() if not member.dropped]
        for scenario in dict.fromkeys([*needed, *planned]):
            spot = self._home(group).spot(group.system, group.benchmark.name, scenario)
            for mode in MODES:
                self._run(group, group.members.get((scenario, mode)), spot.run(mode), mode)
            if group.has():
                self._around(group, scenario, spot)
        if group.has():
            self._code(group)

    def describe(self, groups: list[Group]) -> None:
        """Add the descriptions of the systems."""
        for system in dict.fromkeys(group.system for group in groups):
            own = [group for group in groups if group.system == system]
            path = self._home(own[0]).system(system)
            described = description.describe(
                own[0].round.system_fields,
                self._stated(own[0]),
                inventory=None if _is_replayed(own) else self.order.inventory,
                devices=self._devices(own),
            )
            self.pieces.append(Piece(path=path, text=texts.as_json(described)))
            self._miss_fields(path, description.unknown(described))

    def _home(self, group: Group) -> Home:
        return Home(division=self.order.division, submitter=self.order.submitter, layout=group.round.layout)

    def _miss(self, path: str, what: str, hint: str) -> None:
        self.missing.append(Missing(path=path, what=what, hint=hint))

    def _miss_fields(self, path: str, fields: Iterable[str]) -> None:
        for name in fields:
            self._miss(path, f'"{name}"', _FILL_IN)

    def _stated(self, group: Group) -> dict[str, description.Value]:
        return {
            "division": self.order.division,
            "submitter": self.order.submitter,
            "status": "available",
            "system_type": group.kind,
            "system_name": group.system,
        }

    def _devices(self, groups: list[Group]) -> list[Device]:
        """Return the accelerators of a system: those that a result was measured on."""
        records = [record for group in groups for _, record in group.ran()]
        devices = self.order.inventory.devices
        return [device for device in devices if not records or device.key in records[0].devices]

    def _folder(self, record: Record) -> Path:
        return self.order.output / str(record.folder)

    def _run(self, group: Group, member: Candidate | None, where: str, mode: Mode) -> None:
        if member is None:
            self._miss(where, f"no case of {mode} in this scenario", _RUN_IT)
        elif member.why_not is not None:
            self._miss(where, member.why_not, _RUN_IT)
        elif member.record is not None:
            round_ = group.round
            names = round_.accuracy_files if mode == "AccuracyOnly" else round_.performance_files
            pieces, missing = runs.of_run(
                self._folder(member.record), where, names, most_bytes=round_.max_accuracy_log_bytes
            )
            self.pieces += pieces
            self.missing += missing

    def _around(self, group: Group, scenario: str, spot: Spot) -> None:
        """Add what stands around the runs of a scenario: measurements and compliance tests."""
        home = self._home(group)
        implementation = home.implementation(spot, group.system, group.harness, scenario)
        paths = [f"{spot.measurements}/{name}" for name in sorted(group.round.measurement_files)]
        paths = [path for path in paths if path != implementation]
        if group.has(scenario):
            for path in paths:
                self._measurement(group, scenario, path)
            self.pieces.append(Piece(path=implementation, text=texts.implementation()))
            self._miss_fields(implementation, IMPLEMENTATION)
        else:
            for path in (*paths, implementation):
                self._miss(path, "there is no result of this scenario", "it goes with the result")
        for test in group.benchmark.compliance if self.order.division == "closed" else ():
            self._miss(
                f"{spot.compliance}/{test}", f"no run of {test}", "no matrix has it yet: run it by hand"
            )

    def _measurement(self, group: Group, scenario: str, path: str) -> None:
        """Add a file that says how a scenario was measured, as the run left it where it left one."""
        name = path.rpartition("/")[2]
        ran = group.ran(scenario)
        left = (runs.configuration(self._folder(record), name) for _, record in ran)
        source = next(filter(None, left), None) if name in _CONFIGURATIONS else None
        if source is not None:
            self.pieces.append(Piece(path=path, source=source))
        elif name == README:
            self.pieces.append(Piece(path=path, text=texts.how_it_ran(ran)))
            self._miss(path, "names only the cases", "say how to reproduce the result")
        elif name == MLPERF_CONF and ran:
            text = texts.limits(group.round, group.benchmark, scenario)
            self.pieces.append(Piece(path=path, text=text))
            self._miss(path, "written from the limits of the round", "put LoadGen's own in its place")
        elif ran:
            self._miss(
                path,
                f"no single {name} among the files of the run",
                "put the one that LoadGen was given here",
            )

    def _code(self, group: Group) -> None:
        path = f"{self._home(group).code(group.benchmark.name, group.harness)}/{README}"
        text = texts.where_the_code_is(group.harness, group.benchmark.name)
        self.pieces.append(Piece(path=path, text=text))
        self._miss(path, "only names the harness", "put the code here, and how to build and run it")


def _is_replayed(groups: list[Group]) -> bool:
    """Return whether results are of logs that some other machine may have left."""
    return any(record.replayed for group in groups for _, record in group.ran())
