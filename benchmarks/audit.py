"""Time of an audit of a submission tree, beside a plain JSON reader of the same logs.

    python benchmarks/audit.py [--tree DIR --round v2.0] [--processes 2] [--rounds 5]

Without a tree, one is made of LoadGen's own logs, as many as some systems have; the runs are too short to be
valid, which costs no less. Judging and plain reading take turns after every directory of results; medians of
CPU time are compared. Wall time and peak memory are those of a process that audits the whole tree. The suite,
with JUnit and HTML, takes turns with pytest alone: as many items of nothing, in the same reports. Exits with
1 when an audit takes more than `LIMIT` of the plain reader's time, or the suite more than `SUITE_LIMIT`
times that of pytest.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import mlperf_loadgen as loadgen

from pytest_mlperf.rounds import checker
from pytest_mlperf.submission import Tree, audit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_mlperf.submission import AuditedResult

LIMIT = 1.0
SUITE_LIMIT = 4.0
SUITE = Path(__file__).parents[1] / "suites" / "test_audit.py"
# As light as an item can be: no fixtures, and nothing to do.
NOTHING = """
import pytest

class Nothing(pytest.Item):
    def runtest(self):
        pass

class Module(pytest.File):
    def collect(self):
        return [Nothing.from_parent(self, name=f"nothing[{number}]") for number in range(int(self.path.stem))]

def pytest_collect_file(file_path, parent):
    return Module.from_parent(parent, path=file_path) if file_path.suffix == ".items" else None
