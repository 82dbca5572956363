from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_mlperf.process import Child, Exit, run


def child(folder: Path, program: str, *arguments: object, **env: str) -> Child:
    """Return a Python child that works in a folder, with its output beside it."""
    return Child(
        argv=(sys.executable, "-c", program, *map(str, arguments)),
        env={**os.environ, **env},
        cwd=folder,
        stdout=folder / "stdout.txt",
        stderr=folder / "stderr.txt",
    )


def is_running(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def ends(pid: int) -> bool:
    """Tell whether a process ends within a moment: the kernel needs one to end what it has killed."""
    for _ in range(200):
        if not is_running(pid):
            return True
        time.sleep(0.01)
    return False


# Writes down its own process id and that of a grandchild which sleeps for long and hears no SIGTERM.
FAMILY = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pid = os.fork()
if not pid:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    time.sleep(600)
with open("family.part", "w") as stream:
    print(os.getpid(), pid, file=stream)
os.rename("family.part", "family")
{}
"""


def _family(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "family").read_text(encoding="ascii").split()]


@pytest.mark.parametrize("code", [0, 1, 2, 77, 255])
def test_an_exit_status_is_a_value(code: int, tmp_path: Path) -> None:
    outcome = run(child(tmp_path, f"raise SystemExit({code})"), time_limit_s=30)
    assert (outcome.code, outcome.signal, outcome.timed_out) == (code, None, False)
    assert 0 < outcome.duration_s < 30


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGABRT", "SIGTERM"])
def test_a_signal_is_named(name: str, tmp_path: Path) -> None:
    program = f"import os, signal; os.kill(os.getpid(), signal.{name})"
    outcome = run(child(tmp_path, program), time_limit_s=30)
    assert (outcome.code, outcome.signal, outcome.timed_out) == (None, name, False)


def test_a_real_time_signal_is_named(tmp_path: Path) -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGRTMIN + 1)"
    outcome = run(child(tmp_path, program), time_limit_s=30)
    assert (outcome.code, outcome.timed_out) == (None, False)
    assert outcome.signal


def test_an_exit_status_beyond_128_is_no_signal(tmp_path: Path) -> None:
    outcome = run(child(tmp_path, "raise SystemExit(139)"), time_limit_s=30)
    assert (outcome.code, outcome.signal) == (139, None)


def test_the_time_limit_ends_a_child_with_all_that_it_started(tmp_path: Path) -> None:
    started = time.monotonic()
    outcome = run(child(tmp_path, FAMILY.format("time.sleep(600)")), time_limit_s=1)
    assert (outcome.code, outcome.signal, outcome.timed_out) == (None, None, True)
    assert 1 <= outcome.duration_s <= time.monotonic() - started < 10
    assert all(ends(pid) for pid in _family(tmp_path))


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        pytest.param("os._exit(0)", (0, None), id="normal end"),
        pytest.param("os._exit(3)", (3, None), id="failure"),
        pytest.param("os.kill(os.getpid(), signal.SIGSEGV)", (None, "SIGSEGV"), id="crash"),
    ],
)
def test_what_a_child_leaves_behind_is_ended(
    end: str, expected: tuple[int | None, str | None], tmp_path: Path
) -> None:
    outcome = run(child(tmp_path, FAMILY.format(end)), time_limit_s=30)
    assert (outcome.code, outcome.signal) == expected
    assert not outcome.timed_out
    assert all(ends(pid) for pid in _family(tmp_path))


def test_a_grandchild_with_a_session_of_its_own_is_ended_too(tmp_path: Path) -> None:
    program = FAMILY.replace("if not pid:\n", "if not pid:\n    os.setsid()\n")
    outcome = run(child(tmp_path, program.format("os._exit(0)")), time_limit_s=30)
    assert outcome.code == 0
    assert all(ends(pid) for pid in _family(tmp_path))


def test_the_output_goes_to_files_and_is_appended(tmp_path: Path) -> None:
    program = "import sys; print('out', sys.argv[1]); print('err', sys.argv[1], file=sys.stderr)"
    for word in ("one", "two"):
        run(child(tmp_path, program, word), time_limit_s=30)
    assert (tmp_path / "stdout.txt").read_text(encoding="utf-8") == "out one\nout two\n"
    assert (tmp_path / "stderr.txt").read_text(encoding="utf-8") == "err one\nerr two\n"


def test_output_that_nobody_reads_does_not_block(tmp_path: Path) -> None:
    outcome = run(child(tmp_path, "import os; os.write(1, b'x' * 5_000_000)"), time_limit_s=30)
    assert outcome.code == 0
    assert (tmp_path / "stdout.txt").stat().st_size == 5_000_000


SEEN = """
import os, sys
print(os.getcwd(), os.environ["GREETING"], "HOME" in os.environ, repr(sys.stdin.read()))
print(os.getpgid(0) == os.getpid(), os.getsid(0) == os.getpid())
"""


def test_a_child_has_its_folder_its_environment_and_a_group_of_its_own(tmp_path: Path) -> None:
    only = Child(
        argv=(sys.executable, "-c", SEEN),
        env={"GREETING": "hello; $HOME"},
        cwd=tmp_path,
        stdout=tmp_path / "stdout.txt",
        stderr=tmp_path / "stderr.txt",
    )
    assert run(only, time_limit_s=30).code == 0
    said = (tmp_path / "stdout.txt").read_text(encoding="utf-8")
    assert said == f"{tmp_path.resolve()} hello; $HOME False ''\nTrue True\n"


def test_arguments_pass_no_shell(tmp_path: Path) -> None:
    arguments = ("$HOME", "a b", "; touch x", "*")
    run(child(tmp_path, "import sys; print(sys.argv[1:])", *arguments), time_limit_s=30)
    assert (tmp_path / "stdout.txt").read_text(encoding="utf-8") == f"{list(arguments)}\n"
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("program", "error"),
    [
        pytest.param("no-such-program", FileNotFoundError, id="missing"),
        pytest.param("./none/program", FileNotFoundError, id="missing folder"),
        pytest.param("./plain.txt", PermissionError, id="not executable"),
        pytest.param("./cut", OSError, id="no program"),
    ],
)
def test_a_program_that_cannot_be_started_is_an_os_error(
    program: str, error: type[OSError], tmp_path: Path
) -> None:
    (tmp_path / "plain.txt").touch()
    (tmp_path / "cut").write_bytes(b"\x7fELF")
    (tmp_path / "cut").chmod(0o755)
    child = Child(
        argv=(program,),
        env={"PATH": "/usr/bin"},
        cwd=tmp_path,
        stdout=tmp_path / "stdout.txt",
        stderr=tmp_path / "stderr.txt",
    )
    with pytest.raises(error):
        run(child, time_limit_s=30)


def test_an_interrupt_ends_the_child_too(tmp_path: Path) -> None:
    # The parent of the family calls `run` and is interrupted as a terminal does it.
    program = f"""
import os, sys, threading, time, signal
from pathlib import Path
from pytest_mlperf.process import Child, run

signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt():
    while not Path("family").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
argv = (sys.executable, "-c", {FAMILY.format("time.sleep(600)")!r})
here = Path.cwd()
run(Child(argv=argv, env=os.environ, cwd=here, stdout=here / "out", stderr=here / "err"), time_limit_s=60)
"""
    outcome = run(child(tmp_path, program, PYTHONPATH=str(Path(__file__).parents[2])), time_limit_s=30)
    assert outcome.signal == "SIGINT"
    assert all(ends(pid) for pid in _family(tmp_path))


def test_an_exit_is_a_value(tmp_path: Path) -> None:
    outcome = run(child(tmp_path, ""), time_limit_s=30)
    assert outcome == Exit(code=0, signal=None, timed_out=False, duration_s=outcome.duration_s)


INTERRUPTED_AT_ANY_MOMENT = """
import os, random, signal, sys, threading, time
from pathlib import Path

from pytest_mlperf.process import Child, run

def end(number, frame):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, end)
folder = Path(sys.argv[1])
child = Child(argv=["sleep", "60"], env=os.environ, cwd=folder, stdout=folder / "out", stderr=folder / "err")
for _ in range(100):
    def soon():
        time.sleep(random.uniform(0, 0.004))
        os.kill(os.getpid(), signal.SIGTERM)

    try:
        threading.Thread(target=soon).start()
        run(child, time_limit_s=2)
    except KeyboardInterrupt:
        pass
    time.sleep(0.005)
"""


def test_an_interrupt_at_any_moment_leaves_no_child(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", INTERRUPTED_AT_ANY_MOMENT, str(tmp_path)]
    subprocess.run(argv, check=True, timeout=60)
    left = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink() == tmp_path:
                left.append(entry.name)
    for number in left:
        os.kill(int(number), signal.SIGKILL)
    assert left == []
