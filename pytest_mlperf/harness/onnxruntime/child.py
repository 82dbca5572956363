"""The child that runs one LoadGen test: `python -m pytest_mlperf.harness.onnxruntime.child SPEC.json`.

One process for each test, because LoadGen reads its own configuration only once in a process, and because
what goes wrong inside it can neither be caught nor interrupted. Whether the test is VALID is for others to
read in its logs; the exit status only tells that LoadGen has finished.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mlperf.errors import ConfigurationError, MlperfError
from pytest_mlperf.harness.onnxruntime import miniatures
from pytest_mlperf.harness.onnxruntime.specification import Specification
from pytest_mlperf.harness.onnxruntime.surroundings import (
    die_with_parent,
    require_clean,
    require_single_threads,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_mlperf.harness.onnxruntime.tasks import Task

EXIT_REFUSED = 2


def main(arguments: Sequence[str], load: Callable[[str, str], Task] = miniatures.load) -> int:
    """Run the test that the file describes, and return 0 when LoadGen has finished, else `EXIT_REFUSED`."""
    started_s = time.perf_counter()
    # Tells where Python was when LoadGen or onnxruntime crashed.
    faulthandler.enable()
    try:
        die_with_parent()
        require_single_threads(os.environ)
        _run(read_arguments(arguments), load, started_s)
    except MlperfError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_REFUSED
    return 0


def read_arguments(arguments: Sequence[str]) -> Specification:
    """Return the specification that the command line names. Raises ConfigurationError."""
    if len(arguments) != 1:
        raise ConfigurationError(
            f"arguments: found {len(arguments)}, allowed 1", hint="name the specification"
        )
    return Specification.read(Path(arguments[0]))


def _run(specification: Specification, load: Callable[[str, str], Task], started_s: float) -> None:
    require_clean(specification.log_dir, working_dir=Path.cwd())
    # Not before the checks: this imports numpy, which makes its thread pools by the environment.
    from pytest_mlperf.harness.onnxruntime.execution import execute  # noqa: PLC0415

    try:
        task = load(specification.miniature, specification.precision)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    execute(specification, task, started_s=started_s)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
