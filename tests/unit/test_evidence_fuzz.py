"""Damaged detail logs: whatever the bytes are, they end in what a plain reader finds too, or in a refusal.

`MLPERF_FUZZ_EXAMPLES=100000 pytest tests/unit/test_evidence_fuzz.py` looks further than the same few hundred.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mlperf.errors import EvidenceError
from pytest_mlperf.evidence.detail import parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_mlperf.evidence import DetailLog, Fact

FILE = "loadgen/mlperf_log_detail.txt"
PREFIX = b":::MLLOG "
LEVELS = 200

EXAMPLES = os.environ.get("MLPERF_FUZZ_EXAMPLES")
fuzzed = settings(
    max_examples=int(EXAMPLES or 300), derandomize=EXAMPLES is None, database=None, deadline=None
)


class Dribble(io.BytesIO):
    """A file that gives no more than so many bytes at a time."""

    def __init__(self, content: bytes, most: int) -> None:
        super().__init__(content)
        self.most = most

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.most if size is None else min(size, self.most))


def read(content: bytes, most: int = 1 << 20) -> DetailLog:
    return parse(Dribble(content, most), FILE)


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Where a log is refused: None where the whole file is."""

    line: int | None


# What a log says, values as Python writes them: NaN is not equal to itself, and True is equal to 1.
Said = dict[str, tuple[str, int]]
Messages = list[tuple[str, str]]


def plainly(content: bytes) -> tuple[Said, Messages, Messages] | Refused:
    """Read a log as its format is meant, with nothing but `json`."""
    facts: Said = {}
    errors: Messages = []
    warnings: Messages = []
    *lines, end = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        entry = plain_entry(line)
        if entry is None:
            return Refused(line=number)
        key, value = entry["key"], repr(entry["value"])
        facts.setdefault(key, (value, number))
        for mark, messages in {"is_error": errors, "is_warning": warnings}.items():
            if entry["metadata"].get(mark):
                messages.append((key, value))
    if end:
        return Refused(line=len(lines) + 1)
    return (facts, errors, warnings) if lines else Refused(line=None)


