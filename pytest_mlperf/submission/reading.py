"""Read what stands in a submission tree; at the level official as leniently as the checkers do."""

from __future__ import annotations

import json
from contextlib import contextmanager
from io import SEEK_END, BytesIO
from typing import TYPE_CHECKING, Any

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence import DetailLog, Summary, detail, scores, summary
from pytest_mlperf.submission import layout
from pytest_mlperf.verdict.official.accuracy import AccuracyRun
from pytest_mlperf.verdict.official.compliance import ComplianceRun, needs_log

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_mlperf.verdict.official import Terms

DETAIL = "mlperf_log_detail.txt"
SUMMARY = "mlperf_log_summary.txt"
SAMPLES = "mlperf_log_accuracy.json"
SCORES = "accuracy.txt"

_MARK = b":::MLLOG"
# Of a log that is read leniently, which is done in memory.
_MOST_BYTES = 32 << 20
_WORDS = ("verify_performance.txt", "verify_accuracy.txt", "verify_output_len.txt")


def detail_log(folder: Path, tree: Path, terms: Terms) -> DetailLog:
    """Read the detail log of a run. Raises EvidenceError naming the file and the reason."""
    path = folder / DETAIL
    shown = path.relative_to(tree).as_posix()
    with _readable(shown), path.open("rb") as stream:
        try:
            return detail.parse(stream, shown)
        except EvidenceError:
            if terms.level == "strict" or stream.seek(0, SEEK_END) > _MOST_BYTES:
                raise
            stream.seek(0)
            marked = b"".join(_marked(stream))
            if not marked:
                # Nothing that LoadGen wrote: what it is instead was said.
                raise
            return detail.parse(BytesIO(marked), shown)


def _marked(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Give the lines that the checkers read: all others, and a missing last line end, they pass over."""
    for line in lines:
        if line.startswith(_MARK):
            yield b"%b %b\n" % (_MARK, line[len(_MARK) :].strip())


def summary_log(folder: Path, tree: Path) -> Summary:
    """Read the summary of a run. Raises EvidenceError naming the file and the reason."""
    path = folder / SUMMARY
    return summary.parse(_text(path, tree), path.relative_to(tree).as_posix())


def accuracy_run(folder: layout.ScenarioFolder, tree: Path, terms: Terms) -> AccuracyRun:
    """Read an accuracy directory. Raises EvidenceError naming the file and the reason."""
    lines = _scores(folder.accuracy / SCORES, tree, _patterns(terms))
    try:
        size = (folder.accuracy / SAMPLES).stat().st_size
    except FileNotFoundError:
        size = None
    return AccuracyRun(log=detail_log(folder.accuracy, tree, terms), lines=lines, samples_log_bytes=size)


def compliance_run(folder: layout.ScenarioFolder, tree: Path, terms: Terms) -> ComplianceRun | None:
    """Read the directory of a compliance test, None for no such directory.

    Raises EvidenceError naming the file and the reason.
    """
    test = folder.compliance / (terms.test or "")
    names = layout.files(test)
    if names is None:
        return None
    accuracy_files = layout.files(test / "accuracy")
    patterns = _patterns(terms)
    present = accuracy_files or frozenset()
    both = {"baseline_accuracy.txt", "compliance_accuracy.txt"} <= present and terms.test == "TEST01"
    return ComplianceRun(
        words={name: _text(test / name, tree).splitlines() for name in _WORDS if name in names},
        run_files=layout.files(test / "performance" / "run_1"),
        accuracy_files=accuracy_files,
        log=detail_log(test / "performance" / "run_1", tree, terms) if needs_log(terms) else None,
        baseline=_scores(test / "accuracy" / "baseline_accuracy.txt", tree, patterns) if both else (),
        compliance=_scores(test / "accuracy" / "compliance_accuracy.txt", tree, patterns) if both else (),
    )


def _patterns(terms: Terms) -> dict[str, re.Pattern[str]]:
    wanted = {**terms.benchmark.accuracy_targets(terms.scenario), **terms.benchmark.accuracy_limit}
    return {metric: terms.round.patterns[metric] for metric in wanted}


def _scores(path: Path, tree: Path, patterns: Mapping[str, re.Pattern[str]]) -> tuple[scores.Line, ...]:
    return scores.parse(_text(path, tree), path.relative_to(tree).as_posix(), patterns)


def _text(path: Path, tree: Path) -> str:
    with _readable(path.relative_to(tree).as_posix()):
        return path.read_text(encoding="utf-8", errors="replace")


def mapping(path: Path, tree: Path) -> Mapping[str, Any] | None:
    """Read a JSON file with a mapping, None for no such file. Raises EvidenceError for anything else."""
    shown = path.relative_to(tree).as_posix()
    if not path.is_file():
        return None
    with _readable(shown):
        try:
            content = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        except (ValueError, RecursionError) as error:
            raise EvidenceError(f"not JSON: {error}", place=Place(path=shown)) from error
    if not isinstance(content, dict):
        raise EvidenceError("found another shape, allowed: a mapping", place=Place(path=shown))
    return content


def implementation(folder: layout.ScenarioFolder, tree: Path, terms: Terms) -> Mapping[str, Any] | None:
    """Read what the measurements say of the implementation: the file of the scenario, or of the system."""
    names = sorted(layout.files(folder.measurements) or ())
    if terms.round.layout == "v6.0":
        chosen = [name for name in names if name.lower() == "measurements.json"]
    else:
        ours = [name for name in names if name.startswith(folder.system) and name.endswith(".json")]
        chosen = [name for name in ours if name.endswith(f"_{folder.name}.json")] or ours
    return mapping(folder.measurements / chosen[0], tree) if chosen else None


def measurement_names(folder: layout.ScenarioFolder) -> frozenset[str]:
    """Return the names of the files that may say how power was measured: beside the result or above it."""
    places = (folder.measurements, *folder.measurements.parents[:3])
    return frozenset(name for place in places for name in layout.files(place) or ())


def has_code(folder: layout.ScenarioFolder, tree: Path, terms: Terms) -> bool | None:
    """Return whether the submission holds the code of a benchmark; None for a submission without any code.

    Audits are also made of trees from which the code was left out, as it is large.
    Raises EvidenceError for code that cannot be looked at.
    """
    root = folder.submission.folder / ("src" if terms.round.layout == "v6.0" else "code")
    if not root.is_dir():
        return None
    path = root / folder.benchmark
    with _readable(path.relative_to(tree).as_posix()):
        if path.is_file():
            # A file instead of a directory names the benchmark whose code it shares.
            path = root / path.read_text(encoding="utf-8", errors="replace").strip()
        return path.is_dir() or terms.round.layout == "v6.0"


@contextmanager
def _readable(shown: str) -> Iterator[None]:
    """Turn what goes wrong while a file is read into an EvidenceError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise EvidenceError("the file is missing", place=Place(path=shown)) from error
    except OSError as error:
        raise EvidenceError(f"cannot be read: {error.strerror}", place=Place(path=shown)) from error
