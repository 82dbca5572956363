"""Measurements have the host alone, whoever runs beside them, unless their matrix says otherwise."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessions import Session

MATRIX = """\
round: v2.0
category: smoke
axes: {sku: CPU, harness: scripted, benchmark: timed, scenario: [Offline, Server], accuracy: [99, 99.9]}
include: [{mode: [PerformanceOnly, AccuracyOnly]}]
"""


def _overlaps(session: Session, *outputs: str) -> set[frozenset[str]]:
    """Return the modes of the cases that ran at the same time, pair by pair."""
    ran = [
        (mode, *json.loads(path.read_text(encoding="utf-8")))
        for output in outputs
        for mode in ("AccuracyMode", "PerformanceMode")
        for path in (session.pytester.path / output / "cases").glob(f"*-{mode}/logs/times.json")
    ]
    assert len(ran) == 8 * len(outputs)
    return {
        frozenset((one[0], other[0]))
        for one, other in itertools.combinations(ran, 2)
        if one[1] < other[2] and other[1] < one[2]
    }


def test_measurements_run_alone_with_two_workers(session: Session) -> None:
    session.write_matrix(MATRIX)

    session.pytester.runpytest_subprocess("-n2", "--mlperf-output", "out", timeout=120)

    assert _overlaps(session, "out") <= {frozenset({"AccuracyMode"})}
    for record in session.records().values():
        assert record["neighbours"] == [] or record["case"]["mode"] == "AccuracyOnly"
        assert record["waited_s"] >= 0


def test_measurements_run_alone_beside_another_session(session: Session) -> None:
    session.write_matrix(MATRIX)
    argv = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", "--mlperf-output"]

    both = [subprocess.Popen([*argv, name], cwd=session.pytester.path) for name in ("one", "two")]

    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert _overlaps(session, "one", "two") <= {frozenset({"AccuracyMode"})}


def test_measurements_that_may_share_say_so(session: Session) -> None:
    session.write_matrix(MATRIX + "defaults: {share_host: true}\n")

    session.pytester.runpytest_subprocess("-n2", "--mlperf-output", "out", "--junitxml=j.xml", timeout=120)

    named = {record["case"]["id"]: record["neighbours"] for record in session.records().values()}
    assert all(case in named[other] for case, neighbours in named.items() for other in neighbours)
    assert any(neighbours for case, neighbours in named.items() if "Performance" in case)
    junit = (session.pytester.path / "j.xml").read_text(encoding="utf-8")
    assert junit.count('name="neighbours"') == sum(map(bool, named.values()))
