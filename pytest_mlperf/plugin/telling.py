"""How an item tells of the record that it was run for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.report.explanation import explain
from pytest_mlperf.report.properties import properties

if TYPE_CHECKING:
    from pytest_mlperf.record import Record

RECORD = pytest.StashKey["Record"]()


def tell(item: pytest.Item, record: Record) -> Record:
    """Leave the record of an item where reports take it; skip it or report an error without a verdict."""
    if record.ending == "fail" and record.expected_failure:
        item.add_marker(pytest.mark.xfail(reason=record.expected_failure, strict=False))
    item.stash[RECORD] = record
    item.user_properties.extend(properties(record))
    if record.ending == "unplaced":
        pytest.skip(str(record.reason))
    if record.ending == "error":
        pytest.fail(explain(record), pytrace=False)
    return record
