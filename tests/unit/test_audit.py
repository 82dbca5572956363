from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.rounds import checker
from pytest_mlperf.submission import AuditedResult, audit, tidiness
from tests.submissions import SYSTEM, Submission, log_text, run_facts, score_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_mlperf.verdict.official import Level

ROUNDS = checker.names()
WARNINGS = "No warnings encountered during test.\n"


def judged(submission: Submission, tree: Path, level: Level = "official") -> dict[str, AuditedResult]:
    """Return the results of the last scenario by mode."""
    results = audit(submission.write(tree), round=submission.round, level=level)
    return {result.mode: result for result in results if result.folder.scenario == submission.scenarios[-1]}


def broken(result: AuditedResult) -> set[str]:
    return {ruling.rule for ruling in result.rulings if not ruling.finding.satisfied}


def edge(round_name: str) -> Submission:
    return Submission(round=round_name, category="edge", scenarios=("SingleStream", "MultiStream", "Offline"))


@pytest.mark.parametrize("level", ["official", "strict"])
@pytest.mark.parametrize("round_name", ROUNDS)
def test_what_reaches_every_limit_exactly_is_accepted(round_name: str, level: Level, tmp_path: Path) -> None:
    results = list(audit(edge(round_name).write(tmp_path), round=round_name, level=level))
    tests = checker.load(round_name).benchmarks["resnet"].compliance
    assert {r.mode for r in results} == {"files", "performance", "accuracy", *tests}
    assert [(r.path, r.outcome, broken(r), r.error) for r in results if r.outcome != "valid"] == []
    assert all(result.accepted for result in results)


@pytest.mark.parametrize(
    ("round_name", "benchmark", "scenarios"),
    [
        ("v2.0", "bert-99.9", ("Server", "Offline")),
        ("v2.1", "3d-unet-99", ("Offline",)),
        ("v3.1", "gptj-99", ("Server", "Offline")),
        ("v4.0", "llama2-70b-99", ("Server", "Offline")),
        ("v4.1", "mixtral-8x7b", ("Server", "Offline")),
        ("v5.0", "llama3.1-405b", ("Server", "Offline")),
        ("v5.1", "llama3.1-8b", ("Offline", "Server", "Interactive")),
        ("v5.1", "whisper", ("Offline",)),
        ("v6.0", "deepseek-r1", ("Offline", "Server")),
        ("v6.1", "llama2-70b-99.9", ("Offline", "Server")),
    ],
)
def test_other_benchmarks_are_accepted_too(
    round_name: str, benchmark: str, scenarios: tuple[str, ...], tmp_path: Path
) -> None:
    submission = Submission(round=round_name, benchmark=benchmark, scenarios=scenarios)
    results = list(audit(submission.write(tmp_path), round=round_name))
    assert [(r.path, r.outcome, broken(r), r.error) for r in results if not r.accepted] == []


# Detail logs that are no longer whole, and whether the checkers read them.
MUTATIONS: dict[str, tuple[Callable[[str], str], str]] = {
    "empty": (lambda _: "", "error"),
    "cut in a line": (lambda text: text[:-20], "error"),
    "quotes in the name": (lambda text: text.replace("Acme Network", 'Acme "Network"'), "error"),
    "without its last line end": (lambda text: text[:-1], "valid"),
    "with CRLF": (lambda text: text.replace("\n", "\r\n"), "valid"),
    "with a strange line": (lambda text: f"{text}Segmentation fault\n", "valid"),
    "twice": (lambda text: text + text, "valid"),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_log_that_is_not_as_loadgen_wrote_it(mutation: str, tmp_path: Path) -> None:
    change, outcome = MUTATIONS[mutation]
    submission = edge("v5.1")
    path = f"{submission.run('Offline')}/mlperf_log_detail.txt"
    submission.files[path] = change(submission.files[path])
    result = judged(submission, tmp_path)["performance"]
    assert result.outcome == outcome
    assert (result.error is not None) is (outcome == "error")
    assert result.accepted is (outcome == "valid")


def test_a_log_that_says_two_things_is_read_as_the_checkers_do(tmp_path: Path) -> None:
    submission = edge("v5.1")
    path = f"{submission.run('Offline')}/mlperf_log_detail.txt"
    submission.files[path] += log_text({"result_validity": "INVALID"})
    assert judged(submission, tmp_path)["performance"].outcome == "valid"
    result = judged(submission, tmp_path, "strict")["performance"]
    assert (result.outcome, broken(result)) == ("invalid", {"contradiction"})


@pytest.mark.parametrize("level", ["official", "strict"])
def test_an_endpoint_log_is_named(level: Level, tmp_path: Path) -> None:
    submission = edge("v6.1")
    submission.files[f"{submission.run('Offline')}/mlperf_log_detail.txt"] = ":::ENDPTS {}\n"
    result = judged(submission, tmp_path, level)["performance"]
    assert result.outcome == "error"
    assert "mlperf_log_detail.txt:1: an endpoint log, not LoadGen's" in str(result.error)


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (f"Result is : INVALID\n{WARNINGS}No errors encountered during test.\n", "invalid"),
        (f"{WARNINGS}No errors encountered during test.\n", "invalid"),
        (f"Result is : VALID\n{WARNINGS}1 ERROR encountered. See detailed log.\n", "invalid"),
        (f"Result is : VALID\n{WARNINGS}", "error"),
    ],
)
def test_a_summary_of_another_run(said: str, outcome: str, tmp_path: Path) -> None:
    submission = edge("v5.1")
    submission.files[f"{submission.run('Offline')}/mlperf_log_summary.txt"] = said
    assert judged(submission, tmp_path)["performance"].outcome == "valid"
    assert judged(submission, tmp_path, "strict")["performance"].outcome == outcome


