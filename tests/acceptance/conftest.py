"""Projects to run pytest in."""

from __future__ import annotations

import pytest
from sessions import CONFTEST, MATRIX, SUITE, Session


def _project(pytester: pytest.Pytester, neighbours: tuple[str, ...]) -> Session:
    session = Session(pytester=pytester, neighbours=neighbours)
    pytester.makeini("[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_suite=SUITE)
    session.write_matrix(MATRIX)
    return session


@pytest.fixture
def session(pytester: pytest.Pytester) -> Session:
    """A project with the scripted matrix, run without xdist."""
    return _project(pytester, ("-p", "no:xdist"))


@pytest.fixture(params=["no:xdist", "n0", "n2"])
def any_session(request: pytest.FixtureRequest, pytester: pytest.Pytester) -> Session:
    """The same, run without xdist, with xdist asleep, and with two workers."""
    neighbours = {"no:xdist": ("-p", "no:xdist"), "n0": ("-n0",), "n2": ("-n2",)}
    return _project(pytester, neighbours[request.param])
