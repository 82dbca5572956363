"""The SKUs that are shipped: what is known of them, and what is said of a file that is wrong."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.errors import ConfigurationError
from pytest_mlperf.hardware import HostDemand, Sku, skus
from pytest_mlperf.matrix.source import read

if TYPE_CHECKING:
    from collections.abc import Iterator

PUBLISHED = "MLPERF_SKUS"
ROUNDS = ("v2.0", "v2.1", "v4.1", "v5.1")
GIB = 2**30

X86 = HostDemand(architecture="x86_64", cpu_vendors=("AMD", "Intel"), memory_bytes=30 * GIB)
EPYC = ("AMD EPYC 7742 64-Core Processor",)
ARM_30 = HostDemand(architecture="aarch64", memory_bytes=30 * GIB)


def sku(name: str) -> Sku:
    return skus.load()[name]


def facts(known: Sku) -> tuple[object, ...]:
    return (
        known.system_id,
        known.count,
        known.pci_devices,
        known.memory_gib,
        known.power_limit_w,
        known.compute_capability,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # These have had their names since the first version.
        ("A100-SXM-80GBx8", ("DGX-A100_A100-SXM-80GBx8", 8, ("20B2",), (80,), 400, "8.0")),
        ("A100-SXM-80GBx4", ("DGX-Station-A100_A100-SXM-80GBx4", 4, ("20B2",), (80,), 275, "8.0")),
        ("A100-SXM-80GBx1", ("DGX-A100_A100-SXM-80GBx1", 1, ("20B2",), (80,), 400, "8.0")),
        ("A100-SXM4-40GBx8", ("DGX-A100_A100-SXM4-40GBx8", 8, ("20B0",), (40,), 400, "8.0")),
        ("A100-PCIe-80GBx8", ("A100-PCIe-80GBx8", 8, ("20B5",), (80,), 300, "8.0")),
        ("A100-PCIe-80GBx1", ("A100-PCIe-80GBx1", 1, ("20B5",), (80,), 300, "8.0")),
        ("A30x8", ("A30x8", 8, ("20B7",), (24,), 165, "8.0")),
        ("A30x1", ("A30x1", 1, ("20B7",), (24,), 165, "8.0")),
        ("A2x2", ("A2x2", 2, ("25B6",), (15,), 60, "8.6")),
        ("A2x1", ("A2x1", 1, ("25B6",), (15,), 60, "8.6")),
        ("H100-SXM-80GBx8", ("DGX-H100_H100-SXM-80GBx8", 8, ("2330", "233F"), (80,), 700, "9.0")),
        ("H200-SXM-141GBx8", ("H200-SXM-141GBx8", 8, ("2335",), (140, 141), 700, "9.0")),
        ("B200-SXM-180GBx8", ("B200-SXM-180GBx8", 8, ("2901",), (180,), 1000, "10.0")),
    ],
)
def test_a_system_of_nvidias(name: str, expected: tuple[object, ...]) -> None:
    known = sku(name)
    assert facts(known) == expected
    assert (known.vendor, known.mig_profile, known.board) == ("NVIDIA", None, None)
    assert name == f"{known.accelerator}x{known.count}"


@pytest.mark.parametrize(
    ("accelerator", "expected"),
    [
        ("MI250X", (("7408", "740C"), (64,), None, "gfx90a")),
        ("MI300X", (("74A1", "74B5"), (192,), 750, "gfx942")),
        ("MI325X", (("74A5", "74B9"), (256,), 1000, "gfx942")),
        ("MI355X", (("75A3", "75B3"), (288,), 1400, "gfx950")),
    ],
)
@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_a_system_of_amds(accelerator: str, expected: tuple[object, ...], count: int) -> None:
    known = sku(f"{accelerator}x{count}")
    assert facts(known) == (known.name, count, *expected)
    assert (known.vendor, known.accelerator, known.hosts) == ("AMD", accelerator, {})


def test_the_processor_needs_nothing() -> None:
    assert sku("CPU") == Sku(name="CPU", system_id="CPU", accelerator="CPU", count=0)


@pytest.mark.parametrize(
    ("name", "hosts"),
    [
        pytest.param(
            "A100-SXM-80GBx8", {"v2.0": X86, "v2.1": X86, "v4.1": X86}, id="processors of two vendors"
        ),
        pytest.param("A100-SXM-80GBx4", {"v2.0": X86}, id="deprecated after v2.0"),
        pytest.param(
            "A30x8",
            dict.fromkeys(
                ("v2.0", "v2.1", "v4.1"),
                HostDemand(architecture="x86_64", cpus=EPYC, memory_bytes=512 * GIB),
            ),
            id="TiB",
        ),
        pytest.param(
            "A100-PCIe-80GB-MIG_7x1g.10gb",
            {"v2.0": HostDemand(architecture="x86_64", cpus=EPYC, memory_bytes=10**12)},
            id="TB",
        ),
        pytest.param(
            "A2x2",
            dict.fromkeys(("v2.0", "v2.1", "v4.1"), HostDemand(memory_bytes=100 * GIB)),
            id="any processor",
        ),
        pytest.param("A100-PCIe_aarch64x4", dict.fromkeys(("v2.0", "v2.1", "v4.1"), ARM_30), id="ARM"),
        pytest.param(
            "H100-PCIe-80GBx8",
            {
                "v4.1": HostDemand(architecture="x86_64", cpus=EPYC, memory_bytes=100 * GIB),
                "v5.1": HostDemand(architecture="x86_64", cpu_vendors=("AMD",), memory_bytes=100 * GIB),
            },
            id="another in each round",
        ),
        pytest.param("H100-SXM-80GB-02x1", {}, id="in none of the rounds"),
        pytest.param("GB200-NVL72_GB200-186GB_aarch64x72", {}, id="configured and not listed"),
    ],
)
def test_what_nvidias_harness_wants_of_the_host(name: str, hosts: dict[str, HostDemand]) -> None:
    assert dict(sku(name).hosts) == hosts


def test_names_are_safe_and_no_system_id_is_there_twice() -> None:
    known = skus.load()
    assert all(name == found.name for name, found in known.items())
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in known)
    assert len({found.system_id for found in known.values()}) == len(known)


def test_a_name_is_the_system_id_less_its_dgx() -> None:
    for known in skus.load().values():
        if known.name == "A100-SXM-80GBx4":
            continue
        assert known.name == re.sub("^DGX-(A100|H100)_", "", known.system_id)


def test_devices_of_one_kind_have_the_same_traits() -> None:
    traits: dict[tuple[str, float | None], set[tuple[object, ...]]] = {}
    for known in skus.load().values():
        found = (known.vendor, known.pci_devices, known.memory_gib, known.compute_capability)
        traits.setdefault((known.accelerator, known.power_limit_w), set()).add(found)
    assert [kind for kind, found in traits.items() if len(found) > 1] == []


def test_a_mig_profile_stands_in_the_name() -> None:
    migs = [known for known in skus.load().values() if known.mig_profile]
    assert len(migs) == 19
    assert all(f"{known.count}x{known.mig_profile}" in known.name for known in migs)
    assert not [name for name, known in skus.load().items() if "MIG" in name and not known.mig_profile]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Orin", "Orin"),
        ("Jetson AGX Orin", "Orin"),
        ("NVIDIA Jetson AGX Orin", "Orin"),
        ("NVIDIA Jetson AGX Orin Developer Kit", "Orin"),
        ("NVIDIA Orin Jetson-Small Developer Kit", "Orin"),
        ("NVIDIA Orin NX Developer Kit", "Orin_NX"),
        ("NVIDIA Jetson Orin NX Engineering Reference Developer Kit", "Orin_NX"),
        ("NVIDIA Jetson Orin NX Engineering Reference Developer Kit Super", "Orin_NX"),
        ("Jetson Orin NX", "Orin_NX"),
        ("NGX007", "Orin_NX"),
        ("Jetson-AGX", "AGX_Xavier"),
        ("NVIDIA Jetson AGX Xavier Developer Kit", "AGX_Xavier"),
        ("NVIDIA Jetson Xavier NX Developer Kit", "Xavier_NX"),
        ("NVIDIA Jetson Xavier NX Developer Kit (SD-card)", "Xavier_NX"),
        ("Jetson Orin Nano", None),
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", None),
        ("NVIDIA Orin Nano Developer Kit", None),
        ("NVIDIA Jetson AGX Thor Developer Kit", None),
        ("NVIDIA Jetson TX2 Developer Kit", None),
        ("Raspberry Pi 4 Model B Rev 1.4", None),
        ("", None),
    ],
)
def test_the_model_of_a_board_names_one_sku_or_none(model: str, name: str | None) -> None:
    boards = {known.name: known.board for known in skus.load().values() if known.board}
    assert set(boards) == {"Orin", "Orin_NX", "AGX_Xavier", "Xavier_NX"}
    assert [known for known, board in boards.items() if re.fullmatch(board, model)] == (
        [name] if name else []
    )


@pytest.mark.parametrize("name", ["Orin", "Orin_NX", "AGX_Xavier", "Xavier_NX"])
def test_a_board_is_known_by_its_model_only(name: str) -> None:
    board = sku(name)
    assert (board.pci_devices, board.memory_gib, board.power_limit_w) == ((), (), None)


HOSTS = "hosts:\n  big: {memory_gib: 1024, architecture: x86_64}\n  small: {memory_gb: 1}\n"
GOOD = f"""\
{HOSTS}accelerators:
- accelerator: X1
  vendor: AMD
  pci_devices: ["74A1", "20B0"]
  memory_gib: [16.5]
  power_limit_w: 62.5
  compute_capability: "8.0"
  hosts: {{big: [v2.0, v4.1]}}
  systems:
    X1x2: {{count: 2}}
    X1x4: {{count: 4, system_id: Rack_X1x4, hosts: {{small: [v5.1]}}}}
