"""Run the cases of the matrices, and hold each to its rules.

`pytest suites -m datacenter`, `-m "edge and bert and accuracy"`, `-m "smoke and not Server"`, `-k Offline`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mlperf.plugin import check

if TYPE_CHECKING:
    from pytest_mlperf.record import Record


def test_conformance(mlperf_record: Record) -> None:
    """A case passes with PASS (AccuracyOnly) or VALID (PerformanceOnly)."""
    check(mlperf_record)
