"""Read the files of a run. Whatever is missing, empty, cut or in conflict is an EvidenceError."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence import (
    AccuracyResult,
    DetailLog,
    Evidence,
    Summary,
    UserConf,
    accuracy,
    detail,
    metadata,
    summary,
    trace,
    user_conf,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DETAIL = "mlperf_log_detail.txt"
SUMMARY = "mlperf_log_summary.txt"
ACCURACY_LOG = "mlperf_log_accuracy.json"
ACCURACY = "accuracy.txt"
USER_CONF = "user.conf"
METADATA = "metadata.json"
TRACE = "mlperf_log_trace.json"

JUDGED = (DETAIL, SUMMARY, ACCURACY_LOG, ACCURACY, USER_CONF, METADATA)
"""What a verdict stands on, as far as it is there. LoadGen's trace, which can be the largest, is not."""

_BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 4096
_SAMPLE = b'"qsl_idx"'
_LEFT_OUT = b"\n\n...\n\n"


def read(log_dir: Path, *, metric: str | None, hashed: bool = True, pattern: str | None = None) -> Evidence:
    """Read the logs of a run. Their places are told from the folder around `log_dir`, which may be moved.

    metric: that the accuracy script computed; None for a performance run, which has no accuracy
    hashed: whether that script always writes the hash of the accuracy log
    pattern: regular expression for a line with the metric, where it is not that of the metric's script
    Raises EvidenceError naming the file and the reason.
    """
    path = log_dir / DETAIL
    with _readable(path), path.open("rb", buffering=0) as stream:
        details = detail.parse(stream, _shown(path))
    _whole(details, path)
    path = log_dir / SUMMARY
    with _readable(path):
        words = summary.parse(path.read_text(encoding="utf-8", errors="replace"), _shown(path))
    _agree(details, words, path)
    _agree_with_harness(details, log_dir / METADATA)
    # A performance run has no samples to score; that it is the wrong run is for the rules to say.
    has_samples = details.facts["effective_test_mode"].value != "PerformanceOnly"
    scored = None
    if metric is not None and has_samples:
        scored = _accuracy(log_dir, metric, hashed=hashed, pattern=pattern)
    return Evidence(detail=details, summary=words, accuracy=scored, user_conf=_user_conf(log_dir))


def read_trace(log_dir: Path) -> trace.Trace | None:
    """Return what LoadGen's trace says, None where there is none, or it cannot be read."""
    try:
        with (log_dir / TRACE).open("rb") as stream:
            return trace.parse(stream)
    except OSError:
        return None


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is read into an EvidenceError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        hint = "did the harness run? see stderr.txt of the case"
        raise EvidenceError("the file is missing", place=Place(path=_shown(path)), hint=hint) from error
    except OSError as error:
        raise EvidenceError(f"cannot be read: {error.strerror}", place=Place(path=_shown(path))) from error


def _whole(details: DetailLog, path: Path) -> None:
    """Raise EvidenceError unless the detail log goes from the settings to the last of the results."""
    mode, stated = details.facts.get("effective_test_mode"), details.facts.get("result_validity")
    if mode is None:
        missing = "effective_test_mode: LoadGen did not start the test"
    elif stated is None and mode.value == "PerformanceOnly":
        missing = "result_validity: LoadGen did not end the test"
    elif stated is not None and _LAST_RESULT not in details.facts:
        missing = f"{_LAST_RESULT} after the verdict: LoadGen did not end its log"
    else:
        return
    hint = "did the harness die? see stderr.txt of the case"
    raise EvidenceError(f"no key {missing}, or the file is cut", place=Place(path=_shown(path)), hint=hint)


# Every LoadGen since 2.0 logs it, in every scenario, behind all that LoadGen's verdict stands on.
_LAST_RESULT = "result_99.90_percentile_latency_ns"


