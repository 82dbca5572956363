from __future__ import annotations

import io
import json
import math
import tracemalloc
from typing import TYPE_CHECKING, BinaryIO, cast

import pytest

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence import DetailLog, Fact
from pytest_mlperf.evidence.detail import MOST_BYTES, Lists, parse

if TYPE_CHECKING:
    from tests.unit.conftest import DetailLine

FILE = "loadgen/mlperf_log_detail.txt"
DIED = " (did the harness die? see stderr.txt of the case)"
WHOLE = ':::MLLOG {"key": "loadgen_version", "value": "5.0", "metadata": {"is_error": false}}\n'


def parse_text(text: str) -> DetailLog:
    return parse_bytes(text.encode())


def parse_bytes(content: bytes) -> DetailLog:
    return parse(io.BytesIO(content), FILE)


def refusal(content: bytes) -> str:
    with pytest.raises(EvidenceError) as caught:
        parse_bytes(content)
    return str(caught.value)


def test_facts_have_their_value_and_line(detail_line: DetailLine) -> None:
    values = {
        "effective_scenario": "Offline",
        "effective_min_duration_ms": 600000,
        "result_samples_per_second": 1234.5,
        "early_stopping_met": True,
        "result_invalid_reason": "",
        "power_begin": None,
        "loaded_qsl_set": [3, 1, 2],
    }
    log = parse_text("".join(detail_line(key, value) for key, value in values.items()))
    assert log == DetailLog(
        facts={
            key: Fact(key=key, value=value, place=Place(path=FILE, line=number))
            for number, (key, value) in enumerate(values.items(), start=1)
        },
        errors=(),
        warnings=(),
    )


def test_of_a_key_that_occurs_twice_the_first_counts(detail_line: DetailLine) -> None:
    log = parse_text("".join(detail_line("result_validity", word) for word in ("INVALID", "VALID")))
    assert log.facts["result_validity"].value == "INVALID"
    assert log.facts["result_validity"].place.line == 1


@pytest.mark.parametrize(
    ("key", "values", "conflict"),
    [
        ("result_validity", ["INVALID", "INVALID", "VALID", "VALID"], (1, 3)),
        ("effective_min_duration_ms", [600000, 60000], (1, 2)),
        ("requested_use_token_latencies", [False, 0], (1, 2)),
        ("early_stopping_met", [True, True], None),
        ("result_mean_latency_ns", [math.nan, math.nan], None),
        ("generic_message", ["Starting performance mode", "Ending naturally"], None),
        ("generated_query_count", [16, 64], None),
        ("loaded_qsl_set", [[1], [2]], None),
    ],
)
def test_what_is_stated_once_is_in_conflict_with_anything_else(
    key: str, values: list[object], conflict: tuple[int, int] | None, detail_line: DetailLine
) -> None:
    log = parse_text("".join(detail_line(key, value) for value in values))
    found = [(first.place.line, other.place.line) for first, other in log.conflicts]
    assert found == ([conflict] if conflict else [])
    assert all((first.key, first.value) == (key, values[0]) for first, _ in log.conflicts)


def test_a_value_that_is_spelt_in_another_way_is_the_same() -> None:
    lines = [WHOLE.replace("loadgen_version", "result_x").replace('"5.0"', text) for text in ("0.50", "0.5")]
    # What msgspec does not take is written anew.
    lines.append(lines[0].replace('"is_error": false', '"is_error": 0'))
    assert parse_text("".join(lines)).conflicts == ()


def test_an_endpoint_log_is_named() -> None:
    said = "an endpoint log, not LoadGen's; not judged by this version"
    assert refusal(b':::ENDPTS {"key": "a"}\n') == f"{FILE}:1: {said}"


def test_every_error_is_kept(detail_line: DetailLine) -> None:
    lines = [
        detail_line("error_runtime", "first", is_error=True),
        detail_line("result_validity", "VALID"),
        detail_line("error_runtime", "second", is_error=True),
        detail_line("error_invalid_config", "third", is_error=True),
    ]
    log = parse_text("".join(lines))
    assert [(fact.key, fact.value, fact.place.line) for fact in log.errors] == [
        ("error_runtime", "first", 1),
        ("error_runtime", "second", 3),
        ("error_invalid_config", "third", 4),
    ]


def test_every_warning_is_kept(detail_line: DetailLine) -> None:
    lines = [
        detail_line("generic_message", "first", is_warning=True),
        detail_line("error_runtime", "no warning", is_error=True),
        detail_line("generic_message", "second", is_warning=True),
    ]
    log = parse_text("".join(lines))
    assert [(fact.value, fact.place.line) for fact in log.warnings] == [("first", 1), ("second", 3)]


def test_a_log_without_marks_has_neither_errors_nor_warnings() -> None:
    log = parse_text(':::MLLOG {"key": "a", "value": 1, "metadata": {}}\n')
    assert (log.errors, log.warnings) == ((), ())


