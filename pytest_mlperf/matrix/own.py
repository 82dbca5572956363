"""The harnesses that a matrix describes itself, and all that can be wrong with them.

What a case of them lacks is looked for when all cases are known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, get_args

from pytest_mlperf.errors import Problem, nearest
from pytest_mlperf.matrix import (
    MODES,
    SCENARIOS,
    Accuracy,
    Category,
    HarnessTerms,
    Power,
)
from pytest_mlperf.matrix.commands import (
    Arguments,
    CommandTemplate,
    ContainerTemplate,
    Group,
    MountTemplate,
)
from pytest_mlperf.matrix.fields import FIELDS, OF_THE_RUN, is_pattern, names, planned
from pytest_mlperf.matrix.problems import dotted, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_mlperf.matrix import Case, Vocabulary
    from pytest_mlperf.matrix.document import Image, OwnHarness
    from pytest_mlperf.matrix.source import Source
    from pytest_mlperf.rounds import Round

    Where = tuple[str | int, ...]

# It stands in ids, names of folders and markers.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_ABSOLUTE = ("/", "{folder}", "{matrix_dir}", "{log_dir}")
_ABSOLUTE_MEANT = "an absolute path, or one that begins with {folder} or {matrix_dir}"


def terms(mlperf_round: Round, *, contained: bool | None = None) -> HarnessTerms:
    """Return what a harness by command runs: the benchmarks of the round, on any SKU."""
    return HarnessTerms(
        system_suffix="", benchmarks=mlperf_round.benchmarks, hashes_log=False, contained=contained
    )


@dataclass(kw_only=True)
class OwnHarnesses:
    """The section `harnesses` of a matrix, and the problems met.

    places: of the texts with fields, by harness
    """

    source: Source
    vocabulary: Vocabulary
    problems: list[Problem] = field(default_factory=list)
    templates: dict[str, CommandTemplate] = field(default_factory=dict)
    texts: dict[str, list[tuple[Where, str]]] = field(default_factory=dict)

    def read(self, section: Mapping[str, OwnHarness]) -> None:
        """Read the harnesses; `templates` are those whose texts can be filled."""
        for name, entry in section.items():
            where = ("harnesses", name)
            before = len(self.problems)
            self._check_name(where, name)
            self._check_words(where, entry)
            template = self._template(name, entry)
            self._check_paths(where, entry)
            self._check_pattern((*where, "accuracy_pattern"), entry.accuracy_pattern)
            if len(self.problems) == before:
                self.templates[name] = template

    def check(self, cases: Iterable[Case]) -> None:
        """Find the texts that need a value which a case has not got, and harnesses without a case."""
        lacking: dict[tuple[Where, str], list[str]] = {}
        used = set()
        for case in cases:
            if case.command is None:
                continue
            used.add(case.harness)
            values = planned(case, self.vocabulary.round)
            for where, text in self.texts[case.harness]:
                for name in names(text):
                    if name not in values and name not in OF_THE_RUN:
                        lacking.setdefault((where, name), []).append(case.id)
        for (where, name), ids in lacking.items():
            more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
            self._problem(
                where, f"{{{name}}} has no value in {ids[0]}{more}", hint=_ways_to_a_value(name, where[1])
            )
        for name in self.templates.keys() - used:
            self._problem(("harnesses", name), "no case of this matrix uses it")

    def _check_name(self, where: Where, name: str) -> None:
        taken = {
            *self.vocabulary.harnesses,
            *self.vocabulary.system_ids,
            *self.vocabulary.round.benchmarks,
            *SCENARIOS,
            *get_args(Category),
            "accuracy",
            "performance",
        }
        if not _NAME.fullmatch(name):
            self._problem(where, f"found the name {name!r}, allowed: letters, digits, '.', '_' and '-'")
        elif name in taken:
            self._problem(where, f"found the name '{name}', allowed: one that means nothing else")

    def _check_words(self, where: Where, entry: OwnHarness) -> None:
        allowed: dict[str, Iterable[str]] = {
            "sku": self.vocabulary.system_ids,
            "benchmark": self.vocabulary.round.benchmarks,
            "accuracy": get_args(Accuracy),
            "power": get_args(Power),
            "scenario": SCENARIOS,
            "mode": MODES,
        }
        for name, axes in entry.words.items():
            spot = (*where, "words", name)
            if not name.isidentifier() or name in FIELDS:
                self._problem(spot, f"found the name '{name}', allowed: a word that is no field already")
            if len(axes) != 1:
                self._problem(spot, f"found {len(axes)} axes, allowed: one of {', '.join(allowed)}")
            for axis, texts in axes.items():
                if axis not in allowed:
                    self.problems.append(unknown(self.source, (*spot, axis), axis, allowed))
                    continue
                for value in texts:
                    if value not in allowed[axis]:
                        where_it_is = (*spot, axis, value)
                        self.problems.append(unknown(self.source, where_it_is, value, allowed[axis]))

    def _check_paths(self, where: Where, entry: OwnHarness) -> None:
        """Refuse logs that could be of another run, and paths that depend on where pytest was started."""
        for key, starts in (("log_dir", ("{folder}",)), ("accuracy_file", ("{folder}", "{log_dir}"))):
            path = PurePath(getattr(entry, key))
            if path.parts[0] not in starts or len(path.parts) == 1 or ".." in path.parts:
                self._problem(
                    (*where, key),
                    f"found '{path}', allowed: a path below {' or '.join(starts)}",
                    hint="so that no logs of another run are judged",
                )
        if not entry.cwd.startswith(_ABSOLUTE):
            self._problem((*where, "cwd"), f"found '{entry.cwd}', allowed: {_ABSOLUTE_MEANT}")
        for index, mount in enumerate(entry.container.mounts if entry.container else []):
            for key in ("source", "target"):
                path_text = getattr(mount, key)
                if not path_text.startswith(_ABSOLUTE):
                    spot = (*where, "container", "mounts", index, key)
                    self._problem(spot, f"found '{path_text}', allowed: {_ABSOLUTE_MEANT}")

    def _check_pattern(self, where: Where, pattern: str | None) -> None:
        if pattern is None:
            return
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            self._problem(where, f"found {pattern!r}, allowed: a regular expression", hint=str(error))
            return
        if groups != 1:
            self._problem(where, f"found {groups} groups, allowed: one, around the accuracy")

    def _template(self, name: str, entry: OwnHarness) -> CommandTemplate:
        where = ("harnesses", name)
        self.texts[name] = []
        words = entry.words
        unfixed = is_pattern(entry.log_dir)
        anywhere = [*FIELDS, *words]
        if unfixed:
            anywhere.remove("log_dir")
        for key, fields in (
            ("log_dir", [f for f in (*FIELDS, *words) if f not in OF_THE_RUN or f == "folder"]),
            ("accuracy_file", [f for f in (*FIELDS, *words) if f not in OF_THE_RUN[2:]]),
            ("cwd", anywhere),
        ):
            self._text(where, (key,), getattr(entry, key), fields)
        for variable, text in entry.env.items():
            self._text(where, ("env", variable), text, anywhere)
        return CommandTemplate(
            argv=self._arguments(where, "argv", entry, anywhere),
            score=None if entry.score is None else self._arguments(where, "score", entry, anywhere),
            env=entry.env,
            cwd=entry.cwd,
            log_dir=entry.log_dir,
            accuracy_file=entry.accuracy_file,
            accuracy_pattern=entry.accuracy_pattern,
            container=self._container(where, entry.container, anywhere),
            words=words,
            place=self.source.place(where),
        )

    def _container(
        self, where: Where, image: Image | None, fields: Sequence[str]
    ) -> ContainerTemplate | None:
        if image is None:
            return None
        self._text(where, ("container", "image"), image.image, fields)
        for index, mount in enumerate(image.mounts):
            for key in ("source", "target"):
                self._text(where, ("container", "mounts", index, key), getattr(mount, key), fields)
        return ContainerTemplate(
            image=image.image,
            mounts=tuple(
                MountTemplate(source=m.source, target=m.target, read_only=m.read_only) for m in image.mounts
            ),
            shm_bytes=round(image.shm_gib * 2**30) if image.shm_gib else None,
        )

    def _arguments(self, where: Where, key: str, entry: OwnHarness, fields: Sequence[str]) -> Arguments:
        written = getattr(entry, key)
        if entry.shell:
            if isinstance(written, str) and written:
                self._text(where, (key,), written, fields)
                return Arguments(shell=written)
            self._problem((*where, key), f"found {_kind(written)}, allowed: one line of text (shell: true)")
            return Arguments()
        if not isinstance(written, list) or not written:
            hint = "shell: true takes a line for /bin/sh" if isinstance(written, str) else None
            self._problem((*where, key), f"found {_kind(written)}, allowed: a list of arguments", hint=hint)
            return Arguments()
        return Arguments(groups=tuple(self._groups(where, key, written, fields)))

    def _groups(self, where: Where, key: str, written: list[Any], fields: Sequence[str]) -> Iterator[Group]:
        for index, item in enumerate(written):
            optional = isinstance(item, list)
            texts = []
            for inner, value in enumerate(item) if optional else [(None, item)]:
                at = (key, index) if inner is None else (key, index, inner)
                if isinstance(value, bool) or not isinstance(value, str | int | float):
                    self._problem((*where, *at), f"found {_kind(value)}, allowed: text or a number")
                    continue
                self._text(where, at, str(value), fields, needed=not optional)
                texts.append(str(value))
            if optional and index == 0:
                self._problem(
                    (*where, key, index), "found a list, allowed: the program, which is always there"
                )
            yield Group(arguments=tuple(texts), optional=optional)

    def _text(
        self, where: Where, at: Where, text: str, fields: Sequence[str], *, needed: bool = True
    ) -> None:
        """Check the fields of a text; where they are needed, each case has to have them."""
        spot = (*where, *at)
        try:
            found = names(text)
        except ValueError as error:
            self._problem(spot, f"found '{text}', allowed: {error}")
            return
        for name in found:
            if name not in fields:
                what = f"{dotted(spot)}: unknown field '{{{name}}}', allowed: {', '.join(fields)}"
                self.problems.append(
                    Problem(what=what, place=self.source.place(spot), hint=nearest(name, fields))
                )
        if needed:
            self.texts[str(where[1])].append((spot, text))

    def _problem(self, where: Where, what: str, *, hint: str | None = None) -> None:
        self.problems.append(
            Problem(what=f"{dotted(where)}: {what}", place=self.source.place(where), hint=hint)
        )


def _kind(value: object) -> str:
    kinds = {str: "text", list: "a list", dict: "a mapping", bool: f"{value}".lower(), type(None): "nothing"}
    return (
        kinds.get(type(value), "a number")
        if value not in ("", [])
        else f"an empty {'text' if value == '' else 'list'}"
    )


def _ways_to_a_value(name: str, harness: str | int) -> str:
    alone = "put it in a list of its own within the arguments, to leave it out"
    if name in FIELDS:
        return f"set {name} in 'defaults' or 'overrides', or {alone}"
    return f"give it one in harnesses.{harness}.words.{name}, or {alone}"
