"""Cases that are run more than once: when they are decided, and what their records say.

Nothing is changed between the attempts, and none is left out.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_mlperf.errors import ConfigurationError
from pytest_mlperf.matrix import MOST_ATTEMPTS, Attempts
from pytest_mlperf.record import Attempt, Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_mlperf.record import Ending

_TEXT = re.compile(r"(?:([1-9]\d*)/)?([1-9]\d*)", re.ASCII)


def parse(text: str) -> Attempts:
    """Return the attempts that `3` (one of three must pass) or `2/3` asks for. Raises ConfigurationError."""
    match = _TEXT.fullmatch(text)
    need, most = (int(match[1] or 1), int(match[2])) if match else (1, 0)
    if not need <= most <= MOST_ATTEMPTS:
        raise ConfigurationError(
            f"--mlperf-attempts: found '{text}', allowed: how many at most, up to {MOST_ATTEMPTS} (3), "
            "or how many must pass of how many (2/3)"
        )
    return Attempts(max=most, need=need)


def is_decided(records: Sequence[Record], allowed: Attempts) -> bool:
    """Return whether no further attempt can change the ending of a case, or none is left."""
    return _is_decided([record.ending for record in records], allowed)


def holds(record: Record, allowed: Attempts) -> bool:
    """Return whether a case would have ended as it did, had it been run as often as this allows."""
    endings = [run.ending for run in record.runs]
    return _is_decided(endings, allowed) and _ending(endings, allowed) == record.ending


def decide(records: Sequence[Record], allowed: Attempts) -> Record:
    """Return the record of a case after its attempts: the last that ended as the case does, with all of them.

    A case fails once too many attempts have. It is an error where those that went wrong
    could have passed.
    """
    ending = _ending([record.ending for record in records], allowed)
    last = next(record for record in reversed(records) if record.ending == ending)
    return replace(last, attempts=tuple(_attempt(record) for record in records))


def _is_decided(endings: Sequence[Ending], allowed: Attempts) -> bool:
    return _ending(endings, allowed) != "error" or len(endings) >= allowed.max


def _ending(endings: Sequence[Ending], allowed: Attempts) -> Ending:
    if endings.count("pass") >= allowed.need:
        return "pass"
    return "fail" if endings.count("fail") > allowed.max - allowed.need else "error"


def _attempt(record: Record) -> Attempt:
    return Attempt(
        ending=record.ending,
        reason=record.reason,
        findings=record.findings,
        measurements=record.measurements,
        devices=record.devices,
        neighbours=record.neighbours,
        folder=record.folder,
        started_at=record.started_at,
        duration_s=record.duration_s,
        error=record.error,
        steps=record.steps,
        statement=record.statement,
    )