# accuracy.txt of resnet, and what the checkers of v2.0 and v5.1 say of it.
HASH = f"hash={'0a' * 32}"
SCORES: dict[str, tuple[str, str, str]] = {
    "below": (f"accuracy=75.695%\n{HASH}\n", "invalid", "invalid"),
    "no hash": ("accuracy=76.0%\n", "invalid", "invalid"),
    "hash glued to the metric": (f"accuracy=76.0%{HASH}\n", "invalid", "invalid"),
    "hash first": (f"{HASH}\naccuracy=76.0%\n", "valid", "valid"),
    "CRLF": (f"accuracy=76.0%\r\n{HASH}\r\n", "valid", "valid"),
    "progress bar": (f"1/2\r2/2\raccuracy=76.0%\r{HASH}", "valid", "valid"),
    "two hashes": (f"accuracy=76.0%\n{HASH}\nhash={'b' * 64}\n", "valid", "valid"),
    "better first": (f"accuracy=76.0%\naccuracy=75.0%\n{HASH}\n", "invalid", "invalid"),
    "worse first": (f"accuracy=75.0%\naccuracy=76.0%\n{HASH}\n", "valid", "invalid"),
    "worse after the end": (f"accuracy=76.0%\n{HASH}\naccuracy=75.0%\n", "valid", "valid"),
    "nothing": ("", "invalid", "invalid"),
    "no number": (f"accuracy=7.6.0%\n{HASH}\n", "error", "error"),
}


@pytest.mark.parametrize("name", SCORES)
def test_the_forms_of_accuracy_txt(name: str, tmp_path: Path) -> None:
    text, *outcomes = SCORES[name]
    for round_name, outcome in zip(("v2.0", "v5.1"), outcomes, strict=True):
        submission = edge(round_name)
        submission.files[f"{submission.results('Offline')}/accuracy/accuracy.txt"] = text
        result = judged(submission, tmp_path / round_name)
        assert result["accuracy"].outcome == outcome
        assert result["performance"].outcome == "valid"
        assert result["accuracy"].accepted is (outcome == "valid")


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("'rouge1': 44.5, 'rouge2': 22.1, 'rougeL': 28.7, 'tokens_per_sample': 290.0", "valid"),
        ("'rouge1': '44.5', 'rouge2': '22.1', 'rougeL': '28.7', 'tokens_per_sample': 290.0", "valid"),
        ("'rouge1': 44.5, 'rouge2': 22.1, 'rougeL': 28.7, 'tokens_per_sample': 323.9", "invalid"),
        ("'rouge1': 44.5, 'rouge2': 22.1, 'rougeL': 28.7, 'tokens_per_sample': 265.0", "invalid"),
        ("'rouge1': 44.5, 'rouge2': 22.1, 'rougeL': 28.7", "invalid"),
    ],
)
def test_every_metric_is_held_to_its_target_and_limit(said: str, outcome: str, tmp_path: Path) -> None:
    submission = Submission(round="v5.1", benchmark="llama2-70b-99", scenarios=("Server", "Offline"))
    submission.files[f"{submission.results('Offline')}/accuracy/accuracy.txt"] = f"{{{said}}}\n{HASH}\n"
    assert judged(submission, tmp_path)["accuracy"].outcome == outcome


