"""Whatever goes wrong with LoadGen in a child process, pytest survives it and says what happened.

The failures are made to happen by the real LoadGen (`programs/pitfalls.py`) or by spoiling its real logs
(`programs/spoil.py`); how each must end stands in `programs/failures.yaml`.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    Failure = Mapping[str, Any]

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
SUITE = HERE.parents[1] / "suites" / "test_conformance.py"
FAILURES: Mapping[str, Failure] = yaml.safe_load((PROGRAMS / "failures.yaml").read_text(encoding="utf-8"))
OUTPUT = "results"
LOCK = "grandchild.lock"
WORKERS = {"in pytest": 0, "in workers": 2}


@dataclass(frozen=True, kw_only=True)
class Run:
    """A session of pytest over all failures: what it printed, and the records it left by benchmark.

    survivors: the failures that left a process behind which was alive when the session had ended
    """

    folder: Path
    returncode: int
    printed: str
    records: Mapping[str, Mapping[str, Any]]
    footer: Mapping[str, Any]
    survivors: frozenset[str]

    def case_folder(self, name: str) -> Path:
        return self.folder / OUTPUT / str(self.records[name]["folder"])


@pytest.fixture(scope="session")
def runs() -> dict[str, Run | None]:
    """The sessions so far; None is one that did not end in order, and is not tried again."""
    return {}


@pytest.fixture(params=WORKERS)
def run(
    request: pytest.FixtureRequest,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    runs: dict[str, Run | None],
) -> Run:
    """Run the suite once for all tests of this file, without workers, and once with."""
    if request.param not in runs:
        runs[request.param] = None
        # A lock of its own: not to wait for the measurements of other sessions.
        monkeypatch.setenv("TMPDIR", str(pytester.mkdir("locks")))
        make_site(pytester)
        options = ["-n", str(WORKERS[request.param])] if WORKERS[request.param] else []
        result = pytester.runpytest_subprocess(
            SUITE.name,
            "--mlperf-matrix=failures-matrix.yaml",
            f"--mlperf-output={OUTPUT}",
            *options,
            timeout=120,
        )
        runs[request.param] = read_run(pytester.path, int(result.ret), result.stdout.str())
    done = runs[request.param]
    assert done is not None, "the session did not end: see the first test of this file"
    return done


def make_site(pytester: pytest.Pytester) -> None:
    folder = pytester.path
    pytester.makeini("[pytest]\naddopts = --strict-markers -p no:cacheprovider\nfilterwarnings = error\n")
    shutil.copy(SUITE, folder)
    shutil.copy(PROGRAMS / "site_conftest.py", folder / "conftest.py")
    for name in ("pitfalls.py", "spoil.py", "failures.yaml"):
        shutil.copy(PROGRAMS / name, folder)
    (folder / "failures-matrix.yaml").write_text(yaml.safe_dump(matrix()), encoding="utf-8")


def matrix() -> dict[str, Any]:
    overrides = [
        {"match": {"benchmark": name}, "time_limit_s": failure["time_limit_s"]}
        for name, failure in FAILURES.items()
        if "time_limit_s" in failure
    ]
    include = [
        {
            "benchmark": name,
            "scenario": failure.get("scenario", "SingleStream"),
            "mode": failure.get("mode", "PerformanceOnly"),
        }
        for name, failure in FAILURES.items()
    ]
    return {
        "round": "v2.0",
        "category": "smoke",
        "defaults": {"share_host": True},
        "axes": {"sku": "CPU", "harness": "pitfalls"},
        "include": include,
        "overrides": overrides,
    }


def read_run(folder: Path, returncode: int, printed: str) -> Run:
    lines = (folder / OUTPUT / "records.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    records = [entry["record"] for entry in entries if "record" in entry]
    return Run(
        folder=folder,
        returncode=returncode,
        printed=printed,
        records={record["case"]["benchmark"]: record for record in records},
        footer=entries[-1].get("footer", {}),
        survivors=frozenset(
            lock.parents[1].name.partition("-CPU")[0] for lock in folder.rglob(LOCK) if end(lock)
        ),
    )


def end(lock: Path) -> bool:
    """End the process that keeps a lock; return whether there was one."""
    with lock.open(encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.kill(int(stream.read()), signal.SIGKILL)
            return True
    return False


@pytest.mark.parametrize(("name", "failure"), FAILURES.items(), ids=FAILURES)
def test_ends_as_it_must(run: Run, name: str, failure: Failure) -> None:
    record = run.records[name]
    reason = record["reason"] or ""
    assert (record["ending"], reason) == (failure["ending"], reason)
    pattern = ".*".join(re.escape(str(piece)) for piece in failure.get("reason", ()))
    assert re.search(pattern, reason, re.DOTALL), reason


@pytest.mark.parametrize("name", [name for name, failure in FAILURES.items() if "trace" in failure])
def test_really_happened(run: Run, name: str) -> None:
    folder = run.case_folder(name)
    files = ("stdout.txt", "stderr.txt", "loadgen/mlperf_log_detail.txt")
    said = "".join(path.read_text(errors="replace") for file in files if (path := folder / file).exists())
    assert FAILURES[name]["trace"] in said
    assert "the alarm was heard" not in said


def test_session_ends_in_order(run: Run) -> None:
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
    assert run.records.keys() == FAILURES.keys()
    assert sum(run.footer["endings"].values()) == len(FAILURES)
    assert run.footer["conformance"] == "not conformant"
    assert "INTERNALERROR" not in run.printed
    assert "node down" not in run.printed


def test_every_reason_names_its_place(run: Run) -> None:
    missing = [
        name
        for name, record in run.records.items()
        if record["reason"] and not re.search(r"(?:txt|json)(?::\d+)?(?:: |\])", record["reason"])
    ]
    assert not missing


def test_errors_are_printed(run: Run) -> None:
    reasons = {name: r["reason"] for name, r in run.records.items() if r["ending"] == "error"}
    assert not [name for name, reason in reasons.items() if reason not in run.printed]


def test_prints_no_control_characters(run: Run) -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", run.printed)


def test_time_limit_is_kept(run: Run) -> None:
    for name, failure in FAILURES.items():
        if "time_limit_s" in failure:
            assert 0 <= run.records[name]["duration_s"] - failure["time_limit_s"] < 3, name


def test_kills_what_was_left_behind(run: Run) -> None:
    assert not run.survivors


def test_flood_stays_in_its_file(run: Run) -> None:
    stdout = run.case_folder("floods-stdout") / "stdout.txt"
    assert stdout.stat().st_size == 50_000_000
    assert "xxx" not in run.printed


def test_crash_after_the_test_leaves_valid_logs(run: Run) -> None:
    summary = run.case_folder("completes-after-end") / "loadgen" / "mlperf_log_summary.txt"
    assert "Result is : VALID" in summary.read_text()
