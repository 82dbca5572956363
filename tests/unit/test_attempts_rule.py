"""Cases that are run more than once: when they are decided, and how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf.attempts import decide, is_decided, parse
from pytest_mlperf.errors import ConfigurationError
from pytest_mlperf.matrix import Attempts
from pytest_mlperf.record import Record

if TYPE_CHECKING:
    from pytest_mlperf.record import Ending

ENDINGS: dict[str, Ending] = {"p": "pass", "f": "fail", "e": "error"}


def records(text: str) -> list[Record]:
    # No rule looks at the case.
    case: Any = None
    return [Record(case=case, ending=ENDINGS[letter], reason=f"{n}") for n, letter in enumerate(text, 1)]


@pytest.mark.parametrize(
    ("most", "need", "ran", "ending"),
    [
        (1, 1, "p", "pass"),
        (1, 1, "f", "fail"),
        (1, 1, "e", "error"),
        (3, 1, "p", "pass"),
        (3, 1, "ffp", "pass"),
        (3, 1, "fff", "fail"),
        (3, 1, "eep", "pass"),
        (3, 1, "ffe", "error"),
        (3, 1, "efe", "error"),
        (3, 2, "pp", "pass"),
        (3, 2, "pfp", "pass"),
        (3, 2, "ff", "fail"),
        (3, 2, "fpf", "fail"),
        (3, 2, "fpe", "error"),
        (3, 3, "f", "fail"),
        (3, 3, "pf", "fail"),
        (3, 3, "ppe", "error"),
        (3, 3, "ppp", "pass"),
    ],
)
def test_a_case_is_decided_as_soon_as_it_can_be(most: int, need: int, ran: str, ending: Ending) -> None:
    allowed = Attempts(max=most, need=need)
    for count in range(len(ran)):
        assert not is_decided(records(ran[:count]), allowed)
    assert is_decided(records(ran), allowed)

    record = decide(records(ran), allowed)

    assert record.ending == ending
    assert [attempt.ending for attempt in record.attempts] == [ENDINGS[letter] for letter in ran]
    assert record.reason == str(max(n for n, letter in enumerate(ran, 1) if ENDINGS[letter] == ending))


@pytest.mark.parametrize(
    ("text", "most", "need"), [("1", 1, 1), ("3", 3, 1), ("2/3", 3, 2), ("3/3", 3, 3), ("100", 100, 1)]
)
def test_what_the_option_says(text: str, most: int, need: int) -> None:
    assert parse(text) == Attempts(max=most, need=need)


@pytest.mark.parametrize("text", ["", "0", "0/3", "4/3", "1/2/3", "-1", "3.0", "three", " 3", "101"])
def test_what_the_option_does_not_say(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--mlperf-attempts: found '.*', allowed: how many at most"):
        parse(text)