def test_an_open_submission_need_not_reach_the_accuracy(tmp_path: Path) -> None:
    for round_name in ("v2.0", "v5.1", "v6.0"):
        submission = Submission(round=round_name, division="open", category="edge", scenarios=("Offline",))
        submission.files[f"{submission.results('Offline')}/accuracy/accuracy.txt"] = "accuracy=3%\n"
        results = judged(submission, tmp_path / round_name)
        assert set(results) == {"files", "performance", "accuracy"}
        assert results["accuracy"].outcome == "invalid"
        assert results["accuracy"].accepted


@pytest.mark.parametrize("round_name", ["v5.1", "v6.0"])
def test_an_accuracy_run_must_cover_the_data_set(round_name: str, tmp_path: Path) -> None:
    submission = edge(round_name)
    facts = {"effective_test_mode": "AccuracyOnly", "qsl_reported_total_count": 4761}
    path = f"{submission.results('Offline')}/accuracy/mlperf_log_detail.txt"
    submission.files[path] = log_text(facts)
    result = judged(submission, tmp_path)["accuracy"]
    assert broken(result) == {"dataset"}
    assert result.outcome == ("invalid" if round_name == "v6.0" else "valid")


def test_an_accuracy_log_must_be_cut_short(tmp_path: Path) -> None:
    submission = edge("v2.0")
    path = f"{submission.results('Offline')}/accuracy/mlperf_log_accuracy.json"
    submission.files[path] = "x" * 10241
    result = judged(submission, tmp_path)["accuracy"]
    assert broken(result) == {"samples_log"}
    assert result.outcome == "invalid"


# A file that is taken from an Offline result, the mode that this breaks, and the first round whose checker
# rejects for it.
FILES: dict[str, tuple[str, str, str]] = {
    "no summary": ("{run}/mlperf_log_summary.txt", "performance", "v3.1"),
    "no accuracy summary": ("{results}/accuracy/mlperf_log_summary.txt", "accuracy", "v4.1"),
    "no user.conf": ("{measurements}/user.conf", "files", "v3.1"),
    "no verification": ("{compliance}/TEST01/verify_performance.txt", "TEST01", "v2.1"),
    "no verified accuracy": ("{compliance}/TEST01/verify_accuracy.txt", "TEST01", "v2.1"),
    "no file of TEST01": ("{compliance}/TEST01/accuracy/accuracy.txt", "TEST01", "v2.1"),
    "no system": ("closed/Acme/systems/Roadrunner_x1.json", "files", "v2.0"),
}


@pytest.mark.parametrize("round_name", ROUNDS)
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing(round_name: str, name: str, tmp_path: Path) -> None:
    where, mode, since = FILES[name]
    submission = edge(round_name)
    path = where.format(
        run=submission.run("Offline"),
        results=submission.results("Offline"),
        measurements=submission.measurements("Offline"),
        compliance=submission.compliance("Offline"),
    )
    del submission.files[path]
    results = judged(submission, tmp_path)
    assert broken(results[mode])
    assert results[mode].accepted is (round_name < since)


def test_what_keeps_a_checker_from_looking(tmp_path: Path) -> None:
    submission = edge("v5.1")
    del submission.files[f"{submission.measurements('Offline')}/user.conf"]
    results = judged(submission, tmp_path)
    assert {results[mode].outcome for mode in ("performance", "accuracy")} == {"unchecked"}
    strict = judged(submission, tmp_path, "strict")
    assert {strict[mode].outcome for mode in ("performance", "accuracy")} == {"valid"}
    assert not strict["performance"].accepted


@pytest.mark.parametrize("test", ["TEST01", "TEST04"])
def test_the_run_of_a_compliance_test_is_held_to_the_rules_since_v2_1(test: str, tmp_path: Path) -> None:
    submission = edge("v5.1")
    path = f"{submission.compliance('Offline')}/{test}/performance/run_1/mlperf_log_detail.txt"
    submission.files[path] = submission.files[path].replace('"VALID"', '"INVALID"')
    assert judged(submission, tmp_path)[test].outcome == "invalid"
    older = edge("v2.0")
    path = f"{older.compliance('Offline')}/TEST04-A/performance/run_1/mlperf_log_detail.txt"
    older.files[path] = older.files[path].replace('"VALID"', '"INVALID"')
    assert judged(older, tmp_path / "older", "strict")["TEST04-A"].outcome == "valid"


