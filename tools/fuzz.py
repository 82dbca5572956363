"""Fuzz the parsers of logs, and the rules behind them, for a while: `python tools/fuzz.py --seconds 20`.

Whatever the bytes are, a parser returns or raises EvidenceError, and rules judge what it returned. Anything
else is a bug: the bytes are kept in the current folder as `crash-<hash>`, and
`python tools/fuzz.py crash-<hash>` runs them again. Needs `pip install -e .[fuzz]`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import atheris

with atheris.instrument_imports(include=["pytest_mlperf.evidence", "pytest_mlperf.verdict"]):
    from pytest_mlperf import rounds
    from pytest_mlperf.errors import EvidenceError, Place
    from pytest_mlperf.evidence import Evidence, accuracy, detail, metadata, scores, summary, user_conf
    from pytest_mlperf.matrix import SCENARIOS, Case, Scenario, Settings
    from pytest_mlperf.rounds import checker
    from pytest_mlperf.verdict import official
    from pytest_mlperf.verdict.official import performance
    from pytest_mlperf.verdict.rules import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUND = rounds.load("v2.0")
OFFICIAL = checker.load("v5.1")
SUMMARY = """\
Result is : VALID
  Min duration satisfied : Yes
  Early stopping satisfied: NO
Recommendations:
 * Think again.

No warnings encountered during test.

