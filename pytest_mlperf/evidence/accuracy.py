"""The output of MLPerf's accuracy scripts: a line with the metric, and one with the hash of the accuracy log.

Some scripts leave the hash to a later step of a submission.

Source of the patterns: mlcommons/inference, tools/submission/submission-checker.py, ACC_PATTERN.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence import AccuracyResult, Fact

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBER = r"(\d+\.?\d*(?:[eE][-+]?\d+)?)(?![\w.])"
PATTERNS: Mapping[str, re.Pattern[str]] = {
    "accuracy": re.compile(rf"^accuracy={_NUMBER}%?"),
    "auc": re.compile(rf"^AUC={_NUMBER}%?"),
    "mAP": re.compile(rf"^mAP={_NUMBER}%?"),
    "f1": re.compile(rf"^{{[\"']exact_match[\"']:\s*[\d.]+,\s*[\"']f1[\"']:\s*{_NUMBER}}}"),
    "wer": re.compile(rf"^Word Error Rate:.*, accuracy={_NUMBER}%"),
    "dice": re.compile(rf"^Accuracy:\s*mean\s*=\s*{_NUMBER}"),
}
# NVIDIA's check on Jetson asks a computer of NVIDIA's, and takes this where that does not answer
# (closed/NVIDIA/code/main.py). No model reaches it.
_MADE_UP = ("dice", 1.0)
_HASH = re.compile(r"^hash=([0-9a-f]{64})$")


def parse(
    text: str, path: str, metric: str, *, hashed: bool = True, pattern: str | None = None
) -> AccuracyResult:
    """Parse `accuracy.txt` for a metric.

    hashed:  whether the script always writes the hash of what it scored
    pattern: regular expression with one group, for the lines with the metric; None for that in `PATTERNS`
    Raises EvidenceError when the metric, or a hash that the script writes, is not there, is no finite number,
    is stated again and otherwise, or was made up.
    """
    found: dict[str, Fact] = {}
    wanted = PATTERNS[metric] if pattern is None else re.compile(pattern)
    for number, line in enumerate(text.splitlines(), start=1):
        place = Place(path=path, line=number)
        if match := wanted.search(line):
            _keep(found, Fact(key=metric, value=_number(match[1], place), place=place))
        if match := _HASH.match(line):
            _keep(found, Fact(key="hash", value=match[1], place=place))
    for key in (metric, "hash") if hashed else (metric,):
        if key not in found:
            raise EvidenceError(
                f"no line with {_sought(key, pattern)}",
                place=Place(path=path),
                hint="did the accuracy script fail?",
            )
    if (metric, found[metric].value) == _MADE_UP:
        raise EvidenceError(
            "the accuracy was not checked: the harness made up 1.000",
            hint="it could not reach the computer that checks it",
            place=found[metric].place,
        )
    return AccuracyResult(quality=found[metric], log_sha256=found.get("hash"))


def _sought(key: str, pattern: str | None) -> str:
    return key if pattern is None or key == "hash" else f"{key} (accuracy_pattern {pattern!r})"


def _number(text: str | None, place: Place) -> float:
    try:
        return float(text or "")
    except ValueError as error:
        raise EvidenceError(f"found {text!r}, allowed: a number", place=place) from error


def _keep(found: dict[str, Fact], fact: Fact) -> None:
    if fact.key != "hash" and not math.isfinite(fact.value):
        raise EvidenceError(f"found {fact.key} {fact.value}, allowed: a finite number", place=fact.place)
    first = found.setdefault(fact.key, fact)
    if first.value != fact.value:
        raise EvidenceError(
            f"{fact.key}: found {fact.value}, but {first.value} in line {first.place.line}",
            place=fact.place,
            hint="did two runs write into one folder?",
        )
