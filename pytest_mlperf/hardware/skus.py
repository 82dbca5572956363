"""The SKUs that are known, from `skus.yaml`. Whether a machine is one of them is not asked here (`matching`).

The file is there to be edited, so whatever is wrong in it is an error that says where.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pytest_mlperf.errors import ConfigurationError, nearest
from pytest_mlperf.hardware import HostDemand, Sku, Vendor
from pytest_mlperf.matrix.source import read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_mlperf.matrix.source import Source

    Where = tuple[str | int, ...]

_MEMORY_UNITS = {"memory_gib": 2**30, "memory_gb": 10**9}


@cache
def load() -> Mapping[str, Sku]:
    """Return the SKUs by name, in the order of the file. Raises ConfigurationError when it is wrong."""
    return parse(read(Path(__file__).parent / "skus.yaml"))


def parse(source: Source) -> dict[str, Sku]:
    """Return the SKUs of a file by name, in its order.

    Raises ConfigurationError for keys that are not known, values that do not fit, hosts that are not defined,
    and names or system ids that stand there twice.
    """
    file = _Entry(source=source, name="file", where=(), content=source.content)
    content = file.checked(_FILE)
    demands = {
        name: _demand(file.inner("hosts", name, name=f"host '{name}'", content=value))
        for name, value in content["hosts"].items()
    }
    found: dict[str, Sku] = {}
    system_ids: set[str] = set()
    for index, value in enumerate(content["accelerators"]):
        block = file.inner("accelerators", index, name=f"accelerators[{index}]", content=value)
        traits = block.checked(_BLOCK)
        for name, system in traits["systems"].items():
            entry = block.inner("systems", name, name=f"SKU '{name}'", content=system)
            sku = _sku(entry, traits, demands)
            if name in found:
                raise entry.error("the name stands in the file twice")
            if sku.system_id in system_ids:
                raise entry.error(f"the system id '{sku.system_id}' stands in the file twice")
            system_ids.add(sku.system_id)
            found[name] = sku
    return found


@dataclass(frozen=True, kw_only=True)
class _Key:
    """What a key may hold: a test, and the same in words."""

    fits: Callable[[Any], bool]
    allowed: str
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A mapping in the file, and what it is called in errors."""

    source: Source
    name: str
    where: Where
    content: Any

    def inner(self, *where: str | int, name: str, content: Any) -> _Entry:
        return _Entry(source=self.source, name=name, where=(*self.where, *where), content=content)

    def error(self, what: str, *, key: str | None = None, hint: str | None = None) -> ConfigurationError:
        place = self.source.place(self.where if key is None else (*self.where, key))
        return ConfigurationError(f"{self.name}: {what}", place=place, hint=hint)

    def checked(self, keys: Mapping[str, _Key]) -> dict[str, Any]:
        """Return the content, which has all keys that it must have, no others, and values that fit."""
        if not isinstance(self.content, dict):
            raise self.error(f"found {self.content!r}, allowed: a mapping of {', '.join(keys)}")
        for key, value in self.content.items():
            if key not in keys:
                hint = nearest(key, keys)
                raise self.error(f"unknown key '{key}', allowed: {', '.join(keys)}", key=key, hint=hint)
            if not keys[key].fits(value):
                raise self.error(f"{key}: found {value!r}, allowed: {keys[key].allowed}", key=key)
        for key, rule in keys.items():
            if rule.required and key not in self.content:
                raise self.error(f"found no {key}", hint=f"{key}: {rule.allowed}")
        return self.content


def _demand(entry: _Entry) -> HostDemand:
    content = entry.checked(_HOST)
    sizes_bytes = [round(content[key] * unit) for key, unit in _MEMORY_UNITS.items() if key in content]
    if len(sizes_bytes) > 1:
        raise entry.error(f"found {' and '.join(_MEMORY_UNITS)}, allowed: one of them")
    return HostDemand(
        cpus=tuple(content.get("cpus", ())),
        cpu_vendors=tuple(content.get("cpu_vendors", ())),
        architecture=content.get("architecture"),
        memory_bytes=sizes_bytes[0] if sizes_bytes else None,
    )


