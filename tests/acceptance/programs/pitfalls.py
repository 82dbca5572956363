"""Makes one failure with LoadGen happen: `python pitfalls.py NAME LOG_DIR`.

Each is a mistake that a harness can make, or a mishap on the machine. `healthy` is the test without any.
Nothing is caught: what becomes of the process is the point.
"""

from __future__ import annotations

import array
import copy
import fcntl
import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlperf_loadgen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Callback = Callable[..., object]

SAMPLES = 16
FLOOD_BYTES = 50_000_000
_MEMORY_BYTES = 256 << 20
LOCK = "grandchild.lock"

_ANSWER = array.array("i", [7])
_SERVER = {
    "scenario": mlperf_loadgen.TestScenario.Server,
    "server_target_qps": 5000.0,
    "min_query_count": 700,
}
_ACCURACY = {"mode": mlperf_loadgen.TestMode.AccuracyOnly}


def answer(*ids: int, address: int = _ANSWER.buffer_info()[0]) -> None:
    """Complete the samples with these ids."""
    responses = [mlperf_loadgen.QuerySampleResponse(i, address, _ANSWER.itemsize) for i in ids]
    mlperf_loadgen.QuerySamplesComplete(responses)


def complete(samples: list[Any]) -> None:
    """Answer a query, as it should be."""
    answer(*(sample.id for sample in samples))


def nothing(*_: Any) -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Harness:
    """What LoadGen calls, and what it is told: by default, a short SingleStream test that is VALID."""

    issue: Callback | None = complete
    flush: Callback = nothing
    load: Callback | None = nothing
    samples: tuple[int, int] = (SAMPLES, SAMPLES)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def start(self, log_dir: Path, *, sut: int | None = None, configured: Any = None) -> None:
        """Run the test, with the logs in the folder."""
        settings = configured or mlperf_loadgen.TestSettings()
        for key, value in {"min_duration_ms": 0, "min_query_count": 64, **self.settings}.items():
            setattr(settings, key, value)
        logs = mlperf_loadgen.LogSettings()
        logs.enable_trace = False
        logs.log_output.outdir = str(log_dir)
        logs.log_output.copy_summary_to_stdout = False
        mlperf_loadgen.StartTestWithLogSettings(
            mlperf_loadgen.ConstructSUT(self.issue, self.flush) if sut is None else sut,
            mlperf_loadgen.ConstructQSL(*self.samples, self.load, nothing),
            settings,
            logs,
        )


def with_settings(**settings: Any) -> Callable[[Path], None]:
    """Return a test that tells LoadGen this."""
    return Harness(settings=settings).start


def say(text: str) -> None:
    """Leave a trace of how far the process came."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def raise_error(*_: Any) -> None:
    """Fail as code does, and say so first: LoadGen may crash while Python still prints the traceback."""
    error = ValueError("the model has no weights")
    say(repr(error))
    raise error


def raise_in_thread(_: list[Any]) -> None:
    """Have a worker thread fail, which nobody waits for."""
    threading.Thread(target=raise_error).start()


def never_complete(_: list[Any]) -> None:
    """Take the query, and forget it."""
    say("LoadGen waits")


_answered: list[int] = []


def complete_twice(samples: list[Any]) -> None:
    """Answer a query, and before it the last one once more. LoadGen may have ended before a later time."""
    answer(*_answered)
    _answered[:] = [sample.id for sample in samples]
    complete(samples)


def ignore_signals(log_dir: Path) -> None:
    """Hang, with handlers for the signals that people end a stuck program with."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: say("the alarm was heard"))
    signal.alarm(1)
    Harness(issue=never_complete).start(log_dir)


def alarm_in_callback(log_dir: Path) -> None:
    """Have a signal's handler fail while LoadGen waits for the issue callback."""
    signal.signal(signal.SIGALRM, raise_error)
    Harness(issue=lambda _: signal.raise_signal(signal.SIGALRM)).start(log_dir)


def complete_after_end(log_dir: Path) -> None:
    """Answer the queries of a finished test once more; its logs are written by then."""
    ids: list[int] = []

    def remember(samples: list[Any]) -> None:
        ids.extend(sample.id for sample in samples)
        complete(samples)

    Harness(issue=remember).start(log_dir)
    say("the test has ended")
    answer(*ids)


