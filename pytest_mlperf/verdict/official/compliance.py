"""The rules of the compliance tests of a closed submission, each test by its own.

A test's own scripts have judged the run against the submitted result; here their words are read, and its log
is held to the rules of a performance run where the round does so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.verdict.official import Ruling, Terms
from pytest_mlperf.verdict.official import performance as performance_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_mlperf.evidence import DetailLog
    from pytest_mlperf.evidence.scores import Line

_PASS = "TEST PASS"  # noqa: S105  words of the verification scripts
_MOST_WORDS = 200
_LOGS = frozenset({"mlperf_log_summary.txt", "mlperf_log_detail.txt"})
_ACCURACY = frozenset({"accuracy.txt", "mlperf_log_accuracy.json"})
_SCORES = frozenset({"baseline_accuracy.txt", "compliance_accuracy.txt"})
TOLERATED = frozenset({"mlperf_log_trace.json", "results.json", ".gitkeep"})

# What each test verifies: files with the words of its scripts. TEST04-B is only compared with TEST04-A.
_PERFORMANCE = ("TEST01", "TEST04", "TEST04-A", "TEST05")
_VERIFIED: Mapping[str, str] = {
    "TEST07": "verify_accuracy.txt",
    "TEST08": "verify_accuracy.txt",
    "TEST09": "verify_output_len.txt",
}
_CONSISTENT: Mapping[str, tuple[str, ...]] = {
    "First token check pass": ("True", "Skipped"),
    "EOS check pass": ("True",),
    "Sample length check pass": ("True",),
}


@dataclass(frozen=True, kw_only=True)
class ComplianceRun:
    """What the directory of a compliance test holds.

    words:     by name, the lines of the files that the verification scripts wrote
    run_files, accuracy_files:  names in performance/run_1 and in accuracy; None for no such directory
    log:       of performance/run_1, where the test is held to it
    baseline, compliance:  the scores of a TEST01 that is not deterministic
    """

    words: Mapping[str, Sequence[str]]
    run_files: frozenset[str] | None
    accuracy_files: frozenset[str] | None
    log: DetailLog | None
    baseline: Sequence[Line] = ()
    compliance: Sequence[Line] = ()


def needs_log(terms: Terms) -> bool:
    """Whether the log of the test's run is held to the rules of a performance run."""
    # A benchmark with TEST06 has no other test whose log is looked at.
    looked_at = (
        terms.round.severity("compliance_runs") != "off" and "TEST06" not in terms.benchmark.compliance
    )
    return looked_at and terms.test in _PERFORMANCE


def judge(terms: Terms, run: ComplianceRun | None) -> Iterator[Ruling]:
    """Hold a compliance test, None for one that is missing, to its rules."""
    test = terms.test or ""
    yield _ruling(terms, f"a directory {test}", "nothing" if run is None else test, satisfied=run is not None)
    if run is None:
        return
    if test in _PERFORMANCE and "TEST06" not in terms.benchmark.compliance:
        yield _passed(terms, run, "verify_performance.txt")
        yield _files(terms, "performance/run_1", run.run_files, _LOGS, _ACCURACY - {"accuracy.txt"})
    if test in _VERIFIED:
        yield _passed(terms, run, _VERIFIED[test])
    if test == "TEST01":
        yield from _test01(terms, run)
    if test == "TEST06":
        yield from _test06(terms, run)
    if run.log is not None:
        for ruling in performance_rules.judge(terms, run.log):
            # The run itself is not enforced where the round only wrote its errors to the log.
            yield ruling if terms.round.severity("compliance") == "fail" else ruling.but("log")


def _ruling(terms: Terms, expected: str, observed: str, *, satisfied: bool) -> Ruling:
    return terms.ruling("compliance", expected, observed, satisfied=satisfied)


def _passed(terms: Terms, run: ComplianceRun, name: str) -> Ruling:
    lines = run.words.get(name)
    passed = lines is not None and any(_PASS in line for line in lines)
    observed = _PASS if passed else _last_words(lines)
    return _ruling(terms, f"{_PASS} in {name}", observed, satisfied=passed)


def _last_words(lines: Sequence[str] | None) -> str:
    """Return what a script said in the end: where it fails, that is why."""
    if lines is None:
        return "no such file"
    said = [line.strip() for line in lines if line.strip()]
    return f"no such line; the last one is: {said[-1][:_MOST_WORDS]}" if said else "no such line"


def _files(
    terms: Terms, folder: str, found: frozenset[str] | None, needed: frozenset[str], optional: frozenset[str]
) -> Ruling:
    expected = f"in {folder}: {', '.join(sorted(needed))}"
    if found is None:
        return _ruling(terms, expected, "no such directory", satisfied=False)
    missing = [f"no {name}" for name in sorted(needed - found)]
    more = [f"also {name}" for name in sorted(found - needed - optional - TOLERATED)]
    observed = ", ".join([*missing, *more])
    ruling = _ruling(terms, expected, observed or "these", satisfied=not observed)
    return ruling.forbidden_if(bool(missing))


def _test01(terms: Terms, run: ComplianceRun) -> Iterator[Ruling]:
    """Hold the accuracy of the performance run to be that of the accuracy run, word for word or nearly."""
    lines = run.words.get("verify_accuracy.txt")
    yield _ruling(
        terms,
        "verify_accuracy.txt",
        "nothing" if lines is None else "verify_accuracy.txt",
        satisfied=lines is not None,
    )
    if lines is None:
        return
    same = any(_PASS in line for line in lines)
    needed = _ACCURACY if same else _ACCURACY | _SCORES
    yield _files(terms, "accuracy", run.accuracy_files, needed, frozenset())
    if same:
        return
    for metric in terms.benchmark.accuracy_targets(terms.scenario):
        usual = 0.1 if "99.9" in terms.benchmark.name else 1
        most = terms.benchmark.accuracy_delta_percent.get(metric, usual)
        off = _off_percent(_last(run.baseline, metric), _last(run.compliance, metric))
        yield _ruling(
            terms,
            f"{metric} of compliance_accuracy.txt within {most:g} % of baseline_accuracy.txt",
            "nothing" if off is None else f"{off:.3g} %",
            satisfied=off is not None and off <= most,
        )


def _last(lines: Sequence[Line], metric: str) -> float | None:
    values: list[float] = [line.metrics[metric].value for line in lines if metric in line.metrics]
    return values[-1] if values else None


def _off_percent(baseline: float | None, compliance: float | None) -> float | None:
    return abs(1 - baseline / compliance) * 100 if baseline and compliance else None


def _test06(terms: Terms, run: ComplianceRun) -> Iterator[Ruling]:
    """Hold the answers of a language model in a performance run to be whole."""
    lines = {line.strip() for line in run.words.get("verify_accuracy.txt", ())}
    for check, words in _CONSISTENT.items():
        stated = next((line for line in sorted(lines) if line.startswith(f"{check}:")), "nothing")
        satisfied = any(f"{check}: {word}" in lines for word in words)
        yield _ruling(terms, f"{check}: {' or '.join(words)}", stated, satisfied=satisfied)