def _sku(entry: _Entry, traits: Mapping[str, Any], demands: Mapping[str, HostDemand]) -> Sku:
    system = entry.checked(_SYSTEM)
    name = entry.where[-1]
    if not _is_name(name):
        raise entry.error(f"found the name {name!r}, allowed: {_NAME_ALLOWED}")
    return Sku(
        name=str(name),
        system_id=system.get("system_id", name),
        accelerator=traits["accelerator"],
        count=system["count"],
        vendor=traits.get("vendor"),
        pci_devices=tuple(traits.get("pci_devices", ())),
        memory_gib=tuple(traits.get("memory_gib", ())),
        power_limit_w=traits.get("power_limit_w"),
        compute_capability=traits.get("compute_capability"),
        mig_profile=traits.get("mig_profile"),
        board=traits.get("board"),
        hosts=_hosts(entry, system.get("hosts", traits.get("hosts", {})), demands),
    )


def _hosts(
    entry: _Entry, hosts: Mapping[str, list[str]], demands: Mapping[str, HostDemand]
) -> dict[str, HostDemand]:
    by_round: dict[str, HostDemand] = {}
    for host, rounds in hosts.items():
        if host not in demands:
            raise entry.error(f"hosts: '{host}' is not defined", hint=nearest(host, demands))
        for round_name in rounds:
            if round_name in by_round:
                raise entry.error(f"hosts: found two hosts for {round_name}, allowed: one")
            by_round[round_name] = demands[host]
    return by_round


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_pattern(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(re.compile(value))
    except re.error:
        return False


def _matches(pattern: str) -> Callable[[object], bool]:
    fullmatch = re.compile(pattern).fullmatch
    return lambda value: isinstance(value, str) and fullmatch(value) is not None


def _lists(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(map(fits, value))


def _maps(value: object) -> bool:
    return isinstance(value, dict)


def _are_hosts(value: object) -> bool:
    return isinstance(value, dict) and all(map(_are_rounds, value.values()))


_is_name = _matches(r"[A-Za-z0-9._-]+")
_NAME_ALLOWED = "letters, digits, '.', '_' and '-'"
_are_rounds = _lists(_matches(r"v\d+\.\d+"))
_HOSTS = _Key(fits=_are_hosts, allowed="{name of a host: [v2.0, v2.1]}")
_FILE = {
    "hosts": _Key(fits=_maps, allowed="hosts by name", required=True),
    "accelerators": _Key(fits=_lists(_maps), allowed="a list of accelerators", required=True),
}
_HOST = {
    "architecture": _Key(fits=_is_text, allowed="x86_64 or aarch64"),
    "cpus": _Key(fits=_lists(_is_text), allowed="a list of model names"),
    "cpu_vendors": _Key(fits=_lists(_is_text), allowed="a list of beginnings of model names"),
    **{unit: _Key(fits=_is_positive, allowed="a positive number") for unit in _MEMORY_UNITS},
}
_BLOCK = {
    "accelerator": _Key(fits=_is_text, allowed="a name", required=True),
    "vendor": _Key(fits=get_args(Vendor).__contains__, allowed=" or ".join(get_args(Vendor))),
    "pci_devices": _Key(
        fits=_lists(_matches("[0-9A-F]{4}")),
        allowed="a list of four hexadecimal digits, upper case and in quotes",
    ),
    "memory_gib": _Key(fits=_lists(_is_positive), allowed="a list of positive numbers"),
    "power_limit_w": _Key(fits=_is_positive, allowed="a positive number"),
    "compute_capability": _Key(fits=_is_text, allowed='text, in quotes ("8.0")'),
    "mig_profile": _Key(fits=_is_text, allowed="text (1g.10gb)"),
    "board": _Key(fits=_is_pattern, allowed="a regular expression"),
    "hosts": _HOSTS,
    "systems": _Key(fits=_maps, allowed="SKUs by name", required=True),
}
_SYSTEM = {
    "system_id": _Key(fits=_is_name, allowed=_NAME_ALLOWED),
    "count": _Key(fits=_is_count, allowed="a whole number", required=True),
    "hosts": _HOSTS,
}
