"""The folder where a session leaves its results."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

_FOLDER = pytest.StashKey[Path]()


def folder(config: pytest.Config) -> Path:
    """Return the folder of this session, the same in all its processes. It need not exist yet."""
    if _FOLDER not in config.stash:
        workerinput = getattr(config, "workerinput", None)
        chosen = workerinput["mlperf_output"] if workerinput else config.getoption("mlperf_output")
        now = datetime.now(timezone.utc)
        default = Path("mlperf-results") / now.strftime("%Y%m%dT%H%M%S.%fZ")
        config.stash[_FOLDER] = config.invocation_params.dir / (chosen or default)
    return config.stash[_FOLDER]


def make(config: pytest.Config) -> Path:
    """Make the folder of this session. Raises UsageError unless it is new or empty, and can be written."""
    path = folder(config)
    try:
        path.mkdir(parents=True, exist_ok=True)
        content = next(path.iterdir(), None)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise pytest.UsageError(f"{path}: --mlperf-output: cannot be written: {error.strerror}") from error
    if content is not None:
        raise pytest.UsageError(
            f"{path}: --mlperf-output: found {content.name} in it, allowed: a new or empty folder "
            "(results of two sessions are never mixed)"
        )
    return path


def shown(config: pytest.Config) -> Path:
    """Return the folder as it is told to the user."""
    path = folder(config)
    start = config.invocation_params.dir
    return path.relative_to(start) if path.is_relative_to(start) else path
