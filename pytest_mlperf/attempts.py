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
    failed = sum(record.ending == "fail" for record in records)
    passed = sum(record.ending == "pass" for record in records)
    return passed >= allowed.need or failed > allowed.max - allowed.need or len(records) >= allowed.max


def decide(records: Sequence[Record], allowed: Attempts) -> Record:
    """Return the record of a case after its attempts: the last that ended as the case does, with all of them.

    A case fails once too many attempts have. It is an error where those that went wrong
    could have passed.
    """
    endings = [record.ending for record in records]
    ending: Ending = "error"
    if endings.count("pass") >= allowed.need:
        ending = "pass"
    elif endings.count("fail") > allowed.max - allowed.need:
        ending = "fail"
    last = next(record for record in reversed(records) if record.ending == ending)
    return replace(last, attempts=tuple(_attempt(record) for record in records))


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
    )
