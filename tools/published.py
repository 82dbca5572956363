"""Write the published figures of rounds: `published.py RESULTS TREES`.

RESULTS: a folder with results_v2.0.csv and so on, a row for each run of a round's results repository
TREES:   a folder with the results repositories themselves, as far as they are here, each called by its round

A figure is kept where it is clear on which accelerators of `hardware/skus.yaml`, and on how many, it was
reached: by what the submission says of the system (`systems/*.json`), else by the name of the system. What is
left out is counted.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import defaultdict
from pathlib import Path

from pytest_mlperf.hardware import skus
from pytest_mlperf.published import COLUMNS, FOLDER

# The metric that a scenario is published by, and its unit. Where the log is of another scenario, the figure
# was inferred from it.
METRICS = {
    ("Offline", "result_samples_per_second"): "samples/s",
    ("Offline", "result_tokens_per_second"): "tokens/s",
    ("Server", "result_scheduled_samples_per_sec"): "samples/s",
    ("Interactive", "result_scheduled_samples_per_sec"): "samples/s",
    ("SingleStream", "result_90.00_percentile_latency_ns"): "ns",
    ("MultiStream", "result_99.00_percentile_per_query_latency_ns"): "ns",
}
SCENARIOS = {scenario.lower(): scenario for scenario, _ in METRICS}

# How accelerators are called in names of systems and in accelerator_model_name, in upper case with hyphens.
NAMES = {
    r"A100-SXM4?-40GB": "A100-SXM4-40GB",
    r"A100-SXM-?80GB": "A100-SXM-80GB",
    r"A100-PCIE-?80GB|A100-80GB-PCIE": "A100-PCIe-80GB",
    r"DRIVE-A100-PCIE": "DRIVE A100 PCIe",
    r"A2": "A2",
    r"A30": "A30",
    r"T4": "T4",
    r"H100-SXM-80GB": "H100-SXM-80GB",
    r"H100-PCIE-80GB": "H100-PCIe-80GB",
    r"H100-?NVL(?:-PCIE)?(?:-94GB)?": "H100-NVL-94GB",
    r"H200-SXM-141GB": "H200-SXM-141GB",
    r"H200-SXM-141GB-CTS": "H200-SXM-141GB-CTS",
    r"GH200-(?:GRACE-HOPPER-SUPERCHIP-)?96GB": "GH200-96GB",
    r"GH200-(?:GRACE-HOPPER-SUPERCHIP-)?144GB": "GH200-144GB",
    r"L4(?:-PCIE-24GB)?": "L4",
    r"L40S(?:-PCIE-48GB)?": "L40S",
    r"B200-?SXM(?:-180GB)?": "B200-SXM-180GB",
    r"GB200(?:-186GB)?": "GB200-186GB",
    r"GB300(?:-288GB)?": "GB300-288GB",
    r"ORIN": "Orin",
    r"XAVIER-NX": "Xavier NX",
    r"MI300X(?:-192GB)?": "MI300X",
    r"MI325X(?:-256GB)?": "MI325X",
}
MIG = {"1G.10GB": "MIG-1g.10gb", "1G.6GB": "MIG-1g.6gb", "1G.5GB": "MIG-1g.5gb"}
ALONE = ("Orin", "Xavier NX")  # modules, which are part of their systems' processors

Key = tuple[str, ...]
Row = dict[str, str]


def main() -> None:
    results, trees = map(Path, sys.argv[1:])
    for path in sorted(results.glob("results_v*.csv")):
        round_name = path.stem.removeprefix("results_")
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if _is_wanted(row)]
        figures, left_out = _figures(rows, trees / round_name)
        with (FOLDER / f"{round_name}.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerows([COLUMNS, *sorted(figures)])
        print(f"{round_name}: {len(figures)} figures")
        for reason, systems in left_out.items():
            print(f"  {len(systems)} systems left out, {reason}: {', '.join(sorted(systems))}")


def _is_wanted(row: Row) -> bool:
    return (row["division"], row["test_mode"], row["result_validity"]) == ("closed", "performance", "VALID")


def _figures(rows: list[Row], tree: Path) -> tuple[list[Key], dict[str, set[str]]]:
    values: dict[Key, list[float]] = defaultdict(list)
    left_out: dict[str, set[str]] = defaultdict(set)
    inferred = 0
    for row in rows:
        scenario = SCENARIOS[row["scenario"].lower()]
        unit = METRICS.get((scenario, row["metric"]))
        if unit is None:
            inferred += 1
            continue
        reason, device = _device(row, tree)
        if reason:
            left_out[reason].add(f"{row['submitter']} {row['system']}")
            continue
        values[(*device, *_result(row), scenario, *_configuration(row), row["metric"], unit)].append(
            float(row["metric_value"])
        )
    print(f"{inferred} figures left out: inferred from another scenario")
    # Of a result that took several runs, the worst counts.
    return [(*key, _number(max(v) if key[-1] == "ns" else min(v))) for key, v in values.items()], left_out


def _device(row: Row, tree: Path) -> tuple[str | None, Key]:
    described = tree / "closed" / row["submitter"] / "systems" / f"{row['system']}.json"
    system = json.loads(described.read_text(encoding="utf-8")) if described.exists() else None
    found = _by_description(system) if system else _by_name(row["system"])
    if found is None:
        return "accelerators not known or not clear", ()
    accelerator, count = found
    vendor = {sku.accelerator: sku.vendor for sku in skus.load().values()}[accelerator]
    if vendor == "NVIDIA" and "TRT" not in row["system"]:
        return "not NVIDIA's software on NVIDIA's accelerators", ()
    if row["system"].endswith("_HeteroMultiUse"):
        return "several benchmarks at once", ()
    return None, (accelerator, str(count), _power_limit(row["system"]), row["submitter"], row["system"])


def _power_limit(system: str) -> str:
    """Return the power limit of the SKU that a system is called by; nothing for other systems."""
    name = system.partition("_TRT")[0]
    limits = (sku.power_limit_w for sku in skus.load().values() if sku.system_id == name)
    return next((f"{limit:g}" for limit in limits if limit), "")


def _by_description(system: dict[str, object]) -> tuple[str, int] | None:
    model = str(system["accelerator_model_name"])
    mig = re.fullmatch(r"(.*) \((\d+)x(\S+) MIG\)", model)
    model, instances = (mig[1], int(mig[2])) if mig else (model, 1)
    model = re.sub(r"NVIDIA |AMD Instinct |-NPS1.*| HBM.*", "", model)
    found = _named(model)
    if found is None:
        return None
    count = int(str(system["accelerators_per_node"])) * int(str(system["number_of_nodes"])) * instances
    return f"{found} {MIG[mig[3].upper()]}" if mig else found, count


def _named(text: str) -> str | None:
    """Return the accelerator that a text is the name of."""
    text = re.sub(r"[_ ]", "-", text).upper()
    return next((known for pattern, known in NAMES.items() if re.fullmatch(pattern, text)), None)


def _by_name(system: str) -> tuple[str, int] | None:
    """Return the one accelerator that a name speaks of, with its count: `8xMI325X`, `2_A2`, `A30x4`."""
    name = re.sub(r"[_ ]", "-", system).upper()
    if "MIG" in name:
        return None
    found = set()
    for pattern, known in NAMES.items():
        form = rf"(?:(?<![A-Z0-9])(\d+)[X-]|(?<![A-Z0-9]))(?:{pattern})(?:-AARCH64)?(?:X(\d+))?(?![A-Z0-9])"
        for match in re.finditer(form, name):
            counts = [int(text) for text in match.groups() if text] or [1] * (known in ALONE)
            found.update((known, count) for count in counts[-1:])
    return found.pop() if len(found) == 1 else None


def _result(row: Row) -> Key:
    """Return benchmark and accuracy: 99 where there is but one target."""
    name, _, accuracy = row["benchmark"].rpartition("-")
    return (name, accuracy) if accuracy in ("99", "99.9") else (row["benchmark"].replace("3_1", "3.1"), "99")


def _configuration(row: Row) -> Key:
    """Return power setting, and whether it is Triton that served, as the names of NVIDIA's systems say it."""
    system = row["system"]
    return "MaxQ" if system.endswith("_MaxQ") else "MaxP", "Triton" if "_Triton" in system else ""


def _number(value: float) -> str:
    return f"{value:.12g}"


if __name__ == "__main__":
    main()
