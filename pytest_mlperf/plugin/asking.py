"""Questions that are answered without a session: what this machine is, and who uses it now."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf import catalogue
from pytest_mlperf.doctor import Diagnosis, Disk, diagnose
from pytest_mlperf.doctor.words import leases, words
from pytest_mlperf.errors import HostError
from pytest_mlperf.placement.leases import holders
from pytest_mlperf.plan import Plan
from pytest_mlperf.plugin import output
from pytest_mlperf.plugin.suite import suite_of
from pytest_mlperf.version import __version__

if TYPE_CHECKING:
    from pytest_mlperf.placement.leases import Holder


def answer_doctor(config: pytest.Config, *, as_json: bool) -> pytest.ExitCode:
    """Print the diagnosis. The exit code is 5 where no case would run, as in a session that ran none."""
    diagnosis = _diagnosis(config)
    if as_json:
        _say(json.dumps({"pytest_mlperf": __version__, **diagnosis.to_json()}, indent=1))
    else:
        _say(f"pytest-mlperf {__version__}\n\n{words(diagnosis)}")
    return pytest.ExitCode.OK if diagnosis.would_run else pytest.ExitCode.NO_TESTS_COLLECTED


def answer_leases() -> pytest.ExitCode:
    """Print who holds what on this machine, and who waits."""
    _say("\n".join(leases(_holders())) or "nothing on this machine is leased")
    return pytest.ExitCode.OK


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _holders() -> tuple[Holder, ...]:
    try:
        return holders()
    except HostError as error:
        raise pytest.UsageError(str(error)) from error


def _diagnosis(config: pytest.Config) -> Diagnosis:
    suite = suite_of(config)
    if suite.replay is not None:
        raise pytest.UsageError(
            "--mlperf-doctor: found --mlperf-replay beside it, allowed: one of them (replays ask no machine)"
        )
    plan = suite.plan if suite.paths else Plan(cases={}, dropped={})
    if suite.problems:
        raise pytest.UsageError("\n".join(suite.problems))
    return diagnose(
        suite.site, plan, engine=catalogue.container_engine(), disk=_disk(config), holders=_holders()
    )


def _disk(config: pytest.Config) -> Disk:
    """Look at the nearest folder that exists above the results."""
    path = output.folder(config)
    while not path.exists():
        path = path.parent
    try:
        free_bytes = shutil.disk_usage(path).free
    except OSError:
        return Disk(path=str(path), free_bytes=None)
    return Disk(path=str(path), free_bytes=free_bytes)