def two_at_once(log_dir: Path) -> None:
    """Start two tests in parallel."""
    threads = [threading.Thread(target=Harness().start, args=(log_dir,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def missing_folder_twice(log_dir: Path) -> None:
    """Log into a folder that is not there, then start a test with a good one."""
    Harness().start(log_dir / "missing")
    say("LoadGen went on")
    Harness().start(log_dir)


def audited(log_dir: Path, *lines: str) -> None:
    """Run with a file in the working directory that LoadGen obeys without being told."""
    Path("audit.config").write_text("".join(f"*.*.{line}\n" for line in lines), encoding="utf-8")
    Harness().start(log_dir)


def configured_twice(log_dir: Path) -> None:
    """Read the settings from a file twice in one process."""
    user_conf = log_dir / "user.conf"
    user_conf.write_text("*.SingleStream.min_query_count = 64\n", encoding="utf-8")
    settings = mlperf_loadgen.TestSettings()
    for _ in range(2):
        settings.FromConfig(str(user_conf), "resnet50", "SingleStream", 1)
    Harness().start(log_dir, configured=settings)


def exhaust_memory(log_dir: Path) -> None:
    """Expect so fast a system that LoadGen's prepared queries do not fit into the memory."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    say("LoadGen prepares its queries")
    Harness(settings={"min_duration_ms": 600_000, "single_stream_expected_latency_ns": 1}).start(log_dir)


def leave_process(log_dir: Path, *, own_session: bool = False, issue: Callback = complete) -> None:
    """Leave a sleeping process behind. It keeps the lock on a file with its id for as long as it lives."""
    with (log_dir / LOCK).open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        argv = ["sleep", "300"]
        child = subprocess.Popen(argv, pass_fds=[lock.fileno()], start_new_session=own_session)
        lock.write(str(child.pid))
    Harness(issue=issue).start(log_dir)


def flood(log_dir: Path) -> None:
    """Print more than a pipe or a terminal can take."""
    line = "x" * 99 + "\n"
    sys.stdout.write(line * (FLOOD_BYTES // len(line)))
    Harness().start(log_dir)


def garble(_: Path) -> None:
    """Fail with bytes on stderr that are no text."""
    os.write(2, b"\x1b[31m\xff\xfe\x00<b>&amp;\x07 driver failure\n")
    sys.exit(3)


def mutter(log_dir: Path) -> None:
    """Say something harmless on stderr, and do the work."""
    sys.stderr.write("warning: the fan is loud\n")
    Harness().start(log_dir)


def score(log_dir: Path, test: Harness) -> None:
    """Run a test and leave `accuracy.txt`, as the accuracy scripts do."""
    test.start(log_dir)
    digest = hashlib.sha256((log_dir / "mlperf_log_accuracy.json").read_bytes()).hexdigest()
    text = f"accuracy=76.460%, good=16, total=16\nhash={digest}\n"
    (log_dir / "accuracy.txt").write_text(text, encoding="utf-8")


PITFALLS: Mapping[str, Callable[[Path], object]] = {
    "healthy": Harness().start,
    "healthy-accuracy": lambda log_dir: score(log_dir, Harness(settings=_ACCURACY)),
    # Callbacks
    "raises-in-issue": Harness(issue=raise_error).start,
    "raises-in-load-samples": Harness(load=raise_error).start,
    "raises-in-flush": Harness(flush=raise_error).start,
    "raises-in-worker-thread": Harness(issue=raise_in_thread).start,
    "never-completes": Harness(issue=never_complete).start,
    "ignores-signals": ignore_signals,
    "alarm-in-callback": alarm_in_callback,
    "no-issue-callback": Harness(issue=None).start,
    "no-load-callback": Harness(load=None).start,
    # Answers
    "completes-twice": Harness(issue=complete_twice).start,
    "completes-twice-accuracy": lambda log_dir: score(
        log_dir, Harness(issue=complete_twice, settings=_ACCURACY)
    ),
    "completes-after-end": complete_after_end,
    "completes-id-0": Harness(issue=lambda _: answer(0)).start,
    "bad-pointer": Harness(issue=lambda s: answer(s[0].id, address=16), settings=_ACCURACY).start,
    # What LoadGen is told
    "performance-count-0": Harness(samples=(SAMPLES, 0)).start,
    "total-count-0": Harness(samples=(0, 0)).start,
    "sut-0": lambda log_dir: Harness().start(log_dir, sut=0),
    "server-qps-0": with_settings(**{**_SERVER, "server_target_qps": 0.0, "min_duration_ms": 1000}),
    "server-qps-0-at-once": with_settings(**{**_SERVER, "server_target_qps": 0.0}),
    "server-qps-negative": with_settings(**{**_SERVER, "server_target_qps": -1.0}),
    "fraction-for-count": with_settings(min_query_count=1.5),
    "negative-count": with_settings(min_query_count=-1),
    "word-for-number": with_settings(server_target_qps="fast"),
    "unknown-setting": with_settings(target_qps=100.0),
    "copies-settings": lambda _: copy.copy(mlperf_loadgen.TestSettings()),
    "copies-response": lambda _: copy.copy(mlperf_loadgen.QuerySampleResponse(1, 0, 0)),
    "exhausts-memory": exhaust_memory,
    "configured-twice": configured_twice,
    "audit-changes-mode": lambda log_dir: audited(log_dir, "mode = 1"),
    "audit-repeats-one-sample": lambda log_dir: audited(log_dir, "performance_issue_same = 1"),
    # Tests and folders
    "two-at-once": two_at_once,
    "missing-folder": lambda log_dir: Harness().start(log_dir / "missing"),
    "missing-folder-then-good": missing_folder_twice,
    "file-for-folder": lambda _: Harness().start(Path(__file__)),
    # Results
    "too-few-queries": with_settings(min_query_count=10),
    "too-fast": with_settings(min_duration_ms=1000, single_stream_expected_latency_ns=1_000_000_000),
    "too-slow-for-server": with_settings(**_SERVER, server_target_latency_ns=1),
    "server": with_settings(**_SERVER),
    "accuracy-for-performance": with_settings(**_ACCURACY),
    "performance-for-accuracy": lambda log_dir: score(log_dir, Harness()),
    "submission-run": with_settings(mode=mlperf_loadgen.TestMode.SubmissionRun),
    "find-peak": with_settings(
        **{**_SERVER, "server_target_qps": 500.0, "min_query_count": 20},
        mode=mlperf_loadgen.TestMode.FindPeakPerformance,
        server_target_latency_ns=1,
    ),
    "find-peak-without-server": with_settings(mode=mlperf_loadgen.TestMode.FindPeakPerformance),
    # The process
    "no-logs": nothing,
    "killed": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "garbles-stderr": garble,
    "mutters": mutter,
    "floods-stdout": flood,
    "leaves-process": leave_process,
    "leaves-process-and-hangs": lambda log_dir: leave_process(log_dir, issue=never_complete),
    "leaves-process-in-own-session": lambda log_dir: leave_process(log_dir, own_session=True),
}


if __name__ == "__main__":
    PITFALLS[sys.argv[1]](Path(sys.argv[2]))
