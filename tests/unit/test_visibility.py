"""What a program or a container of a case is told of its devices."""

from __future__ import annotations

import pytest

from pytest_mlperf.errors import HostError
from pytest_mlperf.hardware import Device
from pytest_mlperf.placement.visibility import ContainerDevices, container_devices, environment

NVIDIA = [
    Device(vendor="NVIDIA", name="NVIDIA A30", uuid=f"GPU-{letter}", pci_bus=f"0000:0{letter}:00.0")
    for letter in "ab"
]
AMD = [
    Device(
        vendor="AMD",
        name="MI300X",
        uuid=f"GPU-{number}",
        pci_bus="0000:0c:00.0",
        render_node=f"renderD{number}",
    )
    for number in (128, 130)
]
JETSON = Device(vendor="NVIDIA", integrated=True, name="NVIDIA Jetson AGX Orin Developer Kit")
NAMELESS = Device(vendor="NVIDIA", name="NVIDIA A30", pci_bus="0000:07:00.0")

NONE = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "NVIDIA_VISIBLE_DEVICES": "none",
    "ROCR_VISIBLE_DEVICES": "-1",
    "HIP_VISIBLE_DEVICES": "-1",
}
ENVIRONMENTS = {
    "the processor": ([], NONE),
    "NVIDIA's": (
        NVIDIA,
        {**NONE, "CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b", "NVIDIA_VISIBLE_DEVICES": "GPU-a,GPU-b"},
    ),
    "AMD's": (AMD, {**NONE, "ROCR_VISIBLE_DEVICES": "GPU-128,GPU-130", "HIP_VISIBLE_DEVICES": "0,1"}),
    "a Jetson's only one": ([JETSON], {**NONE, "CUDA_VISIBLE_DEVICES": "0", "NVIDIA_VISIBLE_DEVICES": "all"}),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_program_is_told_its_devices(name: str) -> None:
    devices, variables = ENVIRONMENTS[name]
    assert environment(devices) == variables


CONTAINERS = {
    "the processor": ([], ContainerDevices()),
    "NVIDIA's": (NVIDIA, ContainerDevices(device_ids=("GPU-a", "GPU-b"))),
    "AMD's": (AMD, ContainerDevices(device_files=("/dev/kfd", "/dev/dri/renderD128", "/dev/dri/renderD130"))),
    "a Jetson's only one": ([JETSON], ContainerDevices(runtime="nvidia")),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_is_given_its_devices(name: str) -> None:
    devices, given = CONTAINERS[name]
    assert container_devices(devices) == given


def test_a_device_without_a_uuid_cannot_be_given() -> None:
    for give in (environment, container_devices):
        for device in (NAMELESS, Device(vendor="NVIDIA", name="NVIDIA A30")):
            with pytest.raises(HostError, match="no UUID, so no program can be given it alone"):
                give([device])


def test_a_device_without_a_render_node_cannot_be_given_to_a_container() -> None:
    with pytest.raises(HostError, match="GPU-1: no render node"):
        container_devices([Device(vendor="AMD", name="MI300X", uuid="GPU-1")])
