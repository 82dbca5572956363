"""Real logs of LoadGen, changed in one way: none is sound any more that should not be.

`programs/sound_runs.py` makes the logs, once for all tests. They are read and judged as those of a case are,
and audited as those of a submission are. What a change must come to stands in the tables.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import pytest

from pytest_mlperf import rounds
from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence import detail, summary
from pytest_mlperf.evidence.reading import ACCURACY, DETAIL, SUMMARY, read
from pytest_mlperf.matrix import Case, Settings
from pytest_mlperf.rounds import checker
from pytest_mlperf.submission import AuditedResult, audit
from pytest_mlperf.verdict.rules import judge
from tests.submissions import Submission, run_facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_mlperf.matrix import Mode, Scenario
    from pytest_mlperf.verdict.official import Level

PROGRAM = Path(__file__).parent / "programs" / "sound_runs.py"
ROOT = Path(__file__).parents[2]
LEAST_MS, LATENCY_MS = 20, 2000

OFFICIAL = rounds.load("v2.0")
# The round, but for what would take ten minutes.
ROUND = replace(OFFICIAL, min_duration_s=LEAST_MS / 1000)
BENCHMARK = replace(OFFICIAL.benchmarks["resnet50"], server_latency_ms=LATENCY_MS)
SCENARIOS: tuple[Scenario, ...] = ("SingleStream", "Server", "Offline")
ABSENT = ""

# What becomes of a run: it passes, it fails, or its logs are refused.
Outcome = Literal["sound", "broken", "refused"]


@dataclass(frozen=True, kw_only=True)
class Logs:
    """The files of a run, by name."""

    scenario: Scenario
    mode: Mode
    files: Mapping[str, bytes]

    @property
    def lines(self) -> list[bytes]:
        return self.files[DETAIL].splitlines(keepends=True)

    def but(self, name: str, content: bytes) -> Logs:
        return replace(self, files={**self.files, name: content})

    def with_lines(self, lines: Sequence[bytes]) -> Logs:
        return self.but(DETAIL, b"".join(lines))

    def line(self, key: str) -> bytes:
        (line,) = (line for line in self.lines if b'"key": "%b"' % key.encode() in line)
        return line

    def changed(self, key: str, value: str) -> Logs:
        """Return the logs with another value of a key in the detail log, as it is spelt there."""
        if key not in self.files[DETAIL].decode():
            model = self.line("effective_test_mode").replace(b"effective_test_mode", key.encode())
            return self.with_lines([restated(model, value), *self.lines])
        old = self.line(key)
        new = restated(old, value) if value != ABSENT else b""
        return self.but(DETAIL, self.files[DETAIL].replace(old, new))

    def saying(self, old: str, new: str, name: str = SUMMARY) -> Logs:
        assert old.encode() in self.files[name]
        return self.but(name, self.files[name].replace(old.encode(), new.encode()))


def restated(line: bytes, value: str) -> bytes:
    return re.sub(rb'"value": .*?, "time_ms"', lambda _: b'"value": %b, "time_ms"' % value.encode(), line)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Logs]:
    """What LoadGen wrote, by name of the run."""
    return dict(_runs(tmp_path_factory.mktemp("runs")))


def _runs(folder: Path) -> Iterator[tuple[str, Logs]]:
    for name in (*SCENARIOS, "accuracy", "too few"):
        path = folder / name
        path.mkdir()
        path_of_modules = f"{ROOT}:{PROGRAM.parent}"
        command = [sys.executable, str(PROGRAM), name, str(path)]
        subprocess.run(command, check=True, timeout=30, env={"PYTHONPATH": path_of_modules})
        files = {file.name: file.read_bytes() for file in path.iterdir()}
        scenario = {"accuracy": "SingleStream", "too few": "Server"}.get(name, name)
        mode: Mode = "AccuracyOnly" if name == "accuracy" else "PerformanceOnly"
        yield name, Logs(scenario=cast("Scenario", scenario), mode=mode, files=files)


class Judge:
    """Tells what becomes of logs, by the way that those of a case go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: Mapping[str, bytes] = {}

    def __call__(self, logs: Logs) -> Outcome:
        for name, content in logs.files.items():
            if content is not self._written.get(name):
                (self._folder / name).write_bytes(content)
        self._written = logs.files
        metric = BENCHMARK.metric if logs.mode == "AccuracyOnly" else None
        try:
            evidence = read(self._folder, metric=metric)
        except EvidenceError:
            return "refused"
        verdict = judge(_case(logs), BENCHMARK, evidence, mlperf_round=ROUND)
        return "sound" if verdict.passed else "broken"