"""
DETAIL = "mlperf_log_detail.txt"
ROUND = "v2.0"
SYSTEMS = 10
SCENARIOS = ("Offline", "Server", "SingleStream", "MultiStream")
# As resnet has them: samples in memory at once, and of the data set.
PERFORMANCE_SAMPLES, ACCURACY_SAMPLES = 1024, 50_000


def main() -> int:
    """Measure and print; `--whole` is how the program asks itself for wall time and memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree", type=Path, help="a folder with closed/, open/, network/ (default: made)")
    parser.add_argument("--round", default=ROUND, help=f"of the tree (default: {ROUND})")
    parser.add_argument("--processes", type=int, default=2, help="of the audit of the whole (default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="times that all is judged (default: 5)")
    parser.add_argument("--whole", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.whole:
        print(*_whole(arguments.tree, arguments.round, arguments.processes))
        return 0
    with tempfile.TemporaryDirectory() as name:
        tree = arguments.tree or _made(Path(name))
        ratio = _compare(tree, arguments.round, arguments.rounds)
        for processes in dict.fromkeys((1, arguments.processes)):
            _print_whole(tree, arguments.round, processes)
        suite = _compare_suite(tree, arguments.round, arguments.rounds, Path(name))
    print(f"ratio {ratio:.2f}, limit {LIMIT}: {'ok' if ratio <= LIMIT else 'MISSED'}")
    print(
        f"ratio of the suite {suite:.2f}, limit {SUITE_LIMIT}: {'ok' if suite <= SUITE_LIMIT else 'MISSED'}"
    )
    return 0 if ratio <= LIMIT and suite <= SUITE_LIMIT else 1


def plain(path: Path) -> dict[str, Any]:
    """Read line by line, and keep the first value of each key."""
    values: dict[str, Any] = {}
    with path.open("rb") as lines:
        for line in lines:
            entry = json.loads(line[9:])
            values.setdefault(entry["key"], entry["value"])
    return values


def _compare(path: Path, round_name: str, rounds: int) -> float:
    times_s = [_turns(path, round_name) for _ in range(rounds)]
    judging_s, plain_s = median(times[0] for times in times_s), median(times[1] for times in times_s)
    results = list(audit(path, round=round_name))
    logs = {log for result in results for log in _logs(path, result)}
    size_mb = sum(log.stat().st_size for log in logs) / 1e6
    print(f"{len(results)} results, {len(logs)} logs that are read, {size_mb:.1f} MB")
    for name, spent_s in (("judged", judging_s), ("plain", plain_s)):
        speed, rate = size_mb / spent_s, len(results) / spent_s
        print(f"  {name:7} {spent_s:6.2f} s of CPU time, {speed:6.0f} MB/s, {rate:7.0f} results/s")
    return judging_s / plain_s


def _turns(path: Path, round_name: str) -> tuple[float, float]:
    """Return the CPU time of judging and of plain reading, in seconds."""
    judging_s = plain_s = 0.0
    start_s = time.process_time()
    tree = Tree(path, round=round_name)
    folders = list(tree.folders())
    judging_s += time.process_time() - start_s
    for folder in folders:
        start_s = time.process_time()
        results = tree.judge(folder)
        judging_s += time.process_time() - start_s
        logs = {log for result in results for log in _logs(path, result)}
        start_s = time.process_time()
        for log in logs:
            plain(log)
        plain_s += time.process_time() - start_s
    return judging_s, plain_s


def _logs(tree: Path, result: AuditedResult) -> Iterator[Path]:
    """Give the detail logs that a result was judged by."""
    places = (ruling.finding.place for ruling in result.rulings)
    for name in {place.path for place in places if place}:
        if name.endswith(DETAIL):
            yield tree / name


def _print_whole(tree: Path, round_name: str, processes: int) -> None:
    options = ["--whole", "--tree", str(tree), "--round", round_name, "--processes", str(processes)]
    argv = [sys.executable, __file__, *options]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    wall_s, cpu_s, peak_mb, worker_mb = map(float, said.split())
    workers = f", {worker_mb:.0f} MB in each worker at most" if processes > 1 else ""
    print(f"  whole in {processes} process{'es' if processes > 1 else ''}: {wall_s:.2f} s,", end=" ")
    print(f"{cpu_s:.2f} s of CPU time, {peak_mb:.0f} MB at most{workers}")


def _compare_suite(tree: Path, round_name: str, rounds: int, folder: Path) -> float:
    """Return the wall time of the suite, in that of pytest with as many items."""
    (folder / "conftest.py").write_text(NOTHING, encoding="utf-8")
    # Of the whole package, so that the suite is found from wherever this is started.
    audit_it = [str(SUITE), "--mlperf-results", str(tree), "--mlperf-round", round_name]
    count = _items(_pytest(folder, audit_it)[1])
    (folder / f"{count}.items").touch()
    times_s = [(_pytest(folder, audit_it)[0], _pytest(folder, [f"{count}.items"])[0]) for _ in range(rounds)]
    suite_s, alone_s = median(times[0] for times in times_s), median(times[1] for times in times_s)
    print(f"  suite {suite_s:.2f} s with {count} items and reports; pytest alone {alone_s:.2f} s")
    return suite_s / alone_s


def _pytest(folder: Path, what: list[str]) -> tuple[float, str]:
    reports = ["--junitxml=j.xml", "--html=h.html", "--self-contained-html"]
    argv = [
        sys.executable,
        "-m",
        "pytest",
        *what,
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rootdir={folder}",
        *reports,
    ]
    started_s = time.perf_counter()
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stdout + done.stderr)
    return time.perf_counter() - started_s, done.stdout


def _items(said: str) -> int:
    """Return how many items a session had, by its last line."""
    return sum(
        int(word) for word in re.findall(r"(\d+) (?:passed|failed|xfailed|errors?)", said.splitlines()[-1])
    )


def _whole(tree: Path, round_name: str, processes: int) -> tuple[float, float, float, float]:
    start_s, own_s = time.perf_counter(), time.process_time()
    for _ in audit(tree, round=round_name, processes=processes):
        pass
    wall_s = time.perf_counter() - start_s
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = time.process_time() - own_s + children.ru_utime + children.ru_stime
    return wall_s, cpu_s, _high_water_mb(), children.ru_maxrss / 1024


def _high_water_mb() -> float:
    # Not getrusage: its peak is inherited from the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _made(folder: Path) -> Path:
    """Make a submission of several systems, with logs of LoadGen for each of its runs."""
    tree = folder / "tree"
    for scenario in SCENARIOS:
        performance = _run(folder / scenario / "run_1", scenario, loadgen.TestMode.PerformanceOnly)
        accuracy = _run(folder / scenario / "accuracy", scenario, loadgen.TestMode.AccuracyOnly)
        (accuracy / "accuracy.txt").write_text(f"accuracy=76.46%\nhash={'0a' * 32}\n", encoding="utf-8")
        for system in range(SYSTEMS):
            _place(tree / "closed" / "Acme", f"system_{system}/resnet50/{scenario}", performance, accuracy)
    for system in range(SYSTEMS):
        described = {"submitter": "Acme", "division": "closed", "status": "available"}
        _write(tree / "closed" / "Acme", {f"systems/system_{system}.json": json.dumps(described)})
    return tree


def _place(folder: Path, name: str, performance: Path, accuracy: Path) -> None:
    shutil.copytree(performance, folder / "results" / name / "performance" / "run_1")
    shutil.copytree(accuracy, folder / "results" / name / "accuracy")
    for test in checker.load(ROUND).benchmarks["resnet"].compliance:
        at = folder / "compliance" / name / test
        shutil.copytree(performance, at / "performance" / "run_1")
        shutil.copytree(accuracy, at / "accuracy")
        _write(at, dict.fromkeys(("verify_performance.txt", "verify_accuracy.txt"), "TEST PASS\n"))
    keys = ("input_data_types", "retraining", "starting_weights_filename", "weight_data_types")
    said = json.dumps(dict.fromkeys((*keys, "weight_transformations"), "int8"))
    system = name.partition("/")[0]
    files = {f"{system}_.json": said, **dict.fromkeys(checker.load(ROUND).measurement_files, "words\n")}
    _write(folder / "measurements" / name, files)


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def _run(folder: Path, scenario: str, mode: Any) -> Path:
    folder.mkdir(parents=True)
    settings = loadgen.TestSettings()
    settings.scenario, settings.mode = getattr(loadgen.TestScenario, scenario), mode
    settings.min_duration_ms = settings.min_query_count = settings.offline_expected_qps = 1
    settings.server_target_qps = 100_000
    log = loadgen.LogSettings()
    log.enable_trace = False
    log.log_output.outdir = str(folder)

    def answer(samples: Sequence[Any]) -> None:
        loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample.id, 0, 0) for sample in samples])

    system = loadgen.ConstructSUT(answer, lambda: None)
    library = loadgen.ConstructQSL(ACCURACY_SAMPLES, PERFORMANCE_SAMPLES, lambda _: None, lambda _: None)
    loadgen.StartTestWithLogSettings(system, library, settings, log)
    loadgen.DestroyQSL(library)
    loadgen.DestroySUT(system)
    (folder / "mlperf_log_accuracy.json").write_text("[]\n", encoding="utf-8")
    return folder


if __name__ == "__main__":
    raise SystemExit(main())
