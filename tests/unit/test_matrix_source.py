from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf.errors import ConfigurationError, Place
from pytest_mlperf.matrix.source import MAX_BYTES, MAX_NODES, Source, read

FILE = "matrices/m.yaml"

# Ten of ten of ten ...: a million values from a few lines.
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{chr(ord(name) - 1)}'] * 10)}]\n" for name in "bcdef"
)

BAD = {
    "tab for indentation": ("a:\n\tb: 1\n", ":2: not YAML: found character that cannot start any token"),
    "tab in a mapping": ("a: 1\n\tb: 2\n", ":2: not YAML: found a tab character that violates indentation"),
    "unclosed list": ("a: 1\nb: [c, d\n", ":3: not YAML: did not find expected ',' or ']'"),
    "unclosed mapping": ("a: {b: c\n", ":2: not YAML: did not find expected ',' or '}'"),
    "unclosed quote": ('a: "b\n', ":2: not YAML: found unexpected end of stream"),
    "unknown alias": ("a: 1\nb: *c\n", ":2: not YAML: found undefined alias"),
    "tag of Python": (
        "a: 1\nb: !!python/object/apply:os.system 'ls'\n",
        ":2: found the tag 'tag:yaml.org,2002:python/object/apply:os.system', allowed: plain values",
    ),
    "name of Python": (
        "a: !!python/name:os.system\n",
        ":1: found the tag 'tag:yaml.org,2002:python/name:os.system', allowed: plain values",
    ),
    "own tag": ("a: !env HOME\n", ":1: found the tag '!env', allowed: plain values"),
    "duplicate key": ("a: 1\nb: 2\na: 3\n", ":3: key 'a' stands here twice"),
    "duplicate key, nested": ("a:\n  b: {c: 1, c: 2}\n", ":2: key 'c' stands here twice"),
    "number as a key": ("a: 1\n2: b\n", ":2: found the key '2', allowed: words"),
    "truth value as a key": ("yes: b\n", ":1: found the key 'yes', allowed: words"),
    "nothing as a key": ("? \n: b\n", ":1: found the key '', allowed: words"),
    "date that is none": ("a: 2022-13-06\n", ":1: not a value: month must be in 1..12"),
    "alias bomb": (
        BOMB,
        f":1: found more than {MAX_NODES} values (an alias counts each time that it is used)",
    ),
    "alias in itself": ("a: 1\nb: &b [c, *b]\n", ":2: an alias contains itself"),
    "alias merged into itself": ("a: &a\n  <<: *a\n", ":1: an alias contains itself"),
    "merge of a number": ("a: 1\n<<: 2\n", ":2: '<<' takes a mapping or a list of mappings"),
    "merge of a list of words": ("a: 1\n<<: [b]\n", ":2: '<<' takes a mapping or a list of mappings"),
    "too large": (
        "#" * (MAX_BYTES + 1),
        ": found 1000001 bytes, allowed 1000000 (split the matrix)",
    ),
}

# What is wrong is found, but said badly: see the message itself.
UNPOLISHED = {
    "bad UTF-8": (b"a: 1\nb: \xff\xfe\n", ": not YAML: unacceptable character #x00ff"),
    "NUL": (b"a: 1\nb: c\0d\n", ": not YAML: unacceptable character #x0000"),
    "list as a key": (b"? [a]\n: b\n", ":1: found the key "),
    "two documents": (b"a: 1\n---\na: 2\n", ":2: not YAML: "),
    "anchor twice": (b"a: &x 1\nb: &x 2\n", ":2: not YAML: "),
}

UNREFUSED = {
    "tag of Python on a mapping": "a: !!python/object:os.environ {b: c}\n",
    "tag of Python on a list": "a: !!python/object/apply:os.system [ls]\n",
    "own tag on the document": "!matrix\na: 1\n",
    "set": "a: !!set {b, c}\n",
    "word that is tagged a mapping": "a: !!map b\n",
}

