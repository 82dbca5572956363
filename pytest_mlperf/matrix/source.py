"""YAML that knows its lines.

YAML is data here: no tags beyond the standard ones, no code, nothing from the environment, and aliases
may not make a small file large.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from pytest_mlperf.errors import ConfigurationError, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Path_ = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_NODES = 100_000

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "tag:yaml.org,2002:merge"
_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp")}
_PLAIN = {
    yaml.MappingNode: {"tag:yaml.org,2002:map"},
    yaml.SequenceNode: {"tag:yaml.org,2002:seq"},
    yaml.ScalarNode: _SCALARS,
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A YAML file as plain values, with the line of each."""

    path: str
    content: Any
    lines: dict[Path_, int]

    def place(self, where: Path_) -> Place:
        """Return the place of a value, or of the nearest thing around it that stands in the file."""
        while where and where not in self.lines:
            where = where[:-1]
        return Place(path=self.path, line=self.lines.get(where))


def read(path: Path) -> Source:
    """Read a YAML file. Raises ConfigurationError when it is missing, too large, or not plain YAML."""
    shown = _shown(path)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"cannot read: {error.strerror}",
            place=Place(path=shown),
            hint="--mlperf-matrix takes a YAML file",
        ) from error
    if len(text) > MAX_BYTES:
        raise ConfigurationError(
            f"found {len(text)} bytes, allowed {MAX_BYTES}", place=Place(path=shown), hint="split the matrix"
        )
    builder = _Builder(path=shown)
    try:
        node = yaml.compose(text, Loader=_Loader)
        content = None if node is None else builder.build(node, ())
    except RecursionError as error:
        raise ConfigurationError("found values too deep in each other", place=Place(path=shown)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise ConfigurationError(
            f"not YAML: {error.problem or error.context}", place=Place(path=shown, line=line)
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"not YAML: {error}", place=Place(path=shown)) from error
    return Source(path=shown, content=content, lines=builder.lines)


def _shown(path: Path) -> str:
    """Return the path as short as a person standing here would write it."""
    relative = os.path.relpath(path)
    return str(path.absolute()) if relative.startswith(os.pardir) else relative


@dataclass(kw_only=True)
class _Builder:
    """Turn nodes into values, and count them: an alias is paid for each time it is used."""

    path: str
    lines: dict[Path_, int] = field(default_factory=dict)
    nodes: int = 0
    open_nodes: list[yaml.Node] = field(default_factory=list)
    scalars: Any = field(default_factory=yaml.constructor.SafeConstructor)

    def build(self, node: yaml.Node, where: Path_) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self._error(
                node, f"found more than {MAX_NODES} values (an alias counts each time that it is used)"
            )
        if any(node is around for around in self.open_nodes):
            raise self._error(node, "an alias contains itself")
        self.lines.setdefault(where, node.start_mark.line + 1)
        self.open_nodes.append(node)
        try:
            return self._value(node, where)
        finally:
            self.open_nodes.pop()

    def _value(self, node: yaml.Node, where: Path_) -> Any:
        if node.tag not in _PLAIN[type(node)]:
            raise self._error(node, f"found the tag {node.tag!r}, allowed: plain values")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, where)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*where, index)) for index, item in enumerate(node.value)]
        try:
            return self.scalars.construct_object(node)
        except (ValueError, yaml.YAMLError) as error:
            raise self._error(node, f"not a value: {error}") from error

    def _mapping(self, node: yaml.MappingNode, where: Path_) -> dict[str, Any]:
        """Return the mapping: its own keys, and of merged mappings the keys that are not named before."""
        own = self._own(node, where)
        merged = [part for key, value in node.value if key.tag == _MERGE for part in self._parts(value)]
        for part in merged:
            # Built apart, so that the lines of values that lose do not stay.
            builder = _Builder(path=self.path, nodes=self.nodes, open_nodes=self.open_nodes)
            values = builder.build(part, where)
            self.nodes = builder.nodes
            new = values.keys() - own.keys()
            depth = len(where)
            self.lines |= {
                at: line for at, line in builder.lines.items() if len(at) > depth and at[depth] in new
            }
            own |= {key: values[key] for key in values if key in new}
        return own

    def _own(self, node: yaml.MappingNode, where: Path_) -> dict[str, Any]:
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                continue
            key = self._key(key_node)
            if key in own:
                raise self._error(key_node, f"key '{key}' stands here twice")
            inner = (*where, key)
            self.lines[inner] = key_node.start_mark.line + 1
            own[key] = self.build(value_node, inner)
        return own

    def _parts(self, node: yaml.Node) -> Iterator[yaml.MappingNode]:
        for part in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(part, yaml.MappingNode):
                raise self._error(part, "'<<' takes a mapping or a list of mappings")
            yield part

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:str":
            raise self._error(node, f"found the key {node.value!r}, allowed: words")
        return str(node.value)

    def _error(self, node: yaml.Node, what: str) -> ConfigurationError:
        return ConfigurationError(what, place=Place(path=self.path, line=node.start_mark.line + 1))
