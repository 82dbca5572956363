"""What `--mlperf-doctor` and `--mlperf-leases` say, and what a session makes of machines with GPUs."""

from __future__ import annotations

import itertools
import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf.placement.leases import Request, lease
from tests import pages
from tests.nvml import golden, stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from sessions import Session

ACCELERATED = """\
round: v2.0
category: datacenter
axes: {harness: scripted, scenario: Offline}
include:
  - {benchmark: timed, sku: A100-SXM-80GBx1, scenario: [Offline, Server], accuracy: [99, 99.9],
     mode: AccuracyOnly}
  - {benchmark: good, sku: [A100-SXM-80GBx8, A100-SXM-80GBx4], mode: AccuracyOnly}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stand_in.build(tmp_path_factory.mktemp("nvml"))


def _use(profile: str, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sessions of this test find the GPUs of a profile."""
    for name, value in stand_in.environment(profile, library).items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("profile", stand_in.PROFILES)
def test_the_doctor_knows_the_machine(profile: str, library: Path) -> None:
    assert golden.ask(profile, library) == json.loads(golden.path(profile).read_text(encoding="utf-8"))


def _said(session: Session, *options: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(session.run("--mlperf-doctor=json", *options).stdout.str())
    return said


def test_the_doctor_speaks_to_people(any_session: Session) -> None:
    result = any_session.run("--mlperf-doctor")
    assert result.ret == 0
    result.stdout.re_match_lines(
        [
            r"host +\S.*, \d+ cores?, [\d.]+ GiB",
            r"devices +",
            r"SKUs +match    CPU",
            r"containers +\S",
            r"matrices +matrices/matrix.yaml: 5 of 6 cases would run, about 3.0 s \(1 more with another .*\)",
            r" +1 skipped: found no accelerator",
            r" +they need 2x A2 \(1\)",
            r"5 cases would run here\.",
        ]
    )


def test_the_doctor_needs_no_suite_and_leaves_nothing(session: Session) -> None:
    (session.pytester.path / "test_suite.py").unlink()
    files = {path.name for path in session.pytester.path.iterdir()}
    assert _said(session)["would_run"] == 5
    left = {path.name for path in session.pytester.path.iterdir()} - files
    assert left <= {"__pycache__", "stdout", "stderr", "runpytest-0", "runpytest-current"}


def test_the_doctor_says_when_nothing_would_run(session: Session) -> None:
    (session.pytester.path / "matrices" / "matrix.yaml").unlink()
    result = session.run("--mlperf-doctor")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert result.stdout.lines[-1] == "No case would run here."
    result.stdout.fnmatch_lines(
        ["matrices    none: found no matrices/*.yaml, and --mlperf-matrix names none"]
    )


def test_the_doctor_refuses_a_wrong_matrix(session: Session) -> None:
    session.write_matrix("round: v2.0\ncategory: smoke\naxes: {sku: TPU}\n")
    result = session.run("--mlperf-doctor")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *matrix.yaml:3: axes.sku*found 'TPU'*"])


def test_leases_are_listed(any_session: Session) -> None:
    assert any_session.run("--mlperf-leases").stdout.lines == ["nothing on this machine is leased"]
    with lease(Request(case="bert-x", count=1, devices=("GPU-7", "GPU-8"), exclusive=True)):
        lines = any_session.run("--mlperf-leases").stdout.lines
        doctor = any_session.run("--mlperf-doctor").stdout.str()
        (holder,) = _said(any_session)["holders"]
    assert len(lines) == 1
    assert re.fullmatch(
        r"bert-x holds GPU-7 and the host alone since [-\d]+ [:\d]+ \(process \d+ of \w+\)", lines[0]
    )
    assert lines[0] in doctor
    assert (holder["case"], holder["devices"], holder["since"][10]) == ("bert-x", ["GPU-7"], "T")


def test_who_waits_is_told_for_whom(session: Session) -> None:
    axes = "{sku: CPU, harness: scripted, benchmark: good, scenario: Offline, mode: PerformanceOnly}"
    session.write_matrix(f"round: v2.0\ncategory: smoke\naxes: {axes}\n")
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *session.neighbours]
    with lease(Request(case="bert-x", count=0, devices=(), exclusive=True)):
        waiting = session.pytester.popen([*argv, "--mlperf-output", "out"])
        said = next(line for line in waiting.stderr if b"waits for" in line)
    with waiting:
        assert waiting.stdout.read().rstrip().endswith(b"==")
    assert waiting.returncode == 0
    assert re.search(
        rb"good-CPU.*: waits for the host alone for 1\d\.\d s: the host is held by pid \d+ ", said
    )


