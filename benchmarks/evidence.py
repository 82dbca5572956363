"""MB/s of reading detail logs, beside the way of the official parser and a plain JSON reader.

    python benchmarks/evidence.py [--rounds 7] [--corpus-mb 200]

The logs are LoadGen's own: of a performance run, of an accuracy run over as many samples as DLRM has, and of
a run with a flood of warnings. Where MLPERF_RESULTS_CORPUS names a folder of published rounds, as many
megabytes of the detail logs there are read too. The three readers take turns after every ten logs; medians of
CPU time are compared, and peak memory is that of a process which reads the largest log. Exits with 1 when a
ratio to the official way is below the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import mlperf_loadgen as loadgen

from pytest_mlperf.evidence import detail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LIMIT = 3.0
DETAIL = "mlperf_log_detail.txt"
PERFORMANCE_SAMPLES = 1024
ACCURACY_SAMPLES = 330_067
WARNINGS = 100_000
COPIES = 100
TURN = 10


def official(path: Path) -> list[dict[str, Any]]:
    """Read as mlcommons/inference does (tools/submission, log_parser): every line is a mapping in a list."""
    with path.open(encoding="utf-8") as lines:
        entries = (line.rstrip() for line in lines)
        return [json.loads(entry[8:]) for entry in entries if entry.find(":::MLLOG") == 0]


def plain(path: Path) -> dict[str, Any]:
    """Read line by line, and keep the first value of each key."""
    values: dict[str, Any] = {}
    with path.open("rb") as lines:
        for line in lines:
            entry = json.loads(line[9:])
            values.setdefault(entry["key"], entry["value"])
    return values


def ours(path: Path) -> object:
    """Read as this package does."""
    with path.open("rb", buffering=0) as stream:
        return detail.parse(stream, path.name)


READERS: Mapping[str, Callable[[Path], object]] = {"official": official, "plain": plain, "ours": ours}


def main() -> int:
    """Measure and print each kind of log; `--peak` is how the program asks itself for memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="times that each log is read (default: 7)")
    parser.add_argument("--corpus-mb", type=int, default=200, help="published logs to read (default: 200)")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        reader, path = arguments.peak
        print(_peak_mb(reader, Path(path)))
        return 0
    with tempfile.TemporaryDirectory() as name:
        kinds = dict(_own(Path(name)))
        corpus = os.environ.get("MLPERF_RESULTS_CORPUS")
        if corpus:
            kinds["published"] = _published(Path(corpus), arguments.corpus_mb * 1_000_000)
        ratios = [_measure(kind, paths, arguments.rounds) for kind, paths in kinds.items()]
    print(f"lowest ratio {min(ratios):.2f}, limit {LIMIT}: {'ok' if min(ratios) >= LIMIT else 'MISSED'}")
    return 0 if min(ratios) >= LIMIT else 1


def _own(folder: Path) -> Mapping[str, Sequence[Path]]:
    performance = _run(folder / "performance", loadgen.TestMode.PerformanceOnly, PERFORMANCE_SAMPLES)
    accuracy = _run(folder / "accuracy", loadgen.TestMode.AccuracyOnly, ACCURACY_SAMPLES)
    header, *_ = performance.read_text(encoding="utf-8").splitlines(keepends=True)
    warning = header.replace('"is_warning": false', '"is_warning": true')
    flood = folder / "warnings.txt"
    flood.write_text(performance.read_text(encoding="utf-8") + warning * WARNINGS, encoding="utf-8")
    return {"performance": [performance] * COPIES, "accuracy": [accuracy], "warnings": [flood]}


def _run(folder: Path, mode: Any, count: int) -> Path:
    folder.mkdir()
    settings = loadgen.TestSettings()
    settings.scenario, settings.mode = loadgen.TestScenario.Offline, mode
    settings.min_duration_ms = settings.offline_expected_qps = 1
    log = loadgen.LogSettings()
    log.enable_trace = False
    log.log_output.outdir = str(folder)

    def answer(samples: Sequence[Any]) -> None:
        loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample.id, 0, 0) for sample in samples])

    system = loadgen.ConstructSUT(answer, lambda: None)
    library = loadgen.ConstructQSL(count, count, lambda _: None, lambda _: None)
    loadgen.StartTestWithLogSettings(system, library, settings, log)
    loadgen.DestroyQSL(library)
    loadgen.DestroySUT(system)
    return folder / DETAIL


def _published(corpus: Path, size_bytes: int) -> Sequence[Path]:
    paths = sorted(corpus.rglob(DETAIL))
    random.Random(0).shuffle(paths)  # noqa: S311  the same choice every time
    chosen: list[Path] = []
    while paths and _size_bytes(chosen) < size_bytes:
        chosen.append(paths.pop())
    return chosen


def _size_bytes(paths: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _measure(kind: str, paths: Sequence[Path], rounds: int) -> float:
    size_mb = _size_bytes(paths) / 1e6
    times_s: dict[str, list[float]] = {reader: [] for reader in READERS}
    for _ in range(rounds):
        for reader, spent_s in _round(paths).items():
            times_s[reader].append(spent_s)
    medians = {reader: median(spent) for reader, spent in times_s.items()}
    largest = max(paths, key=lambda path: path.stat().st_size)
    print(f"{kind}: {len(paths)} logs, {size_mb:.1f} MB, largest {largest.stat().st_size / 1e6:.1f} MB")
    for reader, spent in medians.items():
        ratio = medians["official"] / spent
        peak_mb = _asked_peak_mb(reader, largest)
        print(
            f"  {reader:9} {size_mb / spent:6.0f} MB/s, {ratio:5.2f} x official, {peak_mb:+7.1f} MB of memory"
        )
    return medians["official"] / medians["ours"]


def _round(paths: Sequence[Path]) -> Mapping[str, float]:
    spent_s = dict.fromkeys(READERS, 0.0)
    for start in range(0, len(paths), TURN):
        for reader, read in READERS.items():
            start_s = time.process_time()
            for path in paths[start : start + TURN]:
                read(path)
            spent_s[reader] += time.process_time() - start_s
    return spent_s


def _asked_peak_mb(reader: str, path: Path) -> float:
    argv = [sys.executable, __file__, "--peak", reader, str(path)]
    return float(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def _peak_mb(reader: str, path: Path) -> float:
    before = _high_water_mb()
    READERS[reader](path)
    return _high_water_mb() - before


def _high_water_mb() -> float:
    # Not getrusage: its peak is inherited from the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    raise SystemExit(main())
