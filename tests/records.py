"""Cases and records that never ran, for whatever tells of them."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from pytest_mlperf.errors import Place
from pytest_mlperf.evidence import Distribution
from pytest_mlperf.hardware import Device, Driver, Host, Inventory
from pytest_mlperf.matrix import Case, Settings
from pytest_mlperf.record import Record
from pytest_mlperf.report.conformance import add_up
from pytest_mlperf.report.records import RecordFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sessions import Session

CASE = Case(
    id="bert-A2x2_TRT-custom_k_99_MaxP-Offline-PerformanceMode",
    metric_name="A2x2_TRT-custom_k_99_MaxP-Offline-PerformanceMode",
    round="v2.0",
    category="datacenter",
    conformance="round",
    match="exact",
    sku="A2x2",
    benchmark="bert",
    harness="custom",
    accuracy="99",
    power="MaxP",
    scenario="Offline",
    mode="PerformanceOnly",
    settings=Settings(),
    place=Place(path="matrices/m.yaml", line=7),
)

HOSTILE = "</pre></script><script>window.hacked = 1</script>\"><img src=x onerror='hacked = 2'>&amp;<!--"

SPREAD = Distribution(of="query", quantiles=((0, 2e6), (0.5, 9e6), (0.9, 3e7), (0.99, 8e7), (1, 2e8)))
"""Of latencies, from 2 to 200 ms."""

INVENTORY = asdict(
    Inventory(
        host=Host(cores=128, cpu="AMD EPYC 7742 64-Core Processor", memory_bytes=1 << 40, board=None),
        devices=tuple(
            Device(
                vendor="NVIDIA",
                name="NVIDIA A100-SXM4-40GB",
                uuid=f"GPU-{n}",
                memory_bytes=40 << 30,
                power_limit_w=400,
            )
            for n in range(8)
        ),
        blind=(),
        drivers=(Driver(vendor="NVIDIA", version="510.47.03", cuda_version="11.6"),),
    )
)
"""Of a DGX A100, as plain values."""


def make_case(**changes: Any) -> Case:
    """Return the usual case but for the changes."""
    return replace(CASE, **changes)


def make_record(**changes: Any) -> Record:
    """Return the record of a passed case but for the changes."""
    case = changes.get("case", CASE)
    usual: dict[str, Any] = {"case": case, "ending": "pass", "folder": f"cases/{case.id}"}
    return Record(**{**usual, **changes})


def report(session: Session, records: Sequence[Record], name: str = "r") -> Path:
    """Write the page of a session with these records, through pytest-html."""
    folder = session.pytester.path / f"{name}-records"
    folder.mkdir(exist_ok=True)
    file = RecordFile(folder, inventory=INVENTORY, started_at="2026-11-30T08:00:00+00:00")
    file.add(*records)
    file.close(add_up(records))
    options = (f"--html={name}.html", "--self-contained-html", f"--mlperf-output={name}-out", "--tb=no", "-q")
    session.run("--mlperf-merge", folder.name, *options)
    return session.pytester.path / f"{name}.html"
