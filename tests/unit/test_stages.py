"""Stages: steps that are done once, until something that they depend on has changed."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.errors import RunError
from pytest_mlperf.executor import Terms, limit
from pytest_mlperf.executor.local import execute
from pytest_mlperf.executor.stages import Runner, Step
from pytest_mlperf.harness import Command, Container, Stamp

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import StartPython

COUNT = "open('count', 'a').write('.')"


@dataclass(frozen=True, kw_only=True)
class Stages:
    """Runs the stage `build` of cases that share a folder of stamps.

    images: of the container engine, digest by name
    """

    folder: Path
    images: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    limits: list[tuple[str, float, bool]] = field(default_factory=list)
    ended: list[Step] = field(default_factory=list)

    @property
    def stamp(self) -> Stamp:
        return Stamp(path=self.folder / "stamps/build.json", inputs={"driver": "510", "source": "a"})

    def command(self, program: str = COUNT, stamp: Stamp | None = None) -> Command:
        argv = (sys.executable, "-c", program)
        return Command(name="build", argv=argv, env=os.environ, stamp=stamp or self.stamp)

    def run(self, command: Command, *, time_limit_s: float = 30) -> Step:
        runner = Runner(
            execute=execute,
            find_image=self.images.get,
            terms=Terms(limit=limit(time_limit_s), notice=self.notices.append),
            ended=self.ended.append,
            progress=lambda name, ends: self.limits.append((name, ends.duration_s, ends.of_step)),
        )
        runner.run([command], self.folder)
        return self.ended[-1]

    def refused(self, command: Command, *, time_limit_s: float = 30) -> str:
        with pytest.raises(RunError) as caught:
            self.run(command, time_limit_s=time_limit_s)
        return str(caught.value)

    @property
    def count(self) -> int:
        """How often the stage was done."""
        path = self.folder / "count"
        return len(path.read_text(encoding="utf-8")) if path.exists() else 0


@pytest.fixture
def stages(tmp_path: Path) -> Stages:
    return Stages(folder=tmp_path)


def test_a_stage_is_done_once_and_says_when(stages: Stages) -> None:
    first = stages.run(stages.command())
    assert first.duration_s is not None
    assert (first.name, first.done_at, first.why) == ("build", None, None)
    again = stages.run(stages.command())
    assert (again.name, again.duration_s, again.why) == ("build", None, None)
    assert again.done_at is not None
    assert abs(datetime.now(timezone.utc) - datetime.fromisoformat(again.done_at)).total_seconds() < 60
    assert (stages.count, len(stages.limits), stages.notices) == (1, 1, [])


def test_a_step_without_a_stamp_is_done_every_time(stages: Stages) -> None:
    for _ in range(2):
        assert stages.run(replace(stages.command(), stamp=None)).duration_s is not None
    assert stages.count == 2
    assert not (stages.folder / "stamps").exists()


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        pytest.param({"driver": "535", "source": "a"}, "driver: 535, was 510", id="other"),
        pytest.param({"driver": "535", "source": "b"}, "driver: 535, was 510; source: b, was a", id="others"),
        pytest.param({"driver": "510"}, "source: none, was a", id="fewer"),
        pytest.param({"driver": "510", "source": "a", "gpu": "A2"}, "gpu: A2, was none", id="more"),
    ],
)
def test_a_stage_is_done_again_for_other_inputs(inputs: dict[str, str], why: str, stages: Stages) -> None:
    stages.run(stages.command())
    other = replace(stages.stamp, inputs=inputs)
    assert stages.run(stages.command(stamp=other)).why == why
    assert stages.run(stages.command(stamp=other)).done_at is not None
    assert stages.count == 2


FAILURES = {
    "failed": "raise SystemExit(3)",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "too slow": "import time; time.sleep(30)",
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_stage_that_did_not_end_well_is_done_again(name: str, stages: Stages) -> None:
    stages.run(stages.command())
    other = replace(stages.stamp, inputs={"driver": "535"})
    stages.refused(stages.command(FAILURES[name], other), time_limit_s=1)
    assert not stages.stamp.path.exists()
    failed = stages.ended[-1]
    assert (failed.failed, failed.why, failed.duration_s is None) == (
        True,
        "driver: 535, was 510; source: none, was a",
        False,
    )
    for _ in range(2):
        stages.run(stages.command())
    assert stages.count == 2


def test_a_stage_whose_image_is_gone_is_done_again(stages: Stages) -> None:
    command = stages.command(stamp=replace(stages.stamp, image="made:1"))
    stages.run(command)
    stages.images["made:1"] = "sha256:1"
    assert stages.run(command).done_at is not None
    del stages.images["made:1"]
    assert stages.run(command).why == "image made:1 is gone"
    assert stages.count == 2


def test_a_stage_whose_folder_is_gone_is_done_again(stages: Stages) -> None:
    folder = stages.folder / "engines"
    made = "import pathlib; pathlib.Path('engines').mkdir(exist_ok=True); open('engines/e.plan', 'w').close()"
    command = stages.command(f"{COUNT}; {made}", replace(stages.stamp, folder=folder))
    stages.run(command)
    assert stages.run(command).done_at is not None
    (folder / "e.plan").unlink()
    assert stages.run(command).why == f"{folder / 'e.plan'} is gone"
    (folder / "of-another-case.plan").touch()
    assert stages.run(command).done_at is not None
    (folder / "e.plan").unlink()
    assert stages.run(command).why == f"{folder / 'e.plan'} is gone"
    shutil.rmtree(folder)
    assert stages.run(command).why == f"{folder / 'e.plan'} is gone"
    assert stages.count == 4


def test_a_stage_is_only_done_again_for_files_of_its_own(stages: Stages) -> None:
    folder = stages.folder / "engines"
    folder.mkdir()
    (folder / "other.plan").touch()
    stamp = replace(stages.stamp, folder=folder, own="e.*")
    command = stages.command(f"{COUNT}; open('engines/e.plan', 'w').close()", stamp)
    stages.run(command)
    (folder / "other.plan").unlink()
    assert stages.run(command).done_at is not None
    (folder / "other.plan").touch()
    (folder / "e.plan").unlink()
    assert stages.run(command).why == f"{folder / 'e.plan'} is gone"


def test_a_stage_that_filled_no_folder_is_done_again(stages: Stages) -> None:
    command = stages.command(stamp=replace(stages.stamp, folder=stages.folder / "engines"))
    stages.run(command)
    assert stages.run(command).why == f"{stages.folder / 'engines'} is empty"


def test_a_stage_whose_base_is_another_is_done_again(stages: Stages) -> None:
    stages.images.update({"base:1": "sha256:1", "made:1": "sha256:2"})
    command = stages.command(stamp=replace(stages.stamp, image="made:1", base="base:1"))
    stages.run(command)
    assert stages.run(command).done_at is not None
    stages.images["base:1"] = "sha256:3"
    assert stages.run(command).why == "base: sha256:3, was sha256:1"


def test_nobody_waits_for_a_stage_of_another_beyond_the_limit(stages: Stages) -> None:
    stages.run(stages.command())
    with (stages.folder / "stamps" / ".lock").open() as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        assert stages.refused(stages.command(), time_limit_s=0.5) == (
            f"{stages.folder}/stamps/.lock: step 'build': waited for a stage of another case up to the time "
            "limit of 0.5 s (nothing of it was run: raise time_limit_s, or wait for the other session)"
        )
    assert stages.count == 1


def test_a_stage_is_done_again_in_another_image(stages: Stages) -> None:
    command = replace(stages.command(), container=Container(image="harness:1"))
    assert stages.refused(command).startswith(
        "step 'build': image 'harness:1': the container engine does not have it"
    )
    stages.images["harness:1"] = "sha256:1"
    assert stages.run(command).image == "sha256:1"
    again = stages.run(command)
    assert (again.image, again.done_at is None) == ("sha256:1", False)
    stages.images["harness:1"] = "sha256:2"
    assert stages.run(command).why == "image: sha256:2, was sha256:1"
    assert stages.count == 2


CORRUPT = ["", "{", "[]", "{}", "3", '{"done_at": "now"}', '{"done_at": "now", "inputs": 3}', "\xff"]


@pytest.mark.parametrize("text", CORRUPT)
def test_a_stamp_that_says_nothing_is_none(text: str, stages: Stages) -> None:
    stages.run(stages.command())
    stages.stamp.path.write_text(text, encoding="latin-1")
    assert stages.run(stages.command()).done_at is None
    assert stages.run(stages.command()).done_at is not None
    assert stages.count == 2


def test_a_folder_of_stamps_that_cannot_be_made_is_an_error(stages: Stages) -> None:
    (stages.folder / "stamps").touch()
    assert stages.refused(stages.command()) == (
        f"{stages.folder}/stamps: step 'build': cannot remember that it was done: File exists"
    )
    assert stages.count == 0


@pytest.mark.parametrize("name", ["build.json", "build.draft"])
def test_a_stamp_that_cannot_be_written_is_an_error(name: str, stages: Stages) -> None:
    (stages.folder / "stamps" / name).mkdir(parents=True)
    assert stages.refused(stages.command()) == (
        f"{stages.folder}/stamps: step 'build': cannot remember that it was done: Is a directory"
    )


@pytest.mark.parametrize(
    ("of_step_s", "of_case_s", "said"),
    [
        pytest.param(0.5, 30, "step 'build' was killed at its own time limit of 0.5 s: ", id="step"),
        pytest.param(30, 0.5, "step 'build' was killed at the time limit of 0.5 s: ", id="case"),
        pytest.param(None, 0.5, "step 'build' was killed at the time limit of 0.5 s: ", id="case alone"),
    ],
)
def test_the_limit_that_was_reached_is_named(
    of_step_s: float | None, of_case_s: float, said: str, stages: Stages
) -> None:
    command = replace(stages.command("import time; time.sleep(30)"), time_limit_s=of_step_s)
    started = time.monotonic()
    assert stages.refused(command, time_limit_s=of_case_s).startswith(f"stderr.txt: {said}")
    assert time.monotonic() - started < 15
    assert stages.limits == [("build", 0.5, of_step_s == 0.5)]


PROGRAM = """\
import os, sys
from pathlib import Path
from pytest_mlperf.executor import Terms, limit
from pytest_mlperf.executor.local import execute
from pytest_mlperf.executor.stages import Runner
from pytest_mlperf.harness import Command, Stamp

