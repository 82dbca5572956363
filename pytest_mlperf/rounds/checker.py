"""What the submission checker of a round demands, as data: limits by official benchmark, names, severities.

A round is one YAML file in `checker/`. The names are the official ones (`bert-99`), not those of a harness.
The rules are not here: those are functions (`verdict`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pytest_mlperf import shipped
from pytest_mlperf.rounds import Seeds

if TYPE_CHECKING:
    from collections.abc import Mapping

Severity = Literal["fail", "log", "off"]
Quirk = Literal[
    "last_value_counts",
    "counted_errors",
    "tokens_replace_validity",
    "token_limits_of_log",
    "offline_samples_closed_only",
    "needs_server_or_interactive",
    "open_accuracy_is_sound",
]

_FOLDER = Path(__file__).parent / "checker"
_PATTERNS = "patterns"
_SYSTEM_FIELDS = "system_fields"
_NS_PER_MS = 1_000_000
_CATEGORIES = ("datacenter", "edge")


@dataclass(frozen=True, kw_only=True)
class TokenLimits:
    """What the 99th percentiles of time to first token and time per output token must stay below."""

    first_ns: float
    each_ns: float


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """An official benchmark (`bert-99`) as the checker of one round judges it.

    accuracy, accuracy_limit:  by metric, what must be reached and not be passed
    accuracy_by_scenario:      where a scenario has targets of its own
    accuracy_delta_percent:    by metric, how far TEST01 may be off (else 1 %, and 0.1 % of a 99.9 % target)
    dataset:                   the samples of the data set, None where the round does not say
    accuracy_samples:          how many of them an accuracy run takes, by scenario ("" is any)
    latency_ns:                by scenario, the limit that LoadGen must have been given
    token_limits:              by scenario; None where token latencies are not asked for
    offline_samples:           the fewest samples of the one query of Offline
    equal_issue:               whether samples must be drawn equally often
    results:                   the key of the result, by scenario, where it is not the round's
    required, optional:        the scenarios by category: datacenter, edge, both; None where it is in none
    compliance:                the compliance tests of a closed submission
    """

    name: str
    accuracy: Mapping[str, float]
    accuracy_by_scenario: Mapping[str, Mapping[str, float]]
    accuracy_limit: Mapping[str, float]
    accuracy_delta_percent: Mapping[str, float]
    performance_samples: int
    dataset: int | None
    accuracy_samples: Mapping[str, int]
    latency_ns: Mapping[str, float]
    token_limits: Mapping[str, TokenLimits] | None
    offline_samples: int | None
    min_queries: Mapping[str, int]
    equal_issue: bool
    results: Mapping[str, str]
    required: Mapping[str, tuple[str, ...] | None]
    optional: Mapping[str, tuple[str, ...] | None]
    compliance: tuple[str, ...]

    def accuracy_targets(self, scenario: str) -> Mapping[str, float]:
        """Return the targets by metric."""
        return self.accuracy_by_scenario.get(scenario, self.accuracy)

    def accuracy_sample_count(self, scenario: str) -> int | None:
        """Return how many samples an accuracy run takes, None where the round does not say."""
        return self.accuracy_samples.get(scenario, self.accuracy_samples.get("", self.dataset))


@dataclass(frozen=True, kw_only=True)
class CheckerRound:
    """A round as its submission checker judges it.

    layout:      of the submission tree: "v2.0" (measurements/, compliance/) or "v6.0" (all in results/)
    severities:  by rule, what breaking it does; a rule that is not here was not looked at
    quirks:      where this checker does otherwise than the others
    results:     by scenario, the key of the detail log that is the result
    names, guesses:  other names of benchmarks, and what a part of a name stands for
    patterns:    by metric, how a line of accuracy.txt states it; group 1 is the value
    system_fields, network_fields:  what the description of a system, and of one over a network, must say
    """

    name: str
    seeds: Seeds
    test05_seeds: Seeds | None
    min_duration_ms: int
    layout: str
    severities: Mapping[str, Severity]
    quirks: frozenset[Quirk]
    performance_files: frozenset[str]
    accuracy_files: frozenset[str]
    measurement_files: frozenset[str]
    max_accuracy_log_bytes: int
    results: Mapping[str, str]
    min_queries: Mapping[str, int]
    names: Mapping[str, str]
    guesses: Mapping[str, str]
    patterns: Mapping[str, re.Pattern[str]]
    system_fields: tuple[str, ...]
    network_fields: tuple[str, ...]
    benchmarks: Mapping[str, Benchmark]

    def severity(self, rule: str) -> Severity:
        """Return what breaking a rule did in this round."""
        return self.severities.get(rule, "off")

    def benchmark(self, name: str, site_names: Mapping[str, str] | None = None) -> Benchmark | None:
        """Return the benchmark that a directory of this name holds, None for none.

        site_names: those that the submitter of an open submission gives its models
        """
        if name in self.benchmarks:
            return self.benchmarks[name]
        official = self.names.get(name) or (site_names or {}).get(name)
        if not official:
            guess = next((guess for part, guess in self.guesses.items() if part in name), name)
            official = self.names.get(guess, guess)
        return self.benchmarks.get(official)


def names() -> tuple[str, ...]:
    """Return the rounds that are known, oldest first."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("v*.yaml")))


