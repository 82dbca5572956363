"""The plan as a file: every case of the matrices, and what would become of it on this machine."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf.hardware.matching import Match
from pytest_mlperf.placement import Unplaced
from pytest_mlperf.units import format_duration
from pytest_mlperf.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mlperf.matrix import Case
    from pytest_mlperf.plugin.suite import Suite


def write_plan(path: Path, suite: Suite, chosen: set[str], not_selected: str) -> str:
    """Write the plan and return its sum in words. Raises UsageError when the file cannot be written."""
    entries = [_entry(case, suite, chosen, not_selected) for case in suite.plan.cases.values()]
    counts = Counter(entry["would"] for entry in entries)
    known = [e["estimated_duration_s"] for e in entries if e["would"] == "run" and e["estimated_duration_s"]]
    plan = {
        "pytest_mlperf": __version__,
        "inventory": asdict(suite.site.inventory),
        "would": {would: counts[would] for would in ("run", "skip", "drop")},
        "estimated_duration_s": sum(known),
        "cases": entries,
    }
    try:
        path.write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise pytest.UsageError(f"{path}: --mlperf-plan: cannot be written: {error.strerror}") from error
    return (
        f"{counts['run']} cases would run (about {format_duration(sum(known))}), "
        f"{counts['skip']} would be skipped, {counts['drop']} are dropped; nothing was run\nplan: {path}"
    )


def _entry(case: Case, suite: Suite, chosen: set[str], not_selected: str) -> dict[str, Any]:
    site = suite.site
    would, why = "run", None
    placed = site.place(case)
    if case.id not in chosen:
        would, why = "drop", suite.plan.dropped.get(case.id, not_selected)
    elif isinstance(placed, Unplaced):
        would, why = "skip", str(placed)
    return {
        **asdict(case),
        "match": site.match or case.match,
        "deltas": [str(delta) for delta in placed.deltas] if isinstance(placed, Match) else [],
        "place": str(case.place),
        "needs": str(site.skus[case.sku]),
        "estimated_duration_s": site.estimated_duration_s(case),
        "would": would,
        "why": why,
    }
