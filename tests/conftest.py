"""What the tests of the package share."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester", "tests.containers", "tests.histories", "tests.browser"]
"""Projects to run pytest in, a container engine, databases, and Chromium."""


@pytest.fixture(autouse=True)
def _leases_of_this_test(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait for the leases of another one, or of a session on this machine."""
    monkeypatch.setenv("PYTEST_MLPERF_LEASES", str(tmp_path_factory.mktemp("leases")))


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Leave Hypothesis out of the sessions that tests start: importing it takes longer than most of them."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
    return pytester