- accelerator: CPU
  systems:
    CPU: {{count: 0}}
"""


def parsed(text: str, folder: Path) -> dict[str, Sku]:
    path = folder / "skus.yaml"
    path.write_text(text, encoding="utf-8")
    return skus.parse(read(path))


def test_a_file_is_read_in_its_order(tmp_path: Path) -> None:
    big = HostDemand(architecture="x86_64", memory_bytes=1024 * GIB)
    found = parsed(GOOD, tmp_path)
    assert list(found) == ["X1x2", "X1x4", "CPU"]
    assert found["X1x2"] == Sku(
        name="X1x2",
        system_id="X1x2",
        accelerator="X1",
        count=2,
        vendor="AMD",
        pci_devices=("74A1", "20B0"),
        memory_gib=(16.5,),
        power_limit_w=62.5,
        compute_capability="8.0",
        hosts={"v2.0": big, "v4.1": big},
    )
    assert (found["X1x4"].system_id, found["X1x4"].count) == ("Rack_X1x4", 4)
    assert found["X1x4"].hosts == {"v5.1": HostDemand(memory_bytes=10**9)}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param(
            "vendor: AMD",
            "vendr: AMD",
            ":6: accelerators[0]: unknown key 'vendr', allowed: accelerator, vendor, pci_devices, "
            "memory_gib, power_limit_w, compute_capability, mig_profile, board, hosts, systems "
            "(did you mean 'vendor'?)",
            id="key of an accelerator",
        ),
        pytest.param(
            "{count: 2}",
            "{count: 2, power_limit_w: 5}",
            ":13: SKU 'X1x2': unknown key 'power_limit_w', allowed: system_id, count, hosts",
            id="key of a SKU",
        ),
        pytest.param(
            "memory_gb: 1",
            "memory: 1",
            ":3: host 'small': unknown key 'memory', allowed: architecture, cpus, cpu_vendors, "
            "memory_gib, memory_gb (did you mean 'memory_gb'?)",
            id="key of a host",
        ),
        pytest.param(
            "accelerators:",
            "systems: {}\naccelerators:",
            ":4: file: unknown key 'systems', allowed: hosts, accelerators",
            id="key of the file",
        ),
        pytest.param("X1x4:", "X1x2:", ":14: key 'X1x2' stands here twice", id="name twice in a block"),
        pytest.param(
            "CPU: {count",
            "X1x2: {count",
            ":17: SKU 'X1x2': the name stands in the file twice",
            id="name twice",
        ),
        pytest.param(
            "Rack_X1x4",
            "X1x2",
            ":14: SKU 'X1x4': the system id 'X1x2' stands in the file twice",
            id="system id twice",
        ),
        pytest.param(
            "X1x2:", "X1 x2:", ":13: SKU 'X1 x2': found the name 'X1 x2', allowed: letters, digits", id="name"
        ),
        pytest.param("Rack_X1x4", "a/b", ":14: SKU 'X1x4': system_id: found 'a/b'", id="system id"),
        pytest.param(
            "{count: 2}", "{}", ":13: SKU 'X1x2': found no count (count: a whole number)", id="no count"
        ),
        pytest.param(
            "{count: 2}", "2", ":13: SKU 'X1x2': found 2, allowed: a mapping of", id="only the count"
        ),
        pytest.param("count: 2", "count: -1", ":13: SKU 'X1x2': count: found -1, allowed", id="count"),
        pytest.param(
            "count: 2", "count: true", ":13: SKU 'X1x2': count: found True", id="count that is a bool"
        ),
        pytest.param(
            '["74A1", "20B0"]',
            "[2204]",
            ":7: accelerators[0]: pci_devices: found [2204], allowed: a list of four hexadecimal digits, "
            "upper case and in quotes",
            id="PCI id without quotes",
        ),
        pytest.param(
            '"74A1"', '"74a1"', ":7: accelerators[0]: pci_devices: found", id="PCI id in lower case"
        ),
        pytest.param('"8.0"', "8.0", ":10: accelerators[0]: compute_capability: found 8.0", id="number"),
        pytest.param(
            "[16.5]", "16.5", ":8: accelerators[0]: memory_gib: found 16.5, allowed: a list", id="no list"
        ),
        pytest.param(
            "62.5", "0", ":9: accelerators[0]: power_limit_w: found 0, allowed: a positive", id="power"
        ),
        pytest.param("AMD", "Intel", "found 'Intel', allowed: NVIDIA or AMD", id="vendor"),
        pytest.param(
            "vendor: AMD", "board: '('", "board: found '(', allowed: a regular expression", id="board"
        ),
        pytest.param(
            "{small: [v5.1]}",
            "{smal: [v5.1]}",
            ":14: SKU 'X1x4': hosts: 'smal' is not defined (did you mean 'small'?)",
            id="unknown host",
        ),
        pytest.param(
            "{big: [v2.0, v4.1]}",
            "{big: [v2.0], small: [v2.0]}",
            ":13: SKU 'X1x2': hosts: found two hosts for v2.0, allowed: one",
            id="two hosts for a round",
        ),
        pytest.param(
            "[v2.0, v4.1]", "v2.0", ":11: accelerators[0]: hosts: found {'big': 'v2.0'}", id="one round"
        ),
        pytest.param(
            "[v2.0, v4.1]", "[2.0]", ":11: accelerators[0]: hosts: found {'big': [2.0]}", id="round"
        ),
        pytest.param(
            "memory_gb: 1",
            "memory_gb: 1, memory_gib: 1",
            ":3: host 'small': found memory_gib and memory_gb, allowed: one of them",
            id="memory in two units",
        ),
        pytest.param(GOOD, "hosts: {}", ": file: found no accelerators", id="nothing in it"),
        pytest.param(GOOD, "", "file: found None, allowed: a mapping of hosts, accelerators", id="empty"),
        pytest.param(GOOD, "a: [", "not YAML", id="not YAML"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(ConfigurationError) as caught:
        parsed(GOOD.replace(old, new), tmp_path)
    assert "skus.yaml" in str(caught.value)
    assert message in str(caught.value)


# What NVIDIA calls processors, in words of ours. Of ARM's only the architecture is compared.
CPUS = {
    "MATCH_ANY": HostDemand(),
    "AMD_EPYC_7742": HostDemand(architecture="x86_64", cpus=EPYC),
    "AMD_EPYC_7313P": HostDemand(architecture="x86_64", cpus=("AMD EPYC 7313P 16-Core Processor",)),
    "Intel_Xeon_Silver_4314": HostDemand(
        architecture="x86_64", cpus=("Intel(R) Xeon(R) Silver 4314 CPU @ 2.40GHz",)
    ),
    "Intel_Xeon_Platinum_8480P": HostDemand(architecture="x86_64", cpus=("Intel(R) Xeon(R) Platinum 8480+",)),
    "Intel_Xeon_Platinum_8480C": HostDemand(
        architecture="x86_64",
        cpus=("Intel(R) Xeon(R) Platinum 8480C", "Intel(R) Xeon(R) Platinum 8480CL"),
    ),
    "MatchAllowList([AMD_EPYC_7742, x86_64_Generic])": HostDemand(
        architecture="x86_64", cpu_vendors=("AMD", "Intel")
    ),
    "x86_64_Intel_Generic": HostDemand(architecture="x86_64", cpu_vendors=("Intel",)),
    "x86_64_AMD_Generic": HostDemand(architecture="x86_64", cpu_vendors=("AMD",)),
    "CPU(MATCH_ANY, CPUArchitecture.x86_64, MATCH_ANY, MATCH_ANY)": HostDemand(architecture="x86_64"),
    **dict.fromkeys(
        ("Neoverse_N1_ARM", "NVIDIA_Carmel_ARM_V8", "ARM_V8_Generic", "GraceHopper_ARM", "ARMGeneric"),
        HostDemand(architecture="aarch64"),
    ),
}
UNITS_BYTES = {"GiB": 2**30, "TiB": 2**40, "GB": 10**9, "TB": 10**12}
NOTHING = ("", "None", "MATCH_ANY")


def published() -> Path:
    folder = os.environ.get(PUBLISHED)
    if not folder:
        pytest.skip(
            f"{PUBLISHED} names no folder with the systems that rounds list (skus_v2.0.csv and so on)"
        )
    return Path(folder)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def by_system_id() -> dict[str, Sku]:
    return {known.system_id: known for known in skus.load().values()}


def differences(row: dict[str, str], known: Sku) -> Iterator[tuple[str, object, object]]:
    """Give the trait, what is published and what is known, where they differ."""
    whole = row["accelerator_type"] == "Integrated"
    memory_gib = [] if whole else [float(size.split()[0]) for size in row["vram"].split(" or ")]
    power = None if whole or row["max_power_limit_w"] in NOTHING else float(row["max_power_limit_w"])
    sm, gpcs = row["compute_sm"], row["mig_gpcs"]
    compared: dict[str, tuple[object, object]] = {
        "count": (int(row["count"]), known.count),
        "PCI ids": (row["pci_device_ids"].upper(), ", ".join(known.pci_devices)),
        "memory": ([], sorted(set(memory_gib) - set(known.memory_gib))),
        "power limit": (power, known.power_limit_w),
        "SM": (
            known.compute_capability if sm in NOTHING else f"{sm[:-1]}.{sm[-1]}",
            known.compute_capability,
        ),
        "MIG": (f"{gpcs}g.{memory_gib[0]:.0f}gb" if gpcs else None, known.mig_profile),
        "board": (whole, known.board is not None),
        "vendor": ("NVIDIA", known.vendor),
    }
    yield from ((trait, theirs, ours) for trait, (theirs, ours) in compared.items() if theirs != ours)


def demand(row: dict[str, str]) -> HostDemand:
    size, unit = re.fullmatch(r"Memory\((\S+), (\S+)\)", row["host_mem_min"]).groups()  # type: ignore[union-attr]
    cpu = CPUS[row["cpu_match"]]
    return HostDemand(
        cpus=cpu.cpus,
        cpu_vendors=cpu.cpu_vendors,
        architecture=cpu.architecture,
        memory_bytes=round(float(size) * UNITS_BYTES[unit]),
    )


@pytest.mark.parametrize("round_name", ROUNDS)
def test_the_systems_are_those_that_the_round_lists(round_name: str) -> None:
    listed = rows(published() / f"skus_{round_name}.csv")
    known = by_system_id()
    assert {row["system_id"] for row in listed} <= known.keys()
    assert [
        (row["system_id"], *difference)
        for row in listed
        for difference in differences(row, known[row["system_id"]])
    ] == []
    assert {row["system_id"]: demand(row) for row in listed if not row["deprecated"]} == {
        name: found.hosts[round_name] for name, found in known.items() if round_name in found.hosts
    }


def test_every_system_that_is_configured_is_known() -> None:
    configured = {row["system_id"] for path in published().glob("configs_v*.csv") for row in rows(path)}
    assert configured
    unknown = configured - by_system_id().keys()
    assert {name for name in unknown if not name.startswith(("Triton_CPU_", "Triton_Inferentia_"))} == set()
