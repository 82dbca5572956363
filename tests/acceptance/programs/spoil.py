"""Spoils the logs of a finished test in one way: `python spoil.py NAME LOG_DIR`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DETAIL = "mlperf_log_detail.txt"
SUMMARY = "mlperf_log_summary.txt"
ACCURACY_LOG = "mlperf_log_accuracy.json"
ACCURACY = "accuracy.txt"


def cut(path: Path, *, after: bytes) -> None:
    """End a file right after the first place where these bytes stand."""
    content = path.read_bytes()
    path.write_bytes(content[: content.index(after) + len(after)])


def drop_lines(path: Path, *, holding: str) -> None:
    """Take lines out of a file."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if holding not in line), encoding="utf-8")


def replace(path: Path, old: str, new: str) -> None:
    """Change a word in a file."""
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(old, new), encoding="utf-8")


def empty(path: Path) -> None:
    """Leave nothing of a file but its name."""
    path.write_bytes(b"")


SPOILINGS: Mapping[str, Callable[[Path], None]] = {
    "detail-cut-in-line": lambda logs: cut(logs / DETAIL, after=b'"key": "result_validity", "va'),
    "detail-cut-before-verdict": lambda logs: cut(logs / DETAIL, after=b"}}\n"),
    "detail-missing": lambda logs: (logs / DETAIL).unlink(),
    "detail-empty": lambda logs: empty(logs / DETAIL),
    "detail-of-another-kind": lambda logs: replace(logs / DETAIL, ":::MLLOG", ":::MLPv0.5.0"),
    "detail-without-its-errors": lambda logs: drop_lines(logs / DETAIL, holding='"is_error": true'),
    "summary-cut": lambda logs: cut(logs / SUMMARY, after=b"Result is : VALID\n"),
    "summary-empty": lambda logs: empty(logs / SUMMARY),
    "summary-missing": lambda logs: (logs / SUMMARY).unlink(),
    "summary-of-another-run": lambda logs: replace(
        logs / SUMMARY, "Result is : VALID", "Result is : INVALID"
    ),
    "accuracy-log-cut": lambda logs: cut(logs / ACCURACY_LOG, after=b'"qsl_idx"'),
    "accuracy-log-missing": lambda logs: (logs / ACCURACY_LOG).unlink(),
    "accuracy-missing": lambda logs: (logs / ACCURACY).unlink(),
    "accuracy-empty": lambda logs: empty(logs / ACCURACY),
    "says-nothing": lambda _: sys.exit(3),
}


if __name__ == "__main__":
    SPOILINGS[sys.argv[1]](Path(sys.argv[2]))