@pytest.mark.parametrize("folder", ["relative", "/proc/nowhere"])
def test_a_folder_of_leases_that_cannot_be_used_stops_the_session(
    folder: str, any_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_MLPERF_LEASES", folder)
    result = any_session.run("--mlperf-output", "out")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "PYTEST_MLPERF_LEASES" in result.stderr.str() + result.stdout.str()
    assert not (any_session.pytester.path / "out").exists()


def test_a_case_gets_devices_of_its_own(
    any_session: Session, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use("dgx-a100", library, monkeypatch)
    any_session.write_matrix(ACCELERATED)
    result = any_session.run("--mlperf-output", "out", "-rs", "--junitxml=j.xml")
    reason = (
        "needs 4x A100-SXM-80GB (275 W), found 8x A100-SXM-80GB (400 W): this is DGX-A100_A100-SXM-80GBx8"
    )
    result.stdout.fnmatch_lines([f"*1 unplaced: {reason}", f"SKIPPED*{reason}"])
    records = any_session.records()
    for record in records.values():
        sku = record["case"]["sku"]
        assert (
            len(record["devices"]) == {"A100-SXM-80GBx1": 1, "A100-SXM-80GBx8": 8, "A100-SXM-80GBx4": 0}[sku]
        )
        if record["folder"]:
            told = any_session.pytester.path / "out" / record["folder"] / "logs" / "devices.txt"
            assert told.read_text(encoding="utf-8").split(",") == record["devices"]
    for one, other in itertools.combinations(records.values(), 2):
        beside = other["case"]["id"] in (one["neighbours"] or ())
        assert not beside or not set(one["devices"]) & set(other["devices"])
    junit = (any_session.pytester.path / "j.xml").read_text(encoding="utf-8")
    assert junit.count('name="devices" value="GPU-') == 5


PACKED = """\
round: v2.0
category: datacenter
axes: {harness: scripted, mode: AccuracyOnly}
include:
  - {benchmark: timed, sku: A100-SXM-80GBx4, scenario: [Offline, Server], accuracy: [99, 99.9]}
  - {benchmark: timed, sku: CPU, scenario: [Offline, Server], accuracy: [99, 99.9]}
"""


def test_no_case_is_started_that_would_wait_for_devices(
    session: Session, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Four of its five GPUs are accelerators: one case of four at a time, and one of the CPU beside it.
    _use("dgx-station-display", library, monkeypatch)
    session.write_matrix(PACKED)
    session.pytester.runpytest_subprocess("-n2", "--mlperf-output", "out", timeout=120)
    records = session.records().values()
    assert {record["ending"] for record in records} == {"pass"}
    # A case takes half a second: that long it would wait if two of four devices were started at once.
    assert max(record["waited_s"] for record in records) < 0.4
    for record in records:
        told = session.pytester.path / "out" / record["folder"] / "logs" / "devices.txt"
        assert told.read_text(encoding="utf-8") == (",".join(record["devices"]) or "-1")
    # Each kind ran beside the other one.
    assert any(
        {record["case"]["sku"], neighbour.partition("timed-")[2].partition("_")[0]}
        == {"A100-SXM-80GBx4", "CPU"}
        for record in records
        for neighbour in record["neighbours"]
    )


def test_a_busy_device_comes_last_and_who_is_on_it_is_named(
    session: Session, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use("busy", library, monkeypatch)
    session.write_matrix(ACCELERATED)
    session.run("--mlperf-output", "out", "--junitxml=j.xml", "-k", "80GBx1 or 80GBx8")
    for record in session.records().values():
        if record["case"]["sku"] == "A100-SXM-80GBx8" and record["folder"]:
            busy = record["devices"][-1]
            assert record["foreign"] == [
                f"process 4999998 (unknown) on {busy}",
                f"process 4999999 (unknown) on {busy}",
            ]
        else:
            assert record["foreign"] == []
    assert "process 4999998 (unknown)" in (session.pytester.path / "j.xml").read_text(encoding="utf-8")


def test_hardware_that_was_promised_and_is_less_fails(
    session: Session, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use("gpu-lost", library, monkeypatch)
    session.write_matrix(ACCELERATED)
    result = session.run("--mlperf-output", "out", "--mlperf-strict", "-k", "x8")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "  promised hardware",
            "    expected: 8x A100-SXM-80GB",
            "    observed: 7x A100-SXM-80GB (NVML: device 5: GPU is lost)",
        ]
    )


@pytest.mark.parametrize("way", ["option", "matrix"])
def test_a_partial_match_is_labelled_everywhere(
    way: str, session: Session, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use("dell-500w", library, monkeypatch)
    session.write_matrix(ACCELERATED + ("match: partial\n" if way == "matrix" else ""))
    options = ["--mlperf-match=partial"] if way == "option" else []
    result = session.run(*options, "--mlperf-output=out", "--junitxml=j.xml", "--html=r.html", "-k", "x4")
    assert result.ret == 0
    delta = "power limit: needs 275 W, found 500 W"
    result.stdout.fnmatch_lines([f"conformant: 1 of 1 planned cases passed (partial match: {delta})"])
    (record,) = [record for record in session.records().values() if record["ending"] == "pass"]
    assert record["deltas"] == [{"trait": "power limit", "expected": "275 W", "found": "500 W"}]
    assert f'name="partial_match" value="{delta}"' in (session.pytester.path / "j.xml").read_text()
    page = pages.read(session.pytester.path / "r.html")
    (row,) = [row for row in page.rows.values() if row["ending"] == "pass"]
    assert row["verdict"] == "PASS; partial match"
    assert delta in page.details(row["case"])["headline"]


def test_a_partial_match_is_not_placed_unasked(
    session: Session, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use("dell-500w", library, monkeypatch)
    session.write_matrix(ACCELERATED + "match: partial\n")
    result = session.run("--mlperf-match=exact", "--mlperf-output=out", "-k", "x4")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(
        ["  1 unplaced: needs 4x A100-SXM-80GB (275 W), found 4x A100-SXM-80GB (500 W)"]
    )
