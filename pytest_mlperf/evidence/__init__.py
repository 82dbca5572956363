"""What the logs of a run say: facts, each with its file and line. No judgement is made here.

`detail`, `summary`, `accuracy`, `user_conf`, `metadata` and `trace` parse one format each; `reading` opens
the files of a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_mlperf.errors import Place


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A value that a log states, and where."""

    key: str
    value: Any
    place: Place


@dataclass(frozen=True, kw_only=True)
class DetailLog:
    """`mlperf_log_detail.txt`: LoadGen's own account, a key-value pair a line.

    facts:   by key; of a key that occurs several times the first, as the official checker reads it
    errors, warnings:  every message that LoadGen marked as one
    conflicts:  settings and results that are stated again, and otherwise: the first and the other
    """

    facts: Mapping[str, Fact]
    errors: tuple[Fact, ...]
    warnings: tuple[Fact, ...]
    conflicts: tuple[tuple[Fact, Fact], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Summary:
    """`mlperf_log_summary.txt`: what LoadGen tells people.

    validity:         "VALID" or "INVALID"; None after an accuracy run, which has no verdict
    constraints:      by LoadGen's name, whether satisfied
    recommendations:  what LoadGen advises after INVALID
    warnings, errors: how many it counted
    """

    validity: Fact | None
    constraints: Mapping[str, Fact]
    recommendations: tuple[Fact, ...]
    warnings: Fact
    errors: Fact


@dataclass(frozen=True, kw_only=True)
class AccuracyResult:
    """`accuracy.txt`: the quality that was computed from the accuracy log.

    log_sha256: of the accuracy log that it was computed from; None where the script does not say it
    """

    quality: Fact
    log_sha256: Fact | None


@dataclass(frozen=True, kw_only=True)
class UserConf:
    """`user.conf`: what LoadGen was asked for.

    asked:    numbers by model, scenario and key; a model or scenario of `*` is any
    ignored:  lines that LoadGen passes over in silence
    """

    asked: Mapping[tuple[str, str, str], Fact]
    ignored: tuple[Fact, ...]


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """How long something took, as far as the logs tell.

    of:         what was timed: "query", "sample", "first token", "time per output token"
    quantiles:  pairs of a share (0 to 1) and the latency in ns that so many did not exceed, rising
    limit:      the share that had to stay within a latency in ns; None where nothing was held
    """

    of: str
    quantiles: tuple[tuple[float, float], ...]
    limit: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Samples that were answered over time.

    bin_s:          length of a bin; the last one may be shorter
    samples_per_s:  in each bin, from the beginning of the test
    """

    bin_s: float
    samples_per_s: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything the judge may look at.

    accuracy:   None after a performance run
    user_conf:  None where none is beside the logs
    """

    detail: DetailLog
    summary: Summary
    accuracy: AccuracyResult | None
    user_conf: UserConf | None = None
