"""`metadata.json`: what NVIDIA's harness, from v3.0 on, says of a run beside LoadGen's logs.

Only what LoadGen's detail log states as well is read, under LoadGen's keys. The text in `summary_string` is
not: since v4.1 it calls a VALID run INVALID when that was shorter than ten minutes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence import Fact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KEYS = {
    "scenario": "effective_scenario",
    "test_mode": "effective_test_mode",
    "result_validity": "result_validity",
}
# Names the key of the result.
_RESULT = "scenario_key"
# LoadGen knows no such scenario: it is Server with other limits.
_SCENARIOS = {"Interactive": "Server"}


def parse(text: str, path: str) -> tuple[Fact, ...]:
    """Parse a `metadata.json`: facts by LoadGen's keys. What is null or not there is none.

    Raises EvidenceError for what is no JSON, or no mapping.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        hint = "did the harness die? see stderr.txt of the case"
        raise EvidenceError(f"not JSON: {error}", place=Place(path=path, line=line), hint=hint) from error
    if not isinstance(content, dict):
        raise EvidenceError("found another shape, allowed: a mapping", place=Place(path=path))
    lines = text.splitlines()
    return tuple(
        Fact(key=key, value=value, place=Place(path=path, line=_line(lines, word)))
        for word, key, value in _stated(content)
        if value is not None
    )


def _stated(content: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for word, key in _KEYS.items():
        value = content.get(word)
        yield word, key, _SCENARIOS.get(value, value) if isinstance(value, str) else value
    result = content.get(_RESULT)
    if isinstance(result, str):
        yield result, result, content.get(result)


def _line(lines: list[str], word: str) -> int | None:
    return next((number for number, line in enumerate(lines, start=1) if f'"{word}":' in line), None)