def test_test05_has_its_own_seeds(tmp_path: Path) -> None:
    submission = Submission(round="v4.1", scenarios=("Server", "Offline"))
    path = f"{submission.compliance('Offline')}/TEST05/performance/run_1/mlperf_log_detail.txt"
    submission.files[path] = log_text(run_facts("v4.1", "resnet", "Offline"))
    result = judged(submission, tmp_path)["TEST05"]
    assert broken(result) == {"seeds"}
    assert not result.accepted


@pytest.mark.parametrize(("compliance", "outcome"), [(75.7, "valid"), (74.0, "invalid"), (None, "invalid")])
def test_a_test01_that_is_not_deterministic(compliance: float | None, outcome: str, tmp_path: Path) -> None:
    submission = edge("v5.1")
    folder = f"{submission.compliance('Offline')}/TEST01"
    submission.files[f"{folder}/verify_accuracy.txt"] = "TEST FAIL\n"
    submission.files[f"{folder}/accuracy/baseline_accuracy.txt"] = "accuracy=76.0%\n"
    said = "" if compliance is None else f"accuracy={compliance}%\n"
    submission.files[f"{folder}/accuracy/compliance_accuracy.txt"] = said
    assert judged(submission, tmp_path)["TEST01"].outcome == outcome


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("First token check pass: Skipped", "valid"),
        ("First token check pass: False", "invalid"),
        ("", "invalid"),
    ],
)
def test_test06_by_its_words_alone(line: str, outcome: str, tmp_path: Path) -> None:
    submission = Submission(round="v5.1", benchmark="llama2-70b-99", scenarios=("Server", "Offline"))
    folder = f"{submission.compliance('Offline')}/TEST06"
    words = submission.files[f"{folder}/verify_accuracy.txt"]
    submission.files[f"{folder}/verify_accuracy.txt"] = words.replace("First token check pass: True", line)
    submission.files[f"{folder}/performance/run_1/mlperf_log_detail.txt"] = "cut"
    assert judged(submission, tmp_path)["TEST06"].outcome == outcome


@pytest.mark.parametrize(
    ("logged", "category", "official", "strict"),
    [
        ("SingleStream", "edge", "valid", "valid"),
        ("MultiStream", "edge", "valid", "valid"),
        ("SingleStream", "datacenter,edge", "valid", "valid"),
        ("SingleStream", "datacenter", "valid", "invalid"),
        ("Server", "edge", "valid", "invalid"),
        ("Nonsense", "edge", "invalid", "invalid"),
    ],
)
def test_offline_inferred_from_another_scenario(
    logged: str, category: str, official: str, strict: str, tmp_path: Path
) -> None:
    submission = Submission(round="v4.1", category=category, scenarios=("Offline",))
    submission.spoil_run("Offline", effective_scenario=logged, effective_target_latency_ns=15000000)
    assert judged(submission, tmp_path)["performance"].outcome == official
    assert judged(submission, tmp_path, "strict")["performance"].outcome == strict


def test_multi_stream_needs_an_estimate_to_be_inferred(tmp_path: Path) -> None:
    submission = Submission(round="v2.0", category="edge", scenarios=("MultiStream",))
    submission.spoil_run("MultiStream", effective_scenario="SingleStream", early_stopping_latency_ms=0)
    assert broken(judged(submission, tmp_path)["performance"]) == {"result"}


def test_a_network_system_belongs_to_the_network_division(tmp_path: Path) -> None:
    submission = Submission(round="v4.1", division="network", scenarios=("Server", "Offline"))
    assert judged(submission, tmp_path)["performance"].accepted
    submission.spoil_run("Offline", sut_name="Acme SUT")
    assert broken(judged(submission, tmp_path)["performance"]) == {"network"}


def test_a_result_with_power_needs_its_files(tmp_path: Path) -> None:
    submission = edge("v5.1")
    logs = f"{submission.results('Offline')}/performance"
    power = ("client.json", "client.log", "ptd_logs.txt", "server.json", "server.log")
    submission.files.update({f"{logs}/power/{name}": "" for name in power})
    submission.files.update({f"{logs}/{run}/spl.txt": "" for run in ("run_1", "ranging")})
    for name in ("mlperf_log_summary.txt", "mlperf_log_detail.txt"):
        submission.files[f"{logs}/ranging/{name}"] = "an INVALID ranging run is no matter"
    for name in ("analyzer_table.csv", "power_settings.md"):
        submission.files[f"closed/Acme/measurements/{SYSTEM}/{name}"] = ""
    assert judged(submission, tmp_path)["performance"].accepted
    (tmp_path / f"{logs}/power/ptd_logs.txt").unlink()
    del submission.files[f"{logs}/power/ptd_logs.txt"]
    result = judged(submission, tmp_path)
    assert broken(result["files"]) == {"power"}
    assert result["performance"].outcome == "valid"
    assert not result["performance"].accepted


