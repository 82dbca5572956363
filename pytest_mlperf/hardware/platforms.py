"""What the devices of a case run on, in a line: results are of the same only on the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def platform_of(inventory: Mapping[str, Any], devices: Collection[str]) -> str | None:
    """Return the driver of devices, or the processor with its cores for a case without; None is unknown.

    inventory: as plain values, or whatever else a file holds in its place
    devices:   as records name them
    """
    try:
        return _platform(inventory, devices)
    except (AttributeError, KeyError, TypeError):
        return None


def _platform(inventory: Mapping[str, Any], devices: Collection[str]) -> str | None:
    if not devices:
        host = inventory.get("host") or {}
        return f"{host['cpu']}, {host.get('cores')} cores" if host.get("cpu") else None
    there = inventory.get("devices") or ()
    vendors = {device.get("vendor") for device in there if _key(device) in devices}
    drivers = (driver for driver in inventory.get("drivers") or () if driver.get("vendor") in vendors)
    return next(
        (f"{driver['vendor']} {driver['version']}" for driver in drivers if driver.get("version")), None
    )


def _key(device: Mapping[str, Any]) -> str | None:
    return device.get("uuid") or device.get("pci_bus") or device.get("name")
