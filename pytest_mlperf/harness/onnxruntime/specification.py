"""What one LoadGen test is to be: the file that the parent writes and the child reads.

Needs neither numpy nor LoadGen, so that the parent can import it.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mlperf.errors import ConfigurationError, Place, Problem, nearest
from pytest_mlperf.rounds import Seeds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOADGEN_MIN_DURATION_MS = 600_000
"""What LoadGen's built-in configuration sets for every benchmark and scenario."""

PRECISIONS = ("fp32", "int8")
SCENARIOS = ("SingleStream", "MultiStream", "Server", "Offline")
MODES = ("AccuracyOnly", "PerformanceOnly")

_CHOICES = {"precision": PRECISIONS, "scenario": SCENARIOS, "mode": MODES}
_WHOLE = ("min_duration_ms", "min_query_count", "target_latency_ms", "samples_per_query", "workers")
_POSITIVE = (*_WHOLE, "target_qps", "expected_latency_ms")
_SEED_LIMIT = 2**64


def available_cpus() -> int:
    """Return how many CPUs this process may run on."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, kw_only=True)
class Specification:
    """One LoadGen test over one miniature.

    model:                the name that LoadGen's configuration knows the benchmark by (`resnet50`)
    min_duration_ms:      None is the 600 s of LoadGen's own configuration
    min_query_count:      None is the least that can be VALID in the scenario
    target_qps:           Server's rate, or Offline's expected rate, in samples/s; None is measured
    target_latency_ms:    Server's bound, whole ms because LoadGen's file keeps no fraction; None is 100
    expected_latency_ms:  of SingleStream's and MultiStream's queries; None is measured
    workers:              threads that predict in Server and Offline
    """

    miniature: str
    model: str
    precision: str
    scenario: str
    mode: str
    log_dir: Path
    seeds: Seeds
    min_duration_ms: int | None = None
    min_query_count: int | None = None
    target_qps: float | None = None
    target_latency_ms: float | None = None
    expected_latency_ms: float | None = None
    samples_per_query: int = 8
    workers: int = field(default_factory=available_cpus)

    def to_json(self) -> str:
        """Return the text that `read` turns back into an equal specification."""
        return json.dumps({**asdict(self), "log_dir": str(self.log_dir)}, indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> Specification:
        """Read and check a specification.

        Raises ConfigurationError, naming every key that is wrong.
        """
        place = Place(path=str(path))
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"specification: {error}", place=place) from error
        if not isinstance(entries, dict):
            raise ConfigurationError(
                f"specification: found {type(entries).__name__}, allowed object", place=place
            )
        problems = [Problem(what=what, place=place, hint=hint) for what, hint in _problems(entries)]
        if problems:
            raise ConfigurationError(problems)
        return cls(**{**entries, "log_dir": Path(entries["log_dir"]), "seeds": Seeds(**entries["seeds"])})


def _problems(entries: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    known = {entry.name: entry for entry in fields(Specification)}
    for name in entries.keys() - known.keys():
        yield f"{name}: unknown key", nearest(name, known)
    for name, entry in known.items():
        required = entry.default is MISSING and entry.default_factory is MISSING
        if name not in entries and required:
            yield f"{name}: found nothing, required", None
        elif name in entries and not (entries[name] is None and entry.default is None):
            allowed = _allowed(name, entries[name])
            if allowed:
                yield f"{name}: found {json.dumps(entries[name])}, allowed {allowed}", None


def _allowed(name: str, value: Any) -> str | None:
    """Return what is allowed in place of a value that is not, or None."""
    if name in _CHOICES:
        return None if value in _CHOICES[name] else ", ".join(_CHOICES[name])
    if name in _POSITIVE:
        return _allowed_number(value, whole=name in _WHOLE)
    if name == "seeds":
        return None if _are_seeds(value) else f"whole numbers below 2**64 for {', '.join(_seed_names())}"
    if name == "log_dir":
        return None if isinstance(value, str) and Path(value).is_absolute() else "an absolute path"
    is_word = isinstance(value, str) and re.fullmatch(r"[\w.-]+", value)
    return None if is_word else "letters, digits, '.', '_' and '-'"


def _allowed_number(value: Any, *, whole: bool) -> str | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and 0 < value < float("inf") and (not whole or float(value).is_integer()):
        return None
    return f"a {'whole ' if whole else ''}number above 0"


def _seed_names() -> list[str]:
    return [entry.name for entry in fields(Seeds)]


def _are_seeds(value: Any) -> bool:
    if not isinstance(value, dict) or value.keys() != set(_seed_names()):
        return False
    return all(type(seed) is int and 0 <= seed < _SEED_LIMIT for seed in value.values())
