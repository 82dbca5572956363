"""Several sessions told as one: each case of a chain of sessions once, each under a name of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pytest_mlperf.history.past import Past
    from pytest_mlperf.record import Record

_ID_SHOWN = 8


def distinct(sessions: Iterable[Past]) -> list[Past]:
    """Return each session once: of several copies the one that ended, else the one with the most records."""
    best: dict[str, Past] = {}
    for session in sessions:
        known = best.get(session.id)
        if known is None or _worth(session) > _worth(known):
            best[session.id] = session
    return list(best.values())


def _worth(session: Past) -> tuple[bool, int]:
    return session.conformance is not None, len(session.records)


def each_once(sessions: Collection[Past]) -> list[Past]:
    """Return the sessions with the records that stand: what a later session of a chain told is left out.

    A session that went on with another took its verdicts over, as far as they were asked for again.
    """
    return [replace(session, records=_standing(session, sessions)) for session in sessions]


def _standing(session: Past, sessions: Iterable[Past]) -> tuple[Record, ...]:
    later = [other for other in sessions if session.id in other.earlier]
    before = [other for other in sessions if other.id in session.earlier]
    ran_later, named_later = _ran(later), {r.case.id for other in later for r in other.records}
    ran_before = _ran(before)
    return tuple(
        record
        for record in session.records
        if record.case.id not in (named_later | ran_before if record.ending == "dropped" else ran_later)
    )


def _ran(sessions: Iterable[Past]) -> set[str]:
    """Return the cases that were asked for in any of some sessions."""
    return {r.case.id for session in sessions for r in session.records if r.ending != "dropped"}


def untold(session: Past, sessions: Iterable[Past]) -> tuple[str, ...]:
    """Return the cases that a session was asked for, and that neither it nor one that went on with it ran."""
    later = [other for other in sessions if session.id in other.earlier]
    told = _ran([session, *later])
    return tuple(case_id for case_id in session.asked if case_id not in told)


def ended(session: Past, sessions: Iterable[Past]) -> bool:
    """Return whether all that a session was asked for is told, also if it was killed."""
    return session.conformance is not None or (bool(session.asked) and not untold(session, sessions))


def names(sessions: Collection[Past]) -> Mapping[str, str]:
    """Return what the cases of sessions are called after, by session: its host, or more where needed."""
    hosts = Counter(session.host for session in sessions)
    starts = Counter((session.host, session.started_at) for session in sessions)
    found = {}
    for session in sessions:
        name = session.host
        if hosts[session.host] > 1:
            name += f"@{session.started_at}"
        if starts[session.host, session.started_at] > 1:
            name += f"#{session.id[:_ID_SHOWN]}"
        found[session.id] = name
    return found
