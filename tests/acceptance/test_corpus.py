"""Published results against the verdicts of their official checkers.

MLPERF_RESULTS_CORPUS names a folder with unpacked rounds (`v2.0/closed/...`, `v4.1/`, `v5.1/`), and
MLPERF_RESULTS_VERDICTS one with `verdicts-<round>.csv` (else they are beside the rounds): a line for each
directory of a run, with the checker's verdict on it (valid, invalid, or not-checked) and on the scenario
(accepted or rejected). Neither is part of the project.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path

import pytest

from pytest_mlperf.submission import AuditedResult, audit

CORPUS = Path(os.environ.get("MLPERF_RESULTS_CORPUS", "nowhere"))
VERDICTS = Path(os.environ.get("MLPERF_RESULTS_VERDICTS", CORPUS))
ROUNDS = [name for name in ("v2.0", "v4.1", "v5.1") if (CORPUS / name).is_dir()]

WORDS = {"valid": "valid", "invalid": "invalid", "not-checked": "unchecked"}

# Results that were rejected because files are missing in public copies, and what is missing. They are no
# differences: the audit does not find the files either, and says so.
INCOMPLETE = {
    "closed/Lenovo/results/SR780a_V3_B200SXMx8_TRT/llama3.1-405b/Offline": "ptd_logs.txt",
    "closed/Lenovo/results/SR780a_V3_B200SXMx8_TRT/llama3.1-405b/Server": "ptd_logs.txt",
    "closed/Lenovo/results/SR780a_V3_B200SXMx8_TRT/rgat/Offline": "mlperf_log_detail.txt",
    "closed/Lenovo/results/ThinkSystem_SR650_V4_GNR_86C/rgat/Offline": "mlperf_log_detail.txt",
    "closed/NVIDIA/results/B200-SXM-180GBx8_TRT/rgat/Offline": "mlperf_log_detail.txt",
}

pytestmark = pytest.mark.skipif(not ROUNDS, reason="MLPERF_RESULTS_CORPUS names no folder with rounds")


def audited(round_name: str) -> list[AuditedResult]:
    return list(audit(CORPUS / round_name, round=round_name))


def verdicts(round_name: str) -> list[dict[str, str]]:
    with (VERDICTS / f"verdicts-{round_name}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("round_name", ROUNDS)
def test_the_audit_agrees_with_the_checker(round_name: str) -> None:
    results = audited(round_name)
    by_path = {result.path: result for result in results if result.mode in ("performance", "accuracy")}
    rows = verdicts(round_name)
    assert {row["path"] for row in rows} == by_path.keys()
    differences = [
        (row["path"], row["checker_verdict"], by_path[row["path"]].outcome)
        for row in rows
        if by_path[row["path"]].outcome != WORDS[row["checker_verdict"]]
        or by_path[row["path"]].accepted is not (row["scenario_final"] == "accepted")
    ]
    assert differences == []


@pytest.mark.parametrize("round_name", ROUNDS)
def test_only_what_is_incomplete_was_rejected(round_name: str) -> None:
    for result in audited(round_name):
        scenario = result.folder.results.relative_to(CORPUS / round_name).as_posix()
        assert result.accepted is (scenario not in INCOMPLETE)
        broken = [str(ruling.finding) for ruling in result.rulings if not ruling.finding.satisfied]
        if not result.accepted and result.outcome == "invalid":
            assert all(f"no {INCOMPLETE[scenario]}" in finding for finding in broken)


@pytest.mark.parametrize("round_name", ROUNDS)
def test_no_value_of_a_run_is_told_twice(round_name: str, pytester: pytest.Pytester) -> None:
    """Prometheus refuses a whole file for it."""
    suite = Path(__file__).parents[2] / "suites" / "test_audit.py"
    options = (
        "-p",
        "no:cacheprovider",
        "-q",
        "--tb=no",
        "--no-summary",
        f"--mlperf-results={CORPUS / round_name}",
    )
    pytester.runpytest_subprocess(
        str(suite), *options, "--mlperf-output=out", "--mlperf-metrics=prometheus", timeout=300
    )
    page = (pytester.path / "out/metrics.prom").read_text(encoding="utf-8")
    series = Counter(line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#"))
    assert series.total() > 100
    assert [name for name, count in series.items() if count > 1] == []
