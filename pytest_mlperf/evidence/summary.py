"""The summary of LoadGen: verdict, constraints, recommendations, and the footer that ends it."""

from __future__ import annotations

import re

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence import Fact, Summary

_VALIDITY = re.compile(r"^Result is : (VALID|INVALID)$")
_CONSTRAINT = re.compile(r"^  (\w[\w ]* satisfied) ?: (Yes|NO)$")
_ADVICE = re.compile(r"^ \* (.+)$")
_FOOTER = re.compile(r"^(No errors|\d+ ERRORS?) encountered")


def parse(text: str, path: str) -> Summary:
    """Parse a summary. Raises EvidenceError when the footer, which LoadGen writes last, is not there."""
    validity: Fact | None = None
    constraints: dict[str, Fact] = {}
    recommendations: list[Fact] = []
    complete = advising = False
    for number, line in enumerate(text.splitlines(), start=1):
        place = Place(path=path, line=number)
        complete = complete or _FOOTER.match(line) is not None
        if match := _VALIDITY.match(line):
            validity = Fact(key="Result is", value=match[1], place=place)
        elif match := _CONSTRAINT.match(line):
            constraints[match[1]] = Fact(key=match[1], value=match[2] == "Yes", place=place)
        elif advising and (match := _ADVICE.match(line)):
            recommendations.append(Fact(key="recommendation", value=match[1], place=place))
        advising = line.startswith("Recommendations:") or (advising and line.startswith(" "))
    if not complete:
        state = "is cut: its footer is missing" if text.strip() else "is empty"
        raise EvidenceError(
            f"the file {state}", place=Place(path=path), hint="did the harness die? see stderr.txt beside it"
        )
    return Summary(validity=validity, constraints=constraints, recommendations=tuple(recommendations))
