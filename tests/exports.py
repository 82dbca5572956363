"""Sessions of our own making, whose records can be exported, and what a person would add to their trees."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pytest_mlperf.errors import Place
from pytest_mlperf.hardware import Device, Driver, Host, Inventory
from pytest_mlperf.matrix import METRIC_MODES, Case, HarnessTerms, Settings
from pytest_mlperf.record import Record
from pytest_mlperf.submission.candidates import Order
from tests.submissions import (
    SUBMITTER,
    SUMMARY,
    SYSTEM,
    Submission,
    accuracy_facts,
    log_text,
    run_facts,
    score_text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_mlperf.submission.export import Export
    from pytest_mlperf.submission.runs import Missing

HARNESS = "custom"
GPU = Device(vendor="NVIDIA", name="NVIDIA A2", uuid="GPU-1", memory_bytes=16 << 30)
INVENTORY = Inventory(
    host=Host(
        cores=64, cpu="AMD EPYC 7742", memory_bytes=512 << 30, board=None, sockets=2, os="Ubuntu 20.04"
    ),
    devices=(GPU, replace(GPU, uuid="GPU-2")),
    blind=(),
    drivers=(Driver(vendor="NVIDIA", version="510.39.01"),),
)
TERMS = {
    HARNESS: HarnessTerms(system_suffix="", benchmarks={}),
    "miniatures": HarnessTerms(system_suffix="", benchmarks={}, submission=False),
}


@dataclass(kw_only=True)
class Ran:
    """A session that ran every mode of these scenarios, all of which passed. Change the records, then export.

    benchmark:  as a harness names it; `official` is its name in the round
    """

    output: Path
    round: str = "v2.0"
    benchmark: str = "bert"
    official: str = "bert-99"
    scenarios: tuple[str, ...] = ("Server", "Offline")
    category: str = "datacenter"
    division: str = "closed"
    records: dict[tuple[str, str], Record] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for scenario in self.scenarios:
            for mode in ("AccuracyOnly", "PerformanceOnly"):
                self.add(scenario, mode)

    def add(self, scenario: str, mode: str, **changes: Any) -> Record:
        """Add a case that passed, with its logs."""
        case = self.case(scenario, mode, **changes)
        folder = self.output / "cases" / case.id
        (folder / "loadgen").mkdir(parents=True)
        for name, text in self._logs(scenario, mode).items():
            (folder / "loadgen" / name).write_text(text, encoding="utf-8")
        record = Record(
            case=case, ending="pass", folder=f"cases/{case.id}", devices=("GPU-1",), started_at="2026-01-02"
        )
        self.records[scenario, mode] = record
        return record

    def case(self, scenario: str, mode: str, **changes: Any) -> Case:
        harness = changes.get("harness", HARNESS)
        name = f"{SYSTEM}-{harness}_k_99_MaxP-{scenario}-{METRIC_MODES[mode]}"  # type: ignore[index]
        usual: dict[str, Any] = {
            "id": f"{self.benchmark}-{name}",
            "metric_name": name,
            "round": self.round,
            "category": self.category,
            "conformance": "round",
            "match": "exact",
            "sku": "A2x1",
            "benchmark": self.benchmark,
            "harness": harness,
            "accuracy": "99",
            "power": "MaxP",
            "scenario": scenario,
            "mode": mode,
            "settings": Settings(),
            "place": Place(path="matrices/m.yaml", line=7),
        }
        return Case(**{**usual, **changes})

    def spoil(self, scenario: str, mode: str, **changes: Any) -> None:
        """Change a record."""
        self.records[scenario, mode] = replace(self.records[scenario, mode], **changes)

    def fail(self, scenario: str) -> None:
        """Let both modes of a scenario end without an outcome."""
        for mode in ("AccuracyOnly", "PerformanceOnly"):
            self.spoil(scenario, mode, ending="error", reason="it died")

    def logs(self, scenario: str, mode: str) -> Path:
        return self.output / str(self.records[scenario, mode].folder) / "loadgen"

    def order(self) -> Order:
        return Order(
            submitter=SUBMITTER,
            division=self.division,  # type: ignore[arg-type]
            inventory=INVENTORY,
            terms=TERMS,
            output=self.output,
        )

    def _logs(self, scenario: str, mode: str) -> Mapping[str, str]:
        name, benchmark = self.round, self.official
        if mode == "PerformanceOnly":
            detail = log_text(run_facts(name, benchmark, scenario))
            logs = {"mlperf_log_accuracy.json": "[\n]\n", "user.conf": f"*.{scenario}.target_qps = 1\n"}
            return {**logs, "mlperf_log_summary.txt": SUMMARY, "mlperf_log_detail.txt": detail}
        log = '[\n{ "seq_id" : 0, "qsl_idx" : 0, "data" : "00" }\n]\n'
        hashed = f"hash={hashlib.sha256(log.encode()).hexdigest()}"
        scores = score_text(name, benchmark, scenario).replace(f"hash={'0a' * 32}", hashed)
        detail = log_text(accuracy_facts(name, benchmark, scenario))
        words = SUMMARY.partition("\n\n")[2]
        logs = {"mlperf_log_accuracy.json": log, "accuracy.txt": scores, "mlperf_log_detail.txt": detail}
        return {**logs, "mlperf_log_summary.txt": words}


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who completes an exported tree by hand, with the files of a submission in which all is there."""

    tree: Path
    ran: Ran

    def fill_in(self, export: Export) -> None:
        for missing in export.missing:
            self.add(missing)

    def add(self, missing: Missing) -> None:
        """Put there what is missing: a value of a description, a file, or the files of a folder."""
        path = self.tree / missing.path
        key = _key(missing)
        if key is not None:
            path.write_text(json.dumps({**json.loads(path.read_text()), key: "words"}), encoding="utf-8")
            return
        for name, text in self._donated(missing.path).items():
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_bytes(text.encode())

    def take_out(self, missing: Missing) -> None:
        """Take away all that stands in the place of what was missing."""
        path = self.tree / missing.path
        key = _key(missing)
        if key is not None:
            content = json.loads(path.read_text())
            del content[key]
            path.write_text(json.dumps(content), encoding="utf-8")
        elif "/code/" in missing.path:
            shutil.rmtree(path.parent.parent)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()

    def _donated(self, place: str) -> dict[str, str]:
        ran = self.ran
        required = {"datacenter": ("Server", "Offline"), "edge": ("SingleStream", "MultiStream", "Offline")}
        if "/code/" in place or "/src/" in place:
            return {place: "words\n"}
        donor = Submission(
            round=ran.round,
            benchmark=ran.official,
            scenarios=required[ran.category],
            division=ran.division,
            category=ran.category,
        )
        found = {name: text for name, text in donor.files.items() if f"{name}/".startswith(f"{place}/")}
        if not found and place.endswith(".json"):
            # The donor names its file of the implementation without the harness.
            name = place.replace(f"_{HARNESS}_", "_")
            found = {place: donor.files[name]}
        return found


def _key(missing: Missing) -> str | None:
    """Return the field of a description that is missing, None for a file."""
    return missing.what.split('"')[1] if missing.what.startswith('"') else None
