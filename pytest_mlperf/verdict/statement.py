"""What a harness says of a run against what its logs say: they may not differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mlperf.errors import StatementError

if TYPE_CHECKING:
    from pytest_mlperf.evidence import Evidence, Fact
    from pytest_mlperf.harness import Statement

_ROUNDING = 0.0006
"""Harnesses print three decimals."""


def compare(statement: Statement, evidence: Evidence, *, target: float) -> None:
    """Raise StatementError where the harness and the logs that it left say different things of a run.

    target: quality that the benchmark asks for
    """
    if statement.verdict in ("VALID", "INVALID"):
        validity = evidence.summary.validity
        if validity is None or validity.value != statement.verdict:
            found = f"{validity.value} ({validity.place})" if validity else "nothing"
            raise _conflict(statement, f"LoadGen's summary says {found}")
        return
    if evidence.accuracy is None:
        raise _conflict(statement, "there is no accuracy in its logs")
    quality = evidence.accuracy.quality
    if statement.accuracy is not None and abs(quality.value - statement.accuracy) > _ROUNDING:
        raise _conflict(statement, f"its accuracy is {_words(quality)}")
    if statement.threshold is not None and abs(statement.threshold - target) > _ROUNDING:
        raise _conflict(statement, f"the target is {target:g}")
    if (quality.value >= target) != (statement.verdict == "PASSED"):
        raise _conflict(statement, f"its accuracy is {_words(quality)}, and the target {target:g}")


def _words(fact: Fact) -> str:
    return f"{fact.value:g} ({fact.place})"


def _conflict(statement: Statement, found: str) -> StatementError:
    return StatementError(
        f"the harness says '{statement.text}', but {found}",
        hint="are these the logs of this run? Nothing is judged while they differ",
    )
