"""What `user.conf` asked for against what LoadGen says that it was told: the file may be of another run.

What others write into LoadGen's settings, the harness or an `audit.config`, comes after `user.conf` and shows
in the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.evidence.user_conf import asked_for
from pytest_mlperf.units import format_number
from pytest_mlperf.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_mlperf.evidence import Fact
    from pytest_mlperf.verdict.run import CaseRun

SOURCE = "mlcommons/inference, LoadGen's user.conf"

_NS_PER_MS = 1e6
_PERCENT = 0.01
# Rates are logged with six digits.
_ROUNDING = 1e-5


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """A key of `user.conf`.

    logged:  its key in the detail log, by scenario ("" is any)
    unit:    its unit in that of the log
    whole:   whether LoadGen cuts it to a whole number
    """

    logged: Mapping[str, str]
    unit: float = 1
    whole: bool = False


def _whole(key: str) -> _Setting:
    return _Setting(logged={"": key}, whole=True)


_SETTINGS: Mapping[str, _Setting] = {
    "min_duration": _whole("requested_min_duration_ms"),
    "max_duration": _whole("requested_max_duration_ms"),
    "min_query_count": _whole("requested_min_query_count"),
    "max_query_count": _whole("requested_max_query_count"),
    "performance_sample_count_override": _whole("requested_performance_sample_count_override"),
    "samples_per_query": _Setting(
        logged={"MultiStream": "requested_multi_stream_samples_per_query"}, whole=True
    ),
    "target_qps": _Setting(
        logged={"Server": "requested_server_target_qps", "Offline": "requested_offline_expected_qps"}
    ),
    "target_latency": _Setting(
        logged={
            "SingleStream": "requested_single_stream_expected_latency_ns",
            "MultiStream": "requested_multi_stream_expected_latency_ns",
            "Server": "requested_server_target_latency_ns",
        },
        unit=_NS_PER_MS,
    ),
    "target_latency_percentile": _Setting(
        logged={
            "SingleStream": "requested_single_stream_target_latency_percentile",
            "MultiStream": "requested_multi_stream_target_latency_percentile",
            "Server": "requested_server_target_latency_percentile",
        },
        unit=_PERCENT,
    ),
}


def as_configured(run: CaseRun) -> Iterator[Finding]:
    """Hold what LoadGen was told to the `user.conf` beside its logs, where there is one."""
    conf = run.evidence.user_conf
    if conf is None:
        return
    if conf.ignored:
        yield _ignored(conf.ignored[0], len(conf.ignored))
    for key, setting in _SETTINGS.items():
        logged = setting.logged.get(run.case.scenario) or setting.logged.get("")
        asked = asked_for(conf, model=run.case.benchmark, scenario=run.case.scenario, key=key)
        if logged is not None and asked is not None:
            yield _compared(run, asked, logged, setting)


def _ignored(line: Fact, count: int) -> Finding:
    return Finding(
        rule="user.conf",
        expected="lines of model.scenario.key = value",
        observed=f"{count} that LoadGen ignores: {line.value}",
        satisfied=False,
        source=SOURCE,
        place=line.place,
        next_step="write numbers, and blanks around the equals sign",
    )


def _compared(run: CaseRun, asked: Fact, logged: str, setting: _Setting) -> Finding:
    expected = asked.value * setting.unit
    fact, told = run.evidence.detail.facts.get(logged), run.number(logged)
    if setting.whole:
        satisfied = told is not None and told == expected // 1
    else:
        # Times are cut to whole nanoseconds.
        off = 1 if logged.endswith("_ns") else 0
        satisfied = told is not None and math.isclose(told, expected, rel_tol=_ROUNDING, abs_tol=off)
    return Finding(
        rule=logged,
        expected=f"{format_number(expected)} ({asked.key} in {asked.place})",
        observed=str(fact.value) if fact else "nothing",
        satisfied=satisfied,
        source=SOURCE,
        place=fact.place if fact else None,
        next_step=None if satisfied else _next_step(asked),
    )


def _next_step(asked: Fact) -> str:
    if asked.key.startswith("*") or ".*." in asked.key:
        return "name model and scenario in user.conf: LoadGen's own entry for them wins over a wildcard"
    return "look at whether user.conf is of this run, and at what else the harness tells LoadGen"
