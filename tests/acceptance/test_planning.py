"""The plan: what is collected, selected by markers, written to a file, and costs nothing when unused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sessions import Session

ROOT = Path(__file__).parents[2]


def _collected(*options: str) -> list[str]:
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "suites",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        *options,
    ]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return [line.partition("[")[2].removesuffix("]") for line in done.stdout.splitlines() if "::" in line]


def test_shipped_plan_is_listed_without_hardware() -> None:
    ids = _collected("-m", "datacenter")

    assert len(ids) == 372
    assert "bert-DGX-A100_A100-SXM4-40GBx8_TRT-custom_k_99_9_MaxP-Offline-AccuracyMode" in ids
    assert not any("MaxQ" in case_id for case_id in ids)


SELECTIONS = {
    "marker of benchmark and mode": (["-m", "edge and bert and accuracy"], ["bert-", "-AccuracyMode"], []),
    "marker of scenario": (["-m", "smoke and not Server"], ["CPU_ORT"], ["-Server-"]),
    "keyword": (["-k", "Offline and Xavier"], ["-Offline-", "Xavier_NX"], []),
    "marker of SKU": (["-m", "A100-SXM4-40GBx8"], ["DGX-A100_A100-SXM4-40GBx8"], []),
    "marker of harness": (["-m", "triton and datacenter"], ["_TRT_Triton-triton_"], ["custom"]),
    "power setting": (["--mlperf-power", "MaxQ"], ["_MaxQ-"], ["MaxP"]),
}


@pytest.mark.parametrize("what", SELECTIONS)
def test_cases_are_selected_by(what: str) -> None:
    options, present, absent = SELECTIONS[what]
    ids = _collected("--strict-markers", *options)

    assert ids
    assert all(word in case_id for case_id in ids for word in present)
    assert not any(word in case_id for case_id in ids for word in absent)


def test_plan_file_says_what_would_become_of_each_case(any_session: Session) -> None:
    result = any_session.run("-m", "good", "--mlperf-plan", "plan.json")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["2 cases would run (about 1.0 s), 1 would be skipped, 4 are dropped; nothing was run"]
    )
    plan = json.loads((any_session.pytester.path / "plan.json").read_text(encoding="utf-8"))
    assert plan["would"] == {"run": 2, "skip": 1, "drop": 4}
    would = {
        (c["benchmark"], c["sku"], c["power"], c["mode"]): (
            c["would"],
            c["needs"],
            c["estimated_duration_s"],
            c["why"],
        )
        for c in plan["cases"]
    }
    assert would["good", "CPU", "MaxP", "AccuracyOnly"] == ("run", "the host's CPU", None, None)
    assert would["good", "CPU", "MaxP", "PerformanceOnly"] == ("run", "the host's CPU", 1.0, None)
    assert would["good", "A2x2", "MaxP", "PerformanceOnly"][:2] == ("skip", "2x A2 (15 GiB, 60 W)")
    assert would["good", "A2x2", "MaxP", "PerformanceOnly"][3].startswith("needs 2x A2, found ")
    assert would["bad", "CPU", "MaxP", "AccuracyOnly"][3] == "not selected by -m 'good'"
    assert not list(any_session.pytester.path.glob("mlperf-results"))


def test_matrix_option_replaces_the_shipped_ones(session: Session) -> None:
    session.write_matrix(
        "round: v2.0\ncategory: edge\n"
        "axes: {sku: A2x1, harness: triton, benchmark: bert, scenario: Offline, mode: AccuracyOnly}\n",
        "mine",
    )

    result = session.run("--collect-only", "-q", "--mlperf-matrix", "matrices/mine.yaml")

    assert [line for line in result.outlines if "::" in line] == [
        "test_suite.py::test_conformance[bert-A2x1_TRT_Triton-triton_k_99_MaxP-Offline-AccuracyMode]"
    ]


def test_unused_plugin_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_light="""
        import sys

        HEAVY = {"pydantic", "yaml", "numpy", "onnxruntime", "mlperf_loadgen", "pynvml", "docker"}

        def test_light():
            assert not HEAVY & set(sys.modules)
            ours = {name.partition(".")[2] for name in sys.modules if name.startswith("pytest_mlperf")}
            names = {"", "version", "plugin", "plugin.hookspecs", "plugin.markers", "plugin.options"}
            assert ours <= names
        """
    )

    pytester.runpytest_subprocess("-p", "no:xdist", "-p", "no:html", "-p", "no:metadata").assert_outcomes(
        passed=1
    )


def test_a_session_imports_nothing_that_it_is_not_asked_for(session: Session) -> None:
    session.pytester.makepyfile(
        test_with_it="""
        import sys

        RARE = ("pytest_mlperf.submission", "pytest_mlperf.history", "sqlalchemy", "alembic")

        def test_with_it():
            assert not [name for name in sys.modules if name.startswith(RARE)]
        """
    )

    result = session.run("-k", "good and not A2x2 or with_it", "--mlperf-output", "out")

    result.assert_outcomes(passed=3)
