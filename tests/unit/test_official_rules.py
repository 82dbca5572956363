"""The rules of a performance run, on logs in memory that break one of them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from pytest_mlperf.evidence import DetailLog, detail
from pytest_mlperf.rounds import checker
from pytest_mlperf.verdict.official import Level, Ruling, Terms, performance
from tests.submissions import log_text, run_facts

ROUNDS = checker.names()
TTFT = "result_first_token_99.00_percentile_latency_ns"
TPOT = "result_time_per_output_token_99.00_percentile_ns"


def terms_of(round_name: str, benchmark: str, scenario: str, **terms: Any) -> Terms:
    round_ = checker.load(round_name)
    usual: dict[str, Any] = {"division": "closed", "category": "edge", "level": "official"}
    return Terms(
        round=round_, benchmark=round_.benchmarks[benchmark], scenario=scenario, **{**usual, **terms}
    )


def log_of(terms: Terms, errors: tuple[str, ...] = (), **facts: Any) -> DetailLog:
    """Return the log of a run that passes, but for these facts; None takes one away."""
    usual = run_facts(terms.round.name, terms.benchmark.name, terms.scenario)
    kept = {key: value for key, value in {**usual, **facts}.items() if value is not None}
    return detail.parse(BytesIO(log_text(kept, errors=errors).encode()), "run_1/mlperf_log_detail.txt")


def judged(terms: Terms, errors: tuple[str, ...] = (), **facts: Any) -> list[Ruling]:
    return list(performance.judge(terms, log_of(terms, errors, **facts)))


def broken(rulings: list[Ruling]) -> set[str]:
    return {ruling.rule for ruling in rulings if not ruling.finding.satisfied}


def rejected(rulings: list[Ruling], level: Level = "official") -> bool:
    return any(ruling.rejects(level) for ruling in rulings)


@pytest.mark.parametrize("round_name", ROUNDS)
@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Server", "Interactive", "Offline"])
def test_a_run_that_reaches_every_limit_exactly(round_name: str, scenario: str) -> None:
    for name, benchmark in checker.load(round_name).benchmarks.items():
        allowed = {*(benchmark.required["both"] or ()), *(benchmark.optional["both"] or ())}
        if scenario in allowed:
            assert broken(judged(terms_of(round_name, name, scenario))) == set()


# Facts of an Offline run of resnet, the rule that they break, and the rounds whose checkers reject for it.
SPOILED: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "invalid": ({"result_validity": "INVALID"}, "validity", ROUNDS[:8]),
    "no verdict": ({"result_validity": None}, "validity", ROUNDS[:8]),
    "few samples in memory": ({"effective_performance_sample_count": 1023}, "performance_samples", ROUNDS),
    "another seed": ({"effective_qsl_rng_seed": 1}, "seeds", ROUNDS[3:]),
    "another order": ({"effective_sample_index_rng_seed": 1}, "seeds", ROUNDS[3:]),
    "no seed": ({"effective_schedule_rng_seed": None}, "seeds", ROUNDS[3:]),
    "a minute": ({"effective_min_duration_ms": 60000}, "duration", ROUNDS[5:]),
    "few samples a query": ({"effective_samples_per_query": 1000}, "offline_samples", ROUNDS[3:]),
    "no query": ({"effective_min_query_count": 0}, "min_queries", ROUNDS[3:]),
    "an accuracy log": ({"effective_test_mode": "AccuracyOnly"}, "mode", ()),
    "no mode": ({"effective_test_mode": None}, "mode", ()),
    "no duration": ({"effective_min_duration_ms": None}, "duration", ROUNDS),
    "a duration in words": ({"effective_min_duration_ms": "600000"}, "duration", ROUNDS),
    "a log of Server": ({"effective_scenario": "Server"}, "inference", ROUNDS[8:]),
    "no result": ({"result_samples_per_second": None}, "result", ROUNDS),
    "no samples a second": ({"result_samples_per_second": 0.0}, "result", ROUNDS),
}


@pytest.mark.parametrize("round_name", ROUNDS)
@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_run_that_breaks_one_rule(round_name: str, spoiled: str) -> None:
    facts, rule, rejecting = SPOILED[spoiled]
    rulings = judged(terms_of(round_name, "resnet", "Offline"), effective_target_latency_ns=15000000, **facts)
    assert broken(rulings) == {rule}
    assert rejected(rulings) is (round_name in rejecting)
    assert rejected(rulings, "strict")


@pytest.mark.parametrize("round_name", ROUNDS)
def test_a_run_that_stopped_early(round_name: str) -> None:
    for scenario in ("SingleStream", "MultiStream", "Server"):
        terms = terms_of(round_name, "resnet", scenario)
        rulings = judged(terms, early_stopping_met=False, early_stopping_result=" * 458\n < 459")
        assert broken(rulings) == {"early_stopping"}
        assert rejected(rulings) is (round_name >= "v6.0")
        finding = next(ruling.finding for ruling in rulings if ruling.rule == "early_stopping")
        assert finding.observed == "* 458 < 459"


@pytest.mark.parametrize("round_name", ROUNDS)
def test_a_server_run_judged_by_another_latency(round_name: str) -> None:
    rulings = judged(terms_of(round_name, "resnet", "Server"), effective_target_latency_ns=15000001)
    assert broken(rulings) == {"server_latency"}
    assert rejected(rulings) is (round_name >= "v3.1")


@pytest.mark.parametrize("key", [TTFT, TPOT])
@pytest.mark.parametrize("round_name", ROUNDS[4:])
def test_tokens_must_come_faster_than_their_limit(round_name: str, key: str) -> None:
    terms = terms_of(round_name, "llama2-70b-99.9", "Server", category="datacenter")
    at_limit = run_facts(round_name, "llama2-70b-99.9", "Server")[key] + 1
    rulings = judged(terms, (), **{key: at_limit})
    assert broken(rulings) == {"token_latency"}
    assert rejected(rulings)


@pytest.mark.parametrize("scenario", ["Offline", "Server", "Interactive"])
def test_token_latencies_must_be_measured(scenario: str) -> None:
    rulings = judged(terms_of("v5.1", "llama3.1-8b", scenario), requested_use_token_latencies=False)
    assert broken(rulings) == {"token_latency"}
    assert rejected(rulings)


def test_a_scenario_without_token_limits() -> None:
    rulings = judged(terms_of("v5.1", "mixtral-8x7b", "Interactive"))
    assert broken(rulings) == {"token_latency"}


@pytest.mark.parametrize(
    ("round_name", "level", "fails"),
    [("v5.1", "official", True), ("v6.0", "official", False), ("v6.0", "strict", True)],
)
def test_interactive_has_limits_of_its_own_which_v6_0_forgets(
    round_name: str, level: Level, fails: bool
) -> None:
    terms = terms_of(round_name, "llama3.1-8b", "Interactive", level=level)
    assert rejected(judged(terms, (), **{TTFT: 5e8}), level) is fails


@pytest.mark.parametrize("round_name", ROUNDS[4:8])
def test_some_checkers_forget_the_verdict_where_they_look_at_tokens(round_name: str) -> None:
    rulings = judged(terms_of(round_name, "llama2-70b-99", "Offline"), result_validity="INVALID")
    assert rejected(rulings) is (round_name == "v5.1")
    assert rejected(rulings, "strict")


@pytest.mark.parametrize("round_name", ROUNDS)
def test_an_error_that_loadgen_logged(round_name: str) -> None:
    rulings = judged(terms_of(round_name, "resnet", "Offline"), ("ran out", "again"))
    assert broken(rulings) == {"errors"}
    assert rejected(rulings) is (round_name < "v6.0")
    finding = next(ruling.finding for ruling in rulings if ruling.rule == "errors")
    assert finding.observed == "2: ran out"
    assert rejected(rulings, "strict")


@pytest.mark.parametrize(
    ("count", "errors", "official", "strict"),
    [(0, ("later",), False, True), (1, (), True, True), (1, ("first",), True, True), (0, (), False, False)],
)
def test_v5_1_counts_as_loadgen_counted(
    count: int, errors: tuple[str, ...], official: bool, strict: bool
) -> None:
    rulings = judged(terms_of("v5.1", "resnet", "Offline"), errors, num_errors=count)
    assert rejected(rulings) is official
    assert rejected(rulings, "strict") is strict


@pytest.mark.parametrize(
    ("round_name", "fails"), [("v4.0", False), ("v4.1", False), ("v5.0", True), ("v5.1", True)]
)
def test_samples_that_are_not_drawn_equally_often(round_name: str, fails: bool) -> None:
    terms = terms_of(round_name, "3d-unet-99", "Offline")
    rulings = judged(terms, effective_sample_concatenate_permutation=False)
    assert broken(rulings) == (set() if round_name == "v4.0" else {"equal_issue"})
    assert rejected(rulings) is fails


@pytest.mark.parametrize("division", ["closed", "open"])
def test_v6_0_asks_for_samples_a_query_only_of_closed_submissions(division: str) -> None:
    terms = terms_of("v6.0", "resnet", "Offline", division=division)
    assert rejected(judged(terms, effective_samples_per_query=1)) is (division == "closed")


@pytest.mark.parametrize(
    ("logged", "category", "official", "strict"),
    [
        ("SingleStream", "edge", False, False),
        ("MultiStream", "edge", False, False),
        ("SingleStream", "both", False, False),
        ("SingleStream", "datacenter", False, True),
        ("Server", "edge", False, True),
        ("Nonsense", "edge", True, True),
    ],
)
def test_offline_inferred_from_another_scenario(
    logged: str, category: str, official: bool, strict: bool
) -> None:
    terms = terms_of("v4.1", "resnet", "Offline", category=category)
    rulings = judged(terms, effective_scenario=logged, effective_target_latency_ns=15000000)
    assert rejected(rulings) is official
    assert rejected(rulings, "strict") is strict


@pytest.mark.parametrize("value", [0, None])
def test_multi_stream_needs_an_estimate_to_be_inferred(value: int | None) -> None:
    terms = terms_of("v2.0", "resnet", "MultiStream")
    rulings = judged(terms, effective_scenario="SingleStream", early_stopping_latency_ms=value)
    assert broken(rulings) == {"result"}
    assert rejected(rulings)


def test_a_checker_that_differs_is_named_in_the_finding() -> None:
    rulings = judged(terms_of("v6.0", "resnet", "Offline"), result_validity="INVALID")
    finding = next(ruling for ruling in rulings if ruling.rule == "validity").explained()
    assert finding.source == "MLPerf Inference v6.0; its checker does not look at this"
    assert str(finding.place).startswith("run_1/mlperf_log_detail.txt:")