def written(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a mapping of what can be written: of halves of characters their escapes."""
    return {writable(name): writable(value) for name, value in pairs}


def writable(value: Any) -> Any:
    if isinstance(value, list):
        return [writable(part) for part in value]
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def plain_entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line[len(PREFIX) :].decode(errors="replace"), object_pairs_hook=written)
    except (ValueError, RecursionError):
        return None
    right = (
        line.startswith(PREFIX)
        and isinstance(entry, dict)
        and {"key", "value", "metadata"} <= entry.keys()
        and isinstance(entry["key"], str)
        and isinstance(entry["metadata"], dict)
        and levels(entry["value"]) <= LEVELS
    )
    return entry if right else None


def levels(value: Any) -> int:
    count, level = 0, [value]
    while nests := [part for part in level if isinstance(part, dict | list)]:
        count += 1
        level = [part for nest in nests for part in (nest.values() if isinstance(nest, dict) else nest)]
    return count


def ours(content: bytes, most: int = 1 << 20) -> tuple[Said, Messages, Messages] | Refused:
    try:
        log = read(content, most)
    except EvidenceError as error:
        place = error.problems[0].place
        assert place is not None
        assert place.path == FILE
        return Refused(line=place.line)
    facts = {key: (repr(fact.value), fact.place.line or 0) for key, fact in log.facts.items()}
    assert all(key == fact.key for key, fact in log.facts.items())
    return facts, told(log.errors), told(log.warnings)


def told(messages: Iterable[Fact]) -> Messages:
    return [(fact.key, repr(fact.value)) for fact in messages]


def line(key: str, value: str, *, marks: str = '"is_error": false, "is_warning": false') -> bytes:
    """Return a line as LoadGen writes it: the value is in as it stands."""
    return (
        f':::MLLOG {{"key": "{key}", "value": {value}, "time_ms": 0.026740, "namespace": "mlperf::logging", '
        f'"event_type": "POINT_IN_TIME", "metadata": {{{marks}, "file": "loadgen.cc", "line_no": 402, '
        '"pid": 29283, "tid": 29283}}\n'
    ).encode()


KEYS = ["result_validity", "sut_name", "loaded_qsl_set", "effective_test_mode", "generic_message"]
# What stands in logs, what JSON says of numbers and text, and what goes beyond it in one reader or the other.
VALUES = [
    *(
        '"VALID"',
        '"INVALID"',
        "1",
        "-0",
        "0.5",
        "1.17634e+06",
        "true",
        "null",
        "[1,2,3]",
        '{"/a": "0f"}',
        '""',
    ),
    *(
        "NaN",
        "-Infinity",
        "inf",
        "1e999",
        "-1e-999",
        "01",
        "1.",
        "+1",
        "18446744073709551616",
        "9" * 30,
        "tru",
    ),
    *(
        '"my "best" SUT"',
        '"\\n * Run"',
        '"\\u00e9"',
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\x"',
        '"\t"',
        '"\x7f"',
    ),
    *(
        "[1,]",
        '{"a": 1, "a": 2}',
        "{1: 2}",
        "",
        "1 2",
        '1, "key": "forged"',
        '1, "value": 2',
        '1, "metadata": 3',
    ),
]
# At the edges of what is read: the digits of a number, and the levels of a value.
EDGES = [
    *("9" * digits for digits in (2150, 4299, 4300, 4301, 6000)),
    *(f"0.{'9' * digits}" for digits in (4301, 6000)),
    *("[" * depth + "]" * depth for depth in (199, 200, 201, 5000)),
    *('{"a":' * depth + "1" + "}" * depth for depth in (200, 201)),
    *(f"[{', '.join(['[]'] * 300)}]", f'"{"[" * 300}"', str(list(range(3000))), f'"{"8" * 5000}"'),
]
MARKS = [
    *('"is_error": false', '"is_error": true', '"is_warning": true', '"is_error": true, "is_warning": true'),
    *(
        '"is_error": 1',
        '"is_error": null',
        '"is_error": true, "is_error": false',
        '"is_error": "\\ud800"',
        '"a": 1',
    ),
]
TEARS = [
    *(
        b"\n",
        b"\r",
        b"\r\n",
        b"\0",
        b'"',
        b"\\",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"{",
        b"}",
        b"[",
        b",",
        b" ",
    ),
    *(
        PREFIX,
        PREFIX[:-1],
        b"\n" + PREFIX,
        b":::MLLOG\t",
        b"\xe2\x80\xa8",
        b"\x85",
        b"\x1c",
        b"0" * 2200,
        b"NaN",
    ),
]


@st.composite
def logs(draw: st.DrawFn) -> bytes:
    """Make logs of few lines, and tear holes into most of them."""
    lines = st.builds(
        line, st.sampled_from(KEYS), st.sampled_from(VALUES + EDGES), marks=st.sampled_from(MARKS)
    )
    content = b"".join(draw(st.lists(lines, min_size=1, max_size=5)))
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, len(content)))
        end = start + draw(st.sampled_from([0, 0, 1, 1, 2, 9, 200]))
        tear = draw(st.sampled_from(TEARS) | st.binary(max_size=3))
        content = content[:start] + tear + content[end:]
    return content


@fuzzed
@given(logs(), st.sampled_from([7, 100, 1 << 20]))
def test_a_damaged_log_is_read_as_a_plain_reader_does(content: bytes, most: int) -> None:
    assert ours(content, most) == plainly(content)


@fuzzed
@given(st.binary() | st.binary().map(lambda content: PREFIX + content + b"\n"))
def test_any_bytes_are_read_as_a_plain_reader_does(content: bytes) -> None:
    assert ours(content) == plainly(content)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)


@fuzzed
@given(st.text(), json_values, st.booleans())
def test_any_value_is_read_as_it_was_written(key: str, value: Any, is_escaped: bool) -> None:
    entry = {"key": key, "value": value, "metadata": {}}
    text = json.dumps(entry, ensure_ascii=is_escaped).encode(errors="replace")
    assert ours(PREFIX + text + b"\n") == plainly(PREFIX + text + b"\n")


@pytest.mark.parametrize("value", VALUES + EDGES)
@pytest.mark.parametrize("where", ["value", "time_ms", "unknown"])
def test_a_doubtful_value_is_read_as_a_plain_reader_does(value: str, where: str) -> None:
    content = line("a", "1") + b':::MLLOG {"key": "b", "value": 1, "metadata": {}, "%b": %b}\n' % (
        where.encode(),
        value.encode(),
    )
    assert ours(content) == plainly(content)
    assert ours(content[:-1]) == Refused(line=2)


INVALID = b"".join(
    line(key, value)
    for key, value in {
        "loadgen_version": '"5.1 @ 0ec69f587d"',
        "loadgen_git_log_message": '"0ec69f587d Infer MultiStream\\nee487389aa Update"',
        "loadgen_file_sha1": '{"/CMakeLists.txt":"854bc5025dec","/README.md":"5748d70fda25"}',
        "sut_name": '"PySUT"',
        "requested_scenario": '"Offline"',
        "effective_test_mode": '"PerformanceOnly"',
        "effective_min_duration_ms": "600000",
        "loaded_qsl_set": "[0,1,2,3,4,5,6,7,8,9]",
        "power_begin": '"02-23-2022 11:22:13.123"',
        "result_validity": '"INVALID"',
        "result_invalid_reason": '"Min duration not satisfied"',
        "result_min_duration_met": "false",
        "result_samples_per_second": "12490.6",
    }.items()
)


def test_a_log_cut_at_any_byte_is_refused_or_ends_with_a_line() -> None:
    lines = INVALID.splitlines(keepends=True)
    ends = {sum(map(len, lines[:count])): count for count in range(1, len(lines) + 1)}
    whole = list(read(INVALID).facts)
    for size in range(len(INVALID) + 1):
        if size in ends:
            assert list(read(INVALID[:size]).facts) == whole[: ends[size]]
        else:
            line = INVALID[:size].count(b"\n") + 1 if size else None
            assert ours(INVALID[:size]) == Refused(line=line)


def verdict(content: bytes) -> Any:
    try:
        stated = read(content).facts.get("result_validity")
    except EvidenceError:
        return None
    return stated.value if stated else None


def test_no_byte_of_a_verdict_makes_it_valid() -> None:
    content = line("sut_name", '"PySUT"') + line("result_validity", '"INVALID"') + line("num_errors", "0")
    assert verdict(content) == "INVALID"
    start = content.index(b"result_validity") - len(PREFIX) - 20
    for at in range(start, content.index(b'"time_ms"', start) + 20):
        for byte in range(256):
            assert verdict(content[:at] + bytes([byte]) + content[at + 1 :]) != "VALID"


@fuzzed
@given(st.integers(0, len(INVALID) - 1), st.binary(max_size=2))
def test_no_small_change_of_a_log_makes_it_valid(at: int, change: bytes) -> None:
    assert verdict(INVALID[:at] + change + INVALID[at + 1 :]) != "VALID"
