from __future__ import annotations

import pytest

from pytest_mlperf.units import format_duration, format_number, format_quantity


@pytest.mark.parametrize(
    ("duration_s", "words"),
    [
        (0, "0.0 s"),
        (2.5, "2.5 s"),
        (59.94, "59.9 s"),
        (60, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (90061, "25 h 1 min"),
    ],
)
def test_durations(duration_s: float, words: str) -> None:
    assert format_duration(duration_s) == words


def test_a_duration_has_no_sixty_seconds() -> None:
    assert format_duration(59.96) == "1 min 0 s"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (0.0, "0"),
        (-3, "-3"),
        (20.0, "20"),
        (98887.25, "98887.2"),
        (98887.0, "98887"),
        (0.988144, "0.988144"),
        (0.98814412, "0.988144"),
        (90.783126, "90.7831"),
        (123.456789, "123.457"),
        (1234567.89, "1234567.9"),
        (1.17634e6, "1176340"),
        (999999999999999.0, "999999999999999"),
        (-1234.56, "-1234.6"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_numbers(value: float, words: str) -> None:
    assert format_number(value) == words


@pytest.mark.parametrize("value", [2.46e-06, -0.00001])
def test_numbers_have_no_exponent(value: float) -> None:
    assert "e" not in format_number(value)


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (98887.25, "samples/s", "98887.2 samples/s"),
        (90.874, "%", "90.874 %"),
        (0, "ns", "0 ns"),
        (999, "ns", "999 ns"),
        (1000, "ns", "1 us"),
        (136_911, "ns", "136.9 us"),
        (1_000_000, "ns", "1 ms"),
        (7_051_234, "ns", "7.051 ms"),
        (130_000_000, "ns", "130 ms"),
        (1_000_000_000, "ns", "1 s"),
        (2_500_000_000, "ns", "2.5 s"),
    ],
)
def test_quantities(value: float, unit: str, words: str) -> None:
    assert format_quantity(value, unit) == words


@pytest.mark.parametrize(
    ("value", "words"), [(999_960, "1 ms"), (12_345_000_000_000, "12345 s")], ids=["rounded up", "hours"]
)
def test_quantities_at_the_ends(value: float, words: str) -> None:
    assert format_quantity(value, "ns") == words
