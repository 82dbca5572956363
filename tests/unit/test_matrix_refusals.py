"""What cannot be in a matrix of its round is said with its line, all of it together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_mlperf import catalogue, rounds
from pytest_mlperf.matrix import HarnessTerms, Vocabulary
from pytest_mlperf.matrix.loading import MAX_CASES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.unit.conftest import LoadText, Refusal

SKUS = "A100-SXM4-40GBx8, A2x2, A30x8"
BENCHMARKS = "3d-unet, bert, dlrm, resnet50, rnnt, ssd-mobilenet, ssd-resnet34"
NO_VALUE = "no value on the axis '{}' here"
CAPABILITIES = (
    "cap_add=BPF, cap_add=NET_RAW, cap_add=KILL, cap_add=SYS_TIME, cap_add=SYS_NICE, cap_add=SYS_BOOT, "
    "cap_add=IPC_LOCK, cap_add=MKNOD"
)
NETWORKS = (
    "network=host, network=none, network=bridge, apparmor=unconfined, seccomp=unconfined, cap_add=BPF, "
    "cap_add=KILL, cap_add=MKNOD"
)
SHORTENED = "(conformance: smoke allows relaxed runs, which are not submission-valid)"

HEAD = "round: v2.0\ncategory: datacenter\n"
ONE = {
    "sku": "A2x2",
    "benchmark": "bert",
    "harness": "custom",
    "scenario": "Offline",
    "mode": "AccuracyOnly",
}
OFFLINE = "bert-A2x2_TRT-custom_k_99_MaxP-Offline-AccuracyMode"


def axes(**changes: str) -> str:
    """Return the `axes` of one case, on one line, but for the changes; an empty value leaves an axis out."""
    values = {**ONE, **changes}
    return f"axes: {{{', '.join(f'{axis}: {value}' for axis, value in values.items() if value)}}}\n"


GOOD = HEAD + axes()  # three lines, one case


# What stands in a file, and every line of the message.
BAD: Mapping[str, tuple[str, Sequence[str]]] = {
    # Words of the round.
    "unknown round": (
        HEAD.replace("v2.0", "v2.1") + axes(),
        ["m.yaml:1: round: found 'v2.1', allowed: v2.0 (did you mean 'v2.0'?)"],
    ),
    "unknown SKU": (
        HEAD + axes(sku="A2x3"),
        [f"m.yaml:3: axes.sku: found 'A2x3', allowed: {SKUS} (did you mean 'A2x2'?)"],
    ),
    "unknown SKU of a list": (
        HEAD
        + "axes:\n  sku:\n    - A2x2\n    - H100\n  benchmark: bert\n  harness: custom\n"
        + "  scenario: Offline\n  mode: AccuracyOnly\n",
        [f"m.yaml:6: axes.sku[1]: found 'H100', allowed: {SKUS}"],
    ),
    "unknown SKU of an include": (
        GOOD + "include:\n  - sku: [A2x2, a30X8]\n",
        [f"m.yaml:5: include[0].sku[1]: found 'a30X8', allowed: {SKUS} (did you mean 'A30x8'?)"],
    ),
    "unknown SKU that an include takes from the axes": (
        HEAD + axes(sku="[A2x2, A2x3]") + "include:\n  - {scenario: Server}\n",
        [f"m.yaml:3: axes.sku[1]: found 'A2x3', allowed: {SKUS} (did you mean 'A2x2'?)"],
    ),
    "unknown benchmark": (
        HEAD + axes(benchmark="brt"),
        [f"m.yaml:3: axes.benchmark: found 'brt', allowed: {BENCHMARKS} (did you mean 'bert'?)"],
    ),
    "unknown harness": (
        HEAD + axes(harness="costum"),
        ["m.yaml:3: axes.harness: found 'costum', allowed: custom, lwis, triton (did you mean 'custom'?)"],
    ),
    # Combinations that are not.
    "bert with lwis": (
        HEAD + axes(harness="lwis"),
        ["m.yaml:3: axes: bert has no harness 'lwis', allowed: custom, triton"],
    ),
    "dlrm in SingleStream": (
        HEAD + axes(benchmark="dlrm", scenario="SingleStream"),
        ["m.yaml:3: axes.scenario: dlrm has no scenario 'SingleStream', allowed: Server, Offline"],
    ),
    "resnet50 at 99.9": (
        HEAD + axes(benchmark="resnet50", harness="lwis", accuracy="[99, 99.9]"),
        ["m.yaml:3: axes.accuracy: resnet50 has no accuracy '99.9', allowed: 99"],
    ),
    "every wrong combination of a block": (
        GOOD
        + "include:\n  - benchmark: [bert, dlrm]\n    harness: [custom, lwis]\n    scenario: MultiStream\n",
        [
            (
                "m.yaml:7: include[0].scenario: bert has no scenario 'MultiStream', "
                "allowed: SingleStream, Server, Offline"
            ),
            "m.yaml:7: include[0].scenario: dlrm has no scenario 'MultiStream', allowed: Server, Offline",
            "m.yaml:5: include[0]: bert has no harness 'lwis', allowed: custom, triton",
            "m.yaml:5: include[0]: dlrm has no harness 'lwis', allowed: custom, triton",
        ],
    ),
    # Axes.
    "missing axis": (HEAD + axes(mode=""), [f"m.yaml:3: axes: {NO_VALUE.format('mode')}"]),
    "empty axis": (HEAD + axes(mode="~"), [f"m.yaml:3: axes: {NO_VALUE.format('mode')}"]),
    "no axes": (
        HEAD,
        [
            f"m.yaml:1: axes: {NO_VALUE.format(axis)}"
            for axis in ("sku", "benchmark", "harness", "scenario", "mode")
        ],
    ),
    "axis missing of one include": (
        HEAD + axes(mode="", scenario="") + "include:\n  - {mode: AccuracyOnly, scenario: Server}\n"
        "  - {mode: AccuracyOnly}\n",
        [f"m.yaml:6: include[1]: {NO_VALUE.format('scenario')}, nor in 'axes'"],
    ),
    "value twice on an axis": (
        HEAD + axes(sku="[A2x2, A30x8, A2x2]"),
        ["m.yaml:3: axes.sku: 'A2x2' stands here twice"],
    ),
    "accuracy twice, in two forms": (
        HEAD + axes(accuracy="[99, 99.0]"),
        ["m.yaml:3: axes.accuracy: '99' stands here twice"],
    ),
    # Cases.
    "case twice in a file": (
        GOOD + "include:\n  - {}\n  - {scenario: [Server, Offline]}\n",
        [f"m.yaml:6: include[1]: case {OFFLINE} is named twice: first at m.yaml:5"],
    ),
    "exclude that selects nothing": (
        GOOD + "exclude:\n  - {scenario: Server}\n",
        ["m.yaml:5: exclude[0]: selects no case of this matrix (is a name misspelt?)"],
    ),
    "exclude that selects what is excluded": (
        GOOD + "include: [{scenario: [Server, Offline]}]\nexclude:\n  - {scenario: Server}\n"
        "  - {benchmark: bert, scenario: Server}\n",
        ["m.yaml:7: exclude[1]: selects no case of this matrix (is a name misspelt?)"],
    ),
    "override that selects nothing": (
        GOOD + "overrides:\n  - match: {mode: AccuracyOnly, sku: A30x8}\n    target_qps: 3\n",
        ["m.yaml:5: overrides[0].match: selects no case of this matrix (is a name misspelt?)"],
    ),
    "override that changes nothing": (
        GOOD + "overrides:\n  - match: {mode: AccuracyOnly}\n",
        ["m.yaml:5: overrides[0]: changes nothing: name a setting beside 'match'"],
    ),
    "matrix without a case": (
        GOOD + "exclude:\n  - {sku: A2x2}\n",
        ["m.yaml:1: matrix: the matrix expands to no case"],
    ),
    # Conformance.
    "relaxed limits in a round": (
        HEAD + axes(scenario="Server") + "defaults: {target_latency_ms: 131, min_query_count: 1}\n",
        [
            f"m.yaml:4: defaults.min_query_count: found 1, allowed: what the round says (v2.0) {SHORTENED}",
            f"m.yaml:4: defaults.target_latency_ms: found 131, allowed: 130 or less (v2.0) {SHORTENED}",
        ],
    ),
    "setting of another scenario": (
        HEAD + axes() + "defaults: {target_latency_ms: 100}\n",
        ["m.yaml:4: defaults.target_latency_ms: changes no selected case, allowed with: Server"],
    ),
    "privileges that are unknown": (
        GOOD + "overrides:\n  - match: {}\n    privileges:\n      - seccomp=unconfined\n"
        "      - cap_add=sys_admin\n      - network=hots\n",
        [
            (
                "m.yaml:8: overrides[0].privileges[1]: found 'cap_add=sys_admin', allowed: 46 names, "
                f"the nearest are {CAPABILITIES} (did you mean 'cap_add=SYS_ADMIN'?)"
            ),
            (
                "m.yaml:9: overrides[0].privileges[2]: found 'network=hots', allowed: 46 names, the nearest "
                f"are {NETWORKS} (did you mean 'network=host'?)"
            ),
        ],
    ),
    "privileges that exclude each other": (
        GOOD + "defaults:\n  privileges: [network=host, network=none, cap_add=BPF, cap_add=BPF]\n",
        [
            "m.yaml:5: defaults.privileges: 'cap_add=BPF' stands here twice",
            "m.yaml:5: defaults.privileges: found network=host and network=none, allowed: one",
        ],
    ),
    "privileges that are no list": (
        GOOD + "defaults: {privileges: network=host}\n",
        ["m.yaml:4: defaults.privileges: found 'network=host', allowed: a valid list"],
    ),
    "privileges without a container": (
        HEAD
        + axes(harness="own")
        + "harnesses: {own: {argv: [run]}}\ndefaults: {privileges: [network=host]}\n",
        ["m.yaml:5: defaults.privileges: changes no selected case: harness 'own' runs in no container"],
    ),
    "exclude of everything": (
        HEAD + axes() + "exclude: [{}]\n",
        ["m.yaml:4: exclude[0]: names no axis, and would leave out every case"],
    ),
    "shortened run": (
        GOOD + "defaults:\n  min_duration_s: 599.9\n",
        [f"m.yaml:5: defaults.min_duration_s: found 599.9, allowed: 600 or more (v2.0) {SHORTENED}"],
    ),
    "shortened run of some cases": (
        GOOD + "conformance: round\noverrides:\n  - match: {}\n    min_duration_s: 60\n",
        [f"m.yaml:7: overrides[0].min_duration_s: found 60, allowed: 600 or more (v2.0) {SHORTENED}"],
    ),
    "shortened run in a smoke matrix that holds to the round": (
        GOOD.replace("datacenter", "smoke") + "conformance: round\ndefaults: {min_duration_s: 1}\n",
        [f"m.yaml:5: defaults.min_duration_s: found 1, allowed: 600 or more (v2.0) {SHORTENED}"],
    ),
    "all problems of the words": (
        GOOD
        + "defaults: {min_duration_s: 1}\n"
        + "include:\n  - {sku: A2x4, benchmark: brt}\n  - {benchmark: dlrm, scenario: SingleStream}\n"
        + "  - {harness: lwis, mode: PerformanceOnly}\n",
        [
            f"m.yaml:6: include[0].sku: found 'A2x4', allowed: {SKUS} (did you mean 'A2x2'?)",
            f"m.yaml:6: include[0].benchmark: found 'brt', allowed: {BENCHMARKS} (did you mean 'bert'?)",
            "m.yaml:7: include[1].scenario: dlrm has no scenario 'SingleStream', allowed: Server, Offline",
            "m.yaml:8: include[2]: bert has no harness 'lwis', allowed: custom, triton",
            f"m.yaml:4: defaults.min_duration_s: found 1, allowed: 600 or more (v2.0) {SHORTENED}",
        ],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_an_impossible_matrix_is_refused_with_all_its_problems(name: str, refusal: Refusal) -> None:
    text, said = BAD[name]
    assert refusal(text).splitlines() == said


def test_a_wrong_word_of_the_axes_is_said_once(refusal: Refusal) -> None:
    text = HEAD + axes(sku="A2x3") + "include:\n  - {scenario: Offline}\n  - {scenario: Server}\n"
    assert len(refusal(text).splitlines()) == 1


def test_a_wrong_word_that_no_block_takes_is_refused(refusal: Refusal) -> None:
    text = HEAD + axes(sku="A2x3") + "include:\n  - {sku: A2x2}\n"
    assert refusal(text).startswith("m.yaml:3: axes.sku: found 'A2x3'")


def test_too_many_cases_are_refused_before_they_are_made(refusal: Refusal) -> None:
    mlperf_round = rounds.load("v2.0")
    words = [f"w{n}" for n in range(40)]
    terms = HarnessTerms(system_suffix="", benchmarks=dict.fromkeys(words, mlperf_round.benchmarks["bert"]))
    vocabulary = Vocabulary(
        round=mlperf_round,
        system_ids=dict.fromkeys(words, "many"),
        harnesses=dict.fromkeys(words, terms),
    )
    many = f"[{', '.join(words)}]"
    text = HEAD + axes(sku=many, benchmark=many, harness=many, mode="[AccuracyOnly, PerformanceOnly]")
    assert refusal(text, vocabulary) == f"m.yaml:3: axes: expands to 128000 cases, allowed: {MAX_CASES}"


MISMATCHES = {
    "miniature as of a round": (
        HEAD + axes(sku="CPU", harness="onnxruntime", benchmark="resnet8-digits"),
        (
            "harness 'onnxruntime' runs miniatures, allowed: conformance smoke "
            "(their results are never submission-valid)"
        ),
    ),
    "miniature on a GPU": (
        HEAD.replace("datacenter", "smoke") + axes(harness="onnxruntime", benchmark="resnet8-digits"),
        "harness 'onnxruntime' does not run on A2x2, allowed: the host's CPU",
    ),
    "harness of GPUs on the CPU": (
        HEAD + axes(sku="CPU"),
        "harness 'custom' does not run on CPU, allowed: SKUs with accelerators",
    ),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_a_harness_where_it_does_not_belong_is_refused(name: str, refusal: Refusal) -> None:
    text, said = MISMATCHES[name]
    vocabulary = catalogue.vocabularies(catalogue.HARNESSES)("v2.0")
    assert refusal(text, vocabulary) == f"m.yaml:3: axes: {said}"


def test_a_configuration_that_is_not_registered_is_refused(refusal: Refusal, load_text: LoadText) -> None:
    vocabulary = catalogue.vocabularies(catalogue.HARNESSES)("v2.0")
    text = HEAD + (
        "axes: {sku: [A2x2, A30x8], benchmark: bert, harness: custom,\n"
        "       scenario: [Offline, SingleStream, Server], mode: AccuracyOnly}\n"
    )
    assert refusal(text, vocabulary=vocabulary) == (
        "m.yaml:3: axes: no configuration is registered in v2.0 for A2x2 bert custom 99 MaxP SingleStream, "
        "A30x8 bert custom 99 MaxP SingleStream (leave it out with 'exclude', or name fewer values)"
    )
    matrix = load_text(text + "exclude: [{scenario: SingleStream}]\n", vocabulary=vocabulary)
    assert len(matrix.cases) == 4
