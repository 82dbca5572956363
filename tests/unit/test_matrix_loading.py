from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_mlperf import catalogue, rounds
from pytest_mlperf.errors import ConfigurationError, Place
from pytest_mlperf.matrix import HarnessTerms, Matrix, Settings, Vocabulary
from pytest_mlperf.matrix.loading import check_distinct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.unit.conftest import LoadText

HEAD = "round: v2.0\ncategory: datacenter\n"
ONE = {
    "sku": "A2x2",
    "benchmark": "bert",
    "harness": "custom",
    "scenario": "Offline",
    "mode": "AccuracyOnly",
}
OFFLINE = "bert-A2x2_TRT-custom_k_99_MaxP-Offline-AccuracyMode"
SERVER = "bert-A2x2_TRT-custom_k_99_MaxP-Server-AccuracyMode"


def axes(**changes: str) -> str:
    """Return the `axes` of one case, on one line, but for the changes; an empty value leaves an axis out."""
    values = {**ONE, **changes}
    return f"axes: {{{', '.join(f'{axis}: {value}' for axis, value in values.items() if value)}}}\n"


GOOD = HEAD + axes()  # three lines, one case


def ids(matrix: Matrix) -> list[str]:
    return [case.id for case in matrix.cases]


def test_the_same_case_in_two_files_is_refused(load_text: LoadText) -> None:
    first = load_text(GOOD, "a.yaml")
    other = load_text(HEAD + axes(scenario="Server"), "b.yaml")
    second = load_text(HEAD.replace("datacenter", "edge") + "\n\n" + axes(), "c.yaml")
    check_distinct([first, other])
    with pytest.raises(ConfigurationError) as caught:
        check_distinct([first, other, second])
    assert str(caught.value) == f"c.yaml:5: case {OFFLINE} is named twice: first at a.yaml:3"


def test_the_same_matrix_twice_is_refused_case_by_case(load_text: LoadText) -> None:
    text = HEAD + axes(scenario="[Server, Offline]")
    with pytest.raises(ConfigurationError) as caught:
        check_distinct([load_text(text, "a.yaml"), load_text(text, "b.yaml")])
    assert [str(problem) for problem in caught.value.problems] == [
        f"b.yaml:3: case {SERVER} is named twice: first at a.yaml:3",
        f"b.yaml:3: case {OFFLINE} is named twice: first at a.yaml:3",
    ]


EXPANSIONS: Mapping[str, tuple[str, Sequence[str]]] = {
    "one value an axis": (GOOD, [OFFLINE]),
    "one value in a list": (HEAD + axes(scenario="[Offline]", accuracy="[99]"), [OFFLINE]),
    "the last axis turns fastest": (
        HEAD + axes(scenario="[Server, Offline]", mode="[PerformanceOnly, AccuracyOnly]"),
        [
            "bert-A2x2_TRT-custom_k_99_MaxP-Server-PerformanceMode",
            SERVER,
            "bert-A2x2_TRT-custom_k_99_MaxP-Offline-PerformanceMode",
            OFFLINE,
        ],
    ),
    "include completes from the axes": (
        GOOD + "include:\n  - {scenario: Server}\n  - {benchmark: rnnt, sku: A30x8}\n",
        [SERVER, "rnnt-A30x8_TRT-custom_k_99_MaxP-Offline-AccuracyMode"],
    ),
    "include instead of axes": (
        f"{HEAD}include:\n  - {axes().removeprefix('axes: ')}",
        [OFFLINE],
    ),
    "merge key and anchor": (
        HEAD
        + axes(benchmark="", scenario="")
        + "include:\n  - &b {benchmark: bert, scenario: &s [Offline]}\n  - {<<: *b, benchmark: rnnt}\n"
        + "  - {benchmark: bert, scenario: *s, accuracy: 99.9}\n",
        [
            OFFLINE,
            "rnnt-A2x2_TRT-custom_k_99_MaxP-Offline-AccuracyMode",
            "bert-A2x2_TRT-custom_k_99_9_MaxP-Offline-AccuracyMode",
        ],
    ),
    "exclude by one axis": (
        HEAD + axes(scenario="[Server, Offline]") + "exclude: [{scenario: Server}]\n",
        [OFFLINE],
    ),
    "exclude by several values and axes": (
        HEAD
        + axes(scenario="[SingleStream, Server, Offline]", sku="[A2x2, A30x8]")
        + "exclude:\n  - {sku: A30x8, scenario: [SingleStream, Server]}\n"
        + "  - {sku: A30x8, scenario: Offline}\n  - {scenario: SingleStream}\n",
        [SERVER, OFFLINE],
    ),
}


