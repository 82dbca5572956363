"""`accuracy.txt` of a published result: every metric that patterns find in it, and every hash, by line.

What the scripts of the rounds print around them differs (progress bars, dictionaries, several metrics in a
line). Which of the values counts is not decided here.
"""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence import Fact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What the checkers take for a hash; that it is one of 64 digits is for the rules to say.
_HASH = re.compile(r"^hash=(\w+)$")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line with a metric or a hash: the metrics by name in the order of the patterns, and the hash."""

    metrics: Mapping[str, Fact]
    sha256: Fact | None


def parse(text: str, path: str, patterns: Mapping[str, re.Pattern[str]]) -> tuple[Line, ...]:
    r"""Parse `accuracy.txt` with its own line ends; a lone `\r` of a progress bar ends a line too.

    patterns: by metric, what a line begins with; group 1 is the value
    Raises EvidenceError for a value that is no number.
    """
    return tuple(_lines(text, path, patterns))


def _lines(text: str, path: str, patterns: Mapping[str, re.Pattern[str]]) -> Iterator[Line]:
    # As a file in text mode does it: str.splitlines would also split at form feeds.
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        found = {metric: match[1] for metric, pattern in patterns.items() if (match := pattern.match(line))}
        sha256 = _HASH.match(line)
        if found or sha256:
            place = Place(path=path, line=number)
            yield Line(
                metrics={
                    metric: Fact(key=metric, value=_number(value, place), place=place)
                    for metric, value in found.items()
                },
                sha256=Fact(key="hash", value=sha256[1], place=place) if sha256 else None,
            )


def _number(text: str, place: Place) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise EvidenceError(f"found {text!r}, allowed: a number", place=place) from error
    if not math.isfinite(value):
        raise EvidenceError(f"found {text[:40]!r}, allowed: a finite number", place=place)
    return value
