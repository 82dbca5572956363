"""Read what stands in a submission tree; at the level official as leniently as the checkers do."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
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

    from pytest_mlperf.verdict.official import Terms

DETAIL = "mlperf_log_detail.txt"
SUMMARY = "mlperf_log_summary.txt"
SAMPLES = "mlperf_log_accuracy.json"
SCORES = "accuracy.txt"

_MARK = b":::MLLOG"
# Of a log that is read leniently, which is done in memory.
_MOST_BYTES = 32 << 20
_WORDS = ("verify_performance.txt", "verify_accuracy.txt", "verify_output_len.txt")


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads the files of a tree, by their paths from there. Errors name them the same way.

    lists: what the logs that were read have in common
    """

    tree: str
    lists: detail.Lists = field(default_factory=detail.Lists)

    def place(self, path: str) -> str:
        """Return where a path from the tree stands."""
        return os.path.join(self.tree, path)  # noqa: PTH118  see layout.listing

    def listing(self, path: str) -> layout.Listing:
        """List a directory. Raises EvidenceError where there is one that cannot be read."""
        try:
            return layout.listing(self.place(path))
        except OSError as error:
            raise _unreadable(error, path) from error

    def text(self, path: str) -> str:
        """Read a text with its line ends as Python's. Raises EvidenceError naming the file and the reason."""
        try:
            with open(self.place(path), "rb", buffering=0) as stream:  # noqa: PTH123  see layout.listing
                text = stream.read().decode(errors="replace")
        except OSError as error:
            raise _unreadable(error, path) from error
        return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text

    def mapping(self, path: str) -> Mapping[str, Any] | None:
        """Read a JSON file with a mapping, None for no such file. Raises EvidenceError for anything else."""
        if not os.path.isfile(self.place(path)):  # noqa: PTH113  see layout.listing
            return None
        try:
            content = json.loads(self.text(path))
        except (ValueError, RecursionError) as error:
            raise EvidenceError(f"not JSON: {error}", place=Place(path=path)) from error
        if not isinstance(content, dict):
            raise EvidenceError("found another shape, allowed: a mapping", place=Place(path=path))
        return content

    def detail_log(self, folder: str, terms: Terms) -> DetailLog:
        """Read the detail log of a run. Raises EvidenceError naming the file and the reason."""
        path = f"{folder}/{DETAIL}"
        try:
            with open(self.place(path), "rb", buffering=0) as stream:  # noqa: PTH123  see layout.listing
                try:
                    return detail.parse(stream, path, self.lists)
                except EvidenceError:
                    if terms.level == "strict" or stream.seek(0, SEEK_END) > _MOST_BYTES:
                        raise
                    stream.seek(0)
                    lines = b"".join(_marked(BytesIO(stream.read())))
                    if not lines:
                        # Nothing that LoadGen wrote: what it is instead was said.
                        raise
                    return detail.parse(BytesIO(lines), path, self.lists)
        except OSError as error:
            raise _unreadable(error, path) from error

    def summary_log(self, folder: str) -> Summary:
        """Read the summary of a run. Raises EvidenceError naming the file and the reason."""
        path = f"{folder}/{SUMMARY}"
        return summary.parse(self.text(path), path)

    def scores(self, path: str, terms: Terms) -> tuple[scores.Line, ...]:
        """Read the metrics of a benchmark. Raises EvidenceError naming the file and the reason."""
        return scores.parse(self.text(path), path, _patterns(terms))


def _unreadable(error: OSError, path: str) -> EvidenceError:
    missing = isinstance(error, FileNotFoundError)
    what = "the file is missing" if missing else f"cannot be read: {error.strerror}"
    return EvidenceError(what, place=Place(path=path))


