"""The shape of a matrix file: keys, types and the words that stand in no round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.unit.conftest import Refusal

KEYS = "round, category, conformance, match, harnesses, defaults, axes, include, exclude, overrides"
AXES = "sku, benchmark, harness, accuracy, power, scenario, mode"
OPTIONS = (
    "target_qps, target_latency_ms, expected_latency_ms, min_duration_s, min_query_count, time_limit_s, "
    "share_host, attempts, privileges"
)

HEAD = "round: v2.0\ncategory: datacenter\n"
ONE = {
    "sku": "A2x2",
    "benchmark": "bert",
    "harness": "custom",
    "scenario": "Offline",
    "mode": "AccuracyOnly",
}


def axes(**changes: str) -> str:
    """Return the `axes` of one case, on one line, but for the changes; an empty value leaves an axis out."""
    values = {**ONE, **changes}
    return f"axes: {{{', '.join(f'{axis}: {value}' for axis, value in values.items() if value)}}}\n"


GOOD = HEAD + axes()  # three lines, one case


# What stands in a file, and every line of the message.
BAD: Mapping[str, tuple[str, Sequence[str]]] = {
    # The shape of the file.
    "empty file": (
        "",
        ["m.yaml: found nothing, allowed: a mapping with the keys round, category, axes, include, ..."],
    ),
    "list at the top": (
        "# first\n- round\n",
        ["m.yaml:2: found list, allowed: a mapping with the keys round, category, axes, include, ..."],
    ),
    "word at the top": (
        "round\n",
        ["m.yaml:1: found str, allowed: a mapping with the keys round, category, axes, include, ..."],
    ),
    "no round": ("category: edge\n", ["m.yaml:1: matrix: key 'round' is missing"]),
    "neither round nor category": (
        axes(),
        ["m.yaml:1: matrix: key 'round' is missing", "m.yaml:1: matrix: key 'category' is missing"],
    ),
    # Keys, at each level.
    "unknown key": (
        GOOD + "axis: {}\n",
        [f"m.yaml:4: matrix: unknown key 'axis', allowed: {KEYS} (did you mean 'axes'?)"],
    ),
    "unknown key, like no other": (
        GOOD + "zzz: 1\n",
        [f"m.yaml:4: matrix: unknown key 'zzz', allowed: {KEYS}"],
    ),
    "unknown key of defaults": (
        GOOD + "defaults:\n  target_qsp: 1\n",
        [f"m.yaml:5: defaults: unknown key 'target_qsp', allowed: {OPTIONS} (did you mean 'target_qps'?)"],
    ),
    "unknown key of axes": (
        HEAD + axes(powr="MaxP"),
        [f"m.yaml:3: axes: unknown key 'powr', allowed: {AXES} (did you mean 'power'?)"],
    ),
    "unknown key of an include": (
        GOOD + "include:\n  - {sku: A30x8}\n  - {skus: A2x2}\n",
        [f"m.yaml:6: include[1]: unknown key 'skus', allowed: {AXES} (did you mean 'sku'?)"],
    ),
    "unknown key of an exclude": (
        GOOD + "exclude:\n  - {Mode: AccuracyOnly}\n",
        [f"m.yaml:5: exclude[0]: unknown key 'Mode', allowed: {AXES} (did you mean 'mode'?)"],
    ),
    "unknown key of an override": (
        GOOD + "overrides:\n  - match: {}\n    time_limit: 3\n",
        [
            (
                f"m.yaml:6: overrides[0]: unknown key 'time_limit', allowed: {OPTIONS}, "
                "match, expected_failure (did you mean 'time_limit_s'?)"
            )
        ],
    ),
    "unknown key of a match": (
        GOOD + "overrides:\n  - match: {scenaro: Offline}\n    target_qps: 3\n",
        [f"m.yaml:5: overrides[0].match: unknown key 'scenaro', allowed: {AXES} (did you mean 'scenario'?)"],
    ),
    "override without match": (
        GOOD + "overrides:\n  - target_qps: 3\n",
        ["m.yaml:5: overrides[0]: key 'match' is missing"],
    ),
    "expected failure of everything": (
        GOOD + "defaults: {expected_failure: slow}\n",
        [
            (
                f"m.yaml:4: defaults: unknown key 'expected_failure', allowed: {OPTIONS} "
                "(did you mean 'expected_latency_ms'?)"
            )
        ],
    ),
    # Types.
    "number for a word": (
        HEAD.replace("v2.0", "2.0") + axes(),
        ["m.yaml:1: round: found 2.0, allowed: a valid string"],
    ),
    "number for a SKU": (HEAD + axes(sku="5"), ["m.yaml:3: axes.sku[0]: found 5, allowed: a valid string"]),
    "mapping for a SKU": (
        HEAD + axes(sku="{a: b}"),
        ["m.yaml:3: axes.sku[0]: found {'a': 'b'}, allowed: a valid string"],
    ),
    "truth value for an accuracy": (
        HEAD + axes(accuracy="true"),
        ["m.yaml:3: axes.accuracy[0]: found True, allowed: 99, 99.9"],
    ),
    "mapping for a list": (
        GOOD + "exclude: {sku: A2x2}\n",
        ["m.yaml:4: exclude: found {'sku': 'A2x2'}, allowed: a valid list"],
    ),
    # Words that are the same in every round.
    "unknown category": (
        HEAD.replace("datacenter", "datacentre") + axes(),
        [
            (
                "m.yaml:2: category: found 'datacentre', allowed: datacenter, edge, smoke "
                "(did you mean 'datacenter'?)"
            )
        ],
    ),
    "unknown conformance": (
        GOOD + "conformance: smoked\n",
        ["m.yaml:4: conformance: found 'smoked', allowed: round, smoke (did you mean 'smoke'?)"],
    ),
    "unknown scenario": (
        HEAD + axes(scenario="Offlne"),
        [
            (
                "m.yaml:3: axes.scenario[0]: found 'Offlne', "
                "allowed: SingleStream, MultiStream, Server, Offline (did you mean 'Offline'?)"
            )
        ],
    ),
    "scenario in small letters": (
        HEAD + axes(scenario="[Server, offline]"),
        [
            (
                "m.yaml:3: axes.scenario[1]: found 'offline', "
                "allowed: SingleStream, MultiStream, Server, Offline (did you mean 'Offline'?)"
            )
        ],
    ),
    "mode of metric names": (
        HEAD + axes(mode="AccuracyMode"),
        [
            (
                "m.yaml:3: axes.mode[0]: found 'AccuracyMode', allowed: AccuracyOnly, PerformanceOnly "
                "(did you mean 'AccuracyOnly'?)"
            )
        ],
    ),
    "unknown power": (
        HEAD + axes(power="maxn"),
        ["m.yaml:3: axes.power[0]: found 'maxn', allowed: MaxP, MaxQ (did you mean 'MaxQ'?)"],
    ),
    "unknown accuracy": (
        HEAD + axes(accuracy="99.5"),
        ["m.yaml:3: axes.accuracy[0]: found 99.5, allowed: 99, 99.9 (did you mean '99.9'?)"],
    ),
    # All of them together.
    "all problems of the shape": (
        HEAD.replace("datacenter", "cloud")
        + axes(mode="Accuracy", foo="bar")
        + "defaults: {target_qps: fast, min_query_count: 1.5}\n",
        [
            "m.yaml:2: category: found 'cloud', allowed: datacenter, edge, smoke",
            "m.yaml:4: defaults.target_qps: found 'fast', allowed: a number",
            "m.yaml:4: defaults.min_query_count: found 1.5, allowed: a valid integer",
            (
                "m.yaml:3: axes.mode[0]: found 'Accuracy', allowed: AccuracyOnly, PerformanceOnly "
                "(did you mean 'AccuracyOnly'?)"
            ),
            f"m.yaml:3: axes: unknown key 'foo', allowed: {AXES}",
        ],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_of_another_shape_is_refused_with_all_its_problems(name: str, refusal: Refusal) -> None:
    text, said = BAD[name]
    assert refusal(text).splitlines() == said


NOT_A_NUMBER = "a number"
SETTINGS = {
    "text for a number": ("target_qps", '"5"', "'5'", NOT_A_NUMBER),
    "word for a whole number": ("target_latency_ms", "fast", "'fast'", "a whole number"),
    "half a millisecond": ("target_latency_ms", "0.5", "0.5", "a whole number"),
    "a month": ("time_limit_s", "2678400", "2678400", "less than or equal to 604800"),
    "truth value for a number": ("expected_latency_ms", "true", "True", NOT_A_NUMBER),
    "list for a number": ("min_duration_s", "[1]", "[1]", NOT_A_NUMBER),
    "negative": ("time_limit_s", "-1", "-1", "greater than 0"),
    "zero": ("target_qps", "0", "0", "greater than 0"),
    "zero as a fraction": ("target_qps", "0.0", "0.0", "greater than 0"),
    "not a number": ("target_qps", ".nan", "nan", "a finite number"),
    "infinite": ("target_qps", ".inf", "inf", "a finite number"),
    "infinite below zero": ("target_qps", "-.inf", "-inf", "a finite number"),
    "fraction of a query": ("min_query_count", "1.5", "1.5", "a valid integer"),
    "text for a count": ("min_query_count", "'5'", "'5'", "a valid integer"),
    "truth value for a count": ("min_query_count", "true", "True", "a valid integer"),
    "no query": ("min_query_count", "0", "0", "greater than 0"),
    "number for a truth value": ("share_host", "1", "1", "a valid boolean"),
    "text for a truth value": ("share_host", "'yes'", "'yes'", "a valid boolean"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_bad_setting_is_refused(name: str, refusal: Refusal) -> None:
    key, value, found, allowed = SETTINGS[name]
    said = f"{key}: found {found}, allowed: {allowed}"
    assert refusal(f"{GOOD}defaults: {{{key}: {value}}}\n") == f"m.yaml:4: defaults.{said}"
    override = f"overrides:\n  - match: {{}}\n    {key}: {value}\n"
    assert refusal(GOOD + override) == f"m.yaml:6: overrides[0].{said}"


# What is wrong is found at its line, but said in the words of pydantic, or at length.
UNPOLISHED = {
    "mapping for defaults": (GOOD + "defaults:\n", "m.yaml:4: defaults: found None, allowed: "),
    "list for axes": (HEAD + "axes: [A2x2]\n", "m.yaml:3: axes: found ['A2x2'], allowed: "),
    "word for a block": (GOOD + "include: [all]\n", "m.yaml:4: include[0]: found 'all', allowed: "),
    "empty list": (HEAD + axes(sku="[]"), "m.yaml:3: axes.sku: found [], allowed: "),
    "empty word": (HEAD + axes(sku="''"), "m.yaml:3: axes.sku[0]: found '', allowed: "),
    "no reason for an expected failure": (
        GOOD + "overrides: [{match: {}, expected_failure: ''}]\n",
        "m.yaml:4: overrides[0].expected_failure: found '', allowed: ",
    ),
    "date for a round": (HEAD.replace("v2.0", "2022-04-06"), "m.yaml:1: round: found datetime.date("),
    "number beyond all measure": (
        GOOD + f"defaults: {{target_qps: {'9' * 400}}}\n",
        "m.yaml:4: defaults.target_qps: found 999",
    ),
}


@pytest.mark.parametrize("name", UNPOLISHED)
def test_a_bad_matrix_is_refused_at_its_line(name: str, refusal: Refusal) -> None:
    text, said = UNPOLISHED[name]
    assert refusal(text).startswith(said)


def test_a_number_too_long_to_print_is_refused(refusal: Refusal) -> None:
    text = GOOD + f"defaults: {{target_qps: 0x{'f' * 5000}}}\n"
    assert refusal(text).startswith("m.yaml:4: defaults.target_qps: ")
