"""The diagnosis as people read it: a paragraph a subject, the question that it answers first."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from pytest_mlperf.placement import describe
from pytest_mlperf.units import format_duration, format_gib, format_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_mlperf.doctor import Diagnosis, Outlook, Refusal, Skip
    from pytest_mlperf.hardware import Device, Driver, Engine, Host, Inventory
    from pytest_mlperf.hardware.matching import Delta, Match
    from pytest_mlperf.placement.leases import Holder

_MARGIN = 12

_WAYS_OUT = {
    "v2.0": "scripts/custom_systems/add_custom_system.py, in its container (v2.0)",
    "later": "the variable MLPINF_CUSTOM_DEFINITION_PATH names its definition (v2.1 and later)",
}
"""What closed/NVIDIA offers for a system that is not in its list."""


def words(diagnosis: Diagnosis) -> str:
    """Return the diagnosis in words."""
    paragraphs = {
        "host": _host(diagnosis.inventory.host),
        "devices": _devices(diagnosis.inventory),
        "SKUs": _skus(diagnosis),
        "in the way": _obstacles(diagnosis),
        "containers": _engine(diagnosis.engine),
        "leases": leases(diagnosis.holders),
        "matrices": _outlooks(diagnosis.outlooks),
    }
    parts = [_paragraph(name, [*lines]) for name, lines in paragraphs.items()]
    return "\n".join([*filter(None, parts), _sum(diagnosis)])


def _paragraph(name: str, lines: Sequence[str]) -> str:
    heads = itertools.chain([name], itertools.repeat(""))
    return "".join(f"{head:<{_MARGIN}}{line}\n" for head, line in zip(heads, lines, strict=False))


def _host(host: Host) -> Iterator[str]:
    counts = (
        _counted(host.sockets, "socket"),
        _counted(host.cores, "core"),
        None if host.memory_bytes is None else format_gib(host.memory_bytes),
        _counted(host.numa_nodes, "NUMA node"),
    )
    yield ", ".join(filter(None, [host.cpu or "unknown processor", *counts]))
    kernel = f"Linux {host.kernel}" if host.kernel else None
    yield ", ".join(filter(None, [host.os, kernel, host.architecture, host.board]))


def _counted(count: int | None, noun: str) -> str | None:
    return None if count is None else f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _devices(inventory: Inventory) -> Iterator[str]:
    if not inventory.devices:
        yield "none that can be seen" if inventory.blind else "none"
    by_kind = itertools.groupby(inventory.devices, key=_traits)
    for traits, alike in by_kind:
        addresses = [device.pci_bus or device.key for device in alike]
        yield f"{len(addresses)}x {traits}"
        if any(device.pci_bus for device in inventory.devices):
            yield f"   at {_listed(addresses)}"
    for driver in inventory.drivers:
        yield _driver(driver)
    for reason in inventory.hidden:
        yield f"hidden: {reason}"


def _traits(device: Device) -> str:
    cap, limit = device.power_cap_w, device.power_limit_w
    capped = cap is not None and limit is not None and cap < limit
    traits = (
        device.pci_device and f"PCI id {device.pci_device}",
        device.compute_capability and f"compute capability {device.compute_capability}",
        f"capped at {format_number(cap)} W" if capped and cap is not None else None,
        "ECC off" if device.ecc is False else None,
    )
    return ", ".join([describe(device), *filter(None, traits)])


def _uses(device: Device) -> Iterator[str]:
    for process in device.processes or ():
        memory = "" if process.memory_bytes is None else f" with {format_gib(process.memory_bytes)}"
        name = f" ({process.name})" if process.name else ""
        yield f"busy: {device.pci_bus or device.key} is used by process {process.pid}{name}{memory}"


def _driver(driver: Driver) -> str:
    cuda = f", CUDA up to {driver.cuda_version}" if driver.cuda_version else ""
    return f"{driver.vendor}'s driver {driver.version or 'of unknown version'}{cuda}"


def _skus(diagnosis: Diagnosis) -> Iterator[str]:
    machine = len(diagnosis.inventory.devices)
    for found in diagnosis.matches:
        if found.level == "match":
            yield f"match    {found.sku.name}{_which(found, machine)}"
    near = [m for m in diagnosis.matches if m.level != "match"]
    for deltas, alike in itertools.groupby(near, key=lambda found: (found.level, found.deltas)):
        names = ", ".join(found.sku.name for found in alike)
        yield f"{'partial' if deltas[0] == 'partial' else 'no':<8} {names}: {'; '.join(map(str, deltas[1]))}"


def _which(found: Match, machine: int) -> str:
    system = f" = {found.sku.system_id}" if found.sku.system_id != found.sku.name else ""
    part = f", on {found.sku.count} of {machine} devices" if 0 < found.sku.count < machine else ""
    return system + part


def _obstacles(diagnosis: Diagnosis) -> Iterator[str]:
    for reason in diagnosis.inventory.blind:
        yield f"not seen: {reason}"
    for device in diagnosis.inventory.devices:
        yield from _uses(device)
    refused: dict[tuple[Delta, ...], list[Refusal]] = {}
    for refusal in diagnosis.refusals:
        refused.setdefault(refusal.deltas, []).append(refusal)
    for deltas, alike in refused.items():
        skus, rounds = (_listed(getattr(refusal, name) for refusal in alike) for name in ("sku", "round"))
        yield f"NVIDIA's own harness ({rounds}) would not take this machine for {skus}:"
        yield from (f"  {delta}" for delta in deltas)
        ways = dict.fromkeys(_WAYS_OUT.get(refusal.round, _WAYS_OUT["later"]) for refusal in alike)
        yield f"  it would run nothing; its way out is a custom system: {'; '.join(ways)}"
    short: dict[tuple[str, ...], list[str]] = {}
    for shortage in diagnosis.shortages:
        key = (shortage.what, shortage.round, shortage.expected, shortage.found)
        short.setdefault(key, []).append(shortage.harness)
    for (what, name, expected, found), harnesses in short.items():
        yield f"{what}: needs {expected} ({_listed(harnesses)} of {name}), found {found}"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def _engine(engine: Engine) -> Iterator[str]:
    if engine.problem:
        yield f"none: {engine.problem}"
        return
    yield f"{engine.name} {engine.version} at {engine.address}"
    gpus = f"by {engine.nvidia}" if engine.nvidia else "not that it tells"
    yield f"runtimes: {', '.join(engine.runtimes) or 'none'}; NVIDIA's GPUs: {gpus}"


def leases(holders: Iterable[Holder]) -> Iterator[str]:
    """Give a line for each that holds devices of this machine or the host, and for each that waits."""
    for holder in holders:
        since = f"{holder.since.astimezone():%Y-%m-%d %H:%M:%S}" if holder.since else "an unknown time"
        yield f"{holder.case or holder.file} {_state(holder)} since {since} ({_owner(holder)})"


def _state(holder: Holder) -> str:
    devices = f"{holder.count} devices" if holder.waiting and holder.count else ", ".join(holder.devices)
    what = " and ".join(filter(None, [devices, "the host alone" if holder.exclusive else ""]))
    return f"{'waits for' if holder.waiting else 'holds'} {what or 'a share of the host'}"


def _owner(holder: Holder) -> str:
    gone = ", which is gone and left a program behind" if holder.lives is False else ""
    return f"process {holder.pid or 'unknown'} of {holder.user or 'unknown'}{gone}"


def _outlooks(outlooks: Sequence[Outlook]) -> Iterator[str]:
    if not outlooks:
        yield "none: found no matrices/*.yaml, and --mlperf-matrix names none"
    for outlook in outlooks:
        duration = f", about {format_duration(outlook.estimated_duration_s)}" if outlook.would_run else ""
        more = f" ({outlook.dropped} more with another --mlperf-power)" if outlook.dropped else ""
        yield f"{outlook.path}: {outlook.would_run} of {_cases(outlook.planned)} would run{duration}{more}"
        by_found: dict[str, list[Skip]] = {}
        for skip in outlook.skips:
            by_found.setdefault(skip.found, []).append(skip)
        for found, skips in by_found.items():
            needs = ", ".join(f"{skip.expected} ({skip.count})" for skip in skips)
            yield f"  {sum(skip.count for skip in skips)} skipped: {_reason(skips[0].what, found)}"
            yield f"    they need {needs}"
        if outlook.privileges:
            asked = ", ".join(f"{privilege.name} ({privilege.count})" for privilege in outlook.privileges)
            yield f"  containers may do more than the least: {asked}"


def _reason(what: str, found: str) -> str:
    return found if what == "harness" else f"found {found}"


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"


def _sum(diagnosis: Diagnosis) -> str:
    if diagnosis.would_run:
        return f"{_cases(diagnosis.would_run)} would run here."
    return "No case would run here."
