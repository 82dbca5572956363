"""How programs are told which devices are theirs: by their environment, or by what a container is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_mlperf.hardware import Device


@dataclass(frozen=True, kw_only=True)
class ContainerDevices:
    """What a container is given.

    runtime:       `nvidia` for the GPU of a Jetson module, which has no UUID to ask for
    device_ids:    UUIDs for a device request. Never a count: the engine gives the first ones to everybody
    device_files:  that AMD's driver is used through
    """

    runtime: str | None = None
    device_ids: tuple[str, ...] = ()
    device_files: tuple[str, ...] = ()


_NONE = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "NVIDIA_VISIBLE_DEVICES": "none",
    "ROCR_VISIBLE_DEVICES": "-1",
    "HIP_VISIBLE_DEVICES": "-1",
}
"""Hides the devices of both vendors: an index that is not there ends CUDA's and ROCm's lists."""


def environment(devices: Sequence[Device], *, contained: bool = False) -> dict[str, str]:
    """Return the variables that limit a program to these devices, and to none for a case on the CPU.

    contained: it runs in a container, which has no other NVIDIA devices: CUDA need not be told by UUID, which
               not every harness understands

    NVIDIA: by UUID, which CUDA and the container runtime understand alike. AMD: ROCm by UUID; HIP counts what
    is left, from 0. Raises HostError when a device has no UUID, so that it cannot be told from the others.
    """
    variables = dict(_NONE)
    nvidia = _uuids(device for device in devices if device.vendor == "NVIDIA" and not device.integrated)
    if nvidia:
        variables |= dict.fromkeys(("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"), ",".join(nvidia))
        if contained:
            del variables["CUDA_VISIBLE_DEVICES"]
    if any(device.integrated for device in devices):
        # Jetson's only one, which has no UUID.
        variables |= {"CUDA_VISIBLE_DEVICES": "0", "NVIDIA_VISIBLE_DEVICES": "all"}
    amd = _uuids(device for device in devices if device.vendor == "AMD")
    if amd:
        variables["ROCR_VISIBLE_DEVICES"] = ",".join(amd)
        variables["HIP_VISIBLE_DEVICES"] = ",".join(str(index) for index in range(len(amd)))
    return variables


def container_devices(devices: Sequence[Device]) -> ContainerDevices:
    """Return what a container of a case is given. Raises HostError when a device cannot be named."""
    amd = [device for device in devices if device.vendor == "AMD"]
    for device in amd:
        if device.render_node is None:
            raise HostError(f"{device.key}: no render node, so that no container can be given it")
    return ContainerDevices(
        runtime="nvidia" if any(device.integrated for device in devices) else None,
        device_ids=_uuids(d for d in devices if d.vendor == "NVIDIA" and not d.integrated),
        device_files=("/dev/kfd", *(f"/dev/dri/{device.render_node}" for device in amd)) if amd else (),
    )


def _uuids(devices: Iterable[Device]) -> tuple[str, ...]:
    uuids = []
    for device in devices:
        if device.uuid is None:
            raise HostError(f"{device.name} at {device.key}: no UUID, so no program can be given it alone")
        uuids.append(device.uuid)
    return tuple(uuids)
