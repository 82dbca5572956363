"""What the environment leaves of devices: rows of what stands in it, what is kept, and what is said."""

from __future__ import annotations

import pytest

from pytest_mlperf.hardware import Device, visible

DEAD = -1


def make_gpu(index: int, *instances: int) -> visible.Gpu:
    """Make GPU-a0..., GPU-a1..., with these MIG instances (MIG-a0-1); DEAD for one that does not answer."""
    uuid = f"GPU-a{index}5eed-4000"
    if DEAD in instances:
        return visible.Gpu(uuid=None, devices=())
    whole = Device(vendor="NVIDIA", name="made-up", uuid=uuid)
    parts = tuple(Device(vendor="NVIDIA", name="part", uuid=f"MIG-a{index}-{part}") for part in instances)
    return visible.Gpu(uuid=uuid, devices=parts or (whole,))


FOUR = tuple(make_gpu(index) for index in range(4))
# GPU 1 is in MIG mode.
SPLIT = (make_gpu(0), make_gpu(1, 5, 6), make_gpu(2))
# GPU 1 and 2 do not answer.
LOSSES = (make_gpu(0), make_gpu(1, DEAD), make_gpu(2, DEAD), make_gpu(3))

# Value; GPUs; what is kept, by the characters behind `GPU-` or `MIG-`; what is said behind the name.
CUDA = {
    "some": ("2,3", FOUR, "a2 a3", ["2 of 4 devices: {}=2,3"]),
    "all": ("0,1,2,3", FOUR, "a0 a1 a2 a3", []),
    "another order": ("3,1", FOUR, "a1 a3", ["2 of 4 devices: {}=3,1"]),
    "spaces": (" 1, 2", FOUR, "a1 a2", ["2 of 4 devices: {}= 1, 2"]),
    "words behind digits": ("+1gpu,2x", FOUR, "a1 a2", ["2 of 4 devices: {}=+1gpu,2x"]),
    "empty": ("", FOUR, "", ["4 of 4 devices: {}="]),
    "-1": ("-1", FOUR, "", ["4 of 4 devices: {}=-1"]),
    "an end on purpose": ("0,2,-1,1", FOUR, "a0 a2", ["2 of 4 devices: {}=0,2,-1,1"]),
    "an end on purpose, by a comma": ("0,", FOUR, "a0", ["3 of 4 devices: {}=0,"]),
    "beyond": ("9", FOUR, "", ["4 of 4 devices: {}=9", "{}=9: names no device here"]),
    "beyond in between": ("0,9,1", FOUR, "a0", ["3 of 4 devices: {}=0,9,1", "{}=9: names no device here"]),
    "Slurm without a GPU": (
        "NoDevFiles",
        FOUR,
        "",
        ["4 of 4 devices: {}=NoDevFiles", "{}=NoDevFiles: names no device here"],
    ),
    "twice": (
        "0,1,0",
        FOUR,
        "",
        ["4 of 4 devices: {}=0,1,0", "{}=0: named twice, and then CUDA sees no device"],
    ),
    "twice by two names": (
        "1,GPU-a1",
        FOUR,
        "",
        ["4 of 4 devices: {}=1,GPU-a1", "{}=GPU-a1: named twice, and then CUDA sees no device"],
    ),
    "UUID": ("GPU-a25eed-4000", FOUR, "a2", ["3 of 4 devices: {}=GPU-a25eed-4000"]),
    "a beginning of a UUID": ("GPU-a3,GPU-A0", FOUR, "a0 a3", ["2 of 4 devices: {}=GPU-a3,GPU-A0"]),
    "a beginning of many": (
        "GPU-a",
        FOUR,
        "",
        ["4 of 4 devices: {}=GPU-a", "{}=GPU-a: names no device here"],
    ),
    "no more than GPU-": ("GPU-", FOUR[:1], "", ["1 of 1 devices: {}=GPU-", "{}=GPU-: names no device here"]),
    "another machine's UUID": (
        "GPU-ffff",
        FOUR,
        "",
        ["4 of 4 devices: {}=GPU-ffff", "{}=GPU-ffff: names no device here"],
    ),
    "an instance": ("MIG-a1-6", SPLIT, "a1-6", ["3 of 4 devices: {}=MIG-a1-6"]),
    "a beginning of an instance": (
        "MIG-a1",
        SPLIT,
        "",
        ["4 of 4 devices: {}=MIG-a1", "{}=MIG-a1: names no device here"],
    ),
    "an instance and a GPU": ("MIG-a1-5,2", SPLIT, "a1-5 a2", ["2 of 4 devices: {}=MIG-a1-5,2"]),
    "a GPU in MIG mode by index": ("1", SPLIT, "a1-5 a1-6", ["2 of 4 devices: {}=1"]),
    "a GPU in MIG mode by UUID": ("GPU-a1", SPLIT, "a1-5 a1-6", ["2 of 4 devices: {}=GPU-a1"]),
    "behind one in MIG mode": ("2", SPLIT, "a2", ["3 of 4 devices: {}=2"]),
    "behind those that do not answer": ("1,2,3", LOSSES, "a3", ["1 of 2 devices: {}=1,2,3"]),
    "no GPU at all": ("0", (), "", []),
}

