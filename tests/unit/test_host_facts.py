"""The facts of a host, on made-up machines; `test_hardware.py` looks at the one that runs the tests."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.hardware import Host, host
from tests import machines

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NOTHING = Host(
    cores=len(os.sched_getaffinity(0)),
    cpu=None,
    memory_bytes=None,
    board=None,
    architecture=platform.machine(),
    kernel=platform.release(),
)


def test_an_x86_server(tmp_path: Path) -> None:
    machines.x86_server(tmp_path)
    assert host.detect(tmp_path) == Host(
        cores=NOTHING.cores,
        cpu="AMD EPYC 7742 64-Core Processor",
        memory_bytes=1056462712 * 1024,
        board=None,
        sockets=2,
        numa_nodes=2,
        architecture=NOTHING.architecture,
        os="Ubuntu 22.04.5 LTS",
        kernel=NOTHING.kernel,
    )


@pytest.mark.parametrize(
    ("cpu", "name"),
    [
        ("0x41 0xd0c", "Neoverse-N1"),
        ("0x41 0xd4f", "Neoverse-V2"),
        ("0xc0 0xac3", None),
        ("0x4e 0xd0c", None),
    ],
)
def test_an_arm_server_is_known_by_the_part_of_its_processor(
    cpu: str, name: str | None, tmp_path: Path
) -> None:
    machines.arm_server(tmp_path, cpu=cpu)
    found = host.detect(tmp_path)
    assert (found.cpu, found.sockets, found.numa_nodes, found.os) == (name, None, 1, "Fedora")


def test_nothing_is_known_of_an_empty_tree(tmp_path: Path) -> None:
    assert host.detect(tmp_path) == NOTHING


def test_nothing_is_known_of_a_tree_that_cannot_be_read(tmp_path: Path) -> None:
    for name in ("proc/cpuinfo", "proc/meminfo", "proc/device-tree/model", "etc/os-release"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "sys/devices/system").mkdir(parents=True)
    (tmp_path / "sys/devices/system/node").symlink_to("node")
    assert host.detect(tmp_path) == NOTHING


# Files, and the facts that they leave.
ODDITIES: dict[str, tuple[Mapping[str, str | bytes], Mapping[str, object]]] = {
    "fields without values": (
        {"proc/cpuinfo": "model name\t:\nphysical id\t:\nflags\t: fpu", "etc/os-release": "PRETTY_NAME="},
        {"cpu": None, "sockets": None, "os": None},
    ),
    "bytes that are no text": (
        {"proc/device-tree/model": b"Board \xff\0", "etc/os-release": b"PRETTY_NAME='Caf\xe9 1'"},
        {"board": "Board \N{REPLACEMENT CHARACTER}", "os": "Caf\N{REPLACEMENT CHARACTER} 1"},
    ),
    "words where a number is": ({"proc/meminfo": "MemTotal:  lots kB"}, {"memory_bytes": None}),
    "numbers in other fields": (
        {"proc/cpuinfo": "core id\t\t: 7\nphysical id\t: 0\ninitial apicid\t: 3\nphysical id\t: 0"},
        {"sockets": 1},
    ),
}


@pytest.mark.parametrize("name", ODDITIES)
def test_odd_files_leave_facts_unknown(name: str, tmp_path: Path) -> None:
    files, facts = ODDITIES[name]
    machines.write(tmp_path, files)
    found = host.detect(tmp_path)
    assert {fact: getattr(found, fact) for fact in facts} == facts


def test_this_host_says_more_than_nothing() -> None:
    found = host.detect()
    assert (found.os, found.memory_bytes) != (None, None)
    assert found.numa_nodes is None or found.numa_nodes > 0
