"""What a machine is taken for, what is in the way, and which cases would run: a diagnosis. Runs nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from pytest_mlperf.hardware.matching import Delta, Match, match, refusals
from pytest_mlperf.matrix.privileges import beyond_least
from pytest_mlperf.placement import Unplaced

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_mlperf.hardware import Engine, Inventory
    from pytest_mlperf.matrix import Case, HarnessTerms
    from pytest_mlperf.placement.leases import Holder
    from pytest_mlperf.plan import Plan
    from pytest_mlperf.site import Site


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A host on which NVIDIA's own harness of a round would run nothing, although the devices match."""

    sku: str
    round: str
    deltas: tuple[Delta, ...]


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """Something of this machine that a harness asks more of.

    expected, found: in words, with units
    """

    harness: str
    round: str
    what: str
    expected: str
    found: str


@dataclass(frozen=True, kw_only=True)
class Skip:
    """Cases that would be skipped for one reason."""

    count: int
    expected: str
    found: str
    what: Literal["hardware", "harness", "logs"]


@dataclass(frozen=True, kw_only=True)
class Privilege:
    """Something beyond the least that a matrix allows the containers of its cases."""

    name: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What would become of the cases of a matrix here.

    planned:               all but those that the options leave out
    dropped:               those
    estimated_duration_s:  of those that would run, as far as it is known
    skips:                 what would be skipped, the most frequent reason first
    privileges:            of the planned cases, by name
    """

    path: str
    planned: int
    dropped: int
    would_run: int
    estimated_duration_s: float
    skips: tuple[Skip, ...]
    privileges: tuple[Privilege, ...]


@dataclass(frozen=True, kw_only=True)
class Disk:
    """The file system that results go to."""

    path: str
    free_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """All of it. `matches` are every SKU that is here, wholly, partly, or too few of it."""

    inventory: Inventory
    engine: Engine
    disk: Disk
    holders: tuple[Holder, ...]
    matches: tuple[Match, ...]
    refusals: tuple[Refusal, ...]
    shortages: tuple[Shortage, ...]
    outlooks: tuple[Outlook, ...]

    @property
    def would_run(self) -> int:
        """How many cases of all matrices would run."""
        return sum(outlook.would_run for outlook in self.outlooks)

    def to_json(self) -> dict[str, Any]:
        """Return the diagnosis as plain values; SKUs by name, devices by key."""
        return {
            **{part: asdict(getattr(self, part)) for part in ("inventory", "engine", "disk")},
            "holders": [_holder_json(holder) for holder in self.holders],
            "skus": [_sku_json(found) for found in self.matches],
            "refusals": [asdict(refusal) for refusal in self.refusals],
            "shortages": [asdict(shortage) for shortage in self.shortages],
            "matrices": [asdict(outlook) for outlook in self.outlooks],
            "would_run": self.would_run,
        }


def _holder_json(holder: Holder) -> dict[str, Any]:
    return {**asdict(holder), "since": holder.since.isoformat() if holder.since else None}


def _sku_json(found: Match) -> dict[str, Any]:
    return {
        "name": found.sku.name,
        "system_id": found.sku.system_id,
        "level": found.level,
        "devices": [device.key for device in found.devices],
        "deltas": [asdict(delta) for delta in found.deltas],
    }


def diagnose(site: Site, plan: Plan, *, engine: Engine, disk: Disk, holders: tuple[Holder, ...]) -> Diagnosis:
    """Return what can be said of a machine, and of the cases of a plan on it."""
    matches = tuple(match(sku, site.inventory) for sku in site.skus.values())
    here = tuple(found for found in matches if found.devices or found.level == "match")
    return Diagnosis(
        inventory=site.inventory,
        engine=engine,
        disk=disk,
        holders=holders,
        matches=tuple(sorted(here, key=_importance)),
        refusals=tuple(_refusals(here, site)),
        shortages=tuple(_shortages(plan.kept, site, disk)),
        outlooks=tuple(_outlooks(plan, site)),
    )


def _importance(found: Match) -> tuple[int, int, int]:
    return ("match", "partial", "no").index(found.level), len(found.deltas), -found.sku.count


def _refusals(matches: Iterable[Match], site: Site) -> Iterator[Refusal]:
    for found in matches:
        if found.level == "match":
            for name, deltas in refusals(found.sku, site.inventory).items():
                yield Refusal(sku=found.sku.name, round=name, deltas=deltas)


def _shortages(cases: Iterable[Case], site: Site, disk: Disk) -> Iterator[Shortage]:
    """Give what the harnesses of the cases that fit this machine want and do not have."""
    fitting = {(c.harness, c.round): c for c in cases if not isinstance(site.fit(c), Unplaced)}
    for (harness, name), case in fitting.items():
        terms = site.terms(case)
        for what, expected, found in (*_old_drivers(terms, site.inventory), *_full_disk(terms, disk)):
            yield Shortage(harness=harness, round=name, what=what, expected=expected, found=found)


def _old_drivers(terms: HarnessTerms, inventory: Inventory) -> Iterator[tuple[str, str, str]]:
    for driver in inventory.drivers:
        least, found = terms.least_driver, driver.version
        # Jetson's comes with its Linux and has other numbers (`L4T 36.4.3`).
        if least and found and found[0].isdecimal() and _numbers(found) < _numbers(least):
            yield "driver", f"at least {least}", found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _full_disk(terms: HarnessTerms, disk: Disk) -> Iterator[tuple[str, str, str]]:
    if terms.disk_gb and disk.free_bytes is not None and disk.free_bytes < terms.disk_gb * 1e9:
        yield "disk", f"about {terms.disk_gb:.0f} GB", f"{disk.free_bytes / 1e9:.0f} GB free in {disk.path}"


def _outlooks(plan: Plan, site: Site) -> Iterator[Outlook]:
    by_matrix: dict[str, list[Case]] = {}
    for case in plan.cases.values():
        by_matrix.setdefault(case.place.path, []).append(case)
    for path, members in by_matrix.items():
        placed = [(case, site.place(case)) for case in members if case.id not in plan.dropped]
        running = [case for case, place in placed if not isinstance(place, Unplaced)]
        skips = Counter(place for _, place in placed if isinstance(place, Unplaced))
        yield Outlook(
            path=path,
            planned=len(placed),
            dropped=len(members) - len(placed),
            would_run=len(running),
            estimated_duration_s=sum(site.estimated_duration_s(case) or 0 for case in running),
            skips=tuple(
                Skip(count=count, expected=why.expected, found=why.found, what=why.what)
                for why, count in skips.most_common()
            ),
            privileges=tuple(_privileges(case for case, _ in placed)),
        )


def _privileges(cases: Iterable[Case]) -> Iterator[Privilege]:
    counts = Counter(word for case in cases for word in beyond_least(case.settings.privileges))
    for name, count in sorted(counts.items()):
        yield Privilege(name=name, count=count)
