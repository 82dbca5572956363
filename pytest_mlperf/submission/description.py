"""The description of a system in a submission: what this machine says of itself, and nothing else.

What no probe can know (cooling, interconnects, the framework) stays empty, for a person to fill in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mlperf.units import format_gib

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_mlperf.hardware import Device, Inventory

Value = str | int

# Free words, in which there need not be anything to say.
NOTES = frozenset({"hw_notes", "sw_notes"})

_NO_ACCELERATOR = "N/A"
_ACCELERATOR = "accelerator_"


def describe(
    fields: Sequence[str],
    stated: Mapping[str, Value],
    *,
    inventory: Inventory | None,
    devices: Sequence[Device],
) -> dict[str, Value]:
    """Return a value for each field, "" where it is unknown.

    fields:   that the round asks for
    stated:   what the submitter says (division, status), by field
    inventory: of the machine that ran; None where that is not this one
    devices:  that the results were measured on; none is the host's processor
    """
    if inventory is None:
        return {field: stated.get(field) or "" for field in fields}
    known = {**_host(inventory), **(_accelerators(devices) if devices else {}), **stated}
    without = _NO_ACCELERATOR if not devices else ""
    described: dict[str, Value] = {
        field: known.get(field) or (without if field.startswith(_ACCELERATOR) else "") for field in fields
    }
    if "accelerators_per_node" in described:
        described["accelerators_per_node"] = len(devices)
    return described


def unknown(description: Mapping[str, Value]) -> list[str]:
    """Return the fields that a person has to fill in."""
    return [field for field, value in description.items() if value == "" and field not in NOTES]


def _host(inventory: Inventory) -> dict[str, Value]:
    host = inventory.host
    drivers = [f"{driver.vendor} driver {driver.version}" for driver in inventory.drivers if driver.version]
    kernel = [f"Linux {host.kernel}"] if host.kernel else []
    return {
        "host_memory_capacity": "" if host.memory_bytes is None else format_gib(host.memory_bytes),
        "host_processor_model_name": host.cpu or "",
        "host_processors_per_node": host.sockets or "",
        "number_of_nodes": 1,
        "operating_system": host.os or "",
        "other_software_stack": ", ".join([*drivers, *kernel]),
    }


def _accelerators(devices: Sequence[Device]) -> dict[str, Value]:
    names = dict.fromkeys(device.name for device in devices)
    memories = {device.memory_bytes for device in devices}
    sizes = dict.fromkeys(format_gib(size) for size in memories if size is not None)
    return {
        "accelerator_model_name": ", ".join(names),
        "accelerator_memory_capacity": "" if None in memories else ", ".join(sizes),
    }
