"""What must hold around a LoadGen test before it starts: threads, parent, log folder, audit file.

Imported before numpy, which reads the thread settings once, when it is loaded.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from pytest_mlperf.errors import Place, RunError
from pytest_mlperf.process import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
AUDIT_CONFIG = "audit.config"


def require_single_threads(environment: Mapping[str, str]) -> None:
    """Raise RunError unless every thread pool below numpy is held to one thread.

    A second BLAS thread competes with the workers for the cores: on two busy cores it costs most of the rate.
    """
    for name in THREAD_VARIABLES:
        found = environment.get(name, "nothing")
        if found != "1":
            raise RunError(f"{name}: found {found}, allowed 1", hint="set it before Python starts")


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends.

    Raises OSError when the kernel refuses, and RunError when the parent has ended already.
    """
    try:
        end_with_parent(signal.SIGKILL)
    except ProcessLookupError as error:
        raise RunError(f"parent: {error.strerror}", hint="nobody waits for this test") from error


def require_clean(log_dir: Path, *, working_dir: Path) -> None:
    """Raise RunError unless the log folder exists without LoadGen's logs, and no audit file lies in the way.

    LoadGen itself says nothing when the folder is missing, and overwrites the logs of an earlier test.
    """
    if not log_dir.is_dir():
        raise RunError("log_dir: found no folder", place=Place(path=str(log_dir)), hint="make it first")
    logs = sorted(path.name for path in log_dir.glob("mlperf_log_*"))
    if logs:
        place = Place(path=str(log_dir))
        raise RunError(
            f"log_dir: found {', '.join(logs)}", place=place, hint="give every test a folder of its own"
        )
    for folder in (working_dir, log_dir):
        audit = folder / AUDIT_CONFIG
        if audit.exists():
            hint = "remove it: LoadGen would change the test by it"
            raise RunError("audit: found a file, allowed none", place=Place(path=str(audit)), hint=hint)
