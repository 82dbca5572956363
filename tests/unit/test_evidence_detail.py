from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence import DetailLog, Fact
from pytest_mlperf.evidence.detail import parse

if TYPE_CHECKING:
    from tests.unit.conftest import DetailLine

FILE = "loadgen/mlperf_log_detail.txt"
DIED = " (did the harness die? see stderr.txt of the case)"
WHOLE = ':::MLLOG {"key": "loadgen_version", "value": "5.0", "metadata": {"is_error": false}}\n'


def parse_text(text: str) -> DetailLog:
    return parse(text.splitlines(keepends=True), FILE)


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
    log = parse([detail_line(key, value) for key, value in values.items()], FILE)
    assert log == DetailLog(
        facts={
            key: Fact(key=key, value=value, place=Place(path=FILE, line=number))
            for number, (key, value) in enumerate(values.items(), start=1)
        },
        errors=(),
        warnings=(),
    )


def test_of_a_key_that_occurs_twice_the_first_counts(detail_line: DetailLine) -> None:
    log = parse([detail_line("result_validity", word) for word in ("INVALID", "VALID")], FILE)
    assert log.facts["result_validity"].value == "INVALID"
    assert log.facts["result_validity"].place.line == 1


def test_every_error_is_kept(detail_line: DetailLine) -> None:
    lines = [
        detail_line("error_runtime", "first", is_error=True),
        detail_line("result_validity", "VALID"),
        detail_line("error_runtime", "second", is_error=True),
        detail_line("error_invalid_config", "third", is_error=True),
    ]
    log = parse(lines, FILE)
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
    log = parse(lines, FILE)
    assert [(fact.value, fact.place.line) for fact in log.warnings] == [("first", 1), ("second", 3)]


def test_a_log_without_marks_has_neither_errors_nor_warnings() -> None:
    log = parse_text(':::MLLOG {"key": "a", "value": 1, "metadata": {}}\n')
    assert (log.errors, log.warnings) == ((), ())


def test_windows_line_ends_are_read(detail_line: DetailLine) -> None:
    log = parse([detail_line("a", 1).replace("\n", "\r\n"), detail_line("b", 2)], FILE)
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
    "empty line": (WHOLE + "\n" + WHOLE, ":2: found '\\n" + START),
    "log of v0.7": ('"pid": 1 : Loadgen:\n', ':1: found \'"pid": 1 : Loadgen:\\n' + START),
    "list": (":::MLLOG [1]\n", ":1: found no key, value and metadata"),
    "no value": (':::MLLOG {"key": "a", "metadata": {}}\n', ":1: found no key, value and metadata"),
    "no metadata": (':::MLLOG {"key": "a", "value": 1}\n', ":1: found no key, value and metadata"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_log_is_an_error_at_its_line(name: str) -> None:
    text, said = BAD[name]
    with pytest.raises(EvidenceError) as caught:
        parse_text(text)
    assert str(caught.value) == FILE + said


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
    with pytest.raises(EvidenceError) as caught:
        parse_text(WHOLE + NOT_JSON[name] + WHOLE)
    assert str(caught.value).startswith(f"{FILE}:2: not JSON: ")
    assert str(caught.value).endswith(" (LoadGen escapes no text, and writes numbers such as inf)")


CRASHES = {
    "list for a key": ':::MLLOG {"key": ["a"], "value": 1, "metadata": {}}\n',
    "text for the metadata": ':::MLLOG {"key": "a", "value": 1, "metadata": "none"}\n',
    "nothing for the metadata": ':::MLLOG {"key": "a", "value": 1, "metadata": null}\n',
    "deep nesting": f':::MLLOG {{"key": "a", "value": {"[" * 100_000}, "metadata": {{}}}}\n',
}


@pytest.mark.parametrize("name", CRASHES)
def test_a_log_of_another_shape_is_an_error_at_its_line(name: str) -> None:
    with pytest.raises(EvidenceError, match=rf"^{FILE}:2: "):
        parse_text(WHOLE + CRASHES[name])