def _case(logs: Logs) -> Case:
    return Case(
        id="case",
        metric_name="case",
        round="v2.0",
        category="edge",
        conformance="round",
        match="exact",
        sku="A2x1",
        benchmark="resnet50",
        harness="lwis",
        accuracy="99",
        power="MaxP",
        scenario=logs.scenario,
        mode=logs.mode,
        settings=Settings(),
        place=Place(path="matrix.yaml", line=1),
    )


@pytest.fixture
def judged(tmp_path: Path) -> Judge:
    folder = tmp_path / "loadgen"
    folder.mkdir()
    return Judge(folder)


@pytest.mark.parametrize("name", [*SCENARIOS, "accuracy"])
def test_the_logs_are_sound_as_they_are(name: str, runs: Mapping[str, Logs], judged: Judge) -> None:
    assert judged(runs[name]) == "sound"


def test_the_logs_of_an_invalid_run_are_not(runs: Mapping[str, Logs], judged: Judge) -> None:
    assert judged(runs["too few"]) == "broken"


# Values of a key, each of which alone takes a sound run its soundness.
_SEED_ERRORS = ("0", "1", "true", "null", '"word"', "1e19", "[]", ABSENT)
_NO_SWITCHES = ("true", "1", '"true"', '"false"', "2.0", "[1]")
_NOT_MET = ("false", "0", "1", "null", '"true"', '"Yes"', "[true]", "{}")
OF_ALL = {
    "effective_scenario": ('"MultiStream"', '"server"', '""', "null", "true", "1", ABSENT),
    "effective_test_mode": (
        '"AccuracyOnly"',
        '"SubmissionRun"',
        '"FindPeakPerformance"',
        "null",
        "0",
        ABSENT,
    ),
    "result_validity": ('"INVALID"', '"valid"', '" VALID"', '""', "true", "1", "null", '["VALID"]', ABSENT),
    "result_min_duration_met": _NOT_MET,
    "result_min_queries_met": _NOT_MET,
    "early_stopping_met": _NOT_MET,
    "effective_min_duration_ms": (
        *(str(LEAST_MS - 1), "0", "-600000", "600000", "null", "true", "NaN", "-Infinity", "Infinity"),
        *('"20ms"', "[20]", "9" * 400, f'"{"9" * 5000}"', "1e-310", "1e308", ABSENT),
    ),
    "effective_min_query_count": ("1000000", "1e9"),
    "effective_qsl_rng_seed": _SEED_ERRORS,
    "effective_sample_index_rng_seed": _SEED_ERRORS,
    "effective_schedule_rng_seed": _SEED_ERRORS,
    "effective_performance_issue_same": _NO_SWITCHES,
    "effective_performance_issue_unique": _NO_SWITCHES,
    "result_99.90_percentile_latency_ns": (ABSENT,),
}
_PERCENTILES = ("0.5", "0.999", "0", "1", "null", '"0.99"', "true", ABSENT)
OF_ONE: Mapping[str, Mapping[str, Sequence[str]]] = {
    "SingleStream": {
        "effective_target_latency_percentile": ("0.99", *_PERCENTILES),
        "result_query_count": ("0", "1", "63"),
        "result_qps_with_loadgen_overhead": ("1e9",),
    },
    "Server": {
        "effective_target_latency_percentile": ("0.9", *_PERCENTILES),
        "effective_target_latency_ns": (
            *(str(LATENCY_MS * 1_000_000 + 1), "1e12", "0", "1", "-1", "null", "true", '"long"', "NaN"),
            *("Infinity", ABSENT),
        ),
        "requested_use_token_latencies": (*_NO_SWITCHES, "null", "0"),
        "result_perf_constraints_met": _NOT_MET,
        "result_99.00_percentile_latency_ns": ("2000000001", "1e12"),
        "result_overlatency_query_count": ("100", "700"),
        "result_query_count": ("1", "458"),
        "result_scheduled_samples_per_sec": ("1e9",),
    },
    "Offline": {
        "result_max_latency_ns": ("1", "0", "19000000"),
        "generated_samples_per_query": ("0", "1"),
    },
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_a_rule_stands_on_cannot_be_changed(
    scenario: str, runs: Mapping[str, Logs], judged: Judge
) -> None:
    table: dict[str, Sequence[str]] = {**OF_ALL, **OF_ONE[scenario]}
    kept = [
        (key, value)
        for key, values in table.items()
        for value in values
        if judged(runs[scenario].changed(key, value)) == "sound"
    ]
    assert kept == []


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_the_summary_says_cannot_be_changed(
    scenario: str, runs: Mapping[str, Logs], judged: Judge
) -> None:
    logs = runs[scenario]
    text = logs.files[SUMMARY].decode()
    told = [
        line for line in text.splitlines() if line.endswith((": Yes", ": VALID")) or "encountered" in line
    ]
    assert len(told) == (7 if scenario == "Server" else 6)
    for line in told:
        other = line.replace("Yes", "NO").replace(": VALID", ": INVALID").replace("No ", "3 ")
        assert judged(logs.saying(line, other)) != "sound", other
        if not line.endswith("Yes"):
            assert judged(logs.saying(line, "")) == "refused", line


OF_ACCURACY = {
    "effective_scenario": OF_ALL["effective_scenario"],
    "effective_test_mode": ('"PerformanceOnly"', '"SubmissionRun"', "null", ABSENT),
}


def test_an_accuracy_run_stands_on_its_mode_and_quality(runs: Mapping[str, Logs], judged: Judge) -> None:
    logs = runs["accuracy"]
    changed = [logs.changed(key, value) for key, values in OF_ACCURACY.items() for value in values]
    text = logs.files[ACCURACY].decode()
    numbers = ("75.6", "0", "-1", "inf", "nan", "1e999", "", "75.6.5", "7646e-3")
    changed += [logs.saying("76.460", number, ACCURACY) for number in numbers]
    at = text.index("hash=") + 5
    for place in (at, at + 31, len(text) - 2):
        other = f"{text[:place]}{'0' if text[place] != '0' else '1'}{text[place + 1 :]}"
        changed.append(logs.but(ACCURACY, other.encode()))
    changed.append(logs.but(ACCURACY, f"{text}accuracy=75.0%\n".encode()))
    changed.append(logs.but(ACCURACY, f"accuracy=75.0%\n{text}".encode()))
    assert [dict(each.files)[ACCURACY] for each in changed if judged(each) == "sound"] == []


def test_an_error_that_loadgen_did_not_count_is_found(runs: Mapping[str, Logs], judged: Judge) -> None:
    for name in (*SCENARIOS, "accuracy"):
        logs = runs[name]
        error = logs.line("effective_test_mode").replace(b"effective_test_mode", b"error_runtime")
        error = error.replace(b'"is_error": false', b'"is_error": true')
        silent = logs.with_lines([*logs.lines, error])
        assert judged(silent) == "refused"
        assert judged(silent.saying("No errors encountered during test.", ONE_ERROR)) == "broken"
        assert judged(logs.saying("No errors encountered during test.", ONE_ERROR)) == "refused"


ONE_ERROR = "1 ERROR encountered. See detailed log."


def test_a_warning_of_an_audit_cannot_be_taken_away(runs: Mapping[str, Logs], judged: Judge) -> None:
    logs = runs["SingleStream"]
    found = '"Found Audit Config file (audit.config). Overriding TestSettings from audit.config file."'
    warning = restated(logs.line("sut_name"), found).replace(b"sut_name", b"warning_generic_message")
    warning = warning.replace(b'"is_warning": false', b'"is_warning": true')
    told = logs.saying("No warnings encountered during test.", "1 warning encountered. See detailed log.")
    assert judged(told.with_lines([warning, *logs.lines])) == "broken"
    assert judged(told) == "refused"


def test_a_log_cut_at_any_byte_is_not_sound(runs: Mapping[str, Logs], judged: Judge) -> None:
    # Without the few long lines, which tell how LoadGen was built: those would take most of the time.
    logs = runs["SingleStream"]
    logs = logs.with_lines([line for line in logs.lines if len(line) < 1000])
    content, last = logs.files[DETAIL], logs.line("result_99.90_percentile_latency_ns")
    whole = content.index(last) + len(last)
    ends = [match.end() for match in re.finditer(rb"\n", content)]
    for size in set(range(len(content))) - set(ends):
        assert is_refused(content[:size]), size
    for size in (0, *ends):
        assert (judged(logs.but(DETAIL, content[:size])) == "sound") is (size >= whole)


def is_refused(content: bytes) -> bool:
    try:
        detail.parse(BytesIO(content), DETAIL)
    except EvidenceError:
        return True
    return False


def test_a_summary_cut_at_any_byte_is_refused(runs: Mapping[str, Logs], judged: Judge) -> None:
    text = runs["Server"].files[SUMMARY].decode()
    for size in range(len(text) - 1):
        with pytest.raises(EvidenceError):
            summary.parse(text[:size], SUMMARY)
    for name in ("Server", "accuracy"):
        content = runs[name].files[SUMMARY]
        for size in range(max(0, len(content) - 75), len(content) - 1):
            assert judged(runs[name].but(SUMMARY, content[:size])) == "refused"
        # Nothing but the end of its last line is missing.
        assert judged(runs[name].but(SUMMARY, content[:-1])) == "sound"


def test_no_line_makes_an_invalid_run_sound(runs: Mapping[str, Logs], judged: Judge) -> None:
    logs = runs["too few"]
    lines = logs.lines
    for at, line in enumerate(lines):
        assert judged(logs.with_lines(lines[:at] + lines[at + 1 :])) != "sound", line
    text = logs.files[SUMMARY].splitlines(keepends=True)
    for at, line in enumerate(text):
        assert judged(logs.but(SUMMARY, b"".join(text[:at] + text[at + 1 :]))) != "sound", line
    # LoadGen escapes no name: this one makes a line of it that says another thing.
    forged = logs.changed("sut_name", '"x", "key": "result_validity", "value": "VALID"')
    assert judged(forged) == "refused"
    assert judged(forged.saying("Result is : INVALID", "Result is : VALID")) == "refused"


def test_the_order_of_lines_is_no_matter(runs: Mapping[str, Logs], judged: Judge) -> None:
    lines = runs["Server"].lines
    for seed in range(5):
        random.Random(seed).shuffle(lines)  # noqa: S311
        assert judged(runs["Server"].with_lines(lines)) == "sound"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_line_may_stand_twice_but_say_no_other_thing(
    scenario: str, runs: Mapping[str, Logs], judged: Judge
) -> None:
    lines = runs[scenario].lines
    logs = runs[scenario]
    assert judged(logs.with_lines([line for line in lines for _ in range(2)])) == "sound"
    stated = re.compile(rb'"key": "(?:requested|effective|result|early_stopping|num_errors|sut_name)')
    once = [line for line in lines if stated.search(line)]
    assert len(once) > 60
    for line in once:
        other = restated(line, '"something else"')
        assert judged(logs.with_lines([*lines, other])) == "refused", other
        assert judged(logs.with_lines([other, *lines])) == "refused", other
    invalid = restated(logs.line("result_validity"), '"INVALID"')
    for at in range(len(lines) + 1):
        assert judged(logs.with_lines([*lines[:at], invalid, *lines[at:]])) == "refused"


# What can happen to a whole file, and what must become of it.
_LONG = b" " * (6 << 20)
DAMAGES: Mapping[str, tuple[str, Outcome]] = {
    "empty": (DETAIL, "refused"),
    "empty summary": (SUMMARY, "refused"),
    "CRLF": (DETAIL, "sound"),
    "CRLF in the summary": (SUMMARY, "sound"),
    "NULs at the end": (DETAIL, "refused"),
    "NULs in the middle": (DETAIL, "refused"),
    "NULs in place of the summary": (SUMMARY, "refused"),
    "quotes in the name": (DETAIL, "refused"),
    "a line of six megabytes": (DETAIL, "sound"),
    "the log of an accuracy run": (DETAIL, "refused"),
    "the log of another scenario": (DETAIL, "broken"),
    "an endpoint log": (DETAIL, "refused"),
    "two runs": (DETAIL, "refused"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_never_sound(name: str, runs: Mapping[str, Logs], judged: Judge) -> None:
    file, outcome = DAMAGES[name]
    logs = runs["SingleStream"]
    content = logs.files[file]
    middle = len(content) // 2
    damaged = {
        "empty": b"",
        "empty summary": b"",
        "CRLF": content.replace(b"\n", b"\r\n"),
        "CRLF in the summary": content.replace(b"\n", b"\r\n"),
        "NULs at the end": content[:-512] + bytes(512),
        "NULs in the middle": content[:middle] + bytes(512) + content[middle + 512 :],
        "NULs in place of the summary": bytes(len(content)),
        "quotes in the name": content.replace(b'"PySUT"', b'"my "best" SUT"'),
        "a line of six megabytes": content.replace(b'"PySUT"', b'"%b"' % _LONG),
        "the log of an accuracy run": runs["accuracy"].files[DETAIL],
        "the log of another scenario": runs["Server"].files[DETAIL],
        "an endpoint log": content.replace(b":::MLLOG", b":::ENDPTS"),
        "two runs": content + runs["Server"].files[DETAIL],
    }[name]
    assert judged(logs.but(file, damaged)) == outcome


# The same logs in a submission: by the strict rules, and as the checker of v5.1 took them.
AUDITED = "v5.1"


@pytest.fixture
def submission(runs: Mapping[str, Logs]) -> tuple[Submission, Logs]:
    """A submission with a real log of Offline, in which the numbers are as they would be of a full run."""
    submission = Submission(round=AUDITED, scenarios=("Offline",), category="edge")
    logs = runs["Offline"]
    for key, value in run_facts(AUDITED, submission.benchmark, "Offline").items():
        if key.startswith(("effective_", "early_stopping_met")):
            spelt = f'"{value}"' if isinstance(value, str) else str(value).lower()
            logs = logs.changed(key, spelt)
    return submission, logs


def audited(submission: Submission, logs: Logs, tree: Path, level: Level) -> AuditedResult:
    run = submission.run("Offline")
    submission.files |= {f"{run}/{name}": logs.files[name].decode() for name in (DETAIL, SUMMARY)}
    results = audit(submission.write(tree), round=AUDITED, level=level)
    return next(result for result in results if result.mode == "performance")


@pytest.mark.parametrize("level", ["official", "strict"])
def test_an_audit_takes_a_real_log(level: Level, submission: tuple[Submission, Logs], tmp_path: Path) -> None:
    result = audited(*submission, tmp_path, level)
    assert (result.outcome, str(result.error)) == ("valid", "None")


# Keys, values, and what the checker made of it: it looks at no mode, and takes the first of two values.
_SEEDS = checker.load(AUDITED).seeds
CHANGES: Mapping[str, tuple[Sequence[str], str]] = {
    "result_validity": (('"INVALID"', "null", "true", ABSENT), "invalid"),
    "effective_scenario": (('"MultiStream"', "null", ABSENT), "invalid"),
    "effective_test_mode": (('"AccuracyOnly"', "null", ABSENT), "valid"),
    "effective_qsl_rng_seed": (("0", str(_SEEDS.qsl + 1), f'"{_SEEDS.qsl}"', ABSENT), "invalid"),
    "effective_sample_index_rng_seed": (("0", ABSENT), "invalid"),
    "effective_schedule_rng_seed": (("0", ABSENT), "invalid"),
    "effective_min_duration_ms": (("599999", "null", '"600000"', "NaN", ABSENT), "invalid"),
    "effective_performance_sample_count": (("1023", "null", ABSENT), "invalid"),
    "effective_samples_per_query": (("24575", ABSENT), "invalid"),
    "effective_min_query_count": (("0", ABSENT), "invalid"),
    "result_samples_per_second": (("0", "-1", "null", "NaN", ABSENT), "invalid"),
    "num_errors": (("1", "-1"), "invalid"),
}


@pytest.mark.parametrize("key", CHANGES)
def test_an_audit_takes_no_changed_log(key: str, submission: tuple[Submission, Logs], tmp_path: Path) -> None:
    values, official = CHANGES[key]
    tree, logs = submission
    for value in values:
        changed = logs.changed(key, value)
        assert audited(tree, changed, tmp_path, "strict").outcome != "valid", value
        assert audited(tree, changed, tmp_path, "official").outcome == official, value


def test_an_audit_takes_no_log_that_says_two_things(
    submission: tuple[Submission, Logs], tmp_path: Path
) -> None:
    tree, logs = submission
    twice = logs.with_lines([*logs.lines, restated(logs.line("result_validity"), '"INVALID"')])
    assert audited(tree, twice, tmp_path, "strict").outcome == "invalid"
    assert audited(tree, twice, tmp_path, "official").outcome == "valid"
    first = logs.with_lines([restated(logs.line("result_validity"), '"INVALID"'), *logs.lines])
    assert audited(tree, first, tmp_path, "official").outcome == "invalid"