def test_since_v3_1_it_is_said_how_power_was_measured(tmp_path: Path) -> None:
    for round_name, accepted in (("v3.0", True), ("v3.1", False)):
        submission = edge(round_name)
        logs = f"{submission.results('Offline')}/performance"
        power = ("client.json", "client.log", "ptd_logs.txt", "server.json", "server.log")
        submission.files.update({f"{logs}/power/{name}": "" for name in power})
        submission.files.update({f"{logs}/{run}/spl.txt": "" for run in ("run_1", "ranging")})
        for name in ("mlperf_log_summary.txt", "mlperf_log_detail.txt"):
            submission.files[f"{logs}/ranging/{name}"] = ""
        assert judged(submission, tmp_path / round_name)["files"].accepted is accepted


UNTIDY = ["code/.gitignore", "code/a file", "code/__pycache__/x.pyc", "documentation/.hidden/x"]


@pytest.mark.parametrize("name", UNTIDY)
def test_a_submission_is_tidy_since_v3_0(name: str, tmp_path: Path) -> None:
    for round_name, accepted in (("v2.1", True), ("v3.0", False), ("v6.1", False)):
        submission = edge(round_name)
        code = "src" if round_name >= "v6.0" else "code"
        submission.files[f"closed/Acme/{code}/resnet/main.py"] = ""
        submission.files[f"closed/Acme/{name}"] = ""
        result = judged(submission, tmp_path / round_name)["files"]
        assert broken(result) == (set() if accepted else {"tidiness"})
        assert result.accepted is accepted


def test_what_else_is_untidy(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "gone").symlink_to("nowhere")
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate((50 << 20) + 1)
    assert sorted(tidiness.flaws(tmp_path)) == [
        "./gone is a link to nothing",
        "./large is larger than 50 MiB",
        "empty is empty",
    ]


@pytest.mark.parametrize(("shared", "accepted"), [("bert", True), ("nothing", False)])
def test_the_code_of_a_benchmark_where_there_is_code(shared: str, accepted: bool, tmp_path: Path) -> None:
    submission = edge("v5.1")
    submission.files["closed/Acme/code/bert/main.py"] = ""
    assert not judged(submission, tmp_path / "without")["files"].accepted
    submission.files["closed/Acme/code/resnet"] = f"{shared}\n"
    assert judged(submission, tmp_path / "shared")["files"].accepted is accepted


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("status", "rumoured"),
        ("system_type", "toaster"),
        ("submitter", "Zed"),
        ("division", "open"),
        ("cooling", None),
    ],
)
def test_a_description_that_does_not_fit(key: str, value: str | None, tmp_path: Path) -> None:
    submission = edge("v5.1")
    path = "closed/Acme/systems/Roadrunner_x1.json"
    described = {**json.loads(submission.files[path]), key: value}
    kept = {name: said for name, said in described.items() if said is not None}
    submission.files[path] = json.dumps(kept)
    result = judged(submission, tmp_path)["files"]
    assert "system" in broken(result)
    assert result.outcome == "invalid"


def test_a_required_scenario_that_is_missing_falls_on_the_benchmark_until_v6_0(tmp_path: Path) -> None:
    for round_name, accepted in (("v5.1", True), ("v6.0", False)):
        submission = Submission(round=round_name, category="edge", scenarios=("Offline",))
        result = judged(submission, tmp_path / round_name)["files"]
        assert broken(result) == {"required_scenarios"}
        assert result.accepted is accepted


def test_a_checker_that_differs_is_named_in_the_finding(tmp_path: Path) -> None:
    submission = edge("v6.0")
    submission.spoil_run("Offline", result_validity="INVALID")
    rulings = judged(submission, tmp_path)["performance"].rulings
    finding = next(ruling for ruling in rulings if ruling.rule == "validity").explained()
    assert finding.source == "MLPerf Inference v6.0; its checker does not look at this"
    assert finding.place is not None
    assert finding.place.path.endswith("run_1/mlperf_log_detail.txt")


def test_scores_of_our_own_reach_their_targets() -> None:
    assert "accuracy=75.695" in score_text("v5.1", "resnet", "Offline")
