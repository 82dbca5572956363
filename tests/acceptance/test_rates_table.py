"""The table that VirtualClient documents, rebuilt to the digit from a history of simulated runs.

`tests/data/virtualclient_rates.csv` has the rows of MLPerf Inference of microsoft/VirtualClient at 17bbb69b,
website/docs/workloads/mlperf/mlperf.md, with its example values (min), (max) and (avg). It does not say
of how many runs: here as few as give its mean, and thirty or more.
"""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf import catalogue, rounds
from pytest_mlperf.matrix.loading import load
from pytest_mlperf.record import Record
from pytest_mlperf.report.conformance import add_up
from pytest_mlperf.report.records import RecordFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sessions import Session

    from pytest_mlperf.matrix import Case
    from pytest_mlperf.record import Ending

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "tests/data/virtualclient_rates.csv"
COLUMNS = ("scenario", "metric", "min", "max", "mean", "unit")
SKU = "A100-SXM4-40GBx8"
MANY, FEW = 1000, 30
SHOWN = 7

# Names that NVIDIA's harness never had: left from runs of another benchmark.
STALE = [
    ("bert", f"DGX-A100_A100-SXM4-40GBx8_TRT-lwis_k_99_MaxP-{scenario}-{mode}")
    for scenario in ("Offline", "Server")
    for mode in ("AccuracyMode", "PerformanceMode")
]

Name = tuple[str, str]


def documented() -> dict[Name, tuple[str, ...]]:
    """Return the rows of the table by scenario and metric, in their order."""
    with TABLE.open(encoding="utf-8", newline="") as stream:
        rows = [tuple(row[column] for column in COLUMNS) for row in csv.DictReader(stream)]
    return {(scenario, metric): (scenario, metric, *rest) for scenario, metric, *rest in rows}


def counts(mean: str) -> tuple[int, int]:
    """Return how many runs passed, and of how many, where this share did."""
    share = Fraction(float(mean)).limit_denominator(MANY)
    times = -(-FEW // share.denominator) if share.denominator < FEW else 1
    return share.numerator * times, share.denominator * times


@pytest.fixture(scope="module")
def cases() -> Mapping[Name, Case]:
    """Return what the shipped matrix plans for the system and the benchmarks of the table."""
    vocabularies = catalogue.vocabularies(catalogue.HARNESSES)
    matrix = load(ROOT / "matrices/datacenter.yaml", vocabularies, rounds.names())
    benchmarks = {benchmark for benchmark, _ in documented()}
    wanted = [c for c in matrix.cases if c.sku == SKU and c.power == "MaxP" and c.benchmark in benchmarks]
    return {(case.benchmark, case.metric_name): case for case in wanted}


def simulate(folder: Path, number: int, cases: Mapping[Name, Case]) -> None:
    """Leave the results of a session: the run of this number of each case that has so many."""
    rows = documented()
    records = []
    for name, case in cases.items():
        passed, n = counts(rows[name][COLUMNS.index("mean")])
        if number < n:
            ending: Ending = "pass" if number < passed else "fail"
            records.append(Record(case=case, ending=ending, folder=f"cases/{case.id}"))
    folder.mkdir(parents=True)
    file = RecordFile(folder, inventory={}, started_at="2026-11-24T08:00:00+00:00")
    file.add(*records)
    file.close(add_up(records))


def test_the_shipped_matrix_plans_the_names_of_the_table(cases: Mapping[Name, Case]) -> None:
    assert sorted([*cases, *STALE]) == sorted(documented())
    assert len(cases) == 32


def test_the_table_is_rebuilt_to_the_digit(session: Session, url: str, cases: Mapping[Name, Case]) -> None:
    rows = [row for name, row in documented().items() if name not in STALE]
    expected = [
        [*COLUMNS, "n"],
        *([*row, str(counts(row[COLUMNS.index("mean")])[1])] for row in rows),
    ]
    sessions = max(int(n) for *_, n in expected[1:])
    for number in range(sessions):
        simulate(session.pytester.path / f"tree/{number}", number, cases)
    options = ("--mlperf-history", url, "--mlperf-import", "tree", "--mlperf-report", "rates")
    result = session.run(*options)
    assert result.ret == pytest.ExitCode.OK
    added, use, *table = result.outlines
    assert added.endswith(f"records of {sessions} sessions were new")
    assert use == "round:"
    assert [line.split()[:SHOWN] for line in table] == expected