@cache
def load(name: str) -> CheckerRound:
    """Return a round by name. Raises KeyError for a round that is not among `names()`."""
    if name not in names():
        raise KeyError(name)
    content = _read(name)
    files = content["files"]
    return CheckerRound(
        name=name,
        seeds=Seeds(**content["seeds"]),
        test05_seeds=Seeds(**content["test05_seeds"]) if "test05_seeds" in content else None,
        min_duration_ms=content["min_duration_ms"],
        layout=content["layout"],
        severities=content["severities"],
        quirks=frozenset(content["quirks"]),
        performance_files=frozenset(files["performance"]),
        accuracy_files=frozenset(files["accuracy"]),
        measurement_files=frozenset(files["measurements"]),
        max_accuracy_log_bytes=content["max_accuracy_log_bytes"],
        results=content["results"],
        min_queries=content["min_queries"],
        names=content["names"],
        guesses=content["guesses"],
        patterns=_patterns(name),
        system_fields=_system_fields(name),
        network_fields=tuple(_read(_SYSTEM_FIELDS)["network"]),
        benchmarks={key: _benchmark(key, value, content) for key, value in content["benchmarks"].items()},
    )


def _read(stem: str) -> dict[str, Any]:
    content: dict[str, Any] = shipped.read(_FOLDER / f"{stem}.yaml")
    return content


def _patterns(round_name: str) -> dict[str, re.Pattern[str]]:
    """Return the pattern of each metric that holds in a round: the last that is not younger."""
    held = {
        metric: [pattern for since, pattern in by_round.items() if since <= round_name]
        for metric, by_round in _read(_PATTERNS).items()
    }
    return {metric: re.compile(patterns[-1]) for metric, patterns in held.items() if patterns}


def _system_fields(round_name: str) -> tuple[str, ...]:
    by_round = _read(_SYSTEM_FIELDS)
    return tuple(field for since in names() if since <= round_name for field in by_round.get(since, ()))


def _benchmark(name: str, content: Mapping[str, Any], whole: Mapping[str, Any]) -> Benchmark:
    accuracy = content["accuracy"]
    by_scenario = {key: value for key, value in accuracy.items() if isinstance(value, dict)}
    samples = content.get("accuracy_samples", {})
    tokens = content.get("token_latency_ms")
    return Benchmark(
        name=name,
        accuracy={} if by_scenario else accuracy,
        accuracy_by_scenario=by_scenario,
        accuracy_limit=content.get("accuracy_limit", {}),
        accuracy_delta_percent=content.get("accuracy_delta_percent", {}),
        performance_samples=content["performance_samples"],
        dataset=content.get("dataset"),
        accuracy_samples=samples if isinstance(samples, dict) else {"": samples},
        latency_ns={key: ms * _NS_PER_MS for key, ms in content.get("latency_ms", {}).items()},
        token_limits=None if tokens is None else {key: _token_limits(*pair) for key, pair in tokens.items()},
        offline_samples=content.get("offline_samples"),
        min_queries={**whole["min_queries"], **content.get("min_queries", {})},
        equal_issue=content.get("equal_issue", False),
        results={**whole["results"], **content.get("results", {})},
        required=_scenarios(content.get("required", {})),
        optional=_scenarios(content.get("optional", {})),
        compliance=tuple(content["compliance"]),
    )


def _token_limits(first_ms: float, each_ms: float) -> TokenLimits:
    return TokenLimits(first_ns=first_ms * _NS_PER_MS, each_ns=each_ms * _NS_PER_MS)


def _scenarios(content: Mapping[str, list[str] | None]) -> dict[str, tuple[str, ...] | None]:
    """Return the scenarios of each category; of `both`, unless it is given, those of either."""
    given = {category: content.get(category) for category in _CATEGORIES}
    either = dict.fromkeys(scenario for scenarios in given.values() for scenario in scenarios or ())
    both = content.get("both", [*either])
    return {key: tuple(value) if value else None for key, value in {**given, "both": both}.items()}
