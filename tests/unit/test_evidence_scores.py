from __future__ import annotations

import re

import pytest

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence.scores import parse

PATTERNS = {"one": re.compile(r"one=([\d.]+)"), "two": re.compile(r".*'two': ([\d.]+)")}


def test_metrics_and_hashes_by_line() -> None:
    first, second, third = parse("start\none=1.5%\n{'two': 2}\nhash=0a\n", "accuracy.txt", PATTERNS)
    assert {key: fact.value for key, fact in first.metrics.items()} == {"one": 1.5}
    assert first.metrics["one"].place == Place(path="accuracy.txt", line=2)
    assert first.sha256 is None
    assert second.metrics["two"].value == 2
    assert third.sha256 is not None
    assert (third.sha256.value, third.sha256.place.line) == ("0a", 4)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""])
def test_any_line_end(end: str) -> None:
    lines = parse(f"10%\rone=1{end}", "accuracy.txt", PATTERNS)
    assert [line.metrics["one"].place.line for line in lines] == [2]


def test_a_form_feed_ends_no_line() -> None:
    assert parse("one=1\fhash=0a\n", "accuracy.txt", PATTERNS)[0].sha256 is None


def test_several_metrics_in_a_line() -> None:
    (line,) = parse("one=1 {'two': 2}\n", "accuracy.txt", PATTERNS)
    assert {key: fact.value for key, fact in line.metrics.items()} == {"one": 1, "two": 2}


@pytest.mark.parametrize("line", ["hash=0a more", "hash= 0a", " hash=0a", "hash=", "one=1hash=0a"])
def test_what_is_no_line_with_a_hash(line: str) -> None:
    assert [found.sha256 for found in parse(line, "accuracy.txt", PATTERNS) if found.sha256] == []


def test_a_value_that_is_no_number() -> None:
    with pytest.raises(EvidenceError, match=r"^accuracy\.txt:2: found '1\.2\.3', allowed: a number$"):
        parse("\none=1.2.3\n", "accuracy.txt", PATTERNS)


@pytest.mark.parametrize("text", ["", "\0", "x" * 100_000, "\ufeffone=1"])
def test_nothing_to_find(text: str) -> None:
    assert parse(text, "accuracy.txt", PATTERNS) == ()