CONTAINER = {
    "all": ("all", FOUR, "a0 a1 a2 a3", []),
    "none": ("none", FOUR, "", ["4 of 4 devices: {}=none"]),
    "void, which CDI sets": ("void", FOUR, "a0 a1 a2 a3", []),
    "empty": ("", FOUR, "a0 a1 a2 a3", []),
    "a folder": ("/var/run/nvidia-container-devices", FOUR, "a0 a1 a2 a3", []),
    "a name of CDI": ("nvidia.com/gpu=0", FOUR, "a0 a1 a2 a3", []),
    "some": ("0,1", FOUR, "a0 a1", ["2 of 4 devices: {}=0,1"]),
    "UUID": ("GPU-a25eed-4000", FOUR, "a2", ["3 of 4 devices: {}=GPU-a25eed-4000"]),
    "another machine's UUID, and one": (
        "GPU-ffff,GPU-a1",
        FOUR,
        "a1",
        ["3 of 4 devices: {}=GPU-ffff,GPU-a1", "{}=GPU-ffff: names no device here"],
    ),
    "twice": ("1,GPU-a1", FOUR, "a1", ["3 of 4 devices: {}=1,GPU-a1"]),
    "applied: as many as there are": ("0,1", FOUR[:2], "a0 a1", []),
    "applied: the host's numbers": ("4,5", FOUR[:2], "a0 a1", []),
    "applied: some are like ours": ("1,7", FOUR[:2], "a0 a1", []),
    "applied: by UUID": ("GPU-a05eed-4000,GPU-a15eed-4000", FOUR[:2], "a0 a1", []),
    "an instance": ("MIG-a1-6", SPLIT, "a1-6", ["3 of 4 devices: {}=MIG-a1-6"]),
    "an instance by number": ("1:0", SPLIT, "a1-5", ["3 of 4 devices: {}=1:0"]),
    "applied: an instance by the host's numbers": ("1:3", SPLIT, "a0 a1-5 a1-6 a2", []),
    "an instance of a GPU that has none": ("1:0", FOUR, "a0 a1 a2 a3", []),
    "a GPU and an instance of it": ("1,1:0", SPLIT, "a1-5 a1-6", ["2 of 4 devices: {}=1,1:0"]),
}

ROCM = {
    "some": ("2,3", "a2 a3", ["2 of 4 devices: {}=2,3"]),
    "all": ("0,1,2,3", "a0 a1 a2 a3", []),
    "UUID in any case": ("gpu-A25EED-4000", "a2", ["3 of 4 devices: {}=gpu-A25EED-4000"]),
    "-1": ("-1", "", ["4 of 4 devices: {}=-1"]),
    "beyond": ("0,9,1", "a0", ["3 of 4 devices: {}=0,9,1", "{}=9: names no device here"]),
    "words behind digits": ("1x", "", ["4 of 4 devices: {}=1x", "{}=1x: names no device here"]),
}


def names(devices: tuple[Device, ...]) -> str:
    return " ".join(str(device.uuid)[4:].replace("5eed-4000", "") for device in devices)


@pytest.mark.parametrize("row", CUDA)
def test_cuda(row: str) -> None:
    value, gpus, kept, said = CUDA[row]
    devices, reasons = visible.nvidia(gpus, {"CUDA_VISIBLE_DEVICES": value})
    assert (names(devices), list(reasons)) == (kept, [line.format("CUDA_VISIBLE_DEVICES") for line in said])


@pytest.mark.parametrize("row", CONTAINER)
def test_container(row: str) -> None:
    value, gpus, kept, said = CONTAINER[row]
    devices, reasons = visible.nvidia(gpus, {"NVIDIA_VISIBLE_DEVICES": value})
    assert (names(devices), list(reasons)) == (kept, [line.format("NVIDIA_VISIBLE_DEVICES") for line in said])