UNLIMITED = {
    "deep list": "a: " + "[" * 900 + "]" * 900 + "\n",
    "deep blocks": "a:\n" + "".join(" " * n + "-\n" for n in range(1, 1200)),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder of matrices: paths in messages are relative to it."""
    (tmp_path / "matrices").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _read(text: str | bytes) -> Source:
    Path(FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(Path(FILE))


def _refusal(text: str | bytes) -> str:
    with pytest.raises(ConfigurationError) as caught:
        _read(text)
    return str(caught.value)


@pytest.mark.parametrize("name", BAD)
def test_bad_yaml_is_refused_at_its_line(name: str) -> None:
    text, said = BAD[name]
    assert _refusal(text) == FILE + said


@pytest.mark.parametrize("name", UNPOLISHED)
def test_bad_yaml_is_refused(name: str) -> None:
    text, said = UNPOLISHED[name]
    assert _refusal(text).startswith(FILE + said)


@pytest.mark.parametrize("name", UNREFUSED)
def test_tags_on_collections_are_refused(name: str) -> None:
    assert "found the tag" in _refusal(UNREFUSED[name])


@pytest.mark.parametrize("name", UNLIMITED)
def test_deep_nesting_is_refused(name: str) -> None:
    assert _refusal(UNLIMITED[name]).startswith(FILE)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        pytest.param("matrices/none.yaml", "No such file or directory", id="missing"),
        pytest.param("none/m.yaml", "No such file or directory", id="missing folder"),
        pytest.param("matrices", "Is a directory", id="folder"),
    ],
)
def test_a_path_that_is_no_file_is_refused(path: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(Path(path))
    assert str(caught.value) == f"{path}: cannot read: {said} (--mlperf-matrix takes a YAML file)"


def test_a_link_to_itself_is_refused() -> None:
    Path("loop.yaml").symlink_to("loop.yaml")
    with pytest.raises(ConfigurationError, match=r"^loop\.yaml: cannot read: "):
        read(Path("loop.yaml"))


def test_the_path_is_shown_from_here_and_in_full_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = folder / FILE
    assert _read("a: 1").path == FILE
    assert read(full).path == FILE
    monkeypatch.chdir("/")
    assert Path("/") / read(full).path == full


GOOD: dict[str, tuple[str, Any]] = {
    "nothing": ("", None),
    "only a comment": ("# nothing\n", None),
    "plain values": (
        "a: [word, 1, 1.5, true, null, '2']\n",
        {"a": ["word", 1, 1.5, True, None, "2"]},
    ),
    "Windows line ends": ("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
    "byte order mark": ("\ufeffa: 1\n", {"a": 1}),
    "anchor": ("a: &x [1, 2]\nb: *x\n", {"a": [1, 2], "b": [1, 2]}),
    "anchor of a word": ("a: &x word\nb: [*x, *x]\n", {"a": "word", "b": ["word", "word"]}),
    "merge": ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\n", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
    "merge after own keys": ("a: &x {b: 1}\nc: {b: 2, <<: *x}\n", {"a": {"b": 1}, "c": {"b": 2}}),
    "merge of two, the first wins": (
        "a: &x {k: 1}\nb: &y {k: 2, l: 3}\nc: {<<: [*x, *y]}\n",
        {"a": {"k": 1}, "b": {"k": 2, "l": 3}, "c": {"k": 1, "l": 3}},
    ),
    "'<<' as a word": ("a: {'<<': b}\n", {"a": {"<<": "b"}}),
    "environment untouched": ("a: ${HOME}\n", {"a": "${HOME}"}),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_yaml_is_plain_values(name: str) -> None:
    text, content = GOOD[name]
    assert _read(text).content == content


TEXT = """\
a: 1
b:
  - c
  - d:
      e: 2
f: {g: 3,
    h: 4}
"""


@pytest.mark.parametrize(
    ("where", "line"),
    [
        pytest.param((), 1, id="the document"),
        pytest.param(("a",), 1, id="a value"),
        pytest.param(("b",), 2, id="a list, at its key"),
        pytest.param(("b", 1), 4, id="an item"),
        pytest.param(("b", 1, "d", "e"), 5, id="a nested value"),
        pytest.param(("f", "h"), 7, id="a value in braces"),
        pytest.param(("b", 1, "d", "x"), 4, id="a key that is missing: what is around it"),
        pytest.param(("x", 0), 1, id="nothing: the document"),
    ],
)
def test_each_value_has_its_line(where: tuple[str | int, ...], line: int) -> None:
    assert _read(TEXT).place(where) == Place(path=FILE, line=line)


def test_nothing_has_no_line() -> None:
    assert _read("").place(("round",)) == Place(path=FILE, line=None)


MERGED = "a: &x\n  k: 1\nb: &y\n  k: 2\n"


def test_a_merged_value_stands_at_its_anchor_and_an_own_one_where_it_is_written() -> None:
    source = _read(MERGED + "c:\n  <<: *x\n  l: 3\nd:\n  <<: *x\n  k: 4\n")
    assert source.place(("c", "k")).line == 2
    assert source.place(("c", "l")).line == 7
    assert source.place(("d", "k")).line == 10


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("c:\n  k: 5\n  <<: *x\n", 6, id="own key before the merge"),
        pytest.param("c:\n  <<: [*x, *y]\n", 2, id="merge of two"),
    ],
)
def test_the_line_is_of_the_value_that_wins(text: str, line: int) -> None:
    assert _read(MERGED + text).place(("c", "k")).line == line
