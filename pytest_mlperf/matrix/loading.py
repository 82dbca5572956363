"""Load a matrix file: read, check its shape, expand its axes, and find what cannot be.

All problems of a file are reported together, each at its line.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pytest_mlperf.errors import ConfigurationError, Place, Problem, nearest
from pytest_mlperf.matrix import (
    METRIC_MODES,
    Attempts,
    Case,
    Matrix,
    Settings,
    Vocabulary,
    privileges,
)
from pytest_mlperf.matrix.document import Axes, Document, Image, Mounted, Options, Override, OwnHarness
from pytest_mlperf.matrix.own import OwnHarnesses, terms
from pytest_mlperf.matrix.problems import dotted, unknown
from pytest_mlperf.matrix.registered import unregistered
from pytest_mlperf.matrix.source import Source, read

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_mlperf.matrix import Conformance
    from pytest_mlperf.matrix.commands import CommandTemplate
    from pytest_mlperf.rounds import Benchmark

MAX_CASES = 100_000
_LONGEST = 200

AXES = ("sku", "benchmark", "harness", "accuracy", "power", "scenario", "mode")
_DEFAULT_AXES: Mapping[str, list[Any]] = {"accuracy": ["99"], "power": ["MaxP"]}

# The scenarios in which LoadGen looks at a setting.
_MEANT_FOR: Mapping[str, tuple[str, ...]] = {
    "target_qps": ("Server", "Offline"),
    "target_latency_ms": ("Server",),
    "expected_latency_ms": ("SingleStream", "MultiStream"),
}

_Point = tuple[Any, ...]


def load(path: Path, vocabularies: Callable[[str], Vocabulary], rounds: Sequence[str]) -> Matrix:
    """Load a matrix file.

    vocabularies: gives the vocabulary of a round that is among `rounds`
    Raises ConfigurationError with every problem that was found, each as `file:line: what: found, allowed`.
    """
    source = read(path)
    document = _document(source)
    if document.round not in rounds:
        raise ConfigurationError([unknown(source, ("round",), document.round, rounds)])
    vocabulary = vocabularies(document.round)
    own = OwnHarnesses(source=source, vocabulary=vocabulary)
    own.read(document.harnesses)
    described = {
        name: terms(vocabulary.round, contained=entry.container is not None)
        for name, entry in document.harnesses.items()
    }
    expansion = _Expansion(
        source=source,
        document=document,
        vocabulary=replace(vocabulary, harnesses={**vocabulary.harnesses, **described}),
        commands=own.templates,
        problems=own.problems,
    )
    cases = expansion.cases()
    if not expansion.problems:
        own.check(cases)
    if expansion.problems:
        raise ConfigurationError(expansion.problems)
    return Matrix(path=source.path, round=document.round, category=document.category, cases=cases)


def check_distinct(matrices: Iterable[Matrix]) -> None:
    """Raise ConfigurationError when two matrices name the same case."""
    seen: dict[str, Case] = {}
    problems = [
        _duplicate(case, seen[case.id])
        for matrix in matrices
        for case in matrix.cases
        if seen.setdefault(case.id, case) is not case
    ]
    if problems:
        raise ConfigurationError(problems)


def _duplicate(case: Case, first: Case) -> Problem:
    return Problem(what=f"case {case.id} is named twice: first at {first.place}", place=case.place)


def _document(source: Source) -> Document:
    if not isinstance(source.content, dict):
        raise ConfigurationError(
            f"found {type(source.content).__name__ if source.content is not None else 'nothing'}, "
            "allowed: a mapping with the keys round, category, axes, include, ...",
            place=source.place(()),
        )
    try:
        return Document.model_validate(source.content)
    except ValidationError as error:
        raise ConfigurationError([_shape_problem(source, dict(e)) for e in error.errors()]) from error


def _shape_problem(source: Source, error: dict[str, Any]) -> Problem:
    where: tuple[str | int, ...] = error["loc"]
    found = _written(error["input"])
    place = source.place(where)
    if error["type"] == "extra_forbidden":
        allowed = _keys(where[:-1])
        what = f"{dotted(where[:-1])}: unknown key '{where[-1]}', allowed: {', '.join(allowed)}"
        return Problem(what=what, place=place, hint=nearest(str(where[-1]), allowed))
    if error["type"] == "missing":
        return Problem(what=f"{dotted(where[:-1])}: key '{where[-1]}' is missing", place=place)
    if error["type"] == "literal_error":
        expected = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
        what = f"{dotted(where)}: found {found}, allowed: {expected}"
        return Problem(what=what, place=place, hint=nearest(str(error["input"]), expected.split(", ")))
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return Problem(what=f"{dotted(where)}: found {found}, allowed: {message}", place=place)


def _written(value: Any) -> str:
    """Return a value as it could stand in the message, however large it is."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of too many digits"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _keys(where: tuple[str | int, ...]) -> list[str]:
    """Return the keys that are allowed at a place of the document."""
    kinds: dict[str, type[Document | Axes | Options | OwnHarness | Image | Mounted]] = {
        "defaults": Options,
        "axes": Axes,
        "include": Axes,
        "exclude": Axes,
        "overrides": Override,
        "match": Axes,
        "container": Image,
        "mounts": Mounted,
    }
    words = [part for part in where if isinstance(part, str)]
    if words[:1] == ["harnesses"] and len(words) == 2:  # noqa: PLR2004  what follows is a name
        return list(OwnHarness.model_fields)
    return list((kinds[words[-1]] if words else Document).model_fields)


