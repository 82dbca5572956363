"""CPU time of what is written down of a case, with all reports on, beside bare pytest.

    python benchmarks/bookkeeping.py [--cases 1000] [--rounds 5]

The cases are taken over from an earlier session (`--mlperf-resume`): nothing runs, and their records go into
records.jsonl, metrics, JUnit, HTML and a SQLite history. Beside them stand replays of logs of LoadGen, which
are copied, read and judged before; and as many items that do nothing, in pytest without this plugin, without
reports, and with JUnit and pytest-html. Whole processes, alternating; medians of user and system time are
compared, and what starting costs is taken off by sessions of a few items. Exits with 1 when a case costs
more than `LIMIT_MS` over an item of bare pytest.

Then it opens the page of `PAGE` cases in Chromium, where playwright and Chromium are installed, and says how
large it is and when it can be used.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

LIMIT_MS = 5.0
PAGE = 10_000
SCENARIOS = ("Offline", "Server", "SingleStream", "MultiStream")

LOADGEN = """
import pathlib, sys, time
import mlperf_loadgen as lg

def issue(samples):
    time.sleep(0.3 if scenario == "Offline" else 0)
    lg.QuerySamplesComplete([lg.QuerySampleResponse(s.id, 0, 0) for s in samples])

for scenario in sys.argv[2:]:
    folder = pathlib.Path(sys.argv[1]) / scenario
    folder.mkdir(parents=True)
    settings, logs = lg.TestSettings(), lg.LogSettings()
    settings.scenario = getattr(lg.TestScenario, scenario)
    settings.mode = lg.TestMode.PerformanceOnly
    settings.min_duration_ms, settings.min_query_count = 200, 100
    settings.offline_expected_qps, settings.server_target_qps = 1000, 5000
    settings.single_stream_expected_latency_ns = settings.multi_stream_expected_latency_ns = 1000
    settings.server_target_latency_ns = 10 ** 9
    logs.log_output.outdir, logs.enable_trace = str(folder), False
    sut = lg.ConstructSUT(issue, lambda: None)
    qsl = lg.ConstructQSL(16, 16, lambda _: None, lambda _: None)
    lg.StartTestWithLogSettings(sut, qsl, settings, logs)
    lg.DestroyQSL(qsl)
    lg.DestroySUT(sut)
"""

CONFTEST = f"""
from pytest_mlperf.matrix import HarnessTerms
from pytest_mlperf.rounds import Benchmark

class Nothing:
    def terms(self, mlperf_round):
        benchmark = Benchmark(
            name="nothing", metric="accuracy", unit="%", reference_quality=90.0, accuracy_levels=("99",),
            scenarios={SCENARIOS}, harnesses=(), server_latency_ms=None, published_duration_s={{}},
        )
        return HarnessTerms(system_suffix="_NONE", benchmarks={{"nothing": benchmark}})

    def missing(self, mlperf_round):
        return None

    def estimated_duration_s(self, case, mlperf_round):
        return None

    def log_tree(self, case, mlperf_round):
        return None

def pytest_mlperf_harnesses(config):
    return {{f"none{{number}}": Nothing() for number in range(10_000)}}
"""

SUITE = """
from pytest_mlperf.plugin import check

def test_case(mlperf_record):
    check(mlperf_record)
"""

BARE = """
import pytest

@pytest.mark.parametrize("case", range({count}))
def test_case(case):
    pass
