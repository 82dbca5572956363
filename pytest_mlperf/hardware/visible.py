"""What the environment lets programs use of the devices: the variables of CUDA, containers and ROCm.

Takes what the driver lists, and gives what is left, in the same order, with a reason for what is not.
A variable means what the programs make of it, also where a person means something else: to CUDA, an
unknown entry ends the list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_mlperf.hardware import Device

    _Answer = tuple[tuple[Device, ...], tuple[str, ...]]

# CUDA reads the digits that an entry begins with, and nothing behind them (`1gpu2` is 1).
_CUDA_INDEX = re.compile(r"^\+?(\d+).*")
_CONTAINER_INDEX = re.compile(r"\d+(:\d+)?")
_UUID_BEGINNING = "gpu-"


@dataclass(frozen=True, kw_only=True, eq=False)
class Gpu:
    """A GPU as the driver counts it. Two are never the same, also when nothing is known of them.

    devices:  itself, or its MIG instances; none when it could not be looked at, but it counts all the same
    """

    uuid: str | None
    devices: tuple[Device, ...]


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """What a variable lets through, and the entry that it stumbles over."""

    gpus: tuple[Gpu, ...] = ()
    complaint: str | None = None


def nvidia(gpus: Sequence[Gpu], environment: Mapping[str, str]) -> _Answer:
    """Apply NVIDIA_VISIBLE_DEVICES and CUDA_VISIBLE_DEVICES, and return the devices that both let through.

    An index counts GPUs in PCI order, as NVML and `nvidia-smi` do, and CUDA by CUDA_DEVICE_ORDER=PCI_BUS_ID;
    with GPUs of one kind, CUDA's own order is the same. A GPU in MIG mode stands for all its instances,
    although CUDA itself takes the first.
    """
    choices = {}
    of_container = environment.get("NVIDIA_VISIBLE_DEVICES", "all")
    if not _applied_by_runtime(of_container, gpus):
        choices[f"NVIDIA_VISIBLE_DEVICES={of_container}"] = _choose_for_container(of_container, gpus)
    if "CUDA_VISIBLE_DEVICES" in environment:
        of_cuda = environment["CUDA_VISIBLE_DEVICES"]
        choices[f"CUDA_VISIBLE_DEVICES={of_cuda}"] = _choose_for_cuda(of_cuda, gpus)
    devices = _devices(gpus)
    reasons = [said for setting, choice in choices.items() for said in _reasons(setting, choice, devices)]
    kept = (device for device in devices if all(device in _devices(c.gpus) for c in choices.values()))
    return tuple(kept), tuple(reasons)


def amd(devices: Sequence[Device], environment: Mapping[str, str]) -> _Answer:
    """Apply ROCR_VISIBLE_DEVICES, then HIP_VISIBLE_DEVICES, which counts what ROCR_VISIBLE_DEVICES left.

    Where HIP_VISIBLE_DEVICES is not set or empty, HIP reads CUDA_VISIBLE_DEVICES. A UUID is `GPU-` and the
    unique id in 16 hexadecimal digits.
    """
    left = tuple(Gpu(uuid=device.uuid, devices=(device,)) for device in devices)
    of_hip = "HIP_VISIBLE_DEVICES" if environment.get("HIP_VISIBLE_DEVICES") else "CUDA_VISIBLE_DEVICES"
    reasons: list[str] = []
    for name in ("ROCR_VISIBLE_DEVICES", of_hip):
        value = environment.get(name)
        # To ROCm an empty list is a list; HIP takes it for none.
        if value is None or (name == of_hip and not value):
            continue
        choice = _choose_for_rocm(value, left, skip_repeated=name == of_hip)
        reasons += _reasons(f"{name}={value}", choice, _devices(left))
        left = choice.gpus
    return tuple(device for device in devices if device in _devices(left)), tuple(reasons)


def _devices(gpus: Iterable[Gpu]) -> tuple[Device, ...]:
    return tuple(device for gpu in gpus for device in gpu.devices)


def _reasons(setting: str, choice: _Choice, devices: Sequence[Device]) -> list[str]:
    """Return what a setting hides of the devices, and what is wrong with it; nothing where there are none."""
    if not devices:
        return []
    hidden = sum(device not in _devices(choice.gpus) for device in devices)
    reasons = [f"{hidden} of {len(devices)} devices: {setting}"] if hidden else []
    if choice.complaint:
        reasons.append(f"{setting.partition('=')[0]}={choice.complaint}")
    return reasons


def _applied_by_runtime(value: str, gpus: Sequence[Gpu]) -> bool:
    """Return whether NVIDIA_VISIBLE_DEVICES says nothing about the GPUs that are here.

    `all` hides nothing. `void` and no value ask the container runtime for nothing, so that what is here came
    by another way: CDI sets `void` itself. The same holds for a folder, and for names of CDI
    (`nvidia.com/gpu=0`). Indices are the host's, but in a container NVML counts from 0: an index that is not
    here shows that this is a container.
    """
    if value in ("all", "void", "") or value.startswith("/") or "=" in value:
        return True
    find = _finder(gpus)
    return any(_CONTAINER_INDEX.fullmatch(entry) and not find(entry) for entry in _entries(value))


def _choose_for_container(value: str, gpus: Sequence[Gpu]) -> _Choice:
    """Choose as the container runtime does, but for unknown entries: with one, it starts no container."""
    if value == "none":
        return _Choice()
    find = _finder(gpus)
    found = {entry: find(entry) for entry in _entries(value)}
    unknown = ",".join(entry for entry, gpu in found.items() if not gpu)
    return _Choice(
        gpus=tuple(gpu for gpu in found.values() if gpu),
        complaint=f"{unknown}: names no device here" if unknown else None,
    )


def _choose_for_cuda(value: str, gpus: Sequence[Gpu]) -> _Choice:
    """Choose as CUDA does: the first unknown entry ends the list; with one named twice, it sees no device."""
    find = _finder(gpus)
    chosen: list[Gpu] = []
    for entry in _entries(value):
        gpu = find(_CUDA_INDEX.sub(r"\1", entry))
        if not gpu:
            return _Choice(gpus=tuple(chosen), complaint=_unknown(entry))
        if gpu in chosen:
            return _Choice(complaint=f"{entry}: named twice, and then CUDA sees no device")
        chosen.append(gpu)
    return _Choice(gpus=tuple(chosen))


def _choose_for_rocm(value: str, gpus: Sequence[Gpu], *, skip_repeated: bool) -> _Choice:
    """Choose as ROCm and HIP do: the first unknown entry ends the list, for ROCm a repeated one as well."""
    find = _finder(gpus)
    chosen: dict[Gpu, None] = {}
    for entry in _entries(value):
        gpu = find(entry)
        if not gpu:
            return _Choice(gpus=tuple(chosen), complaint=_unknown(entry))
        if gpu in chosen and not skip_repeated:
            return _Choice(gpus=tuple(chosen), complaint=f"{entry}: named twice, which ends the list")
        chosen[gpu] = None
    return _Choice(gpus=tuple(chosen))


def _entries(value: str) -> list[str]:
    return [entry.strip() for entry in value.split(",")]


def _unknown(entry: str) -> str | None:
    """Return what to say of an entry that ends a list; nothing of one that is meant to (`-1`, or none)."""
    return f"{entry}: names no device here" if entry and not entry.startswith("-") else None


def _finder(gpus: Sequence[Gpu]) -> Callable[[str], Gpu | None]:
    """Return what finds a GPU by index, UUID or its beginning, an instance by UUID or `GPU:instance`."""
    by_name = {str(index): gpu for index, gpu in enumerate(gpus)}
    for index, gpu in enumerate(gpus):
        for number, device in enumerate(gpu.devices):
            if device.uuid and device.uuid != gpu.uuid:
                instance = Gpu(uuid=device.uuid, devices=(device,))
                by_name |= {f"{index}:{number}": instance, device.uuid.lower(): instance}

    def find(entry: str) -> Gpu | None:
        wanted = entry.lower()
        if wanted.startswith(_UUID_BEGINNING) and wanted != _UUID_BEGINNING:
            named = [gpu for gpu in gpus if (gpu.uuid or "").lower().startswith(wanted)]
            return named[0] if len(named) == 1 else None
        return by_name.get(wanted)

    return find