@dataclass(kw_only=True)
class _Expansion:
    """The axes of one document on their way to cases, and the problems met."""

    source: Source
    document: Document
    vocabulary: Vocabulary
    commands: Mapping[str, CommandTemplate]
    problems: list[Problem]

    @property
    def _conformance(self) -> Conformance:
        return self.document.conformance or ("smoke" if self.document.category == "smoke" else "round")

    def cases(self) -> tuple[Case, ...]:
        points = self._points()
        self._exclude(points)
        for where, what in unregistered(points, self.vocabulary):
            self._problem(where, what, hint="leave it out with 'exclude', or name fewer values")
        settings = self._settings(points)
        if not points and not self.problems:
            self._problem((), "the matrix expands to no case")
        return tuple(self._case(point, where, settings[point]) for point, where in points.items())

    def _points(self) -> dict[_Point, tuple[str | int, ...]]:
        """Return the points of the matrix, each with the block that names it."""
        points: dict[_Point, tuple[str | int, ...]] = {}
        wrong = self._check_words()
        for where, block in self._blocks():
            if where in wrong or ("axes",) in wrong:
                continue
            values = self._completed(where, block)
            size = 1
            for axis in AXES:
                size *= len(values.get(axis, []))
            if len(points) + size > MAX_CASES:
                self._problem(where, f"expands to {len(points) + size} cases, allowed: {MAX_CASES}")
                return points
            for point in itertools.product(*(values.get(axis, []) for axis in AXES)):
                if points.setdefault(point, where) is not where:
                    first = self.source.place(points[point])
                    self._problem(where, f"case {self._id(point)[0]} is named twice: first at {first}")
        return points

    def _blocks(self) -> Iterator[tuple[tuple[str | int, ...], Axes]]:
        if not self.document.include:
            yield ("axes",), self.document.axes
        for index, block in enumerate(self.document.include):
            yield ("include", index), block

    def _completed(self, where: tuple[str | int, ...], block: Axes) -> dict[str, list[Any]]:
        """Return the values of a block on each axis; empty where it cannot be expanded."""
        before = len(self.problems)
        values: dict[str, list[Any]] = {}
        for axis in AXES:
            found = getattr(block, axis) or getattr(self.document.axes, axis) or _DEFAULT_AXES.get(axis)
            if not found:
                elsewhere = ", nor in 'axes'" if where != ("axes",) else ""
                self._problem(where, f"no value on the axis '{axis}' here{elsewhere}")
                continue
            values[axis] = found
        if len(self.problems) == before:
            self._check_combinations(where, values)
        return values if len(self.problems) == before else {}

    def _check_words(self) -> set[tuple[str | int, ...]]:
        """Look at every word once, where it is written; return the blocks with a word that is wrong."""
        benchmarks = {name for terms in self.vocabulary.harnesses.values() for name in terms.benchmarks}
        known: dict[str, Collection[str]] = {
            "sku": self.vocabulary.system_ids,
            "harness": self.vocabulary.harnesses,
            "benchmark": benchmarks,
        }
        wrong: set[tuple[str | int, ...]] = set()
        blocks = [(("axes",), self.document.axes), *self._blocks()]
        for where, block in dict(blocks).items():
            before = len(self.problems)
            for axis in AXES:
                words = getattr(block, axis) or []
                for word in (word for word, count in Counter(words).items() if count > 1):
                    self._problem((*where, axis), f"'{word}' stands here twice")
                for word in words:
                    if axis in known and word not in known[axis]:
                        spot = self._spot(where, axis, word)
                        self.problems.append(unknown(self.source, spot, word, known[axis]))
            if len(self.problems) > before:
                wrong.add(where)
        return wrong

    def _spot(self, where: tuple[str | int, ...], axis: str, word: str) -> tuple[str | int, ...]:
        """Return where a value of a block stands: in a list, or alone."""
        written: Any = self.source.content
        for part in (*where, axis):
            written = written[part]
        return (*where, axis, written.index(word)) if isinstance(written, list) else (*where, axis)

    def _check_combinations(self, where: tuple[str | int, ...], values: Mapping[str, list[Any]]) -> None:
        for harness in values["harness"]:
            self._check_harness(where, harness, values["sku"])
        for harness, name in itertools.product(values["harness"], values["benchmark"]):
            benchmark = self.vocabulary.harnesses[harness].benchmarks.get(name)
            if benchmark is None:
                able = [h for h, terms in self.vocabulary.harnesses.items() if name in terms.benchmarks]
                self._problem(where, f"{name} has no harness '{harness}', allowed: {', '.join(able)}")
                continue
            for axis, allowed in (("scenario", benchmark.scenarios), ("accuracy", benchmark.accuracy_levels)):
                for value in values[axis]:
                    if value not in allowed:
                        what = f"{name} has no {axis} '{value}', allowed: {', '.join(allowed)}"
                        self._problem((*where, axis), what)

    def _check_harness(self, where: tuple[str | int, ...], harness: str, skus: Iterable[str]) -> None:
        """Refuse a harness on SKUs that it does not use, and a miniature where a round is asked for."""
        terms = self.vocabulary.harnesses[harness]
        if self._conformance == "round" and not terms.submission:
            what = f"harness '{harness}' runs miniatures, allowed: conformance smoke"
            self._problem(where, what, hint="their results are never submission-valid")
        for sku in skus:
            accelerated = sku not in self.vocabulary.cpu_skus
            if terms.accelerated is not None and terms.accelerated != accelerated:
                kind = "SKUs with accelerators" if terms.accelerated else "the host's CPU"
                self._problem(where, f"harness '{harness}' does not run on {sku}, allowed: {kind}")

    def _exclude(self, points: dict[_Point, tuple[str | int, ...]]) -> None:
        for index, selector in enumerate(self.document.exclude):
            if not any(getattr(selector, axis) for axis in AXES):
                self._problem(("exclude", index), "names no axis, and would leave out every case")
            for point in self._selected(("exclude", index), selector, points):
                del points[point]

    def _settings(self, points: Iterable[_Point]) -> dict[_Point, Settings]:
        defaults = _named(self.document.defaults)
        settings = dict.fromkeys(points, Settings(**defaults))
        self._check_settings(("defaults",), defaults, list(settings))
        self._check_privileges(("defaults",), self.document.defaults, list(settings))
        for index, override in enumerate(self.document.overrides):
            where = ("overrides", index)
            changes = _named(override)
            if not changes:
                self._problem(where, "changes nothing: name a setting beside 'match'")
            selected = self._selected((*where, "match"), override.match, settings)
            self._check_settings(where, changes, selected)
            self._check_privileges(where, override, selected)
            for point in selected:
                settings[point] = replace(settings[point], **changes)
        return settings

    def _check_settings(
        self, where: tuple[str | int, ...], changes: Mapping[str, Any], points: Sequence[_Point]
    ) -> None:
        scenarios = {point[AXES.index("scenario")] for point in points}
        for setting, meant_for in _MEANT_FOR.items():
            if setting in changes and points and not scenarios & set(meant_for):
                what = f"changes no selected case, allowed with: {', '.join(meant_for)}"
                self._problem((*where, setting), what)
        if self._conformance == "round":
            for setting, floor_or_limit in self._relaxed(changes, points).items():
                self._problem(
                    (*where, setting),
                    f"found {changes[setting]:g}, allowed: {floor_or_limit} ({self.document.round})",
                    hint="conformance: smoke allows relaxed runs, which are not submission-valid",
                )

    def _check_privileges(
        self, where: tuple[str | int, ...], options: Options, points: Iterable[_Point]
    ) -> None:
        words, spot = options.privileges or [], (*where, "privileges")
        for index, what, hint in privileges.problems(words):
            self._problem(spot if index is None else (*spot, index), what, hint=hint)
        harnesses = sorted({point[AXES.index("harness")] for point in points})
        if words and harnesses and all(self.vocabulary.harnesses[h].contained is False for h in harnesses):
            names = ", ".join(f"'{name}'" for name in harnesses)
            self._problem(spot, f"changes no selected case: harness {names} runs in no container")

    def _relaxed(self, changes: Mapping[str, Any], points: Iterable[_Point]) -> dict[str, str]:
        """Return the settings that a round does not allow, with what it does."""
        relaxed: dict[str, str] = {}
        shortest_s = self.vocabulary.round.min_duration_s
        if changes.get("min_duration_s", shortest_s) < shortest_s:
            relaxed["min_duration_s"] = f"{shortest_s:g} or more"
        if "min_query_count" in changes:
            relaxed["min_query_count"] = "what the round says"
        limits = [self._benchmark(point).server_latency_ms for point in points]
        limit_ms = min((limit for limit in limits if limit is not None), default=None)
        if limit_ms is not None and changes.get("target_latency_ms", limit_ms) > limit_ms:
            relaxed["target_latency_ms"] = f"{limit_ms:g} or less"
        return relaxed

    def _benchmark(self, point: _Point) -> Benchmark:
        return self.vocabulary.harnesses[point[AXES.index("harness")]].benchmarks[
            point[AXES.index("benchmark")]
        ]

    def _selected(
        self, where: tuple[str | int, ...], selector: Axes, points: Iterable[_Point]
    ) -> list[_Point]:
        asked = [(i, set(getattr(selector, axis))) for i, axis in enumerate(AXES) if getattr(selector, axis)]
        selected = [point for point in points if all(point[i] in values for i, values in asked)]
        if not selected and not self.problems:
            self._problem(where, "selects no case of this matrix", hint="is a name misspelt?")
        return selected

    def _id(self, point: _Point) -> tuple[str, str]:
        """Return id and metric name, composed as closed/NVIDIA v2.0 code/main.py does."""
        sku, benchmark, harness, accuracy, power, scenario, mode = point
        system = self.vocabulary.system_ids[sku] + self.vocabulary.harnesses[harness].system_suffix
        system += "_MaxQ" if power == "MaxQ" else ""
        level = "k_" + accuracy.replace(".", "_")
        metric_name = f"{system}-{harness}_{level}_{power}-{scenario}-{METRIC_MODES[mode]}"
        return f"{benchmark}-{metric_name}", metric_name

    def _case(self, point: _Point, where: tuple[str | int, ...], settings: Settings) -> Case:
        case_id, metric_name = self._id(point)
        sku, benchmark, harness, accuracy, power, scenario, mode = point
        return Case(
            id=case_id,
            metric_name=metric_name,
            round=self.document.round,
            category=self.document.category,
            conformance=self._conformance,
            match=self.document.match,
            sku=sku,
            benchmark=benchmark,
            harness=harness,
            accuracy=accuracy,
            power=power,
            scenario=scenario,
            mode=mode,
            settings=settings,
            place=self._place(where),
            command=self.commands.get(harness),
        )

    def _place(self, where: tuple[str | int, ...]) -> Place:
        return self.source.place(where)

    def _problem(self, where: tuple[str | int, ...], what: str, *, hint: str | None = None) -> None:
        self.problems.append(
            Problem(what=f"{dotted(where)}: {what}", place=self.source.place(where), hint=hint)
        )


def _named(options: Options) -> dict[str, Any]:
    """Return the settings that are named, as the values that cases have."""
    named = options.model_dump(exclude_none=True, exclude={"match"})
    if options.privileges is not None:
        named["privileges"] = tuple(sorted(set(options.privileges)))
    if options.attempts:
        named["attempts"] = Attempts(max=options.attempts.max, need=options.attempts.need)
    return named
