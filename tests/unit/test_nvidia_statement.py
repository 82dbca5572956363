"""What NVIDIA's harness says of a run, read from the files that it leaves, and whether the logs agree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_mlperf.errors import MlperfError, Place, RunError, StatementError, UnmatchedError
from pytest_mlperf.evidence import AccuracyResult, DetailLog, Evidence, Fact, Summary
from pytest_mlperf.harness import Statement
from pytest_mlperf.harness.nvidia.editions import EDITIONS
from pytest_mlperf.harness.nvidia.names import Names
from pytest_mlperf.harness.nvidia.statement import Report
from pytest_mlperf.verdict.statement import compare

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_mlperf.matrix import Mode

BERT = Names(
    system_id="A2x2",
    benchmark="bert",
    harness="custom",
    accuracy="99",
    power="MaxP",
    scenario="Offline",
    several_levels=True,
)
UNET = Names(
    system_id="Orin",
    benchmark="3d-unet",
    harness="custom",
    accuracy="99",
    power="MaxP",
    scenario="Offline",
    several_levels=True,
)
PERFORMANCE = "perf_harness_summary.json"
ACCURACY = "accuracy_summary.json"
TREE = "A2x2_TRT/bert-99/Offline"
VALID = "result_samples_per_second: 6.5e+03, Result is VALID"
INVALID = "result_samples_per_second: 6.5e+03, Result is INVALID"
UNKNOWN = "result_samples_per_second: 6.5e+03, Result validity unknown"
PASSED = "Accuracy = 90.500, Threshold = 89.965. Accuracy test PASSED."
FAILED = "Accuracy = 88.100, Threshold = 89.965. Accuracy test FAILED"
TRIPPED = RunError("step 'run_harness' exited with 2: TypeError: 'NoneType' object is not iterable")
CRASHED = RunError("step 'run_harness' exited with 2: RuntimeError: File x.plan does not exist.")

RAN_NOTHING = (
    "logs/{}: the harness ran nothing: no result of bert A2x2_TRT-custom_k_99_MaxP-Offline "
    "(does it know this machine? It says so in logs/stdout.txt; see scripts/custom_systems of its tree)"
)
SAYS = "logs/{}: A2x2_TRT-custom_k_99_MaxP-Offline: the harness says '{}'"


def report(
    folder: Path, files: Mapping[str, str], *, mode: Mode, names: Names = BERT, **changes: Any
) -> Report:
    """Write what a harness left in its log folder, and return what reads it."""
    logs = folder / "logs"
    logs.mkdir()
    for name, text in files.items():
        (logs / name).parent.mkdir(parents=True, exist_ok=True)
        (logs / name).write_text(text, encoding="utf-8")
    terms: dict[str, Any] = {"edition": EDITIONS["v2.0"], **changes}
    return Report(names=names, mode=mode, log_dir=logs, **terms)


def summary(text: str, *, benchmark: str = "bert", config: str = BERT.config) -> str:
    return json.dumps({config: {benchmark: text}})


def refused(found: Report, failure: RunError | None) -> MlperfError:
    with pytest.raises(MlperfError) as caught:
        found.read(failure)
    return caught.value


def stated(
    verdict: Any, text: str, accuracy: float | None = None, threshold: float | None = None
) -> Statement:
    return Statement(verdict=verdict, text=text, accuracy=accuracy, threshold=threshold)


# Mode, files in the log folder, how the run failed, and what is said.
SAID: Mapping[str, tuple[Mode, Mapping[str, str], RunError | None, Statement]] = {
    "valid": ("PerformanceOnly", {PERFORMANCE: summary(VALID)}, None, stated("VALID", VALID)),
    "invalid": ("PerformanceOnly", {PERFORMANCE: summary(INVALID)}, None, stated("INVALID", INVALID)),
    "valid, and the other mode says nothing": (
        "PerformanceOnly",
        {PERFORMANCE: summary(VALID), ACCURACY: summary("No accuracy results in PerformanceOnly mode.")},
        None,
        stated("VALID", VALID),
    ),
    "passed": ("AccuracyOnly", {ACCURACY: summary(PASSED)}, None, stated("PASSED", PASSED, 90.5, 89.965)),
    "failed, as its output says": (
        "AccuracyOnly",
        {"stdout.txt": f"Traceback\n  ...\nRuntimeError: {FAILED}!\nmake: *** [run_harness] Error 1\n"},
        CRASHED,
        stated("FAILED", f"{FAILED}!", 88.1, 89.965),
    ),
    "failed, as the error says": (
        "AccuracyOnly",
        {"stdout.txt": "running\n"},
        RunError(f"step 'run_harness' exited with 2: RuntimeError: {FAILED}!"),
        stated("FAILED", f"{FAILED}!", 88.1, 89.965),
    ),
    "failed, in the first file that it wrote": (
        "AccuracyOnly",
        {PERFORMANCE: summary("Cannot find performance result."), "stdout.txt": f"RuntimeError: {FAILED}!"},
        CRASHED,
        stated("FAILED", f"{FAILED}!", 88.1, 89.965),
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_what_the_harness_of_v2_0_says(name: str, tmp_path: Path) -> None:
    mode, files, failure, said = SAID[name]
    assert report(tmp_path, files, mode=mode).read(failure) == said


# Mode, files in the log folder, how the run failed, the error, and what it says.
NOT_SAID: Mapping[str, tuple[Mode, Mapping[str, str], RunError | None, type[MlperfError], str]] = {
    "validity unknown": (
        "PerformanceOnly",
        {PERFORMANCE: summary(UNKNOWN)},
        None,
        StatementError,
        SAYS.format(PERFORMANCE, UNKNOWN),
    ),
    "more than a verdict": (
        "PerformanceOnly",
        {PERFORMANCE: summary(f"{VALID} or so")},
        None,
        StatementError,
        SAYS.format(PERFORMANCE, f"{VALID} or so"),
    ),
    "no accuracy in the summary": (
        "AccuracyOnly",
        {ACCURACY: summary("Cannot find accuracy JSON file.")},
        None,
        StatementError,
        SAYS.format(ACCURACY, "Cannot find accuracy JSON file."),
    ),
    "the accuracy script said nothing": (
        "AccuracyOnly",
        {"stdout.txt": "TypeError: unsupported format string passed to NoneType.__format__\n"},
        CRASHED,
        StatementError,
        f"logs/{TREE}/accuracy.txt: the accuracy script printed nothing that the harness understands",
    ),
    "nothing, and it ended well": (
        "PerformanceOnly",
        {},
        None,
        UnmatchedError,
        RAN_NOTHING.format(PERFORMANCE),
    ),
    "nothing, and it ended well, accuracy": (
        "AccuracyOnly",
        {},
        None,
        UnmatchedError,
        RAN_NOTHING.format(ACCURACY),
    ),
    "nothing, and the script tripped": (
        "PerformanceOnly",
        {},
        TRIPPED,
        UnmatchedError,
        RAN_NOTHING.format(PERFORMANCE),
    ),
    "nothing, and the script tripped, accuracy": (
        "AccuracyOnly",
        {"stdout.txt": "WARNING: not registered"},
        TRIPPED,
        UnmatchedError,
        RAN_NOTHING.format(ACCURACY),
    ),
    "another failure": ("PerformanceOnly", {}, CRASHED, RunError, str(CRASHED)),
    "another failure, accuracy": (
        "AccuracyOnly",
        {"stdout.txt": f"{PASSED}\n"},
        CRASHED,
        RunError,
        str(CRASHED),
    ),
    "valid, and then it failed": (
        "PerformanceOnly",
        {PERFORMANCE: summary(VALID)},
        CRASHED,
        RunError,
        str(CRASHED),
    ),
    "valid, and then the script tripped": (
        "PerformanceOnly",
        {PERFORMANCE: summary(VALID)},
        TRIPPED,
        RunError,
        str(TRIPPED),
    ),
    "of another benchmark": (
        "PerformanceOnly",
        {PERFORMANCE: summary(VALID, benchmark="rnnt")},
        None,
        UnmatchedError,
        RAN_NOTHING.format(PERFORMANCE),
    ),
    "of another configuration": (
        "AccuracyOnly",
        {ACCURACY: summary(PASSED, config="A2x2_TRT-custom_k_99_9_MaxP-Offline")},
        None,
        UnmatchedError,
        RAN_NOTHING.format(ACCURACY),
    ),
    "cut": ("PerformanceOnly", {PERFORMANCE: "{"}, None, StatementError, f"logs/{PERFORMANCE}: not JSON: "),
    "empty": ("PerformanceOnly", {PERFORMANCE: ""}, None, StatementError, f"logs/{PERFORMANCE}: not JSON: "),
    "a list": ("AccuracyOnly", {ACCURACY: "[]"}, None, StatementError, f"logs/{ACCURACY}: not an object"),
    "a folder": (
        "AccuracyOnly",
        {f"{ACCURACY}/x": ""},
        None,
        StatementError,
        f"logs/{ACCURACY}: cannot be read: Is a directory",
    ),
}


@pytest.mark.parametrize("name", NOT_SAID)
def test_what_is_no_verdict_of_v2_0(name: str, tmp_path: Path) -> None:
    mode, files, failure, kind, said = NOT_SAID[name]
    error = refused(report(tmp_path, files, mode=mode), failure)
    assert type(error) is kind
    assert str(error).startswith(said) if said.endswith(" ") else str(error) == said


ALONE = [{"name": "F1", "value": 90.2147, "threshold": 89.96526, "pass": True}]
SEVERAL = [*ALONE, {"name": "ROUGE1", "value": 43.0, "threshold": 43.98689, "pass": False}]
V41 = {"config_name": BERT.config, "benchmark_short": "bert", "scenario": "Offline"}
V51 = {"system_name": "A2x2_TRT", "workload_setting_code": "cp990", "scenario": "Offline"}
TOO_SHORT = f"{INVALID}, 10-min runtime requirement met: False"

# Round, mode, metadata.json, how the run failed, and what is said.
METADATA: Mapping[str, tuple[str, Mode, dict[str, Any], RunError | None, Statement]] = {
    "valid": (
        "v4.1",
        "PerformanceOnly",
        {**V41, "result_validity": "VALID", "summary_string": VALID},
        None,
        stated("VALID", VALID),
    ),
    "valid for LoadGen, too short for the harness": (
        "v4.1",
        "PerformanceOnly",
        {**V41, "result_validity": "VALID", "summary_string": TOO_SHORT},
        None,
        stated("VALID", TOO_SHORT),
    ),
    "invalid": (
        "v4.1",
        "PerformanceOnly",
        {**V41, "result_validity": "INVALID", "summary_string": INVALID},
        None,
        stated("INVALID", INVALID),
    ),
    "passed, one value": (
        "v4.1",
        "AccuracyOnly",
        {**V41, "accuracy_pass": True, "accuracy": ALONE, "summary_string": "[PASSED] F1"},
        None,
        stated("PASSED", "[PASSED] F1", 90.2147, 89.96526),
    ),
    "failed, several values, and it ended well": (
        "v4.1",
        "AccuracyOnly",
        {**V41, "accuracy_pass": False, "accuracy": SEVERAL, "summary_string": "[FAILED] F1 | ROUGE1"},
        None,
        stated("FAILED", "[FAILED] F1 | ROUGE1"),
    ),
    "failed, and so did the script": (
        "v5.1",
        "AccuracyOnly",
        {**V51, "accuracy_pass": False, "accuracy": ALONE, "summary_string": "[FAILED] F1"},
        CRASHED,
        stated("FAILED", "[FAILED] F1", 90.2147, 89.96526),
    ),
    "known by its code, without words": (
        "v5.1",
        "PerformanceOnly",
        {**V51, "result_validity": "VALID"},
        None,
        stated("VALID", 'result_validity: "VALID"'),
    ),
    "neither name nor code": (
        "v5.1",
        "AccuracyOnly",
        {"accuracy_pass": True, "summary_string": "[PASSED]"},
        None,
        stated("PASSED", "[PASSED]"),
    ),
}


@pytest.mark.parametrize("name", METADATA)
def test_what_the_harness_of_later_rounds_says(name: str, tmp_path: Path) -> None:
    round_name, mode, content, failure, said = METADATA[name]
    files = {f"{TREE}/metadata.json": json.dumps(content)}
    found = report(tmp_path, files, mode=mode, edition=EDITIONS[round_name])
    assert found.read(failure) == said


PLACE = f"logs/{TREE}/metadata.json"
NO_METADATA: Mapping[
    str, tuple[str, Mode, dict[str, Any] | None, RunError | None, type[MlperfError], str]
] = {
    "missing": (
        "v4.1",
        "PerformanceOnly",
        None,
        None,
        UnmatchedError,
        RAN_NOTHING.format(f"{TREE}/metadata.json"),
    ),
    "missing, and it failed": ("v4.1", "PerformanceOnly", None, CRASHED, RunError, str(CRASHED)),
    "of another configuration": (
        "v4.1",
        "PerformanceOnly",
        {"config_name": "A2x2_TRT-custom_k_99_9_MaxP-Offline", "result_validity": "VALID"},
        None,
        StatementError,
        f"{PLACE}: config_name: found A2x2_TRT-custom_k_99_9_MaxP-Offline, expected {BERT.config}",
    ),
    "of another code": (
        "v5.1",
        "PerformanceOnly",
        {**V51, "workload_setting_code": "tq999", "result_validity": "VALID"},
        None,
        StatementError,
        f"{PLACE}: config_name: found A2x2_TRT-triton_k_99_9_MaxQ-Offline, expected {BERT.config}",
    ),
    "no validity": (
        "v5.1",
        "PerformanceOnly",
        {**V51, "result_validity": None},
        None,
        StatementError,
        f"{PLACE}: result_validity: the harness says null",
    ),
    "not scored": (
        "v5.1",
        "AccuracyOnly",
        V51,
        None,
        StatementError,
        f"{PLACE}: accuracy_pass: the harness says null",
    ),
    "another kind of verdict": (
        "v4.1",
        "PerformanceOnly",
        {**V41, "result_validity": True},
        None,
        StatementError,
        f"{PLACE}: result_validity: the harness says true",
    ),
    "a number for a verdict": (
        "v4.1",
        "AccuracyOnly",
        {**V41, "accuracy_pass": 1},
        None,
        StatementError,
        f"{PLACE}: accuracy_pass: the harness says 1",
    ),
    "a list for a verdict": (
        "v4.1",
        "AccuracyOnly",
        {**V41, "accuracy_pass": []},
        None,
        StatementError,
        f"{PLACE}: accuracy_pass: the harness says []",
    ),
    "an accuracy without a value": (
        "v4.1",
        "AccuracyOnly",
        {**V41, "accuracy_pass": True, "accuracy": [{"value": "90"}]},
        None,
        StatementError,
        f'{PLACE}: accuracy: found {{"value": "90"}}, allowed: an object with value and threshold',
    ),
    "valid, and then it failed": (
        "v4.1",
        "PerformanceOnly",
        {**V41, "result_validity": "VALID"},
        CRASHED,
        RunError,
        str(CRASHED),
    ),
    "passed, and then it failed": (
        "v5.1",
        "AccuracyOnly",
        {**V51, "accuracy_pass": True},
        CRASHED,
        RunError,
        str(CRASHED),
    ),
}


@pytest.mark.parametrize("name", NO_METADATA)
def test_what_is_no_verdict_of_later_rounds(name: str, tmp_path: Path) -> None:
    round_name, mode, content, failure, kind, said = NO_METADATA[name]
    files = {f"{TREE}/metadata.json": json.dumps(content)} if content is not None else {}
    error = refused(report(tmp_path, files, mode=mode, edition=EDITIONS[round_name]), failure)
    assert (type(error), str(error)) == (kind, said)


TARGET = 89.96526


def evidence(
    *, validity: Literal["VALID", "INVALID"] | None = None, quality: float | None = None
) -> Evidence:
    place = Place(path="loadgen/s.txt", line=6)
    count = Fact(key="count", value=0, place=place)
    return Evidence(
        detail=DetailLog(facts={}, errors=(), warnings=()),
        summary=Summary(
            validity=Fact(key="Result is", value=validity, place=place) if validity else None,
            constraints={},
            recommendations=(),
            warnings=count,
            errors=count,
        ),
        accuracy=AccuracyResult(
            quality=Fact(key="f1", value=quality, place=Place(path="loadgen/accuracy.txt", line=1)),
            log_sha256=None,
        )
        if quality is not None
        else None,
    )


AGREED: Mapping[str, tuple[Statement, Evidence]] = {
    "valid": (stated("VALID", VALID), evidence(validity="VALID")),
    "invalid": (stated("INVALID", INVALID), evidence(validity="INVALID")),
    "passed": (stated("PASSED", PASSED, 90.5, 89.965), evidence(quality=90.5)),
    "failed": (stated("FAILED", FAILED, 88.1, 89.965), evidence(quality=88.1)),
    "passed, in other digits": (stated("PASSED", PASSED, 90.5, 89.965), evidence(quality=90.50049)),
    "passed, as good as asked for": (stated("PASSED", PASSED, 89.965, 89.965), evidence(quality=TARGET)),
    "failed by less than what is printed": (
        stated("FAILED", FAILED, 89.965, 89.965),
        evidence(quality=89.96525),
    ),
    "passed, without numbers": (stated("PASSED", "[PASSED]"), evidence(quality=90.5)),
    "failed, without numbers": (stated("FAILED", "[FAILED]"), evidence(quality=88.1)),
}


@pytest.mark.parametrize("name", AGREED)
def test_logs_that_agree_with_the_harness(name: str) -> None:
    said, logs = AGREED[name]
    compare(said, logs, target=TARGET)


HINT = "(are these the logs of this run? Nothing is judged while they differ)"
ACCURATE = "its accuracy is {} (loadgen/accuracy.txt:1)"
CONFLICTS: Mapping[str, tuple[Statement, Evidence, str]] = {
    "valid, and the logs are not": (
        stated("VALID", VALID),
        evidence(validity="INVALID"),
        "LoadGen's summary says INVALID (loadgen/s.txt:6)",
    ),
    "invalid, and the logs are valid": (
        stated("INVALID", INVALID),
        evidence(validity="VALID"),
        "LoadGen's summary says VALID (loadgen/s.txt:6)",
    ),
    "valid, and the logs say nothing": (
        stated("VALID", VALID),
        evidence(),
        "LoadGen's summary says nothing",
    ),
    "passed, and there is no accuracy": (
        stated("PASSED", PASSED, 90.5, 89.965),
        evidence(),
        "there is no accuracy in its logs",
    ),
    "another accuracy": (
        stated("PASSED", PASSED, 90.5, 89.965),
        evidence(quality=90.6),
        ACCURATE.format("90.6"),
    ),
    "another accuracy, by more than rounding": (
        stated("PASSED", PASSED, 90.5, 89.965),
        evidence(quality=90.501),
        ACCURATE.format("90.501"),
    ),
    "another target": (
        stated("PASSED", PASSED, 90.5, 90.0),
        evidence(quality=90.5),
        "the target is 89.9653",
    ),
    "passed below the target": (
        stated("PASSED", PASSED, 88.1, 89.965),
        evidence(quality=88.1),
        f"{ACCURATE.format('88.1')}, and the target 89.9653",
    ),
    "failed above the target": (
        stated("FAILED", FAILED, 90.5, 89.965),
        evidence(quality=90.5),
        f"{ACCURATE.format('90.5')}, and the target 89.9653",
    ),
    "passed below the target, without numbers": (
        stated("PASSED", "[PASSED]"),
        evidence(quality=88.1),
        f"{ACCURATE.format('88.1')}, and the target 89.9653",
    ),
    "failed above the target, without numbers": (
        stated("FAILED", "[FAILED]"),
        evidence(quality=90.5),
        f"{ACCURATE.format('90.5')}, and the target 89.9653",
    ),
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_logs_that_say_something_else_are_not_judged(name: str) -> None:
    said, logs, found = CONFLICTS[name]
    with pytest.raises(StatementError) as caught:
        compare(said, logs, target=TARGET)
    assert str(caught.value) == f"the harness says '{said.text}', but {found} {HINT}"
