from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.errors import RunError
from pytest_mlperf.executor import Terms, limit
from pytest_mlperf.executor.ending import STDERR, STDOUT
from pytest_mlperf.executor.local import execute
from pytest_mlperf.executor.stages import Runner, Step
from pytest_mlperf.harness import Command

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, *programs: str, time_limit_s: float = 30) -> None:
    """Execute Python programs as the steps `run`, `score` and `more` of a case."""
    steps = tuple(
        Command(name=name, argv=(sys.executable, "-c", program), env=os.environ)
        for name, program in zip(("run", "score", "more"), programs, strict=False)
    )
    ended: list[Step] = []
    terms = Terms(limit=limit(time_limit_s))
    Runner(execute=execute, find_image=no_image, terms=terms, ended=ended.append).run(steps, folder)
    assert [step.name for step in ended] == [step.name for step in steps]


def no_image(name: str) -> None:
    raise AssertionError(name)


def failure(folder: Path, *programs: str, time_limit_s: float = 30) -> str:
    with pytest.raises(RunError) as caught:
        run(folder, *programs, time_limit_s=time_limit_s)
    return str(caught.value)


def test_steps_run_one_after_the_other_in_the_folder(tmp_path: Path) -> None:
    program = "import os, sys; print(os.getcwd()); print({!r}, file=sys.stderr)"
    run(tmp_path, program.format("one"), program.format("two"))
    assert (tmp_path / STDOUT).read_text(encoding="utf-8") == f"{tmp_path.resolve()}\n" * 2
    assert (tmp_path / STDERR).read_text(encoding="utf-8") == "one\ntwo\n"


NATIVE = "a crash of native code, such as an answer to LoadGen with a wrong id or address, or after the end"
SECOND = "open('second', 'w').close()"

# The first step, what is said of its end, and the hint.
ENDS = {
    "silence": ("raise SystemExit(3)", "exited with 3", "it said nothing", ""),
    "words": ("import os; os.write(2, b'no model'); os._exit(2)", "exited with 2", "no model", ""),
    "exception": (
        "import sys; sys.excepthook = lambda *e: print('ValueError: 3\\n  late words', file=sys.stderr)\n1/0",
        "exited with 1",
        "ValueError: 3",
        "",
    ),
    "several lines": ("raise SystemExit('first\\n\\nlast  \\n\\n')", "exited with 1", "last", ""),
    "colours and bells": (
        "raise SystemExit('\\x1b[31mred\\x07\\x1b[0m')",
        "exited with 1",
        "[31mred  [0m",
        "",
    ),
    "bytes that are no text": (
        "import os; os.write(2, b'caf\\xe9'); os._exit(1)",
        "exited with 1",
        "caf\N{REPLACEMENT CHARACTER}",
        "",
    ),
    "crash": (
        "import os; os.kill(os.getpid(), 11)",
        "was ended by SIGSEGV",
        "it said nothing",
        f" ({NATIVE})",
    ),
    "kill": (
        "import os; os.kill(os.getpid(), 9)",
        "was ended by SIGKILL",
        "it said nothing",
        " (out of memory? The kernel's log says so (dmesg))",
    ),
    "kill, told by a shell": (
        "raise SystemExit(137)",
        "exited with 137 (which is 128 + SIGKILL)",
        "it said nothing",
        " (out of memory? The kernel's log says so (dmesg))",
    ),
    "end, told by a shell": (
        "raise SystemExit(143)",
        "exited with 143 (which is 128 + SIGTERM)",
        "it said nothing",
        "",
    ),
    "no signal": ("raise SystemExit(255)", "exited with 255", "it said nothing", ""),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_step_that_fails_says_how_it_ended_and_its_last_words(name: str, tmp_path: Path) -> None:
    program, ended, words, hint = ENDS[name]
    said = failure(tmp_path, program, SECOND)
    assert said.startswith(f"stderr.txt: step 'run' {ended} after 0.")
    assert said.endswith(f" s: {words}{hint}")
    assert not (tmp_path / "second").exists()


def test_the_words_of_an_earlier_step_are_not_taken_for_those_of_a_later_one(tmp_path: Path) -> None:
    said = failure(tmp_path, "import sys; print('fine', file=sys.stderr)", "raise SystemExit(4)")
    assert said.startswith("stderr.txt: step 'score' exited with 4 after ")
    assert said.endswith(": it said nothing")


def test_of_many_words_the_last_are_said(tmp_path: Path) -> None:
    said = failure(tmp_path, "raise SystemExit('x' * 100_000)")
    assert len(said) < 5000
    assert said.endswith("x" * 4000)


def test_the_time_limit_is_for_all_steps_together(tmp_path: Path) -> None:
    wait = "import sys, time; print('busy', file=sys.stderr, flush=True); time.sleep({})"
    said = failure(tmp_path, wait.format(0.5), wait.format(30), SECOND, time_limit_s=1)
    assert said == (
        "stderr.txt: step 'score' was killed at the time limit of 1.0 s: busy "
        "(is it stuck, or is time_limit_s in the matrix too short?)"
    )


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    step = Command(name="run", argv=("no-such-program", "--help"), env={"PATH": "/usr/bin"})
    with pytest.raises(RunError) as caught:
        execute(step, tmp_path, Terms(limit=limit(30)))
    assert str(caught.value) == "step 'run': cannot start no-such-program: No such file or directory"


def test_no_step_is_no_failure(tmp_path: Path) -> None:
    run(tmp_path)
    assert list(tmp_path.iterdir()) == []
