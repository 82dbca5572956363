"""Judge results that exist, by the rules of their round: nothing is run, and no hardware is needed.

`pytest suites/test_audit.py --mlperf-results TREE`, `-m "closed and bert-99 and performance"`, `-k NVIDIA`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mlperf.plugin import check

if TYPE_CHECKING:
    from pytest_mlperf.record import Record


def test_audit(mlperf_audited: Record) -> None:
    """A run of a submission tree passes when its round's checker accepts it."""
    check(mlperf_audited)
