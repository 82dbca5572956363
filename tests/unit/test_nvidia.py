"""What NVIDIA's probe sees, through the unmodified pynvml and a real C library with made-up GPUs.

A process finds the library when it starts, so that each look is a process of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pynvml
import pytest

from tests.nvml import stand_in

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 2**20


class Look(Protocol):
    """Returns what the probe sees of a profile, as JSON: of one that is there, or of its text.

    root:  of the files of the machine; none by default
    """

    def __call__(
        self, profile: str, environment: Mapping[str, str] | None = None, *, root: Path | None = None
    ) -> dict[str, Any]: ...


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stand_in.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def look(library: Path, tmp_path: Path) -> Look:
    def look(
        profile: str, environment: Mapping[str, str] | None = None, *, root: Path | None = None
    ) -> dict[str, Any]:
        path = stand_in.PROFILES.get(profile, tmp_path / "made-up.conf")
        if profile not in stand_in.PROFILES:
            path.write_text(profile, encoding="utf-8")
        return see({**stand_in.environment(path, library), **(environment or {})}, root or tmp_path / "empty")

    return look


def see(environment: Mapping[str, str], root: Path) -> dict[str, Any]:
    program = [sys.executable, str(stand_in.HERE / "sighting.py"), str(root)]
    done = subprocess.run(program, env=environment, cwd="/", capture_output=True, text=True, check=False)
    assert done.stderr == ""
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n", encoding="utf-8")
    return root


# Count; of the first one: name, PCI device and bus, MiB, highest power, compute capability; version of CUDA.
FLEETS = {
    "dgx-a100": (8, "NVIDIA A100-SXM4-80GB", "20B2", "0000:07:00.0", 81920, 400, "8.0", "12.4"),
    "dgx-station": (4, "NVIDIA A100-SXM4-80GB", "20B2", "0000:01:00.0", 81920, 275, "8.0", "12.4"),
    "dgx-station-display": (5, "NVIDIA A100-SXM4-80GB", "20B2", "0000:01:00.0", 81920, 275, "8.0", "12.4"),
    "a100-pcie-x8": (8, "NVIDIA A100 80GB PCIe", "20B5", "0000:01:00.0", 81920, 300, "8.0", "12.4"),
    "nd96asr-v4": (8, "NVIDIA A100-SXM4-40GB", "20B0", "0001:00:00.0", 40960, 400, "8.0", "12.2"),
    "a2-x2": (2, "NVIDIA A2", "25B6", "0000:01:00.0", 15356, 60, "8.6", "12.4"),
    "a30-x8": (8, "NVIDIA A30", "20B7", "0000:01:00.0", 24576, 165, "8.0", "12.4"),
    "a30-x1": (1, "NVIDIA A30", "20B7", "0000:01:00.0", 24576, 165, "8.0", "12.4"),
    "h100-x8": (8, "NVIDIA H100 80GB HBM3", "2330", "0000:1b:00.0", 81559, 700, "9.0", "12.4"),
    "h200-x1": (1, "NVIDIA H200", "2335", "0000:1b:00.0", 143771, 700, "9.0", "12.8"),
    "b200-x8": (8, "NVIDIA B200", "2901", "0000:1b:00.0", 183359, 1000, "10.0", "12.8"),
    "dell-500w": (4, "NVIDIA A100-SXM4-80GB", "20B2", "0000:01:00.0", 81920, 500, "8.0", "11.6"),
    "t4-x1": (1, "Tesla T4", "1EB8", "0000:00:1e.0", 15360, 70, "7.5", "12.4"),
    "busy": (8, "NVIDIA A100-SXM4-80GB", "20B2", "0000:07:00.0", 81920, 400, "8.0", "12.4"),
}
# Those that tests of their own look at.
OTHERS = {"a100-mig", "gpu-lost", "driver-mismatch", "no-gpu"}


@pytest.mark.parametrize("profile", FLEETS)
def test_a_machine_of_equal_gpus(profile: str, look: Look) -> None:
    count, name, pci_device, pci_bus, mib, power_w, capability, cuda = FLEETS[profile]
    seen = look(profile)
    assert len(seen["devices"]) == len({device["uuid"] for device in seen["devices"]}) == count
    assert seen["devices"][0] == {
        "vendor": "NVIDIA",
        "name": name,
        "uuid": "GPU-00000000-5eed-4000-8000-000000000000",
        "pci_device": pci_device,
        "pci_bus": pci_bus,
        "memory_bytes": mib * MIB,
        "power_limit_w": power_w,
        "power_cap_w": power_w,
        "compute_capability": capability,
        "mig_profile": None,
        "ecc": True,
        "numa_node": None,
        "integrated": False,
        "render_node": None,
        "processes": [],
    }
    assert (seen["driver"]["cuda_version"], seen["blind"], seen["hidden"]) == (cuda, [], [])


def test_every_profile_is_looked_at() -> None:
    assert set(stand_in.PROFILES) == set(FLEETS) | OTHERS


def test_the_display_card_of_a_dgx_station_is_one_of_its_devices(look: Look) -> None:
    display = look("dgx-station-display")["devices"][3]
    assert (display["name"], display["pci_device"], display["ecc"]) == ("NVIDIA DGX Display", "1FB0", None)


def test_a_driver_without_a_gpu(look: Look) -> None:
    driver = {"vendor": "NVIDIA", "version": "550.90.07", "cuda_version": "12.4"}
    assert look("no-gpu") == {"devices": [], "driver": driver, "blind": [], "hidden": []}


def test_a_lost_gpu_is_told_and_the_others_are_there(look: Look) -> None:
    seen = look("gpu-lost", {"CUDA_VISIBLE_DEVICES": "4,5,6"})
    assert [device["uuid"][:12] for device in seen["devices"]] == ["GPU-44444444", "GPU-66666666"]
    assert seen["blind"] == ["device 5: GPU is lost"]
    assert seen["hidden"] == ["5 of 7 devices: CUDA_VISIBLE_DEVICES=4,5,6"]


# What is wrong with GPU 1 of 2, and what is said.
SILENT = {
    "gpu.1.name_error = 15": ["device 1: GPU is lost"],
    "gpu.1.memory_error = 15": ["device 1: GPU is lost"],
    "gpu.1.error = 16": ["device 1: GPU requires restart"],
    "gpu.1.error = 4": ["device 1: Insufficient Permissions"],
    "gpu.1.name =": ["device 1: Unknown Error"],
    "gpu.1.mig = 1": ["device 1: in MIG mode, and without an instance"],
}


@pytest.mark.parametrize("trouble", SILENT)
def test_a_gpu_that_gives_nothing_is_told(trouble: str, look: Look) -> None:
    seen = look(f"gpus = 2\ngpu.name = NVIDIA A30\n{trouble}\n")
    assert [device["uuid"][:12] for device in seen["devices"]] == ["GPU-00000000"]
    assert seen["blind"] == SILENT[trouble]


def test_what_is_not_supported_is_unknown(look: Look) -> None:
    seen = look("gpus = 1\ngpu.name = NVIDIA GeForce\n")
    known = {key: value for key, value in seen["devices"][0].items() if value not in (None, False)}
    uuid = "GPU-00000000-5eed-4000-8000-000000000000"
    assert known == {"vendor": "NVIDIA", "name": "NVIDIA GeForce", "uuid": uuid, "processes": []}
    assert seen["driver"] == {"vendor": "NVIDIA", "version": None, "cuda_version": None}


def test_the_limit_that_holds_is_not_the_highest(look: Look) -> None:
    (device,) = look("gpus = 1\ngpu.name = NVIDIA A30\ngpu.power_max_w = 165\ngpu.power_w = 122.5\n")[
        "devices"
    ]
    assert (device["power_limit_w"], device["power_cap_w"]) == (165, 122.5)


def test_devices_are_in_pci_order(look: Look) -> None:
    buses = ["0000:c1:00", "0001:01:00", "0000:0a:00", "0000:01:00"]
    lines = [f"gpu.{index}.bus = {bus}" for index, bus in enumerate(buses)]
    profile = "\n".join(["gpus = 4", "gpu.name = NVIDIA A30", "gpu.pci_device = 20B7", *lines])
    found = look(profile, {"CUDA_VISIBLE_DEVICES": "0,1,3"})["devices"]
    assert [device["pci_bus"] for device in found] == ["0000:01:00.0", "0000:0a:00.0", "0001:01:00.0"]


def test_the_gpu_of_a_jetson_module_is_left_to_its_device_tree(look: Look) -> None:
    seen = look("gpus = 1\ndriver = 540.4.0\ngpu.name = Orin (nvgpu)\n", {"CUDA_VISIBLE_DEVICES": "0"})
    assert (seen["devices"], seen["driver"]["version"]) == ([], "540.4.0")
    assert (seen["blind"], seen["hidden"]) == ([], [])


def test_a_gpu_in_mig_mode_is_its_instances(look: Look) -> None:
    seen = look("a100-mig")
    assert [device["uuid"][-1] for device in seen["devices"]] == ["1", "2", "3", "4", "5", "6", "7"]
    assert seen["devices"][0] == {
        "vendor": "NVIDIA",
        "name": "NVIDIA A100-SXM4-80GB MIG 1g.10gb",
        "uuid": "MIG-00000000-5eed-4000-8000-000000000001",
        "pci_device": "20B2",
        "pci_bus": "0000:07:00.0",
        "memory_bytes": 9728 * MIB,
        "power_limit_w": 400,
        "power_cap_w": 400,
        "compute_capability": "8.0",
        "mig_profile": "1g.10gb",
        "ecc": True,
        "numa_node": None,
        "integrated": False,
        "render_node": None,
        "processes": [],
    }
    assert (seen["blind"], seen["hidden"]) == ([], [])


# MiB of a GPU, and profiles and MiB of instances, about as nvidia-smi lists them; a hyphen is a hole.
INSTANCES = {
    "A100-SXM4-40GB": (40960, "1g.5gb:4864 1g.5gb+me:4864 2g.10gb:9984 - 3g.20gb:20096 7g.40gb:40192"),
    "A100-SXM4-80GB": (81920, "1g.10gb:9728 1g.20gb:19968 2g.20gb:19968 1c.3g.40gb:40448 - 7g.80gb:81152"),
    "A30": (24576, "1g.6gb:5952 2g.12gb:12032 4g.24gb:24192"),
    "H100": (81559, "1g.10gb:9984 - - 4g.40gb:40448 7g.80gb:81152"),
    "H200": (143771, "1g.18gb:16384 1g.35gb:33280 2g.35gb:33280 3g.71gb:71292 7g.141gb:143360"),
    "B200": (183359, "1g.23gb:21504 1g.45gb:44032 2g.45gb:44032 3g.90gb:90112 7g.180gb:182272"),
}


@pytest.mark.parametrize("bare", [0, 1])
@pytest.mark.parametrize("name", INSTANCES)
def test_the_profile_of_an_instance(name: str, bare: int, look: Look) -> None:
    mib, instances = INSTANCES[name]
    traits = {"name": name, "memory_mib": mib, "mig": 1, "instances": instances, "bare_names": bare}
    seen = look("gpus = 1\n" + "".join(f"gpu.{key} = {value}\n" for key, value in traits.items()))
    named = [entry.partition(":")[0] for entry in instances.split() if entry != "-"]
    # What an instance has beyond its shares stands in its name only.
    wanted = [profile.removesuffix("+me") for profile in named] if bare else named
    assert [device["mig_profile"] for device in seen["devices"]] == wanted


def test_without_shares_a_profile_is_unknown(look: Look) -> None:
    seen = look("gpus = 1\ngpu.name = A\ngpu.mig = 1\ngpu.instances = 1g.10gb:9728\ngpu.bare_names = 1\n")
    assert [device["mig_profile"] for device in seen["devices"]] == [None]


# Profile, variable and value, beginnings of the UUIDs that are left, how many are hidden, of how many.
VISIBLE = {
    "index": ("dgx-a100", "CUDA_VISIBLE_DEVICES", "2,3", ["GPU-22222222", "GPU-33333333"], 6, 8),
    "UUID": ("dgx-a100", "CUDA_VISIBLE_DEVICES", "GPU-7777", ["GPU-77777777"], 7, 8),
    "MIG UUID": (
        "a100-mig",
        "CUDA_VISIBLE_DEVICES",
        "MIG-00000000-5eed-4000-8000-000000000003",
        ["MIG-00000000"],
        6,
        7,
    ),
    "MIG index": ("a100-mig", "NVIDIA_VISIBLE_DEVICES", "0:6", ["MIG-00000000"], 6, 7),
    "container": ("dgx-a100", "NVIDIA_VISIBLE_DEVICES", "0", ["GPU-00000000"], 7, 8),
}


@pytest.mark.parametrize("row", VISIBLE)
def test_the_environment_hides_devices(row: str, look: Look) -> None:
    profile, variable, value, kept, hidden, count = VISIBLE[row]
    seen = look(profile, {variable: value})
    assert [device["uuid"][:12] for device in seen["devices"]] == kept
    assert seen["hidden"] == [f"{hidden} of {count} devices: {variable}={value}"]


def test_a_gpu_in_mig_mode_has_a_name_that_stands_for_its_instances(look: Look) -> None:
    seen = look("a100-mig", {"CUDA_VISIBLE_DEVICES": "GPU-00000000"})
    assert (len(seen["devices"]), seen["hidden"]) == (7, [])


def test_who_else_computes(look: Look, tmp_path: Path) -> None:
    root = write(tmp_path / "root", {"proc/4999998/comm": "trtexec"})
    devices = look("busy", root=root)["devices"]
    assert [len(device["processes"]) for device in devices] == [0, 0, 2, 0, 0, 0, 0, 0]
    assert devices[2]["processes"] == [
        {"pid": 4999998, "name": "trtexec", "memory_bytes": 40960 * MIB},
        {"pid": 4999999, "name": None, "memory_bytes": None},
    ]


def test_a_process_and_its_parents_are_not_in_its_own_way(look: Look) -> None:
    # This process is the parent of the one that looks.
    profile = f"gpus = 1\ngpu.name = NVIDIA A30\ngpu.processes = {os.getpid()}:1 {os.getppid()}:1 1:1\n"
    (device,) = look(profile, root=Path("/"))["devices"]
    assert device["processes"] == []


def test_processes_of_an_instance(look: Look) -> None:
    text = stand_in.PROFILES["a100-mig"].read_text(encoding="utf-8")
    seen = look(f"{text}gpu.processes = 7:1 8:1\ngpu.processes_of_instance_2 = 7:1\n")
    assert [[p["pid"] for p in device["processes"]] for device in seen["devices"]] == [
        [],
        [],
        [7],
        [],
        [],
        [],
        [],
    ]


def test_the_numa_node_is_that_of_the_pci_device(look: Look, tmp_path: Path) -> None:
    folder = "sys/bus/pci/devices"
    nodes = {f"{folder}/0000:07:00.0/numa_node": "3", f"{folder}/0000:0f:00.0/numa_node": "-1"}
    devices = look("dgx-a100", root=write(tmp_path / "root", nodes))["devices"]
    assert [device["numa_node"] for device in devices[:3]] == [3, None, None]


# Of a machine: what does not work, and the error.
ERRORS = {
    "driver-mismatch": (
        "nvmlInit: RM has detected an NVML/RM version mismatch. (the driver was updated without a reboot)"
    ),
    "init_error = 4": "nvmlInit: Insufficient Permissions (does nvidia-smi work?)",
    "init_error = 999": "nvmlInit: Unknown Error (does nvidia-smi work?)",
    "count_error = 15": "nvmlDeviceGetCount: GPU is lost (does nvidia-smi work?)",
    "init_error = 1234": "nvmlInit: error 1234 (does nvidia-smi work?)",
}


@pytest.mark.parametrize("profile", ERRORS)
def test_a_driver_that_does_not_answer_is_an_error(profile: str, look: Look) -> None:
    assert look(profile) == {"error": ERRORS[profile]}


NOTHING: dict[str, Any] = {"devices": [], "driver": None, "blind": [], "hidden": []}
# Vendor and class of PCI devices: display and compute cards of NVIDIA's, and what is none.
CARDS = {
    "0000:07:00.0": ("0x10de", "0x030200"),
    "0000:0f:00.0": ("0x10de", "0x030000"),
    "0000:0f:00.1": ("0x10de", "0x040300"),
    "0000:c4:00.0": ("0x10de", "0x068000"),
    "0000:00:02.0": ("0x1002", "0x030000"),
}


def make_bus(root: Path, *buses: str) -> Path:
    traits = {bus: dict(zip(("vendor", "class"), CARDS[bus], strict=True)) for bus in buses}
    return write(
        root,
        {f"sys/bus/pci/devices/{bus}/{key}": text for bus in buses for key, text in traits[bus].items()},
    )


def test_without_a_driver_there_is_nothing(look: Look, tmp_path: Path) -> None:
    assert look("init_error = 9", root=make_bus(tmp_path / "root", "0000:00:02.0")) == NOTHING


def test_devices_without_a_driver_are_told(look: Look, tmp_path: Path) -> None:
    said = ["2 NVIDIA devices on the PCI bus, and no driver: Driver Not Loaded"]
    assert look("init_error = 9", root=make_bus(tmp_path / "root", *CARDS)) == {**NOTHING, "blind": said}


def test_devices_without_a_library_are_told(tmp_path: Path) -> None:
    # No library, also on a machine that has one: the first that is found is no library.
    (tmp_path / stand_in.NAME).write_bytes(b"")
    root = make_bus(tmp_path / "root", "0000:07:00.0", "0000:00:02.0")
    said = ["1 NVIDIA device on the PCI bus, and no driver: NVML Shared Library Not Found"]
    seen = see(stand_in.environment("dgx-a100", tmp_path / stand_in.NAME), root)
    assert seen == {**NOTHING, "blind": said}


def test_the_stand_in_has_all_that_pynvml_may_ask_for(library: Path) -> None:
    client = Path(pynvml.__file__).read_text(encoding="utf-8")
    wanted = sorted(set(re.findall(r'_nvmlGetFunctionPointer\("(nvml\w+)"', client)))
    assert len(wanted) > 100
    # In a process of its own: once loaded, pynvml would take it for the driver's.
    program = (
        "import ctypes, sys; print([n for n in sys.argv[2:] if not hasattr(ctypes.CDLL(sys.argv[1]), n)])"
    )
    arguments = [sys.executable, "-c", program, str(library), *wanted]
    assert subprocess.run(arguments, capture_output=True, text=True, check=True).stdout == "[]\n"