def _agree(details: DetailLog, words: Summary, path: Path) -> None:
    """Raise EvidenceError unless the detail log, and the summary at a path, tell of one and the same run."""
    for first, other in details.conflicts:
        raise EvidenceError(
            f"{first.key}: found {other.value!r}, but {first.value!r} in line {first.place.line}",
            place=other.place,
            hint=_TWO_RUNS,
        )
    stated, told = details.facts.get("result_validity"), words.validity
    if (told.value if told else None) != (stated.value if stated else None):
        raise EvidenceError(
            f"found the verdict {told.value if told else 'nothing'}, "
            f"but {stated.value if stated else 'nothing'} in {DETAIL}",
            place=told.place if told else Place(path=_shown(path)),
            hint=_TWO_RUNS,
        )
    for counted, messages in ((words.errors, details.errors), (words.warnings, details.warnings)):
        if counted.value != len(messages):
            raise EvidenceError(
                f"found {counted.value} {counted.key}, but {len(messages)} in {DETAIL}",
                place=counted.place,
                hint=_TWO_RUNS,
            )


def _agree_with_harness(details: DetailLog, path: Path) -> None:
    """Raise EvidenceError where the harness, if it says anything, says otherwise than LoadGen."""
    if not path.exists():
        return
    with _readable(path):
        facts = metadata.parse(path.read_text(encoding="utf-8", errors="replace"), _shown(path))
    for fact in facts:
        logged = details.facts.get(fact.key)
        if logged is None or logged.value != fact.value:
            raise EvidenceError(
                f"the harness says {fact.key} {fact.value!r}, "
                f"but LoadGen {repr(logged.value) if logged else 'nothing'} in {DETAIL}",
                place=fact.place,
                hint=_TWO_RUNS,
            )


_TWO_RUNS = "are they logs of two runs?"


def _user_conf(log_dir: Path) -> UserConf | None:
    """Return what LoadGen was asked for. Not every harness keeps it with the logs."""
    path = log_dir / USER_CONF
    if not path.exists():
        return None
    with _readable(path):
        return user_conf.parse(path.read_text(encoding="utf-8", errors="replace"), _shown(path))


def _accuracy(log_dir: Path, metric: str, *, hashed: bool, pattern: str | None) -> AccuracyResult:
    path = log_dir / ACCURACY
    with _readable(path):
        text = path.read_text(encoding="utf-8", errors="replace")
        result = accuracy.parse(text, _shown(path), metric, hashed=hashed, pattern=pattern)
    found = _sha256(log_dir / ACCURACY_LOG)
    told = result.log_sha256
    if told is None or (not hashed and _is_abridged(log_dir / ACCURACY_LOG)):
        return result
    if found != told.value:
        raise EvidenceError(
            f"was computed from another accuracy log: {ACCURACY_LOG} has the hash {found[:12]}...",
            place=told.place,
            hint="did two runs write into one folder?",
        )
    return result


def _is_abridged(path: Path) -> bool:
    """Return whether the middle of a log was left out for a submission: what has a hash is the whole log.

    Source: mlcommons/inference, tools/submission/truncate_accuracy_log.py.
    """
    with _readable(path), path.open("rb") as stream:
        stream.seek(_HEAD_BYTES)
        return stream.read(len(_LEFT_OUT)) == _LEFT_OUT


def _sha256(path: Path) -> str:
    """Return the hash of an accuracy log that has samples and an end."""
    digest = hashlib.sha256()
    tail = b""
    with _readable(path), path.open("rb") as stream:
        has_samples = _SAMPLE in stream.read(_HEAD_BYTES)
        stream.seek(0)
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
            tail = (tail + block)[-_HEAD_BYTES:]
    if not has_samples or not tail.rstrip().endswith(b"]"):
        state = "is cut: its closing bracket is missing" if has_samples else "holds no sample"
        hint = "did the harness die? see stderr.txt of the case"
        raise EvidenceError(f"the file {state}", place=Place(path=_shown(path)), hint=hint)
    return digest.hexdigest()
