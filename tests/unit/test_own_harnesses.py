"""The section `harnesses` of a matrix: what it gives to a case, and how it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_mlperf import rounds
from pytest_mlperf.errors import RunError
from pytest_mlperf.harness.command import ByCommand
from pytest_mlperf.matrix.fields import FIELDS
from pytest_mlperf.placement import Placement
from pytest_mlperf.record import Record, from_json

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mlperf.harness import Preparation
    from tests.unit.conftest import LoadText, Refusal

ROUND = rounds.load("v2.0")
MATRIX = """\
round: v2.0
category: datacenter
axes: {sku: A2x2, benchmark: bert, harness: own, scenario: Offline, mode: AccuracyOnly}
harnesses:
  own:
"""
ARGV = "    argv: [run]\n"
ALL = ", ".join(FIELDS)


# What stands below the name of the harness (or in place of it), and the message.
BAD = {
    "no argv": ("    env: {A: b}", "m.yaml:5: harnesses.own: key 'argv' is missing"),
    "unknown key": (
        ARGV + "    scores: [run]",
        (
            "m.yaml:7: harnesses.own: unknown key 'scores', allowed: argv, score, shell, env, cwd, log_dir, "
            "accuracy_file, accuracy_pattern, container, words (did you mean 'score'?)"
        ),
    ),
    "unknown key of a container": (
        ARGV + "    container:\n      image: a\n      shm: 3",
        (
            "m.yaml:9: harnesses.own.container: unknown key 'shm', "
            "allowed: image, mounts, shm_gib (did you mean 'shm_gib'?)"
        ),
    ),
    "container without image": (
        ARGV + "    container: {shm_gib: 3}",
        "m.yaml:7: harnesses.own.container: key 'image' is missing",
    ),
    "unknown key of a mount": (
        ARGV + "    container:\n      image: a\n      mounts:\n        - {source: /a, target: /a, rw: true}",
        "m.yaml:10: harnesses.own.container.mounts[0]: unknown key 'rw', allowed: source, target, read_only",
    ),
    "unknown field": (
        "    argv:\n      - run\n      - '{scenaro}'",
        (
            f"m.yaml:8: harnesses.own.argv[1]: unknown field '{{scenaro}}', allowed: {ALL} "
            "(did you mean 'scenario'?)"
        ),
    ),
    "unknown field of an optional argument": (
        "    argv: [run, [--x, '{q}']]",
        f"m.yaml:6: harnesses.own.argv[1][1]: unknown field '{{q}}', allowed: {ALL}",
    ),
    "positional field": (
        "    argv: [run, '{}']",
        (
            "m.yaml:6: harnesses.own.argv[1]: found '{}', allowed: named fields such as {scenario}, "
            "without index, attribute or format"
        ),
    ),
    "numbered field": (
        "    argv: [run, '{0}']",
        (
            "m.yaml:6: harnesses.own.argv[1]: found '{0}', allowed: named fields such as {scenario}, "
            "without index, attribute or format"
        ),
    ),
    "format": (
        "    argv: [run, '{mode:>9}']",
        (
            "m.yaml:6: harnesses.own.argv[1]: found '{mode:>9}', allowed: named fields such as {scenario}, "
            "without index, attribute or format"
        ),
    ),
    "attribute": (
        "    argv: [run, '{mode.__class__}']",
        (
            "m.yaml:6: harnesses.own.argv[1]: found '{mode.__class__}', "
            "allowed: named fields such as {scenario}, without index, attribute or format"
        ),
    ),
    "lone brace": (
        "    argv: [run, '{\"a\": 1}']",
        (
            "m.yaml:6: harnesses.own.argv[1]: found '{\"a\": 1}', allowed: named fields such as {scenario}, "
            "without index, attribute or format"
        ),
    ),
    "open brace": (
        "    argv: [run, 'a{']",
        (
            "m.yaml:6: harnesses.own.argv[1]: found 'a{', allowed: fields such as {scenario}; "
            "a brace itself is written twice"
        ),
    ),
    "line without shell": (
        "    argv: run {scenario}",
        (
            "m.yaml:6: harnesses.own.argv: found text, allowed: a list of arguments "
            "(shell: true takes a line for /bin/sh)"
        ),
    ),
    "list with shell": (
        ARGV + "    shell: true",
        "m.yaml:6: harnesses.own.argv: found a list, allowed: one line of text (shell: true)",
    ),
    "empty argv": (
        "    argv: []",
        "m.yaml:6: harnesses.own.argv: found an empty list, allowed: a list of arguments",
    ),
    "argument that is no text": (
        "    argv: [run, true]",
        "m.yaml:6: harnesses.own.argv[1]: found true, allowed: text or a number",
    ),
    "optional program": (
        "    argv: [[run]]",
        "m.yaml:6: harnesses.own.argv[0]: found a list, allowed: the program, which is always there",
    ),
    "variable that is no text": (
        ARGV + "    env: {A: true}",
        "m.yaml:7: harnesses.own.env.A: found True, allowed: text or a number",
    ),
    "unknown field of a variable": (
        ARGV + "    env:\n      A: '{logdir}'",
        (
            f"m.yaml:8: harnesses.own.env.A: unknown field '{{logdir}}', allowed: {ALL} "
            "(did you mean 'log_dir'?)"
        ),
    ),
    "logs elsewhere": (
        ARGV + "    log_dir: /var/log/mlperf",
        (
            "m.yaml:7: harnesses.own.log_dir: found '/var/log/mlperf', allowed: a path below {folder} "
            "(so that no logs of another run are judged)"
        ),
    ),
    "logs above": (
        ARGV + "    log_dir: '{folder}/../x'",
        (
            "m.yaml:7: harnesses.own.log_dir: found '{folder}/../x', allowed: a path below {folder} "
            "(so that no logs of another run are judged)"
        ),
    ),
    "accuracy elsewhere": (
        ARGV + "    accuracy_file: accuracy.txt",
        (
            "m.yaml:7: harnesses.own.accuracy_file: found 'accuracy.txt', "
            "allowed: a path below {folder} or {log_dir} (so that no logs of another run are judged)"
        ),
    ),
    "pattern of logs as an argument": (
        "    argv: [run, '{log_dir}']\n    log_dir: '{folder}/*/x'",
        "m.yaml:6: harnesses.own.argv[1]: unknown field '{log_dir}', allowed: "
        + ALL.replace("log_dir, ", ""),
    ),
    "relative working directory": (
        ARGV + "    cwd: build",
        (
            "m.yaml:7: harnesses.own.cwd: found 'build', allowed: an absolute path, "
            "or one that begins with {folder} or {matrix_dir}"
        ),
    ),
    "no regular expression": (
        ARGV + "    accuracy_pattern: '(a'",
        (
            "m.yaml:7: harnesses.own.accuracy_pattern: found '(a', allowed: a regular expression "
            "(missing ), unterminated subpattern at position 0)"
        ),
    ),
    "two groups": (
        ARGV + "    accuracy_pattern: '(a)(b)'",
        "m.yaml:7: harnesses.own.accuracy_pattern: found 2 groups, allowed: one, around the accuracy",
    ),
    "setting that is not set": (
        "    argv: [run, --qps, '{target_qps}']",
        (
            "m.yaml:6: harnesses.own.argv[2]: {target_qps} has no value in "
            "bert-A2x2-own_k_99_MaxP-Offline-AccuracyMode (set target_qps in 'defaults' or 'overrides', "
            "or put it in a list of its own within the arguments, to leave it out)"
        ),
    ),
    "word without the value": (
        "    argv: [run, '{size}']\n    words: {size: {benchmark: {resnet50: 7}}}",
        (
            "m.yaml:6: harnesses.own.argv[1]: {size} has no value in "
            "bert-A2x2-own_k_99_MaxP-Offline-AccuracyMode "
            "(give it one in harnesses.own.words.size, "
            "or put it in a list of its own within the arguments, "
            "to leave it out)"
        ),
    ),
    "word that is a field": (
        ARGV + "    words: {mode: {mode: {AccuracyOnly: a}}}",
        "m.yaml:7: harnesses.own.words.mode: found the name 'mode', allowed: a word that is no field already",
    ),
    "word on no axis": (
        ARGV + "    words: {w: {modes: {AccuracyOnly: a}}}",
        (
            "m.yaml:7: harnesses.own.words.w.modes: found 'modes', allowed: "
            "accuracy, benchmark, mode, power, scenario, sku (did you mean 'mode'?)"
        ),
    ),
    "word on two axes": (
        ARGV + "    words: {w: {mode: {AccuracyOnly: a}, power: {MaxP: b}}}",
        (
            "m.yaml:7: harnesses.own.words.w: found 2 axes, "
            "allowed: one of sku, benchmark, accuracy, power, scenario, mode"
        ),
    ),
    "word for no value": (
        ARGV + "    words: {w: {mode: {Accuracy: a}}}",
        (
            "m.yaml:7: harnesses.own.words.w.mode.Accuracy: found 'Accuracy', "
            "allowed: AccuracyOnly, PerformanceOnly (did you mean 'AccuracyOnly'?)"
        ),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_said_with_its_line(name: str, refusal: Refusal) -> None:
    text, said = BAD[name]
    assert refusal(f"{MATRIX}{text}\n") == said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("custom", "found the name 'custom', allowed: one that means nothing else"),
        ("bert", "found the name 'bert', allowed: one that means nothing else"),
        ("a b", "found the name 'a b', allowed: letters, digits, '.', '_' and '-'"),
        ("../x", "found the name '../x', allowed: letters, digits, '.', '_' and '-'"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, said: str, refusal: Refusal) -> None:
    text = MATRIX.replace("own", f'"{name}"') + ARGV
    assert f"m.yaml:5: harnesses.{name}: {said}" in refusal(text)


def test_a_harness_without_a_case_is_refused(refusal: Refusal) -> None:
    said = refusal(f"{MATRIX}{ARGV}  other:\n{ARGV}")
    assert said == "m.yaml:7: harnesses.other: no case of this matrix uses it"


def test_a_harness_that_is_not_described_is_unknown(refusal: Refusal) -> None:
    said = refusal(MATRIX.replace("own:", "other:") + ARGV)
    assert "m.yaml:3: axes.harness: found 'own', allowed: custom, lwis, other, triton" in said


def test_the_harness_for_commands_itself_is_no_word(refusal: Refusal) -> None:
    assert "found 'command', allowed: custom, lwis, triton" in refusal(
        MATRIX.replace("harness: own", "harness: command").split("harnesses:")[0]
    )


def prepared(load_text: LoadText, folder: Path, text: str) -> Preparation:
    (case,) = load_text(MATRIX + text).cases
    folder.mkdir(exist_ok=True)
    placement = Placement(sku="A2x2", devices=())
    return ByCommand().prepare(case, placement, mlperf_round=ROUND, folder=folder)


def test_a_brace_is_written_twice(load_text: LoadText, tmp_path: Path) -> None:
    preparation = prepared(load_text, tmp_path / "c", '    argv: [run, \'{{"mode": "{mode}"}}\']\n')
    assert preparation.steps[0].argv == ("run", '{"mode": "AccuracyOnly"}')


def test_every_field_has_a_value(load_text: LoadText, tmp_path: Path) -> None:
    text = "    argv: [run, {}]\n".format(", ".join(f"'{name}={{{name}}}'" for name in FIELDS))
    text += "overrides:\n  - match: {scenario: Offline}\n    target_qps: 1000000\n"
    for name in ("target_latency_ms", "expected_latency_ms", "min_query_count"):
        text = text.replace(f", '{name}={{{name}}}'", "")
    argv = prepared(load_text, tmp_path / "c", text).steps[0].argv
    assert argv[1:] == (
        "case=bert-A2x2-own_k_99_MaxP-Offline-AccuracyMode",
        "round=v2.0",
        "category=datacenter",
        "sku=A2x2",
        "benchmark=bert",
        "harness=own",
        "accuracy=99",
        "power=MaxP",
        "scenario=Offline",
        "mode=AccuracyOnly",
        f"qsl_rng_seed={ROUND.seeds.qsl}",
        f"sample_index_rng_seed={ROUND.seeds.sample_index}",
        f"schedule_rng_seed={ROUND.seeds.schedule}",
        "target_qps=1000000",
        "min_duration_s=600",
        f"folder={tmp_path}/c",
        f"log_dir={tmp_path}/c/logs",
        f"matrix_dir={tmp_path}",
        "devices=",
        "device_count=0",
    )


def test_a_shell_gets_quoted_values(load_text: LoadText, tmp_path: Path) -> None:
    preparation = prepared(load_text, tmp_path / "a b", "    argv: run {log_dir}\n    shell: true\n")
    assert preparation.steps[0].argv == ("/bin/sh", "-c", f"run '{tmp_path}/a b/logs'")


def test_the_environment_is_that_of_this_process_and_more(
    load_text: LoadText, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTER", "kept")
    monkeypatch.setenv("DATA", "lost")
    env = (
        prepared(load_text, tmp_path / "c", f"{ARGV}    env: {{DATA: '/data/{{benchmark}}', N: 4}}\n")
        .steps[0]
        .env
    )
    assert (env["OUTER"], env["DATA"], env["N"]) == ("kept", "/data/bert", "4")


def test_a_working_directory_that_is_not_there_is_named(load_text: LoadText, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"^m.yaml:5: cwd: /no/such/bert is no folder of this machine$"):
        prepared(load_text, tmp_path / "c", f"{ARGV}    cwd: '/no/such/{{benchmark}}'\n")


def test_a_record_keeps_the_command(load_text: LoadText) -> None:
    text = (
        MATRIX + "    argv: [run, [--n, '{min_query_count}']]\n    env: {A: 1}\n    container: {image: i}\n"
    )
    (case,) = load_text(text).cases
    record = Record(case=case, ending="pass")
    assert from_json(record.to_json()) == record
    assert hash(case) == hash(case)


def test_the_limit_of_a_server_is_that_of_the_benchmark(load_text: LoadText, tmp_path: Path) -> None:
    text = MATRIX.replace("Offline", "Server") + "    argv: [run, '{target_latency_ms}']\n"
    (case,) = load_text(text).cases
    preparation = ByCommand().prepare(
        case, Placement(sku="A2x2", devices=()), mlperf_round=ROUND, folder=tmp_path / "c"
    )
    assert preparation.steps[0].argv == ("run", "130")
