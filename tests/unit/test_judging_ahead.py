"""Judging in a process beside the one that asks: the same records, whatever happens."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from pytest_mlperf.submission import Tree
from pytest_mlperf.submission.published import PublishedTree
from pytest_mlperf.submission.records import judge
from tests.submissions import Submission

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_mlperf.record import Record

MODULE = "pytest_mlperf.submission.ahead"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    for benchmark in ("resnet", "bert-99", "rnnt"):
        submission = Submission(round="v2.0", benchmark=benchmark)
        submission.spoil_run("Server", result_validity="INVALID")
        submission.write(tmp_path / "tree")
    return Tree(tmp_path / "tree", round="v2.0")


@pytest.fixture
def published(tree: Tree) -> PublishedTree:
    return PublishedTree(tree, output=tree.path.parent)


@pytest.fixture
def expected(tree: Tree) -> dict[str, Record]:
    return inline(PublishedTree(tree, output=tree.path.parent))


@pytest.fixture
def helpers() -> Callable[[], set[int]]:
    """Return what tells the processes of this test that judge."""
    before = children()
    return lambda: children() - before


def children() -> set[int]:
    """Return the processes of this one that judge, or have judged: what has ended has no command any more."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_text()
        except (OSError, IndexError):
            continue
        if parent == os.getpid() and (MODULE in command or not command):
            found.add(int(folder.name))
    return found


def untimed(record: Record) -> Record:
    return replace(record, duration_s=None)


def inline(published: PublishedTree) -> dict[str, Record]:
    return {case_id: untimed(published.record(case_id)) for case_id in published.cases}


# In which order to ask for the first runs and the rest, and how many scenarios are then judged here.
Order = tuple["Callable[[list[str], list[str]], list[str]]", int]


@pytest.mark.parametrize(
    "order",
    [
        pytest.param((lambda first, rest: [*first, *rest], 0), id="in the order that was said"),
        pytest.param((lambda first, rest: [*first, *rest][::-1], 5), id="backwards"),
        pytest.param((lambda _, rest: rest, 0), id="without the first"),
        pytest.param((lambda first, rest: [*rest, *first], 2), id="the first at last"),
    ],
)
def test_records_are_those_that_are_judged_here(
    published: PublishedTree,
    expected: dict[str, Record],
    order: Order,
    helpers: Callable[[], set[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, judged_here = order
    here = Mock(wraps=judge)
    monkeypatch.setattr("pytest_mlperf.submission.published.judge", here)
    first = [case_id for case_id, case in published.cases.items() if case.benchmark == "bert-99"]
    rest = [case_id for case_id in published.cases if case_id not in first]

    with closing(published):
        published.judge_ahead(published.cases)
        assert len(helpers()) == 1
        for case_id in asked(first, rest):
            assert untimed(published.record(case_id)) == expected[case_id]

    assert not helpers()
    assert here.call_count == judged_here
    assert {record.ending for record in expected.values()} == {"pass", "fail"}


def test_what_a_killed_process_owes_is_judged_here(
    published: PublishedTree, expected: dict[str, Record], helpers: Callable[[], set[int]]
) -> None:
    with closing(published):
        published.judge_ahead(published.cases)
        (helper,) = helpers()
        os.kill(helper, signal.SIGKILL)
        assert inline(published) == expected
