"""Cases in containers: judged like all others, ended with their session, removed if it was killed."""

from __future__ import annotations

import signal
import sys
import time
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sessions import PROGRAMS

from pytest_mlperf.executor.container import CASE, SESSION

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from sessions import Session

MATRIX = """\
round: v2.0
category: smoke
harnesses:
  boxed:
    argv: [sh, -c, "echo ready && @"]
    score: [cp, "/ready/accuracy.txt", "{log_dir}"]
    container:
      image: @image
      mounts: [{source: "{matrix_dir}/../ready", target: /ready}]
axes: {sku: CPU, benchmark: resnet50, harness: boxed, scenario: Offline, mode: AccuracyOnly}
"""
CASE_ID = "resnet50-CPU-boxed_k_99_MaxP-Offline-AccuracyMode"
FOREVER = "exec sleep 600"
COPY = "cp /ready/mlperf_log_* {log_dir}"
END_S = 5
PATIENCE_S = 60


@dataclass(frozen=True, kw_only=True)
class Boxed:
    """A session whose one case runs in a container."""

    session: Session
    client: Any
    image: str

    def write(self, script: str, *, image: str | None = None, more: str = "") -> None:
        text = MATRIX.replace("@image", image or self.image).replace("@", script)
        self.session.write_matrix(text + more)

    def containers(self, output: str = "out") -> list[Any]:
        label = f"{SESSION}={self.session.pytester.path / output / 'cases'}"
        return list(self.client.containers.list(all=True, ignore_removed=True, filters={"label": label}))

    @contextmanager
    def running(self, *options: str, output: str = "out") -> Iterator[subprocess.Popen[bytes]]:
        """Give a session whose case has said its first word."""
        self.write(FOREVER)
        with self.session.start(*options, "--mlperf-output", output, "--junitxml=j.xml") as process:
            deadline = time.monotonic() + PATIENCE_S
            said = self.session.pytester.path / output / "cases" / CASE_ID / "stdout.txt"
            while not said.exists() or not said.read_text(encoding="utf-8"):
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.05)
            yield process

    def gone(self, output: str = "out") -> bool:
        """Wait for the containers of a session to be removed."""
        deadline = time.monotonic() + END_S
        while self.containers(output):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


@pytest.fixture
def boxed(session: Session, engine_client: Any, busybox_image: str, engine_gate: object) -> Iterator[Boxed]:
    del engine_gate  # held meanwhile
    ready = session.pytester.path / "ready"
    ready.mkdir()
    argv = [sys.executable, str(PROGRAMS / "scripted_run.py"), "good", "Offline", "AccuracyOnly", str(ready)]
    assert session.pytester.run(*argv).ret == 0
    boxed = Boxed(session=session, client=engine_client, image=busybox_image)
    yield boxed
    for output in ("out", "other"):
        for container in boxed.containers(output):
            container.remove(force=True)


PROCESSES = pytest.mark.parametrize(
    "options", [("-p", "no:xdist"), ("-n0",), ("-n2",)], ids=["no:xdist", "n0", "n2"]
)


@PROCESSES
def test_case_is_judged_and_says_what_its_steps_ran_in(boxed: Boxed, options: tuple[str, ...]) -> None:
    boxed.write(COPY, more="defaults: {privileges: [seccomp=unconfined]}\n")
    session = boxed.session
    result = session.pytester.runpytest_subprocess(*options, "--mlperf-output=out", "--junitxml=j.xml")
    result.assert_outcomes(passed=1)
    record = session.records()[CASE_ID]
    digest = boxed.client.images.get(boxed.image).id
    assert [(step["name"], step["image"], step["privileges"]) for step in record["steps"]] == [
        (name, digest, ["seccomp=unconfined"]) for name in ("run", "score")
    ]
    properties = {
        p.get("name"): p.get("value")
        for p in ET.parse(session.pytester.path / "j.xml").iter("property")  # noqa: S314  written by us
    }
    assert (properties["image"], properties["privileges"]) == (digest, "seccomp=unconfined")
    assert boxed.containers() == []


@PROCESSES
def test_container_ends_with_a_session_that_is_told_to_end(boxed: Boxed, options: tuple[str, ...]) -> None:
    with boxed.running(*options) as process:
        [container] = boxed.containers()
        assert (container.status, container.labels[CASE]) == ("running", CASE_ID)
        process.send_signal(signal.SIGTERM)
        assert boxed.gone()
        assert process.wait(timeout=4 * END_S) == pytest.ExitCode.INTERRUPTED
    assert "footer" in boxed.session.lines()[-1]
    record = boxed.session.records()[CASE_ID]
    assert record["ending"] == "error"
    assert record["reason"].startswith("left no record: ended by SIGTERM in run, ")
    assert record["reason"].endswith(f": see cases/{CASE_ID}")
    [case] = ET.parse(boxed.session.pytester.path / "j.xml").iter("testcase")  # noqa: S314  written by us
    [error] = case.iter("error")
    assert "ended by SIGTERM" in (error.get("message") or "") + (error.text or "")


def test_container_of_workers_ends_with_the_session_that_was_killed(boxed: Boxed) -> None:
    with boxed.running("-n2") as process:
        process.kill()
        process.wait()
        assert boxed.gone()


@pytest.mark.usefixtures("engine_alone")
def test_container_that_a_kill_left_is_removed_by_the_next_session(boxed: Boxed) -> None:
    with boxed.running("-p", "no:xdist") as killed:
        killed.kill()
    [orphan] = boxed.containers()
    assert orphan.status == "running"
    with boxed.running("-p", "no:xdist", output="other") as live:
        assert not boxed.containers()
        said = (boxed.session.pytester.path / "said.txt").read_text(encoding="utf-8")
        assert f"\nremoved what killed processes left: {orphan.name}\n" in said
        boxed.write(COPY)
        result = boxed.session.run("--mlperf-output=third")
        result.assert_outcomes(passed=1)
        assert "removed what" not in result.stderr.str()
        [container] = boxed.containers("other")
        assert (container.status, live.poll()) == ("running", None)


@pytest.mark.usefixtures("engine_alone")
def test_session_without_cases_in_containers_removes_nothing(boxed: Boxed) -> None:
    with boxed.running("-p", "no:xdist") as killed:
        killed.kill()
    boxed.session.write_matrix(
        "round: v2.0\ncategory: smoke\n"
        "axes: {sku: CPU, benchmark: good, harness: scripted, scenario: Offline, mode: AccuracyOnly}\n"
    )
    result = boxed.session.run("--mlperf-output=other")
    result.assert_outcomes(passed=1)
    assert "removed what" not in result.stderr.str()
    [orphan] = boxed.containers()
    assert orphan.status == "running"


def test_image_that_is_missing_is_an_error_with_a_way_out(boxed: Boxed) -> None:
    boxed.write(COPY, image="no-such-image:1")
    boxed.session.run("--mlperf-output=out").assert_outcomes(errors=1)
    record = boxed.session.records()[CASE_ID]
    assert (record["ending"], record["error"], record["steps"]) == ("error", "RunError", [])
    assert record["reason"] == (
        "step 'run': image 'no-such-image:1': the container engine does not have it (nothing is pulled: "
        "make it with `docker build -t no-such-image:1 .`, or bring it with `docker load`)"
    )
