"""The detail log of LoadGen 1.0 and later: lines of `:::MLLOG {json}`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence import DetailLog, Fact

if TYPE_CHECKING:
    from collections.abc import Iterable

_PREFIX = ":::MLLOG "


def parse(lines: Iterable[str], path: str) -> DetailLog:
    """Parse a detail log, line by line, each with its line end.

    Raises EvidenceError naming the line that is cut or is not of this format.
    """
    facts: dict[str, Fact] = {}
    marked: dict[str, list[Fact]] = {"is_error": [], "is_warning": []}
    for number, line in enumerate(lines, start=1):
        place = Place(path=path, line=number)
        entry = _entry(line, place)
        fact = Fact(key=entry["key"], value=entry["value"], place=place)
        facts.setdefault(fact.key, fact)
        for mark, messages in marked.items():
            if entry["metadata"].get(mark):
                messages.append(fact)
    if not facts:
        raise EvidenceError("the file is empty", place=Place(path=path), hint=_DIED)
    return DetailLog(facts=facts, errors=tuple(marked["is_error"]), warnings=tuple(marked["is_warning"]))


_DIED = "did the harness die? see stderr.txt of the case"


def _entry(line: str, place: Place) -> dict[str, Any]:
    if not line.endswith("\n"):
        raise EvidenceError("the last line is cut", place=place, hint=_DIED)
    if not line.startswith(_PREFIX):
        raise EvidenceError(f"found {line[:40]!r}, allowed: lines that start with {_PREFIX!r}", place=place)
    try:
        entry = json.loads(line[len(_PREFIX) :])
    except (ValueError, RecursionError) as error:
        hint = "LoadGen escapes no text, and writes numbers such as inf"
        raise EvidenceError(f"not JSON: {error}", place=place, hint=hint) from error
    if not isinstance(entry, dict) or not {"key", "value", "metadata"} <= entry.keys():
        raise EvidenceError("found no key, value and metadata", place=place)
    if not isinstance(entry["key"], str) or not isinstance(entry["metadata"], dict):
        raise EvidenceError("found another shape, allowed: text as key, a mapping as metadata", place=place)
    return entry