"""

REPORTS = ("--junitxml=j.xml", "--html=h.html", "--self-contained-html")
OURS = (*REPORTS, "--mlperf-output=out", "--mlperf-history=h.sqlite")
REPLAYED = (*OURS, "--mlperf-replay=logs")
TAKEN_OVER = (*OURS, "--mlperf-resume=earlier")
WITHOUT = ("-p", "no:pytest_mlperf.plugin")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1000, help="in a session (default: 1000)")
    parser.add_argument("--rounds", type=int, default=5, help="sessions of each kind (default: 5)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-c", LOADGEN, folder / "loadgen", *SCENARIOS], check=True)
        over_ms = _compare(folder, arguments.cases, arguments.rounds)
        _look(folder)
    print(f"over bare pytest {over_ms:.2f} ms, limit {LIMIT_MS}: {'ok' if over_ms <= LIMIT_MS else 'MISSED'}")
    return 0 if over_ms <= LIMIT_MS else 1


def _compare(folder: Path, cases: int, rounds: int) -> float:
    """Return what a case costs over an item of pytest without reports, in ms of CPU time."""
    kinds: dict[str, Callable[[int], float]] = {
        "case, taken over": lambda count: _cpu_s(_ours(folder, count), TAKEN_OVER, count),
        "case, replayed": lambda count: _cpu_s(_ours(folder, count), REPLAYED, count),
        "bare item": lambda count: _cpu_s(_bare(folder, count), WITHOUT, count),
        "bare item, JUnit and HTML": lambda count: _cpu_s(_bare(folder, count), (*WITHOUT, *REPORTS), count),
    }
    few = len(SCENARIOS)
    times_s = {
        kind: [measure(cases) - measure(few) for _ in range(rounds)] for kind, measure in kinds.items()
    }
    each_ms = {kind: 1000 * median(found) / (cases - few) for kind, found in times_s.items()}
    for kind, spent_ms in each_ms.items():
        print(f"{kind:26} {spent_ms:6.2f} ms of CPU time (median of {rounds} sessions of {cases})")
    return each_ms["case, taken over"] - each_ms["bare item"]


def _ours(folder: Path, count: int) -> Path:
    project = folder / f"ours-{count}"
    for left in ("out", "h.sqlite"):
        shutil.rmtree(project / left, ignore_errors=True)
        (project / left).unlink(missing_ok=True)
    if project.exists():
        return project
    (project / "matrices").mkdir(parents=True)
    harnesses = [f"none{number}" for number in range(count // len(SCENARIOS))]
    matrix = (
        "round: v2.0\ncategory: smoke\naxes:\n  sku: CPU\n  benchmark: nothing\n  mode: PerformanceOnly\n"
    )
    matrix += f"  scenario: [{', '.join(SCENARIOS)}]\n  harness: [{', '.join(harnesses)}]\n"
    (project / "matrices/m.yaml").write_text(matrix, encoding="utf-8")
    (project / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (project / "test_suite.py").write_text(SUITE, encoding="utf-8")
    (project / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    for harness in harnesses:
        for scenario in SCENARIOS:
            case = f"nothing-CPU_NONE-{harness}_k_99_MaxP-{scenario}-PerformanceMode"
            shutil.copytree(folder / "loadgen" / scenario, project / "logs" / case)
    _cpu_s(project, (*REPLAYED, "--mlperf-output=earlier"), count)
    _as_if_run(project / "earlier")
    return project


def _as_if_run(earlier: Path) -> None:
    """Let a session that replayed logs be one that ran its cases: only that can be gone on with."""
    for path in earlier.rglob("record*.json*"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('"replayed": "logs"', '"replayed": null'), encoding="utf-8")


def _bare(folder: Path, count: int) -> Path:
    project = folder / f"bare-{count}"
    project.mkdir(exist_ok=True)
    (project / "test_bare.py").write_text(BARE.format(count=count), encoding="utf-8")
    (project / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return project


def _cpu_s(project: Path, options: tuple[str, ...], count: int) -> float:
    before = os.times()
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *options]
    environment = {**os.environ, "XDG_STATE_HOME": str(project)}
    done = subprocess.run(argv, cwd=project, env=environment, capture_output=True, text=True, check=False)
    after = os.times()
    if f"{count} passed" not in done.stdout:
        raise SystemExit(f"not {count} passed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return after.children_user + after.children_system - before.children_user - before.children_system


def _look(folder: Path) -> None:
    """Open the page of many cases, and say how large it is and when it can be used."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415  need not be there
    except ModuleNotFoundError:
        chromium = None
    if chromium is None:
        print("page: not looked at, for want of Chromium or playwright")
        return
    page_path = _ours(folder, PAGE) / "h.html"
    _cpu_s(page_path.parent, TAKEN_OVER, PAGE)
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        usable_s = median(_usable_s(browser.new_page(), page_path) for _ in range(5))
        browser.close()
    size_mb = page_path.stat().st_size / 1e6
    print(f"page of {PAGE} cases: {size_mb:.1f} MB, usable after {usable_s:.2f} s (limits: 12 MB, 2 s)")


def _usable_s(page: Page, path: Path) -> float:
    """Return when the table of cases can be sorted, in seconds since the page was asked for."""
    page.goto(path.as_uri())
    page.wait_for_selector("th.value button")
    return float(page.evaluate("performance.now()")) / 1000


if __name__ == "__main__":
    raise SystemExit(main())