@pytest.mark.parametrize("name", EXPANSIONS)
def test_axes_expand_to_cases_in_the_order_of_the_file(name: str, load_text: LoadText) -> None:
    text, expected = EXPANSIONS[name]
    assert ids(load_text(text)) == expected


METRIC_NAMES = {
    "lwis": (
        {"benchmark": "resnet50", "harness": "lwis", "scenario": "MultiStream"},
        "A2x2_TRT-lwis_k_99_MaxP-MultiStream-AccuracyMode",
    ),
    "triton": ({"harness": "triton"}, "A2x2_TRT_Triton-triton_k_99_MaxP-Offline-AccuracyMode"),
    "99.9": ({"accuracy": "99.9"}, "A2x2_TRT-custom_k_99_9_MaxP-Offline-AccuracyMode"),
    "99.9 as text": ({"accuracy": "'99.9'"}, "A2x2_TRT-custom_k_99_9_MaxP-Offline-AccuracyMode"),
    "99.0": ({"accuracy": "99.0"}, "A2x2_TRT-custom_k_99_MaxP-Offline-AccuracyMode"),
    "MaxQ": ({"power": "MaxQ"}, "A2x2_TRT_MaxQ-custom_k_99_MaxQ-Offline-AccuracyMode"),
    "triton and MaxQ": (
        {"harness": "triton", "power": "MaxQ"},
        "A2x2_TRT_Triton_MaxQ-triton_k_99_MaxQ-Offline-AccuracyMode",
    ),
    "performance": ({"mode": "PerformanceOnly"}, "A2x2_TRT-custom_k_99_MaxP-Offline-PerformanceMode"),
    "system id": (
        {"sku": "A100-SXM4-40GBx8", "accuracy": "99.9"},
        "DGX-A100_A100-SXM4-40GBx8_TRT-custom_k_99_9_MaxP-Offline-AccuracyMode",
    ),
}


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_a_case_has_the_names_that_dashboards_know(name: str, load_text: LoadText) -> None:
    changes, metric_name = METRIC_NAMES[name]
    (case,) = load_text(HEAD + axes(**changes)).cases
    assert case.metric_name == metric_name
    assert case.id == f"{case.benchmark}-{metric_name}"


@pytest.mark.parametrize("harness", ["onnxruntime", "onnxruntime-int8"])
def test_a_case_of_the_embedded_harness_is_named_after_it(harness: str, load_text: LoadText) -> None:
    vocabulary = catalogue.vocabularies(catalogue.HARNESSES)("v2.0")
    text = HEAD.replace("datacenter", "smoke") + axes(sku="CPU", benchmark="resnet8-digits", harness=harness)
    (case,) = load_text(text, vocabulary=vocabulary).cases
    assert case.id == f"resnet8-digits-CPU_ORT-{harness}_k_99_MaxP-Offline-AccuracyMode"


def test_what_a_case_is_stands_in_its_fields(load_text: LoadText) -> None:
    matrix = load_text(HEAD + axes(accuracy="99.9", power="MaxQ"))
    (case,) = matrix.cases
    assert (matrix.path, matrix.round, matrix.category) == ("m.yaml", "v2.0", "datacenter")
    assert (case.round, case.category, case.conformance) == ("v2.0", "datacenter", "round")
    assert (case.sku, case.benchmark, case.harness) == ("A2x2", "bert", "custom")
    assert (case.accuracy, case.power, case.scenario) == ("99.9", "MaxQ", "Offline")
    assert (case.mode, case.settings) == ("AccuracyOnly", Settings())


