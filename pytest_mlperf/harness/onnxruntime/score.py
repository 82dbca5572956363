"""The score of an accuracy test: `python -m pytest_mlperf.harness.onnxruntime.score SPEC.json`.

Reads LoadGen's accuracy log as MLPerf's accuracy scripts do, and writes what they print, with the checksum
of the log, to `accuracy.txt` in the log folder.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import TYPE_CHECKING, Any

from pytest_mlperf.errors import EvidenceError, MlperfError, Place
from pytest_mlperf.harness.onnxruntime import miniatures
from pytest_mlperf.harness.onnxruntime.child import EXIT_REFUSED, read_arguments
from pytest_mlperf.harness.onnxruntime.surroundings import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_mlperf.harness.onnxruntime.specification import Specification
    from pytest_mlperf.harness.onnxruntime.tasks import Task

ACCURACY_LOG = "mlperf_log_accuracy.json"
ACCURACY_TEXT = "accuracy.txt"


def main(arguments: Sequence[str], load: Callable[[str, str], Task] = miniatures.load) -> int:
    """Score the test that the file describes, and return 0, or `EXIT_REFUSED` when there is no score."""
    try:
        die_with_parent()
        _score(read_arguments(arguments), load)
    except MlperfError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_REFUSED
    return 0


def _score(specification: Specification, load: Callable[[str, str], Task]) -> None:
    text = specification.log_dir / ACCURACY_TEXT
    # A score of an earlier log must not survive a failure.
    text.unlink(missing_ok=True)
    log = specification.log_dir / ACCURACY_LOG
    responses, checksum = read_responses(log)
    try:
        score = load(specification.miniature, specification.precision).score(responses)
    except ValueError as error:
        raise EvidenceError(str(error), place=Place(path=str(log))) from error
    _write(text, f"{score.line}\nhash={checksum}\n")


def read_responses(log: Path) -> tuple[dict[int, bytes], str]:
    """Return the responses of an accuracy log by sample index, and the log's sha256.

    Of several responses to one sample, as MultiStream's padding makes them, the first counts; it is noted
    on standard error when they differ. Raises EvidenceError when the log is missing, cut, malformed or empty.
    """
    place = Place(path=str(log))
    try:
        content = log.read_bytes()
    except OSError as error:
        raise EvidenceError(f"accuracy log: {error.strerror}", place=place) from error
    responses = _first_responses(_entries(content, place), place)
    if not responses:
        raise EvidenceError("accuracy log: found no sample", place=place, hint="was it an accuracy test?")
    return responses, hashlib.sha256(content).hexdigest()


def _entries(content: bytes, place: Place) -> list[Any]:
    try:
        entries = json.loads(content)
    except ValueError as error:
        hint = "the file is empty or cut: did the test come to its end?"
        raise EvidenceError(f"accuracy log: {error}", place=place, hint=hint) from error
    if not isinstance(entries, list):
        raise EvidenceError(f"accuracy log: found {type(entries).__name__}, allowed array", place=place)
    return entries


def _first_responses(entries: Sequence[Any], place: Place) -> dict[int, bytes]:
    responses: dict[int, bytes] = {}
    in_conflict = set()
    for number, entry in enumerate(entries):
        try:
            index, response = int(entry["qsl_idx"]), bytes.fromhex(entry["data"])
        except (KeyError, TypeError, ValueError) as error:
            raise EvidenceError(f"accuracy log: entry {number}: {error!r}", place=place) from error
        if responses.setdefault(index, response) != response:
            in_conflict.add(index)
    if in_conflict:
        sys.stderr.write(
            f"{place}: accuracy log: found different responses to samples {sorted(in_conflict)}\n"
        )
    return responses


def _write(path: Path, text: str) -> None:
    """Write the file whole or not at all."""
    draft = path.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