def test_cuda_counts_what_the_driver_lists_and_not_what_a_container_was_to_have() -> None:
    devices, reasons = visible.nvidia(
        FOUR, {"NVIDIA_VISIBLE_DEVICES": "1,2", "CUDA_VISIBLE_DEVICES": "0,1", "HOME": "/"}
    )
    assert names(devices) == "a1"
    assert reasons == (
        "2 of 4 devices: NVIDIA_VISIBLE_DEVICES=1,2",
        "2 of 4 devices: CUDA_VISIBLE_DEVICES=0,1",
    )


def test_nothing_set_hides_nothing() -> None:
    devices = tuple(gpu.devices[0] for gpu in FOUR)
    assert visible.nvidia(FOUR, {"ROCR_VISIBLE_DEVICES": "0"}) == (devices, ())
    assert visible.amd(devices, {"NVIDIA_VISIBLE_DEVICES": "0"}) == (devices, ())


@pytest.mark.parametrize("variable", ["ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"])
@pytest.mark.parametrize("row", ROCM)
def test_rocm_and_hip(row: str, variable: str) -> None:
    value, kept, said = ROCM[row]
    devices, reasons = visible.amd(tuple(gpu.devices[0] for gpu in FOUR), {variable: value})
    assert (names(devices), list(reasons)) == (kept, [line.format(variable) for line in said])


# Environment, what is kept, what is said.
TOGETHER: dict[str, tuple[dict[str, str], str, list[str]]] = {
    "HIP counts what ROCm left": (
        {"ROCR_VISIBLE_DEVICES": "3,1", "HIP_VISIBLE_DEVICES": "0"},
        "a3",
        ["2 of 4 devices: ROCR_VISIBLE_DEVICES=3,1", "1 of 2 devices: HIP_VISIBLE_DEVICES=0"],
    ),
    "HIP beyond what ROCm left": (
        {"ROCR_VISIBLE_DEVICES": "2,3", "HIP_VISIBLE_DEVICES": "2"},
        "",
        [
            "2 of 4 devices: ROCR_VISIBLE_DEVICES=2,3",
            "2 of 2 devices: HIP_VISIBLE_DEVICES=2",
            "HIP_VISIBLE_DEVICES=2: names no device here",
        ],
    ),
    "HIP's own name counts": (
        {"HIP_VISIBLE_DEVICES": "0,1,2,3", "CUDA_VISIBLE_DEVICES": "0"},
        "a0 a1 a2 a3",
        [],
    ),
    "empty for HIP is not set": (
        {"HIP_VISIBLE_DEVICES": "", "CUDA_VISIBLE_DEVICES": "1"},
        "a1",
        ["3 of 4 devices: CUDA_VISIBLE_DEVICES=1"],
    ),
    "empty for both": ({"HIP_VISIBLE_DEVICES": "", "CUDA_VISIBLE_DEVICES": ""}, "a0 a1 a2 a3", []),
    "empty for ROCm": ({"ROCR_VISIBLE_DEVICES": ""}, "", ["4 of 4 devices: ROCR_VISIBLE_DEVICES="]),
    "twice for ROCm": (
        {"ROCR_VISIBLE_DEVICES": "1,1,2"},
        "a1",
        [
            "3 of 4 devices: ROCR_VISIBLE_DEVICES=1,1,2",
            "ROCR_VISIBLE_DEVICES=1: named twice, which ends the list",
        ],
    ),
    "twice for HIP": (
        {"HIP_VISIBLE_DEVICES": "1,1,2"},
        "a1 a2",
        ["2 of 4 devices: HIP_VISIBLE_DEVICES=1,1,2"],
    ),
}


@pytest.mark.parametrize("row", TOGETHER)
def test_rocm_then_hip(row: str) -> None:
    environment, kept, said = TOGETHER[row]
    devices, reasons = visible.amd(tuple(gpu.devices[0] for gpu in FOUR), environment)
    assert (names(devices), list(reasons)) == (kept, said)


def test_no_device_is_hidden_where_there_is_none() -> None:
    assert visible.amd((), {"ROCR_VISIBLE_DEVICES": "0"}) == ((), ())
    assert visible.nvidia((), {"NVIDIA_VISIBLE_DEVICES": "none", "CUDA_VISIBLE_DEVICES": ""}) == ((), ())
