from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_mlperf import rounds
from pytest_mlperf.errors import Place
from pytest_mlperf.evidence import AccuracyResult, DetailLog, Evidence, Fact, Summary
from pytest_mlperf.verdict import Finding, Margin, Verdict, margin, tightest
from pytest_mlperf.verdict.rules import RULES, judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_mlperf.matrix import Mode
    from tests.unit.conftest import MakeCase

ROUND = rounds.load("v2.0")
BENCHMARKS = ROUND.benchmarks
OF_THE_ROUND = {
    "effective_min_duration_ms": 600000,
    **{f"effective_{name}_rng_seed": seed for name, seed in asdict(ROUND.seeds).items()},
}


def fact(key: str, value: Any, file: str = "detail.txt") -> Fact:
    """Return a fact; its line is the length of its key, so that each has its own."""
    return Fact(key=key, value=value, place=Place(path=file, line=len(key)))


@dataclass(frozen=True, kw_only=True)
class Logs:
    """What the logs of a run say, short: as LoadGen writes them, but for what is given."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    errors: Sequence[str] = ()
    warnings: Sequence[str] = ()
    constraints: Mapping[str, bool] = field(default_factory=dict)
    recommendations: Sequence[str] = ()
    quality: float | None = None

    def evidence(self, mode: str) -> Evidence:
        facts = {"effective_scenario": "Offline", "effective_test_mode": mode, **OF_THE_ROUND, **self.facts}
        if mode == "PerformanceOnly":
            facts.setdefault("result_validity", "VALID")
        return Evidence(
            detail=DetailLog(
                facts={key: fact(key, value) for key, value in facts.items() if value is not None},
                errors=tuple(fact("error_runtime", message) for message in self.errors),
                warnings=tuple(fact("generic_message", message) for message in self.warnings),
            ),
            summary=Summary(
                validity=None,
                constraints={n: fact(n, value, "summary.txt") for n, value in self.constraints.items()},
                recommendations=tuple(fact("recommendation", text) for text in self.recommendations),
                warnings=fact("warnings", len(self.warnings), "summary.txt"),
                errors=fact("errors", len(self.errors), "summary.txt"),
            ),
            accuracy=None
            if self.quality is None
            else AccuracyResult(
                quality=fact("f1", self.quality, "accuracy.txt"), log_sha256=fact("hash", "0" * 64)
            ),
        )


# Logs of a performance run, and each broken rule: as rule, expected, observed and place.
PERFORMANCE: Mapping[str, tuple[Logs, Sequence[tuple[str, str, str, str | None]]]] = {
    "VALID": (Logs(), []),
    "VALID, all constraints satisfied": (
        Logs(constraints={"Min duration satisfied": True, "Min queries satisfied": True}),
        [],
    ),
    "VALID, with an error": (
        Logs(errors=["Ending early: out of queries."]),
        [("LoadGen errors", "none", "1: Ending early: out of queries.", "detail.txt:13")],
    ),
    "VALID, with three errors": (
        Logs(errors=["one", "two", "three"]),
        [("LoadGen errors", "none", "3: one", "detail.txt:13")],
    ),
    "VALID, with a warning": (Logs(warnings=["slow start"]), []),
    "VALID, with an audit": (
        Logs(warnings=["slow start", "Audit Config overrides the user's."]),
        [("audit.config", "none", "Audit Config overrides the user's.", "detail.txt:15")],
    ),
    "VALID, of one sample": (
        Logs(facts={"effective_performance_issue_same": True}),
        [("samples", "drawn at random", "effective_performance_issue_same True", "detail.txt:32")],
    ),
    "VALID, of no sample twice": (
        Logs(facts={"effective_performance_issue_same": 0, "effective_performance_issue_unique": 1}),
        [("samples", "drawn at random", "effective_performance_issue_unique 1", "detail.txt:34")],
    ),
    "no verdict": (
        Logs(facts={"result_validity": None}),
        [("result_validity", "VALID", "no verdict", None)],
    ),
    "another scenario": (
        Logs(facts={"effective_scenario": "Server"}),
        [("effective_scenario", "Offline", "Server", "detail.txt:18")],
    ),
    "no scenario": (
        Logs(facts={"effective_scenario": None}),
        [("effective_scenario", "Offline", "nothing", None)],
    ),
    "another mode": (
        Logs(facts={"effective_test_mode": "SubmissionRun"}),
        [("effective_test_mode", "PerformanceOnly", "SubmissionRun", "detail.txt:19")],
    ),
    "no mode": (
        Logs(facts={"effective_test_mode": None}),
        [("effective_test_mode", "PerformanceOnly", "nothing", None)],
    ),
    "INVALID, no reason given": (
        Logs(facts={"result_validity": "INVALID"}),
        [("result_validity", "VALID", "INVALID", "detail.txt:15")],
    ),
    "too short": (
        Logs(
            facts={"result_validity": "INVALID", "effective_min_duration_ms": 600000},
            constraints={"Min duration satisfied": False, "Min queries satisfied": True},
        ),
        [
            ("result_validity", "VALID", "INVALID", "detail.txt:15"),
            ("Min duration satisfied", ">= 600000 ms", "not satisfied", "summary.txt:22"),
        ],
    ),
    "too few queries": (
        Logs(
            facts={
                "result_validity": "INVALID",
                "effective_min_query_count": 24576,
                "result_query_count": 100,
            },
            constraints={"Min queries satisfied": False},
        ),
        [
            ("result_validity", "VALID", "INVALID", "detail.txt:15"),
            ("Min queries satisfied", ">= 24576 queries", "100 queries", "summary.txt:21"),
        ],
    ),
    "too slow": (
        Logs(
            facts={
                "result_validity": "INVALID",
                "effective_target_latency_ns": 130000000,
                "result_99.00_percentile_latency_ns": 131000000,
            },
            constraints={"Performance constraints satisfied": False},
        ),
        [
            ("result_validity", "VALID", "INVALID", "detail.txt:15"),
            (
                "Performance constraints satisfied",
                "99th percentile <= 130 ms (130000000 ns)",
                "131 ms (131000000 ns)",
                "summary.txt:33",
            ),
        ],
    ),
    "early stopping": (
        Logs(
            facts={"result_validity": "INVALID", "early_stopping_result": "\n * Run\n unsuccessful.\n"},
            constraints={"Early stopping satisfied": False},
        ),
        [
            ("result_validity", "VALID", "INVALID", "detail.txt:15"),
            ("Early stopping satisfied", "Yes", "Run unsuccessful.", "summary.txt:24"),
        ],
    ),
    "a constraint of a later LoadGen": (
        Logs(facts={"result_validity": "INVALID"}, constraints={"New one satisfied": False}),
        [
            ("result_validity", "VALID", "INVALID", "detail.txt:15"),
            ("New one satisfied", "Yes", "not satisfied", "summary.txt:17"),
        ],
    ),
    "a constraint without its numbers": (
        Logs(facts={"result_validity": "INVALID"}, constraints={"Min queries satisfied": False}),
        [
            ("result_validity", "VALID", "INVALID", "detail.txt:15"),
            ("Min queries satisfied", "Yes", "not satisfied", "summary.txt:21"),
        ],
    ),
    "everything at once": (
        Logs(
            facts={"effective_scenario": "Server", "result_validity": "INVALID"},
            errors=["broken"],
            constraints={"Min duration satisfied": False},
        ),
        [
            ("effective_scenario", "Offline", "Server", "detail.txt:18"),
            ("LoadGen errors", "none", "1: broken", "detail.txt:13"),
            ("result_validity", "VALID", "INVALID", "detail.txt:15"),
            ("Min duration satisfied", ">= 600000 ms", "not satisfied", "summary.txt:22"),
        ],
    ),
}


@pytest.mark.parametrize("name", PERFORMANCE)
def test_a_performance_run_is_held_to_loadgens_verdict(name: str, make_case: MakeCase) -> None:
    logs, broken = PERFORMANCE[name]
    verdict = judge(make_case(), BENCHMARKS["bert"], logs.evidence("PerformanceOnly"), mlperf_round=ROUND)
    assert [_told(finding) for finding in verdict.findings if not finding.satisfied] == broken
    assert verdict.passed is (not broken)


def _told(finding: Finding) -> tuple[str, str, str, str | None]:
    return finding.rule, finding.expected, finding.observed, str(finding.place) if finding.place else None


def test_every_rule_is_found_satisfied_by_a_valid_run(make_case: MakeCase) -> None:
    verdict = judge(make_case(), BENCHMARKS["bert"], Logs().evidence("PerformanceOnly"), mlperf_round=ROUND)
    assert [(finding.rule, finding.expected, finding.observed) for finding in verdict.findings] == [
        ("effective_scenario", "Offline", "Offline"),
        ("effective_test_mode", "PerformanceOnly", "PerformanceOnly"),
        ("LoadGen errors", "none", "none"),
        ("audit.config", "none", "none"),
        ("samples", "drawn at random", "drawn at random"),
        ("result_validity", "VALID", "VALID"),
        ("effective_min_duration_ms", ">= 600000", "600000"),
        ("effective_qsl_rng_seed", "6655344265603136530", "6655344265603136530"),
        ("effective_sample_index_rng_seed", "15863379492028895792", "15863379492028895792"),
        ("effective_schedule_rng_seed", "12662793979680847247", "12662793979680847247"),
    ]


@pytest.mark.parametrize("mode", RULES)
def test_every_rule_names_its_source(mode: Mode, make_case: MakeCase) -> None:
    verdict = judge(
        make_case(mode=mode), BENCHMARKS["bert"], Logs(quality=90).evidence(mode), mlperf_round=ROUND
    )
    assert {finding.rule: finding.source for finding in verdict.findings} == {
        "effective_scenario": "MLPerf Inference Rules, LoadGen",
        "effective_test_mode": "MLPerf Inference Rules, LoadGen",
        "LoadGen errors": "MLPerf Inference Rules, LoadGen",
        "audit.config": "MLPerf Inference Rules, compliance tests",
        **(
            {
                "samples": "MLPerf Inference Rules, compliance tests",
                "result_validity": "MLPerf Inference Rules, LoadGen",
                **dict.fromkeys(OF_THE_ROUND, "MLPerf Inference v2.0"),
            }
            if mode == "PerformanceOnly"
            else {"quality (f1)": "MLPerf Inference Rules, quality targets"}
        ),
    }


def test_recommendations_are_told_where_nothing_better_can_be_said(make_case: MakeCase) -> None:
    logs = Logs(
        facts={"result_validity": "INVALID"},
        constraints={"Min duration satisfied": False},
        recommendations=["Increase expected QPS.", "Think again."],
    )
    verdict = judge(make_case(), BENCHMARKS["bert"], logs.evidence("PerformanceOnly"), mlperf_round=ROUND)
    advice = {finding.rule: finding.advice for finding in verdict.findings if finding.advice}
    assert advice == {"result_validity": "Increase expected QPS. Think again."}


def test_recommendations_give_way_to_a_next_step(make_case: MakeCase) -> None:
    logs = Logs(
        facts={
            "result_validity": "INVALID",
            "effective_target_qps": 100,
            "result_samples_per_second": 250.0,
            "result_max_latency_ns": 264_000_000_000,
            "generated_samples_per_query": 66000,
        },
        constraints={"Min duration satisfied": False},
        recommendations=["Increase expected QPS."],
    )
    verdict = judge(make_case(), BENCHMARKS["bert"], logs.evidence("PerformanceOnly"), mlperf_round=ROUND)
    assert not any(finding.advice for finding in verdict.findings)
    (next_step,) = (finding.next_step for finding in verdict.findings if finding.next_step)
    assert next_step == (
        "set target_qps (unset, the harness took 100) to 250 (the rate reached) or more: LoadGen prepares "
        "1.1 x target_qps x min_duration_s samples, and the 66000 of this run took 4 min 24 s"
    )


OF_SERVER = {
    "effective_scenario": "Server",
    "effective_target_latency_ns": 130_000_000,
    "effective_target_latency_percentile": 0.99,
}
# What LoadGen was told in a Server run, and each rule of the round that this breaks: observed, next step.
TOLD: Mapping[str, tuple[Mapping[str, Any], Mapping[str, tuple[str, str]]]] = {
    "as the round says": ({}, {}),
    "longer, and a smaller limit": (
        {"effective_min_duration_ms": 660000, "effective_target_latency_ns": 100_000_000},
        {},
    ),
    "too short": (
        {"effective_min_duration_ms": 599999},
        {"effective_min_duration_ms": ("599999", "set min_duration_s to 600 or more")},
    ),
    "too large a limit": (
        {"effective_target_latency_ns": 130_000_001},
        {"effective_target_latency_ns": ("130000001", "set target_latency_ms to 130 or less")},
    ),
    "the latency of fewer queries": (
        {"effective_target_latency_percentile": 0.9},
        {
            "effective_target_latency_percentile": (
                "0.9",
                "look at user.conf: no matrix sets target_latency_percentile",
            )
        },
    ),
    "the latencies of queries, as LoadGen says since 4.0": ({"requested_use_token_latencies": False}, {}),
    "the latencies of tokens": (
        {"requested_use_token_latencies": True},
        {
            "requested_use_token_latencies": (
                "True",
                "look at user.conf: no matrix sets use_token_latencies",
            )
        },
    ),
    "another seed": (
        {"effective_qsl_rng_seed": 1},
        {"effective_qsl_rng_seed": ("1", "let the harness take the seeds of v2.0; no matrix sets them")},
    ),
    "a seed that is only nearly right": (
        {"effective_qsl_rng_seed": 6655344265603136531},
        {
            "effective_qsl_rng_seed": (
                "6655344265603136531",
                "let the harness take the seeds of v2.0; no matrix sets them",
            )
        },
    ),
    "nothing": (
        {
            "effective_min_duration_ms": None,
            "effective_target_latency_ns": None,
            "effective_target_latency_percentile": None,
        },
        {
            "effective_target_latency_percentile": (
                "nothing",
                "look at user.conf: no matrix sets target_latency_percentile",
            ),
            "effective_min_duration_ms": ("nothing", "set min_duration_s to 600 or more"),
            "effective_target_latency_ns": ("nothing", "set target_latency_ms to 130 or less"),
        },
    ),
    "words": (
        {"effective_min_duration_ms": "long", "effective_schedule_rng_seed": True},
        {
            "effective_min_duration_ms": ("long", "set min_duration_s to 600 or more"),
            "effective_schedule_rng_seed": (
                "True",
                "let the harness take the seeds of v2.0; no matrix sets them",
            ),
        },
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_loadgen_was_told_is_held_to_the_round(name: str, make_case: MakeCase) -> None:
    told, broken = TOLD[name]
    logs = Logs(facts={**OF_SERVER, **told})
    verdict = judge(
        make_case(scenario="Server"),
        BENCHMARKS["bert"],
        logs.evidence("PerformanceOnly"),
        mlperf_round=ROUND,
    )
    found = {f.rule: (f.observed, f.next_step) for f in verdict.findings if not f.satisfied}
    assert found == broken
    assert verdict.passed is (not broken)


@pytest.mark.parametrize(
    ("scenario", "percentile", "broken"),
    [
        ("SingleStream", 0.9, False),
        ("SingleStream", 0.99, True),
        ("MultiStream", 0.99, False),
        ("MultiStream", 0.9, True),
        ("Offline", 0.5, False),
    ],
)
def test_each_scenario_has_its_percentile(
    scenario: str, percentile: float, *, broken: bool, make_case: MakeCase
) -> None:
    facts = {"effective_scenario": scenario, "effective_target_latency_percentile": percentile}
    evidence = Logs(facts=facts).evidence("PerformanceOnly")
    verdict = judge(make_case(scenario=scenario), BENCHMARKS["bert"], evidence, mlperf_round=ROUND)
    assert verdict.passed is not broken


@pytest.mark.parametrize("measured", [None, False, True])
def test_a_benchmark_of_tokens_is_held_to_their_latencies(
    measured: object,
    make_case: MakeCase,
) -> None:
    benchmark = replace(BENCHMARKS["bert"], token_latencies=True)
    evidence = Logs(facts={**OF_SERVER, "requested_use_token_latencies": measured}).evidence(
        "PerformanceOnly"
    )
    verdict = judge(make_case(scenario="Server"), benchmark, evidence, mlperf_round=ROUND)
    assert verdict.passed is (measured is True)


@pytest.mark.parametrize("name", TOLD)
def test_a_shortened_case_is_told_of_the_round_and_not_held_to_it(name: str, make_case: MakeCase) -> None:
    told, broken = TOLD[name]
    logs = Logs(facts={**OF_SERVER, **told})
    case = make_case(scenario="Server", conformance="smoke")
    verdict = judge(case, BENCHMARKS["bert"], logs.evidence("PerformanceOnly"), mlperf_round=ROUND)
    assert verdict.passed
    assert {f.rule: f.word for f in verdict.findings if not f.satisfied} == dict.fromkeys(broken, "relaxed")
    assert not any(finding.next_step for finding in verdict.findings)


# Benchmark, level, quality, whether it passes, and what is expected and observed.
QUALITY = {
    "above": (
        ("bert", "99", 90.9),
        (True, ">= 89.96526 % (99 % of the FP32 reference 90.874 %)", "90.9 %"),
    ),
    "exactly at the target": (
        ("bert", "99", 89.96526),
        (True, ">= 89.96526 % (99 % of the FP32 reference 90.874 %)", "89.96526 %"),
    ),
    "below": (
        ("bert", "99", 89.9),
        (False, ">= 89.96526 % (99 % of the FP32 reference 90.874 %)", "89.9 %"),
    ),
    "enough for 99 %, not for 99.9 %": (
        ("bert", "99.9", 90.0),
        (False, ">= 90.783126 % (99.9 % of the FP32 reference 90.874 %)", "90 %"),
    ),
    "a fraction, DICE": (
        ("3d-unet", "99.9", 0.8634),
        (True, ">= 0.86244669 (99.9 % of the FP32 reference 0.86331)", "0.8634"),
    ),
    "a fraction below, DICE": (
        ("3d-unet", "99", 0.85),
        (False, ">= 0.8546769 (99 % of the FP32 reference 0.86331)", "0.85"),
    ),
    "a whole number": (
        ("ssd-resnet34", "99", 20.0),
        (True, ">= 19.8 % (99 % of the FP32 reference 20 %)", "20 %"),
    ),
    "nothing right": (
        ("resnet50", "99", 0.0),
        (False, ">= 75.6954 % (99 % of the FP32 reference 76.46 %)", "0 %"),
    ),
}


@pytest.mark.parametrize("name", QUALITY)
def test_the_quality_is_held_to_its_part_of_the_reference(name: str, make_case: MakeCase) -> None:
    (benchmark, level, quality), (passes, expected, observed) = QUALITY[name]
    case = make_case(mode="AccuracyOnly", benchmark=benchmark, accuracy=level)
    logs = Logs(quality=quality)
    verdict = judge(case, BENCHMARKS[benchmark], logs.evidence("AccuracyOnly"), mlperf_round=ROUND)
    finding = replace(verdict.findings[-1], margin=None, next_step=None)
    assert finding == Finding(
        rule=f"quality ({BENCHMARKS[benchmark].metric})",
        expected=expected,
        observed=observed,
        satisfied=passes,
        source="MLPerf Inference Rules, quality targets",
        place=Place(path="accuracy.txt", line=2),
    )
    assert verdict.passed is passes


# Benchmark, level, quality, its margin, and the next step.
LOOK = "look at the model, its precision and preprocessing: no setting of a matrix changes quality"
QUALITY_MARGINS = {
    "FP32": (("bert", "99", 90.874), "1.0 % above the limit", None),
    "at the target": (("bert", "99", 89.96526), "at the limit", None),
    "just above": (("bert", "99", 89.97), "under 0.1 % above the limit", None),
    "below": (("bert", "99", 85.0), "5.5 % below the limit", LOOK),
    "enough for 99 %": (("bert", "99.9", 90.0), "0.9 % below the limit", f"accuracy 99 is reached; {LOOK}"),
    "a fraction": (("3d-unet", "99", 0.86331), "1.0 % above the limit", None),
}


@pytest.mark.parametrize("name", QUALITY_MARGINS)
def test_the_quality_has_a_margin_and_a_next_step(name: str, make_case: MakeCase) -> None:
    (benchmark, level, quality), margin, next_step = QUALITY_MARGINS[name]
    case = make_case(mode="AccuracyOnly", benchmark=benchmark, accuracy=level)
    evidence = Logs(quality=quality).evidence("AccuracyOnly")
    finding = judge(case, BENCHMARKS[benchmark], evidence, mlperf_round=ROUND).findings[-1]
    assert (str(finding.margin), finding.next_step) == (margin, next_step)


def test_just_below_the_target_is_seen_to_be_below(make_case: MakeCase) -> None:
    case = make_case(mode="AccuracyOnly")
    verdict = judge(
        case, BENCHMARKS["bert"], Logs(quality=89.965259).evidence("AccuracyOnly"), mlperf_round=ROUND
    )
    finding = verdict.findings[-1]
    assert not finding.satisfied
    assert finding.observed not in finding.expected


@pytest.mark.parametrize(
    ("logs", "broken"),
    [
        pytest.param(Logs(quality=90.9), [], id="pass"),
        pytest.param(Logs(quality=90.9, errors=["lost"]), ["LoadGen errors"], id="error"),
        pytest.param(Logs(quality=90.9, warnings=["Audit Config"]), ["audit.config"], id="audit"),
        pytest.param(
            Logs(quality=90.9, facts={"effective_test_mode": "PerformanceOnly"}),
            ["effective_test_mode"],
            id="performance run",
        ),
        pytest.param(
            Logs(quality=1.0, facts={"effective_scenario": "Server"}),
            ["effective_scenario", "quality (f1)"],
            id="another scenario, and bad",
        ),
        pytest.param(
            Logs(quality=90.9, facts={"result_validity": "INVALID"}), [], id="verdict of no interest"
        ),
    ],
)
def test_an_accuracy_run_is_held_to_its_rules(logs: Logs, broken: Sequence[str], make_case: MakeCase) -> None:
    case = make_case(mode="AccuracyOnly")
    verdict = judge(case, BENCHMARKS["bert"], logs.evidence("AccuracyOnly"), mlperf_round=ROUND)
    assert [finding.rule for finding in verdict.findings if not finding.satisfied] == broken
    assert verdict.passed is (not broken)


def test_an_accuracy_run_without_quality_does_not_pass(make_case: MakeCase) -> None:
    case = make_case(mode="AccuracyOnly")
    assert not judge(case, BENCHMARKS["bert"], Logs().evidence("AccuracyOnly"), mlperf_round=ROUND).passed


def test_each_mode_has_rules() -> None:
    assert {mode: [rule.__name__ for rule in rules] for mode, rules in RULES.items()} == {
        "PerformanceOnly": [
            "of_the_case",
            "as_configured",
            "no_errors",
            "no_audit",
            "random_samples",
            "valid",
            "of_the_round",
            "latency_of_the_round",
        ],
        "AccuracyOnly": ["of_the_case", "no_errors", "no_audit", "quality"],
    }


HOLDS = Finding(rule="r", expected="a", observed="a", satisfied=True, source="s")
BROKEN = Finding(rule="r", expected="a", observed="b", satisfied=False, source="s")
RELAXED = replace(BROKEN, relaxed=True)


@pytest.mark.parametrize(
    ("findings", "passed"),
    [
        pytest.param((), False, id="no rule applied"),
        pytest.param((HOLDS,), True, id="one holds"),
        pytest.param((HOLDS, HOLDS), True, id="all hold"),
        pytest.param((HOLDS, BROKEN), False, id="one is broken"),
        pytest.param((HOLDS, RELAXED), True, id="one is relaxed"),
    ],
)
def test_a_verdict_needs_a_rule_and_none_broken(findings: tuple[Finding, ...], *, passed: bool) -> None:
    assert Verdict(findings=findings).passed is passed


@pytest.mark.parametrize(
    ("finding", "sentence"),
    [
        pytest.param(HOLDS, "r holds: expected a, observed a", id="holds"),
        pytest.param(BROKEN, "r is broken: expected a, observed b", id="broken"),
        pytest.param(RELAXED, "r is relaxed: expected a, observed b", id="relaxed"),
        pytest.param(
            replace(BROKEN, margin=Margin(percent=-12.34, bound="most"), next_step="turn it", advice="no"),
            "r is broken: expected a, observed b, 12.3 % above the limit; next: turn it",
            id="with margin and next step",
        ),
        pytest.param(
            Finding(
                rule="result_validity",
                expected="VALID",
                observed="INVALID",
                satisfied=False,
                source="s",
                place=Place(path="detail.txt", line=3),
                advice="Increase it.",
            ),
            "result_validity is broken: expected VALID, observed INVALID [detail.txt:3]; "
            "LoadGen recommends: Increase it.",
            id="with place and advice",
        ),
    ],
)
def test_a_finding_is_a_sentence(finding: Finding, sentence: str) -> None:
    assert str(finding) == sentence


# Observed, limit and bound, and the margin in words.
MARGINS: Mapping[str, tuple[float | None, float | None, Literal["least", "most"]]] = {
    "3.0 % below the limit": (97, 100, "most"),
    "12.0 % above the limit": (112, 100, "most"),
    "20.0 % above the limit": (120, 100, "least"),
    "80.0 % below the limit": (20, 100, "least"),
    "at the limit": (100, 100, "most"),
    "under 0.1 % below the limit": (99.99, 100, "most"),
    "83 times the limit": (8313, 100, "least"),
    "12 times the limit": (1200, 100, "most"),
    "100.0 % below the limit": (0, 100, "most"),
    "None": (None, 100, "most"),
}


@pytest.mark.parametrize("words", MARGINS)
def test_a_margin_in_words(words: str) -> None:
    observed, limit, bound = MARGINS[words]
    assert str(margin(observed, limit, bound)) == words


@pytest.mark.parametrize("limit", [None, 0])
def test_there_is_no_margin_to_nothing(limit: float | None) -> None:
    assert margin(1, limit, "most") is None


def test_the_tightest_margin_is_of_what_could_break() -> None:
    near = replace(HOLDS, rule="near", margin=Margin(percent=3, bound="most"))
    far = replace(HOLDS, rule="far", margin=Margin(percent=30, bound="least"))
    met = replace(HOLDS, margin=Margin(percent=0, bound="least", until_met=True))
    broken = replace(BROKEN, margin=Margin(percent=-5, bound="most"))
    assert tightest([far, met, HOLDS, near, broken]) == near
    assert tightest([met, HOLDS, broken]) is None