folder, name = Path(sys.argv[1]), sys.argv[2]
slow = (
    "import time, pathlib; pathlib.Path('../begun').touch(); open('../count', 'a').write('.')\\n"
    "while not pathlib.Path('../told').exists(): time.sleep(0.02)"
)
stamp = Stamp(path=folder / "stamps/build.json", inputs={"driver": "510"})
step = Command(name="build", argv=(sys.executable, "-c", slow), env=os.environ, stamp=stamp)
notice = lambda text: print(text, flush=True)
ended = lambda done: print("waited" if done.done_at else "done", flush=True)
runner = Runner(execute=execute, find_image=str, terms=Terms(limit=limit(60), notice=notice), ended=ended)
(folder / name).mkdir()
runner.run([step], folder / name)
"""


def test_of_two_at_once_one_does_a_stage_and_the_other_waits(
    stages: Stages, start_python: StartPython
) -> None:
    first = start_python(PROGRAM, stages.folder, "first")
    deadline = time.monotonic() + 60
    while not (stages.folder / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    second = start_python(PROGRAM, stages.folder, "second")
    assert second.stdout is not None
    waits = second.stdout.readline()
    assert waits == f"step 'build' waits for a stage of another case ({stages.folder}/stamps)\n"
    (stages.folder / "told").touch()
    assert first.communicate(timeout=60) == ("done\n", "")
    assert second.communicate(timeout=60) == ("waited\n", "")
    assert stages.count == 1


def test_a_stamp_says_for_what_it_was_done(stages: Stages) -> None:
    stages.run(stages.command())
    content = json.loads(stages.stamp.path.read_text(encoding="utf-8"))
    assert content["inputs"] == stages.stamp.inputs
    assert sorted(path.name for path in stages.stamp.path.parent.iterdir()) == [".lock", "build.json"]
