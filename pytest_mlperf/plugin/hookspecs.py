"""The hooks that a site may implement in its conftest.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_mlperf.harness import Harness
    from pytest_mlperf.record import Record


@pytest.hookspec
def pytest_mlperf_harnesses(config: pytest.Config) -> Mapping[str, Harness]:  # type: ignore[empty-body]
    """Return harnesses of the site, by the name that its matrices use."""


@pytest.hookspec
def pytest_mlperf_record(config: pytest.Config, record: Record) -> None:
    """Take note of a record, as soon as its case has ended. Called where pytest reports, not in workers."""
