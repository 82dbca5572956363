"""The summary of LoadGen: verdict, constraints, recommendations, and the footer that ends it."""

from __future__ import annotations

import re

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence import Fact, Summary

_VALIDITY = re.compile(r"^Result is : (VALID|INVALID)$")
_CONSTRAINT = re.compile(r"^  (\w[\w ]* satisfied) ?: (Yes|NO)$")
_ADVICE = re.compile(r"^ \* (.+)$")
_FOOTER = re.compile(
    r"^(No|[0-9]{1,18}) (?:(warning)s?|errors|ERRORS?) encountered(?: during test|\. See detailed log)\.$"
)


def parse(text: str, path: str) -> Summary:
    """Parse a summary.

    Raises EvidenceError when the footer, which LoadGen writes last, is not there or not whole, and when the
    same is said twice and otherwise.
    """
    once: dict[str, Fact] = {}
    recommendations: list[Fact] = []
    advising = False
    for number, line in enumerate(text.splitlines(), start=1):
        place = Place(path=path, line=number)
        if said := _said_once(line, place):
            _check_once(once.setdefault(said.key, said), said)
        elif advising and (match := _ADVICE.match(line)):
            recommendations.append(Fact(key="recommendation", value=match[1], place=place))
        advising = line.startswith("Recommendations:") or (advising and line.startswith(" "))
    if not {_WARNINGS, _ERRORS} <= once.keys():
        state = "is cut: its footer is missing" if text.strip() else "is empty"
        raise EvidenceError(
            f"the file {state}",
            place=Place(path=path),
            hint="did the harness die? see stderr.txt of the case",
        )
    return Summary(
        validity=once.get(_RESULT),
        constraints={key: fact for key, fact in once.items() if key not in (_RESULT, _WARNINGS, _ERRORS)},
        recommendations=tuple(recommendations),
        warnings=once[_WARNINGS],
        errors=once[_ERRORS],
    )


_RESULT, _WARNINGS, _ERRORS = "Result is", "warnings", "errors"


def _said_once(line: str, place: Place) -> Fact | None:
    """Return what a line says that stands once in a summary, or None."""
    if match := _FOOTER.match(line):
        key = _WARNINGS if match[2] else _ERRORS
        return Fact(key=key, value=0 if match[1] == "No" else int(match[1]), place=place)
    if match := _VALIDITY.match(line):
        return Fact(key=_RESULT, value=match[1], place=place)
    if match := _CONSTRAINT.match(line):
        return Fact(key=match[1], value=match[2] == "Yes", place=place)
    return None


def _check_once(first: Fact, other: Fact) -> None:
    if first.value != other.value:
        raise EvidenceError(
            f"{other.key}: found {other.value!r}, but {first.value!r} in line {first.place.line}",
            place=other.place,
            hint="are they logs of two runs?",
        )
