"""What a harness says of a run against what its logs say: they may not differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mlperf.errors import EvidenceError

if TYPE_CHECKING:
    from pytest_mlperf.evidence import Evidence, Fact
    from pytest_mlperf.harness import Statement

_ROUNDING = 0.0006
"""Harnesses print three decimals."""


def compare(statement: Statement, evidence: Evidence) -> None:
    """Raise EvidenceError where the harness and the logs that it left say different things of a run."""
    validity = evidence.summary.validity
    if statement.verdict in ("VALID", "INVALID"):
        if validity is None or validity.value != statement.verdict:
            found = f"{validity.value} ({validity.place})" if validity else "nothing"
            raise _conflict(statement, f"LoadGen's summary says {found}")
        return
    quality = evidence.accuracy.quality if evidence.accuracy else None
    if quality is None or statement.accuracy is None:
        return
    if abs(quality.value - statement.accuracy) > _ROUNDING:
        raise _conflict(statement, f"its accuracy is {_words(quality)}")
    if statement.threshold is not None:
        passed = quality.value >= statement.threshold - _ROUNDING
        failed = quality.value < statement.threshold + _ROUNDING
        if not (passed if statement.verdict == "PASSED" else failed):
            raise _conflict(statement, f"its accuracy is {_words(quality)}")


def _words(fact: Fact) -> str:
    return f"{fact.value:g} ({fact.place})"


def _conflict(statement: Statement, found: str) -> EvidenceError:
    return EvidenceError(
        f"the harness says '{statement.text}', but {found}",
        hint="are these the logs of this run? Nothing is judged while they differ",
    )