@pytest.mark.parametrize(
    ("category", "written", "conformance"),
    [
        pytest.param("datacenter", "", "round", id="datacenter"),
        pytest.param("edge", "", "round", id="edge"),
        pytest.param("smoke", "", "smoke", id="smoke"),
        pytest.param("datacenter", "conformance: smoke\n", "smoke", id="datacenter, shortened"),
        pytest.param("smoke", "conformance: round\n", "round", id="smoke, whole"),
    ],
)
def test_conformance_follows_from_the_category_unless_it_is_written(
    category: str, written: str, conformance: str, load_text: LoadText
) -> None:
    (case,) = load_text(GOOD.replace("datacenter", category) + written).cases
    assert (case.category, case.conformance) == (category, conformance)


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        pytest.param(GOOD + "conformance: smoke\ndefaults: {min_duration_s: 0.5}\n", 0.5, id="smoke"),
        pytest.param(GOOD + "defaults: {min_duration_s: 600}\n", 600, id="as the round asks"),
        pytest.param(GOOD + "defaults: {min_duration_s: 3600}\n", 3600, id="longer"),
    ],
)
def test_durations_that_are_allowed(text: str, duration_s: float, load_text: LoadText) -> None:
    (case,) = load_text(text).cases
    assert case.settings.min_duration_s == duration_s


def test_each_case_knows_the_block_that_it_comes_from(load_text: LoadText) -> None:
    assert load_text(GOOD).cases[0].place == Place(path="m.yaml", line=3)
    blocks = "include:\n\n  # one\n  - scenario: Server\n  - {scenario: Offline,\n     mode: AccuracyOnly}\n"
    assert [case.place.line for case in load_text(GOOD + blocks).cases] == [7, 8]


OVERRIDES = """\
defaults: {target_qps: 1, time_limit_s: 30}
overrides:
  - match: {scenario: [Server, Offline]}
    target_qps: 2.5
    share_host: true
  - match: {scenario: Offline}
    target_qps: 3
    expected_failure: the fan is broken
  - match: {mode: AccuracyOnly, scenario: SingleStream}
    min_query_count: 10
    expected_latency_ms: 5
"""


def test_later_overrides_win_and_leave_the_rest(load_text: LoadText) -> None:
    head = HEAD.replace("datacenter", "smoke")
    matrix = load_text(head + axes(scenario="[SingleStream, Server, Offline]") + OVERRIDES)
    single_stream, server, offline = (case.settings for case in matrix.cases)
    assert single_stream == Settings(
        target_qps=1,
        time_limit_s=30,
        min_query_count=10,
        expected_latency_ms=5,
    )
    assert server == Settings(target_qps=2.5, time_limit_s=30, share_host=True)
    assert offline == Settings(
        target_qps=3, time_limit_s=30, share_host=True, expected_failure="the fan is broken"
    )


def test_defaults_can_be_taken_back(load_text: LoadText) -> None:
    text = GOOD + "defaults: {share_host: true}\noverrides: [{match: {}, share_host: false}]\n"
    assert load_text(text).cases[0].settings == Settings(share_host=False)


def test_privileges_are_sorted_and_can_be_taken_back(load_text: LoadText) -> None:
    text = HEAD + axes(mode="[AccuracyOnly, PerformanceOnly]")
    text += "defaults: {privileges: [seccomp=unconfined, cap_add=SYS_ADMIN]}\n"
    text += "overrides: [{match: {mode: AccuracyOnly}, privileges: []}]\n"
    privileges = [case.settings.privileges for case in load_text(text).cases]
    assert privileges == [(), ("cap_add=SYS_ADMIN", "seccomp=unconfined")]


def test_harnesses_of_a_site_bring_their_own_words(load_text: LoadText) -> None:
    mlperf_round = rounds.load("v2.0")
    terms = HarnessTerms(system_suffix="_MINE", benchmarks={"toy": mlperf_round.benchmarks["bert"]})
    vocabulary = Vocabulary(round=mlperf_round, system_ids={"box": "Box7"}, harnesses={"mine": terms})
    text = HEAD + axes(sku="box", harness="mine", benchmark="toy")
    assert ids(load_text(text, vocabulary=vocabulary)) == [
        "toy-Box7_MINE-mine_k_99_MaxP-Offline-AccuracyMode"
    ]
