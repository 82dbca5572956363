"""Where NVIDIA's harness is on this machine, as the options and the environment say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_mlperf import rounds
from pytest_mlperf.harness import Installation

SCRATCH = "MLPERF_SCRATCH_PATH"
"""NVIDIA's own variable: the folder for models and data."""


def installation(config: pytest.Config) -> Installation:
    """Return what is named. Raises UsageError where it is not there."""
    words = config.getoption("mlperf_nvidia") or []
    trees = dict(_tree(word, config.invocation_params.dir) for word in words)
    scratch = os.environ.get(SCRATCH)
    if scratch and not Path(scratch).is_dir():
        raise pytest.UsageError(f"{scratch}: {SCRATCH}: no such folder")
    return Installation(trees=trees, scratch=Path(scratch) if scratch else None)


def _tree(word: str, here: Path) -> tuple[str, Path]:
    round_name, separator, folder = word.partition("=")
    if not separator or round_name not in rounds.names():
        raise pytest.UsageError(
            f"--mlperf-nvidia: found '{word}', allowed: ROUND=TREE, ROUND one of {', '.join(rounds.names())}"
        )
    given = here / folder
    for tree in (given / "closed/NVIDIA", given):
        if (tree / "Makefile").is_file():
            return round_name, tree
    raise pytest.UsageError(
        f"{given}: --mlperf-nvidia: no Makefile there, nor in closed/NVIDIA "
        f"(is it a checkout of mlcommons/inference_results_{round_name}?)"
    )
