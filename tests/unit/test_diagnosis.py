"""What is in the way of a machine, in words; the whole answer is looked at in the acceptance tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf import catalogue, rounds
from pytest_mlperf.doctor import Diagnosis, Disk, diagnose
from pytest_mlperf.doctor.words import leases, words
from pytest_mlperf.hardware import Device, Driver, Engine, Host, Inventory, Process, skus
from pytest_mlperf.matrix import Settings
from pytest_mlperf.placement.notice import Holder
from pytest_mlperf.plan import Plan
from pytest_mlperf.site import Site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import MakeCase

GIB = 2**30
HOST = Host(
    cores=64,
    cpu="Intel(R) Xeon(R) Platinum 8480C",
    memory_bytes=480 * GIB,
    board=None,
    sockets=2,
    numa_nodes=1,
    architecture="x86_64",
    os="Ubuntu 22.04.4 LTS",
    kernel="5.15.0-1068-azure",
)
A30 = Device(
    vendor="NVIDIA",
    name="NVIDIA A30",
    uuid="GPU-0",
    pci_device="20B7",
    pci_bus="0000:07:00.0",
    memory_bytes=24 * GIB,
    power_limit_w=165,
    compute_capability="8.0",
)
ENGINE = Engine(address="unix:///run/d.sock", name="Docker", version="28.1", runtimes=("nvidia", "runc"))
HOLDER = Holder(
    file="x.json",
    pid=4711,
    lives=True,
    user="ann",
    case="bert",
    since=datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc).astimezone(),
    count=1,
    devices=("GPU-1",),
    exclusive=False,
    waiting=False,
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(
        inventory=Inventory(host=HOST, devices=(A30,), blind=()),
        skus=skus.load(),
        rounds={"v2.0": rounds.load("v2.0")},
        harnesses=catalogue.HARNESSES,
        execute=catalogue.execute,
        find_image=catalogue.CONTAINERS.find_image,
        output=tmp_path,
        strict=False,
    )


def _diagnose(site: Site, *cases: Any, free_gb: float = 1000, **inventory: Any) -> Diagnosis:
    site = replace(site, inventory=replace(site.inventory, **inventory))
    disk = Disk(path="/data", free_bytes=int(free_gb * 1e9))
    plan = Plan(cases={case.id: case for case in cases}, dropped={})
    return diagnose(site, plan, engine=ENGINE, disk=disk, holders=())


def _lines(diagnosis: Diagnosis) -> list[str]:
    return [line[12:] for line in words(diagnosis).splitlines()]


def test_the_host_and_the_engine_in_words(site: Site) -> None:
    lines = words(_diagnose(site)).splitlines()
    assert lines[:2] == [
        "host        Intel(R) Xeon(R) Platinum 8480C, 2 sockets, 64 cores, 480 GiB, 1 NUMA node",
        "            Ubuntu 22.04.4 LTS, Linux 5.15.0-1068-azure, x86_64",
    ]
    assert "containers  Docker 28.1 at unix:///run/d.sock" in lines
    assert "            runtimes: nvidia, runc; NVIDIA's GPUs: by runtime" in lines
    assert lines[-1] == "No case would run here."


def test_a_host_that_nvidias_harness_does_not_know(site: Site) -> None:
    lines = _lines(_diagnose(site))
    first = lines.index("NVIDIA's own harness (v2.0, v2.1, v4.1) would not take this machine for A30x1:")
    assert lines[first + 1 : first + 3] == [
        "  host CPU: needs AMD EPYC 7742 64-Core Processor, found Intel(R) Xeon(R) Platinum 8480C",
        "  host memory: needs at least 512 GiB, found 480 GiB",
    ]
    assert lines[first + 3].startswith(
        "  it would run nothing; its way out is a custom system: scripts/custom_systems/add_custom"
    )


DRIVERS = {
    "too old": ("470.82.01", ["driver: needs at least 510 (custom of v2.0), found 470.82.01"]),
    "old enough": ("510.39.01", []),
    "newer": ("1000", []),
    "of a Jetson": ("L4T 36.4.3", []),
    "unknown": (None, []),
}


@pytest.mark.parametrize("name", DRIVERS)
def test_the_driver_is_held_to_the_rounds_minimum(name: str, site: Site, make_case: MakeCase) -> None:
    version, said = DRIVERS[name]
    driver = Driver(vendor="NVIDIA", version=version)
    lines = _lines(_diagnose(site, make_case(sku="A30x1"), drivers=(driver,)))
    assert [line for line in lines if line.startswith("driver: ")] == said


def test_the_disk_is_held_to_what_the_harness_takes(site: Site, make_case: MakeCase) -> None:
    cases = (make_case(sku="A30x1"), make_case(sku="A30x1", harness="triton", id="other"))
    assert "disk: needs about 800 GB (custom, triton of v2.0), found 84 GB free in /data" in _lines(
        _diagnose(site, *cases, free_gb=84)
    )
    assert not _diagnose(site, *cases).shortages


def test_what_no_case_here_needs_is_not_missed(site: Site, make_case: MakeCase) -> None:
    old = Driver(vendor="NVIDIA", version="470")
    assert not _diagnose(site, make_case(sku="A2x1"), drivers=(old,), free_gb=1).shortages


def test_privileges_are_counted_over_the_planned_cases(site: Site, make_case: MakeCase) -> None:
    allowed = [("cap_add=SYS_ADMIN", "network=none"), ("cap_add=SYS_ADMIN", "network=host"), ()]
    cases = [make_case(id=str(i), settings=Settings(privileges=words)) for i, words in enumerate(allowed)]
    diagnosis = _diagnose(site, *cases)
    line = "  containers may do more than the least: cap_add=SYS_ADMIN (2), network=host (1)"
    assert line in _lines(diagnosis)
    assert diagnosis.to_json()["matrices"][0]["privileges"] == (
        {"name": "cap_add=SYS_ADMIN", "count": 2},
        {"name": "network=host", "count": 1},
    )
    assert not [line for line in _lines(_diagnose(site, cases[2])) if "the least" in line]


# Change of a device, and its line.
DEVICES: dict[str, tuple[dict[str, Any], str]] = {
    "plain": ({}, "1x NVIDIA A30 (24 GiB, 165 W), PCI id 20B7, compute capability 8.0"),
    "capped": (
        {"power_cap_w": 120.0},
        "1x NVIDIA A30 (24 GiB, 165 W), PCI id 20B7, compute capability 8.0, capped at 120 W",
    ),
    "ECC off": (
        {"ecc": False},
        "1x NVIDIA A30 (24 GiB, 165 W), PCI id 20B7, compute capability 8.0, ECC off",
    ),
    "busy": (
        {"processes": (Process(pid=42, name="trtexec", memory_bytes=GIB),)},
        "busy: 0000:07:00.0 is used by process 42 (trtexec) with 1 GiB",
    ),
    "busy, with whom is unknown": (
        {"processes": (Process(pid=42, name=None, memory_bytes=None),)},
        "busy: 0000:07:00.0 is used by process 42",
    ),
}


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_in_words(name: str, site: Site) -> None:
    changes, line = DEVICES[name]
    assert line in _lines(_diagnose(site, devices=(replace(A30, **changes),)))


def test_a_driver_and_what_is_not_seen_or_used(site: Site) -> None:
    lines = _lines(
        _diagnose(
            site,
            devices=(),
            drivers=(Driver(vendor="NVIDIA", version="550.90", cuda_version="12.4"),),
            blind=("NVML: device 5: GPU is lost",),
            hidden=("4 of 8 devices: CUDA_VISIBLE_DEVICES=0",),
        )
    )
    assert lines[3:6] == [
        "none that can be seen",
        "NVIDIA's driver 550.90, CUDA up to 12.4",
        "hidden: 4 of 8 devices: CUDA_VISIBLE_DEVICES=0",
    ]
    assert "not seen: NVML: device 5: GPU is lost" in lines


SINCE = f"{HOLDER.since:%Y-%m-%d %H:%M:%S}"
HOLDERS: dict[str, tuple[dict[str, Any], str]] = {
    "holds": ({}, f"bert holds GPU-1 since {SINCE} (process 4711 of ann)"),
    "holds the host": (
        {"devices": (), "count": 0, "exclusive": True},
        f"bert holds the host alone since {SINCE} (process 4711 of ann)",
    ),
    "shares the host": (
        {"devices": (), "count": 0},
        f"bert holds a share of the host since {SINCE} (process 4711 of ann)",
    ),
    "waits": (
        {"waiting": True, "devices": (), "count": 2, "exclusive": True},
        f"bert waits for 2 devices and the host alone since {SINCE} (process 4711 of ann)",
    ),
    "left behind": (
        {"lives": False},
        f"bert holds GPU-1 since {SINCE} (process 4711 of ann, which is gone and left a program behind)",
    ),
    "not understood": (
        {"case": None, "pid": None, "lives": None, "user": None, "since": None},
        "x.json holds GPU-1 since an unknown time (process unknown of unknown)",
    ),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_a_lease_in_words(name: str) -> None:
    changes, line = HOLDERS[name]
    assert list(leases([replace(HOLDER, **changes)])) == [line]
