"""The summary of LoadGen: verdict, constraints, recommendations, and the footer that ends it."""

from __future__ import annotations

import re

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence import Fact, Summary

_VALIDITY = re.compile(r"^Result is : (VALID|INVALID)$")
_CONSTRAINT = re.compile(r"^  (\w[\w ]* satisfied) ?: (Yes|NO)$")
_ADVICE = re.compile(r"^ \* (.+)$")
_FOOTER = re.compile(r"^(No|\d+) (?:errors|ERRORS?) encountered")


def parse(text: str, path: str) -> Summary:
    """Parse a summary. Raises EvidenceError when the footer, which LoadGen writes last, is not there."""
    validity: Fact | None = None
    constraints: dict[str, Fact] = {}
    recommendations: list[Fact] = []
    errors: Fact | None = None
    advising = False
    for number, line in enumerate(text.splitlines(), start=1):
        place = Place(path=path, line=number)
        if match := _FOOTER.match(line):
            errors = Fact(key="errors", value=0 if match[1] == "No" else int(match[1]), place=place)
        elif match := _VALIDITY.match(line):
            validity = Fact(key="Result is", value=match[1], place=place)
        elif match := _CONSTRAINT.match(line):
            constraints[match[1]] = Fact(key=match[1], value=match[2] == "Yes", place=place)
        elif advising and (match := _ADVICE.match(line)):
            recommendations.append(Fact(key="recommendation", value=match[1], place=place))
        advising = line.startswith("Recommendations:") or (advising and line.startswith(" "))
    if errors is None:
        state = "is cut: its footer is missing" if text.strip() else "is empty"
        raise EvidenceError(
            f"the file {state}",
            place=Place(path=path),
            hint="did the harness die? see stderr.txt of the case",
        )
    return Summary(
        validity=validity, constraints=constraints, recommendations=tuple(recommendations), errors=errors
    )