2 ERRORS encountered. See detailed log.
"""
USER_CONF = (
    "# words\nresnet50.Server.target_qps = 10\n*.*.min_duration=600000\nresnet50.*.min_query_count = 1e3\n"
)
SCORES = "accuracy=76.5%, good=1\rmAP=37.2%\n{'exact_match': 83.9, 'f1': 90.9}\nhash=" + "0a" * 32 + "\n"
FACTS = {
    "effective_scenario": '"Server"',
    "effective_test_mode": '"PerformanceOnly"',
    "effective_min_duration_ms": "600000",
    "effective_min_query_count": "64",
    "effective_target_latency_ns": "15000000",
    "effective_target_latency_percentile": "0.99",
    "requested_use_token_latencies": "true",
    "requested_server_ttft_latency": "1e3",
    "result_validity": '"INVALID"',
    "result_perf_constraints_met": "false",
    "early_stopping_met": "false",
    "early_stopping_result": '" * Run"',
    "generated_query_count": "700",
    "result_query_count": "700",
    "result_overlatency_query_count": "3",
    "result_scheduled_samples_per_sec": "100.5",
    "result_qps_with_loadgen_overhead": "100.5",
    "result_max_latency_ns": "20000000",
    "result_99.00_percentile_latency_ns": "20000000",
}


def _line(key: str, value: str) -> str:
    return f':::MLLOG {{"key": "{key}", "value": {value}, "metadata": {{"is_error": false}}}}\n'


def _case(scenario: Scenario) -> Case:
    return Case(
        id="case",
        metric_name="case",
        round=ROUND.name,
        category="edge",
        conformance="round",
        match="exact",
        sku="A2x1",
        benchmark="resnet50",
        harness="lwis",
        accuracy="99",
        power="MaxP",
        scenario=scenario,
        mode="PerformanceOnly",
        settings=Settings(),
        place=Place(path="matrix.yaml", line=1),
    )


CASES = tuple(_case(scenario) for scenario in SCENARIOS)
ASKED = user_conf.parse(USER_CONF, "user.conf")
WORDS = summary.parse(SUMMARY, "summary.txt")
TERMS = official.Terms(
    round=OFFICIAL,
    benchmark=OFFICIAL.benchmarks["llama2-70b-99"],
    scenario="Server",
    division="closed",
    category="datacenter",
    level="strict",
)


def judge_detail(content: bytes) -> None:
    """Read a detail log, and judge it in every scenario."""
    log = detail.parse(BytesIO(content), "detail.txt")
    evidence = Evidence(detail=log, summary=WORDS, accuracy=None, user_conf=ASKED)
    for case in CASES:
        verdict = judge(case, ROUND.benchmarks["resnet50"], evidence, mlperf_round=ROUND)
        for finding in verdict.findings:
            str(finding)
    for ruling in performance.judge(TERMS, log):
        str(ruling.finding)


def judge_value(content: bytes) -> None:
    """Put one value, or one line more, into a detail log that is otherwise as it should be."""
    at, value = content[:1], content[1:]
    key = list(FACTS)[at[0] % len(FACTS)] if at else "sut_name"
    text = "".join(_line(name, "@" if name == key else known) for name, known in FACTS.items())
    judge_detail(text.encode().replace(b"@", value))


def read_summary(content: bytes) -> None:
    """Read a summary."""
    summary.parse(content.decode(errors="replace"), "summary.txt")


def read_scores(content: bytes) -> None:
    """Read an accuracy.txt, as that of a case and as a published one."""
    text = content.decode(errors="replace")
    scores.parse(text, "accuracy.txt", OFFICIAL.patterns)
    for metric in accuracy.PATTERNS:
        accuracy.parse(text, "accuracy.txt", metric)


def read_user_conf(content: bytes) -> None:
    """Read a user.conf."""
    user_conf.parse(content.decode(errors="replace"), "user.conf")


def read_metadata(content: bytes) -> None:
    """Read a metadata.json."""
    metadata.parse(content.decode(errors="replace"), "metadata.json")


# The first byte of an input says which of these it is for; then an example.
TARGETS: tuple[tuple[Callable[[bytes], None], str], ...] = (
    (judge_detail, "".join(_line(key, value) for key, value in FACTS.items())),
    (judge_value, "\x02600000"),
    (read_summary, SUMMARY),
    (read_scores, SCORES),
    (read_user_conf, USER_CONF),
    (read_metadata, '{"scenario": "Server", "scenario_key": "result_x", "result_x": 1}'),
)
VALUES = ("null", "[1, 2]", '{"a": 1}', '"12"', "NaN", "-1", "1e999", "1" * 400, '"{}"'.format("1" * 5000))


def try_input(content: bytes) -> None:
    """Give an input to its parser."""
    target, _ = TARGETS[content[0] % len(TARGETS)] if content else TARGETS[0]
    try:
        target(content[1:])
    except EvidenceError:
        return


def main(arguments: list[str]) -> int:
    """Fuzz for a time, or run kept inputs again; return the exit code of libFuzzer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=20, help="how long to look (20)")
    parser.add_argument("inputs", nargs="*", help="inputs to run again, instead")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        examples, words = Path(folder, "examples"), Path(folder, "words")
        examples.mkdir()
        for number, content in enumerate(_examples()):
            (examples / str(number)).write_bytes(content)
        words.write_text(_dictionary(), encoding="utf-8")
        options = [f"-max_total_time={given.seconds}", f"-dict={words}", "-max_len=8192", "-timeout=10"]
        # libFuzzer ends its process, which cleans nothing up.
        command = [sys.executable, __file__, _CHILD, *options, *(given.inputs or [str(examples)])]
        return subprocess.run(command, check=False).returncode


_CHILD = "fuzz"


def _examples() -> Iterator[bytes]:
    for number, (_, example) in enumerate(TARGETS):
        yield bytes([number]) + example.encode()
    for number, value in enumerate(VALUES):
        yield bytes([1, number]) + value.encode()


def _dictionary() -> str:
    values = ("true", "null", "NaN", "-Infinity", "1e999", "\\xff", ":::MLLOG ", "\\x0d")
    texts = [*FACTS, *values, "Result is : VALID", "Yes", " ERRORS encountered. See detailed log."]
    return "".join(f'"{text}"\n' for text in texts)


if __name__ == "__main__":
    if sys.argv[1:2] == [_CHILD]:
        atheris.Setup([sys.argv[0], *sys.argv[2:]], try_input)
        atheris.Fuzz()
    sys.exit(main(sys.argv[1:]))
