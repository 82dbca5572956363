"""The rules of the files around a result: logs, measurements, power logs, the description of the system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_mlperf.verdict.official.compliance import TOLERATED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_mlperf.rounds.checker import Severity
    from pytest_mlperf.verdict.official import Ruling, Terms

# Names of files in a directory, None for no such directory.
Names = frozenset[str] | None

_OPTIONAL = {
    "performance_files": frozenset({"mlperf_log_accuracy.json"}),
    "power": frozenset({"mlperf_log_accuracy.json"}),
    "accuracy_files": frozenset[str](),
}
_RUN_POWER_FILES = frozenset({"spl.txt"})
_POWER_FILES = frozenset({"client.json", "client.log", "ptd_logs.txt", "server.json", "server.log"})
_POWER_MEASUREMENTS = ("analyzer_table", "power_settings")
IMPLEMENTATION = (
    "input_data_types",
    "retraining",
    "starting_weights_filename",
    "weight_data_types",
    "weight_transformations",
)
_STATUS = ("available", "preview", "rdi")
CATEGORIES: Mapping[str, str] = {
    "datacenter": "datacenter",
    "edge": "edge",
    "datacenter,edge": "both",
    "edge,datacenter": "both",
}


def performance_files(terms: Terms, found: Names, *, has_power: bool) -> Ruling:
    """Hold performance/run_1 to its files."""
    needed = terms.round.performance_files | (_RUN_POWER_FILES if has_power else frozenset())
    ruling = _files(terms, "performance_files", found, needed)
    # A directory that is not there ends the checking in every round.
    return ruling.but("fail" if found is None else None)


def accuracy_files(terms: Terms, found: Names) -> Ruling:
    """Hold the accuracy directory to its files."""
    return _files(terms, "accuracy_files", found, terms.round.accuracy_files)


def power_files(terms: Terms, power: Names, ranging: Names, run: Names) -> Iterator[Ruling]:
    """Hold a result with power to the files of the analyser and of both runs."""
    logs = terms.round.performance_files | _RUN_POWER_FILES
    yield _files(terms, "power", power, _POWER_FILES).but("fail")
    yield _files(terms, "power", ranging, logs).but("fail")
    yield _files(terms, "power", run, logs).but("fail")


def _files(terms: Terms, rule: str, found: Names, needed: frozenset[str]) -> Ruling:
    expected = ", ".join(sorted(needed))
    if found is None:
        return terms.ruling(rule, expected, "no such directory", satisfied=False)
    missing = [f"no {name}" for name in sorted(needed - found - TOLERATED)]
    more = [f"also {name}" for name in sorted(found - needed - TOLERATED - _OPTIONAL[rule])]
    observed = ", ".join([*missing, *more])
    return terms.ruling(rule, expected, observed or "these", satisfied=not observed).forbidden_if(
        bool(missing)
    )


def measurements(
    terms: Terms, sizes: Mapping[str, int] | None, implementation: Mapping[str, Any] | None
) -> Iterator[Ruling]:
    """Hold the measurements to their files and to what they must say of the implementation.

    sizes:           by name of file, in bytes; None for no such directory
    implementation:  the content of <system>*.json, None where there is none
    """
    # Since the directory decides, it may no longer hold empty files and values.
    non_empty = terms.round.severity("measurements") == "fail"
    for name in sorted(terms.round.measurement_files):
        size = None if sizes is None else sizes.get(name)
        satisfied = size is not None and (size > 0 or not non_empty)
        observed = "nothing" if size is None else f"{size} bytes"
        yield _measurement(terms, name, observed, satisfied=satisfied)
    yield _measurement(
        terms,
        "a description of the implementation",
        "nothing" if implementation is None else "one",
        satisfied=implementation is not None,
    )
    for key in IMPLEMENTATION if implementation is not None else ():
        value = (implementation or {}).get(key)
        satisfied = key in (implementation or {}) and (bool(value) or not non_empty)
        yield _measurement(terms, key, "nothing" if not value else str(value), satisfied=satisfied)


def _measurement(terms: Terms, expected: str, observed: str, *, satisfied: bool) -> Ruling:
    return terms.ruling("measurements", expected, observed, satisfied=satisfied)


def power_measurements(terms: Terms, names: frozenset[str]) -> Iterator[Ruling]:
    """Hold the measurements of a result with power to say how it was measured."""
    for stem in _POWER_MEASUREMENTS if terms.round.severity("measurements") == "fail" else ():
        found = next((name for name in sorted(names) if name.startswith(stem)), "nothing")
        yield _measurement(terms, f"{stem}*", found, satisfied=found != "nothing")


def tidiness(terms: Terms, flaws: tuple[str, ...]) -> Ruling:
    """Hold the whole submission to what may stand in a repository."""
    observed = f"{len(flaws)}: {flaws[0]}" if flaws else "nothing"
    return terms.ruling("tidiness", "nothing untidy", observed, satisfied=not flaws)


def code(terms: Terms, *, found: bool) -> Ruling:
    """Hold the implementation to be in the submission."""
    observed = "it" if found else "nothing"
    return _measurement(terms, "the code of the benchmark", observed, satisfied=found)


def system(terms: Terms, submitter: str, description: Mapping[str, Any] | None) -> Iterator[Ruling]:
    """Hold the description of the system, None for none, to the directories that it stands in."""
    if description is None:
        yield _system(terms, "systems/<system>.json", "nothing", satisfied=False)
        return
    status, kind = str(description.get("status")), str(description.get("system_type"))
    owner, division = str(description.get("submitter")), str(description.get("division"))
    yield _system(terms, f"status: {', '.join(_STATUS)}", status, satisfied=status.lower() in _STATUS)
    yield _system(terms, f"system_type: {', '.join(CATEGORIES)}", kind, satisfied=kind in CATEGORIES)
    yield _system(terms, f"submitter: {submitter}", owner, satisfied=owner.lower() == submitter.lower())
    yield _system(terms, f"division: {terms.division}", division, satisfied=division == terms.division)
    needed = (*terms.round.system_fields, *(terms.round.network_fields if terms.is_network else ()))
    missing = [field for field in needed if field not in description]
    observed = f"no {', '.join(missing)}" if missing else "all"
    yield _system(terms, f"{len(needed)} fields", observed, satisfied=not missing)


def _system(terms: Terms, expected: str, observed: str, *, satisfied: bool) -> Ruling:
    return terms.ruling("system", expected, observed, satisfied=satisfied).but("fail")


def scenario_allowed(terms: Terms) -> Ruling:
    """Hold a closed result to a scenario that the benchmark has in the category of the system."""
    allowed = scenarios(terms)
    expected = f"one of {', '.join(allowed)}" if allowed else f"a benchmark of the category {terms.category}"
    satisfied = bool(allowed) and (terms.division == "open" or terms.scenario in allowed)
    return terms.ruling("scenario", expected, terms.scenario, satisfied=satisfied).but("fail")


def scenarios(terms: Terms) -> tuple[str, ...]:
    """Return the scenarios that the benchmark has in a category, none where it is not in it."""
    required = terms.benchmark.required.get(terms.category)
    optional = terms.benchmark.optional.get(terms.category) or ()
    return (*required, *optional) if required else ()


def missing_scenarios(terms: Terms, present: frozenset[str]) -> Ruling:
    """Hold a closed benchmark to all its required scenarios."""
    required = set(terms.benchmark.required.get(terms.category) or ())
    optional = set(terms.benchmark.optional.get(terms.category) or ())
    missing = sorted(required - present)
    pair = {"Server", "Interactive"}
    if "needs_server_or_interactive" in terms.round.quirks and pair <= optional and not pair & present:
        missing.append("Server or Interactive")
    expected = ", ".join(sorted(required)) or "none"
    observed = f"missing: {', '.join(missing)}" if missing else "all"
    satisfied = not missing or terms.division == "open"
    # Until v5.1 the scenarios that are there stay in the list of results.
    severity: Severity = "fail" if terms.round.layout == "v6.0" else "log"
    return terms.ruling("required_scenarios", expected, observed, satisfied=satisfied).but(severity)