def test_a_message_that_repeats_counts_each_time_and_stands_where_it_was_first(
    detail_line: DetailLine,
) -> None:
    lines = [detail_line("error_runtime", text, is_error=True) for text in ("a", "b", "a", "a")]
    log = parse_text("".join(lines))
    assert [(fact.value, fact.place.line) for fact in log.errors] == [("a", 1), ("b", 2), ("a", 1), ("a", 1)]


def test_a_list_of_several_megabytes_is_read(detail_line: DetailLine) -> None:
    indices = list(range(788_379))
    log = parse_text(detail_line("loaded_qsl_set", indices) + detail_line("power_begin", "now"))
    assert log.facts["loaded_qsl_set"].value == indices
    assert log.facts["power_begin"].place.line == 2


class Flood(io.RawIOBase):
    """A log of one line, and of many megabytes, that is never in memory as a whole."""

    def __init__(self, line: str, count: int) -> None:
        self.line = line.encode()
        self.left = count

    def read(self, size: int = -1, /) -> bytes:
        count = min(self.left, size // len(self.line))
        self.left -= count
        return self.line * count


def test_memory_is_bounded_however_long_the_log_is(detail_line: DetailLine) -> None:
    line = detail_line("warning_generic_message", "Sample is late. " * 100, is_warning=True)
    count = (64 << 20) // len(line)
    tracemalloc.start()
    log = parse(cast("BinaryIO", Flood(line, count)), FILE)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(log.warnings) == count
    assert peak_bytes < MOST_BYTES


def test_a_line_that_is_too_long_is_refused() -> None:
    line = WHOLE.encode().replace(b"5.0", b"5" * MOST_BYTES)
    assert refusal(WHOLE.encode() + line) == f"{FILE}:2: the line is longer than 32 MiB"


@pytest.mark.parametrize("key", ["key {}", "error_runtime"])
def test_too_many_different_keys_or_messages_are_refused(key: str, detail_line: DetailLine) -> None:
    texts = (f"{number} {' ' * (1 << 20)}" for number in range(40))
    lines = [detail_line(key.format(text[:2]), text, is_error=key == "error_runtime") for text in texts]
    said = refusal("".join(lines).encode())
    assert said.endswith(": found more than 32 MiB of different keys and messages")


def test_text_that_is_not_utf8_is_read() -> None:
    log = parse_bytes(WHOLE.encode().replace(b"5.0", b"5\xe9").replace(b"loadgen", b"\xff"))
    assert log.facts["\N{REPLACEMENT CHARACTER}_version"].value == "5\N{REPLACEMENT CHARACTER}"


def test_windows_line_ends_are_read(detail_line: DetailLine) -> None:
    log = parse_text(detail_line("a", 1).replace("\n", "\r\n") + detail_line("b", 2))
    assert {key: fact.value for key, fact in log.facts.items()} == {"a": 1, "b": 2}


def test_numbers_beyond_json_are_read() -> None:
    text = "".join(
        f':::MLLOG {{"key": "{key}", "value": {key}, "metadata": {{}}}}\n' for key in ("Infinity", "NaN")
    )
    log = parse_text(text)
    assert log.facts["Infinity"].value == math.inf
    assert math.isnan(log.facts["NaN"].value)


START = "', allowed: lines that start with ':::MLLOG '"

BAD = {
    "empty": ("", ": the file is empty" + DIED),
    "last line cut": (WHOLE + WHOLE[:40], ":2: the last line is cut" + DIED),
    "last line end cut": (WHOLE + WHOLE[:-1], ":2: the last line is cut" + DIED),
    "NULs after a crash": (WHOLE + "\0" * 4096, ":2: the last line is cut" + DIED),
    "line of NULs": (
        WHOLE + "\0" * 3 + "\n",
        ":2: found '\\x00\\x00\\x00\\n" + START,
    ),
    "byte order mark": ("\ufeff" + WHOLE, f":1: found '\\ufeff{WHOLE[:37]}{START}"),
    "value of 201 levels": (
        WHOLE.replace('"5.0"', "[" * 201 + "]" * 201),
        ":1: found a value of more than 200 levels",
    ),
    "empty line": (WHOLE + "\n" + WHOLE, ":2: found '\\n" + START),
    "log of v0.7": ('"pid": 1 : Loadgen:\n', ':1: found \'"pid": 1 : Loadgen:\\n' + START),
    "list": (":::MLLOG [1]\n", ":1: found no key, value and metadata"),
    "no value": (':::MLLOG {"key": "a", "metadata": {}}\n', ":1: found no key, value and metadata"),
    "no metadata": (':::MLLOG {"key": "a", "value": 1}\n', ":1: found no key, value and metadata"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_log_is_an_error_at_its_line(name: str) -> None:
    text, said = BAD[name]
    assert refusal(text.encode()) == FILE + said


NOT_JSON = {
    "cut in the middle": ':::MLLOG {"key": "a", "value\n',
    "NUL in a line": WHOLE.replace("5.0", "5\0"),
    "words": ":::MLLOG result_validity=VALID\n",
    "quotes that are not escaped": WHOLE.replace("5.0", 'my "best" SUT'),
    "number that JSON has not": WHOLE.replace('"5.0"', "inf"),
    "two objects on a line": WHOLE.rstrip() + " {}\n",
}


@pytest.mark.parametrize("name", NOT_JSON)
def test_a_line_that_is_not_json_is_an_error_at_its_line(name: str) -> None:
    said = refusal((WHOLE + NOT_JSON[name] + WHOLE).encode())
    assert said.startswith(f"{FILE}:2: not JSON: ")
    assert said.endswith(" (LoadGen escapes no text, and writes numbers such as inf)")


CRASHES = {
    "list for a key": ':::MLLOG {"key": ["a"], "value": 1, "metadata": {}}\n',
    "text for the metadata": ':::MLLOG {"key": "a", "value": 1, "metadata": "none"}\n',
    "nothing for the metadata": ':::MLLOG {"key": "a", "value": 1, "metadata": null}\n',
    "deep nesting": f':::MLLOG {{"key": "a", "value": {"[" * 100_000}, "metadata": {{}}}}\n',
}


@pytest.mark.parametrize("name", CRASHES)
def test_a_log_of_another_shape_is_an_error_at_its_line(name: str) -> None:
    assert refusal((WHOLE + CRASHES[name]).encode()).startswith(f"{FILE}:2: ")


def listed(indices: str, rest: str = "") -> str:
    metadata = '{"is_error": false, "is_warning": true}'
    return f':::MLLOG {{"key": "loaded_qsl_set", "value": [{indices}], "metadata": {metadata}{rest}}}\n'


LONG = ",".join(str(number) for number in range(10000, 11000))

# Logs that come after one with the list LONG: their lists, and what is wrong with them.
LATER: dict[str, tuple[str, str | None]] = {
    "the same": (listed(LONG), None),
    "another": (listed(LONG.replace("10500", "10501")), None),
    "longer": (listed(f"{LONG},7"), None),
    "no number in it": (listed(LONG.replace("10500", "x")), "not JSON"),
    "no comma in it": (listed(LONG.replace(",10500", " 10500")), "not JSON"),
    "two commas in it": (listed(LONG.replace(",10500", ",,10500")), "not JSON"),
    "the same, and no JSON": (listed(LONG, "x"), "not JSON"),
    "the same, and no metadata": (listed(LONG).replace("metadata", "data"), "no key, value and metadata"),
    "the same, and a long number": (listed(LONG, f', "more": {"1" * 5000}'), "not JSON"),
    "the same, and cut": (listed(LONG)[:-1], "the last line is cut"),
}


@pytest.mark.parametrize("name", LATER)
def test_a_list_that_is_known_from_another_log(name: str) -> None:
    text, wrong = LATER[name]
    lists = Lists()
    parse(io.BytesIO(listed(LONG).encode()), "first", lists)
    for known in (lists, Lists()):
        if wrong:
            with pytest.raises(EvidenceError, match=wrong) as raised:
                parse(io.BytesIO(text.encode()), "run/detail.txt", known)
            assert raised.value.problems[0].place == Place(path="run/detail.txt", line=1)
        else:
            log = parse(io.BytesIO(text.encode()), "run/detail.txt", known)
            fact = log.facts["loaded_qsl_set"]
            assert fact.value == json.loads(text[9:])["value"]
            assert log.warnings == (fact,)


@pytest.mark.parametrize("levels", [1, 150])
def test_lists_of_lists_are_read_every_time(levels: int) -> None:
    lists = Lists()
    line = listed(f"{LONG},{'[' * levels}{LONG}{']' * levels}").encode()
    first, second = (parse(io.BytesIO(line), "x", lists).facts["loaded_qsl_set"] for _ in range(2))
    assert first == second
    assert len(first.value) == 1001


def test_a_list_that_nests_too_deep_is_refused_after_another() -> None:
    lists = Lists()
    parse(io.BytesIO(listed(LONG).encode()), "first", lists)
    deep = f"{LONG},{'[' * 250}{']' * 250}"
    with pytest.raises(EvidenceError, match="levels"):
        parse(io.BytesIO(listed(deep).encode()), "second", lists)


def test_what_is_remembered_of_lists_is_bounded() -> None:
    lists = Lists()
    tracemalloc.start()
    for number in range(60):
        parse(io.BytesIO(listed(str(number) + ",1" * 300_000).encode()), "x", lists)
    kept_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept_bytes < 20 << 20


def test_halves_of_characters_are_told_as_what_they_are(detail_line: DetailLine) -> None:
    """JSON can escape them, and no report could be written with them."""
    text = detail_line("effective_scenario", "Off\ud800line") + detail_line(
        "k\udfff", ["a\udfff", {"b\ud800": 1}]
    )
    log = parse(io.BytesIO(text.encode()), "detail.txt")
    assert log.facts["effective_scenario"].value == "Off\\ud800line"
    assert log.facts["k\\udfff"].value == ["a\\udfff", {"b\\ud800": 1}]
