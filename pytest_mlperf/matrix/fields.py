"""The named fields of a command template: which there are, what they are for a case, and putting them in."""

from __future__ import annotations

import shlex
import string
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_mlperf.matrix import Case
    from pytest_mlperf.matrix.commands import Arguments
    from pytest_mlperf.rounds import Round

OF_THE_CASE = (
    "case",
    "round",
    "category",
    "sku",
    "benchmark",
    "harness",
    "accuracy",
    "power",
    "scenario",
    "mode",
)
OF_THE_ROUND = ("qsl_rng_seed", "sample_index_rng_seed", "schedule_rng_seed")
SETTINGS = ("target_qps", "target_latency_ms", "expected_latency_ms", "min_duration_s", "min_query_count")
OF_THE_RUN = ("folder", "log_dir", "matrix_dir", "devices", "device_count")
FIELDS = (*OF_THE_CASE, *OF_THE_ROUND, *SETTINGS, *OF_THE_RUN)

_ANYTHING = "*"


def names(text: str) -> tuple[str, ...]:
    """Return the names of the fields in a text. Raises ValueError, with what is allowed."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError("fields such as {scenario}; a brace itself is written twice") from error
    found = [(name, conversion, form) for _, name, form, conversion in parts if name is not None]
    for name, conversion, form in found:
        if not name.isidentifier() or conversion or form:
            raise ValueError("named fields such as {scenario}, without index, attribute or format")
    return tuple(name for name, _, _ in found)


def is_pattern(text: str) -> bool:
    """Return whether a path names what is found after the run (`results/*/run_1`)."""
    return _ANYTHING in text


def planned(case: Case, mlperf_round: Round) -> dict[str, str]:
    """Return the fields that are known before a case runs. Those without a value are not among them."""
    assert case.command is not None
    values: dict[str, object] = {name: getattr(case, name) for name in OF_THE_CASE if name != "case"}
    values["case"] = case.id
    values |= {f"{name}_rng_seed": seed for name, seed in asdict(mlperf_round.seeds).items()}
    values |= {name: getattr(case.settings, name) for name in SETTINGS}
    values["min_duration_s"] = case.settings.min_duration_s or mlperf_round.min_duration_s
    if case.scenario == "Server" and case.settings.target_latency_ms is None:
        values["target_latency_ms"] = mlperf_round.benchmarks[case.benchmark].server_latency_ms
    for name, axes in case.command.words.items():
        values[name] = next((texts.get(getattr(case, axis)) for axis, texts in axes.items()), None)
    return {name: _text(value) for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return the text with its fields replaced. Raises KeyError for a field without a value."""
    return text.format_map(values)


def argv(arguments: Arguments, values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the program with its arguments, without the optional ones that have no value.

    For a shell, values are quoted. Raises KeyError for a field without a value.
    """
    if arguments.shell is not None:
        quoted = {name: shlex.quote(value) for name, value in values.items()}
        return ("/bin/sh", "-c", fill(arguments.shell, quoted))
    return tuple(_filled(arguments, values))


def _filled(arguments: Arguments, values: Mapping[str, str]) -> Iterator[str]:
    for group in arguments.groups:
        if group.optional and any(n not in values for text in group.arguments for n in names(text)):
            continue
        yield from (fill(text, values) for text in group.arguments)