def _marked(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Give the lines that the checkers read: all others, and a missing last line end, they pass over."""
    for line in lines:
        if line.startswith(_MARK):
            yield b"%b %b\n" % (_MARK, line[len(_MARK) :].strip())


def _patterns(terms: Terms) -> dict[str, re.Pattern[str]]:
    wanted = {**terms.benchmark.accuracy_targets(terms.scenario), **terms.benchmark.accuracy_limit}
    return {metric: terms.round.patterns[metric] for metric in wanted}


def accuracy_run(reader: Reader, folder: str, terms: Terms) -> AccuracyRun:
    """Read an accuracy directory. Raises EvidenceError naming the file and the reason."""
    lines = reader.scores(f"{folder}/{SCORES}", terms)
    try:
        size = os.stat(reader.place(f"{folder}/{SAMPLES}")).st_size  # noqa: PTH116  see layout.listing
    except FileNotFoundError:
        size = None
    return AccuracyRun(log=reader.detail_log(folder, terms), lines=lines, samples_log_bytes=size)


def compliance_run(reader: Reader, folder: str, terms: Terms) -> ComplianceRun | None:
    """Read the directory of a compliance test, None for no such directory.

    Raises EvidenceError naming the file and the reason.
    """
    found = reader.listing(folder)
    if found.files is None:
        return None
    accuracy = reader.listing(f"{folder}/accuracy") if "accuracy" in found.folders else layout.NOTHING
    present = accuracy.files or frozenset()
    both = {"baseline_accuracy.txt", "compliance_accuracy.txt"} <= present and terms.test == "TEST01"
    run = f"{folder}/performance/run_1"
    return ComplianceRun(
        words={name: reader.text(f"{folder}/{name}").splitlines() for name in _WORDS if name in found.files},
        run_files=reader.listing(run).files if "performance" in found.folders else None,
        accuracy_files=accuracy.files,
        log=reader.detail_log(run, terms) if needs_log(terms) else None,
        baseline=reader.scores(f"{folder}/accuracy/baseline_accuracy.txt", terms) if both else (),
        compliance=reader.scores(f"{folder}/accuracy/compliance_accuracy.txt", terms) if both else (),
    )


def implementation(
    reader: Reader, folder: layout.ScenarioFolder, files: Iterable[str], terms: Terms
) -> Mapping[str, Any] | None:
    """Read what the measurements say of the implementation: the file of the scenario, or of the system.

    files: the names in the directory of measurements
    """
    names = sorted(files)
    if terms.round.layout == "v6.0":
        chosen = [name for name in names if name.lower() == "measurements.json"]
    else:
        ours = [name for name in names if name.startswith(folder.system) and name.endswith(".json")]
        chosen = [name for name in ours if name.endswith(f"_{folder.name}.json")] or ours
    return reader.mapping(f"{folder.measurements_path}/{chosen[0]}") if chosen else None


def measurement_names(folder: layout.ScenarioFolder) -> frozenset[str]:
    """Return the names of the files that may say how power was measured: beside the result or above it."""
    places = (folder.measurements, *folder.measurements.parents[:3])
    return frozenset(name for place in places for name in layout.listing(place).files or ())


def has_code(reader: Reader, folder: layout.ScenarioFolder, terms: Terms) -> bool | None:
    """Return whether the submission holds the code of a benchmark; None for a submission without any code.

    Audits are also made of trees from which the code was left out, as it is large.
    Raises EvidenceError for code that cannot be looked at.
    """
    name = "src" if terms.round.layout == "v6.0" else "code"
    if not os.path.isdir(reader.place(f"{folder.submission.path}/{name}")):  # noqa: PTH112  see layout.listing
        return None
    root = folder.submission.folder / name
    path = root / folder.benchmark
    try:
        if path.is_file():
            # A file instead of a directory names the benchmark whose code it shares.
            path = root / path.read_text(encoding="utf-8", errors="replace").strip()
        return path.is_dir() or terms.round.layout == "v6.0"
    except OSError as error:
        raise _unreadable(error, f"{folder.submission.path}/{name}/{folder.benchmark}") from error
