"""The detail log of LoadGen 1.0 and later: lines of `:::MLLOG {json}`.

Every line is checked to be whole JSON of the expected shape. msgspec does it, and builds only the key and the
marks; a value is built when somebody asks for it. What msgspec refuses, Python's `json` reads again: it takes
more (NaN, Infinity, lone surrogates), and it words the errors. LoadGen escapes no text and need not write
UTF-8: what is no character is replaced.

A line ends with a line feed; a carriage return before it is no matter. Memory is bounded by `MOST_BYTES`,
however long the log is: of the lines with the same key, or with the same message, the first is kept.

Most of a published log are lists of the samples that were loaded, and these are the same in every run of a
benchmark, by the seeds of the round: whoever reads many logs remembers them in `Lists`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence import DetailLog, Fact

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of all that is kept of a log, and of a line. The longest line known has 6 MB: 788,379 indices of samples.
MOST_BYTES = 32 << 20

# What is read at once, and stays in the cache of the processor.
_BLOCK_BYTES = 64 << 10
_PREFIX = b":::MLLOG "
# What LoadGen states once: no published log has two lines of such a key. Messages and loaded sets do repeat.
_ONCE = ("requested_", "effective_", "result_", "early_stopping_", "num_errors", "sut_name", "qsl_reported_")
# An endpoint log of MLPerf Endpoints, which rounds from v6.1 on also take.
_ENDPOINTS = b":::ENDPTS"
# LoadGen nests once. A value that nests as deep as Python's stack could not be built, nor printed.
_LEVELS = 200
# The most digits that Python reads as an integer. msgspec does not count them in a value that it leaves.
_DIGITS = 4300
# Digits of which a longer number has so many in a row wherever it stands, looked for at every step.
_SOME_DIGITS = 64
_LIST = _PREFIX + b'{"key": "loaded_qsl_set", "value": ['
# What tells one list from another. A list that is shorter than this is read every time.
_START = slice(len(_LIST), len(_LIST) + 64)
# Of the lists that are remembered: all of one round have 15 MB.
_LIST_BYTES = 16 << 20


class _Marks(msgspec.Struct, gc=False):
    is_error: bool = False
    is_warning: bool = False


class _Entry(msgspec.Struct, gc=False):
    key: str
    value: msgspec.Raw
    metadata: _Marks


_decode = msgspec.json.Decoder(_Entry).decode


class Lists:
    """Lists of samples that were found whole: what begins the same in another log is not read again."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[bytes, msgspec.Raw]] = {}
        self._left_bytes = _LIST_BYTES

    def read(self, line: bytes) -> _Entry | None:
        """Return what a long line says, None for one that Python is to read. Raises what msgspec does."""
        head, value = self._known.get(line[_START], (None, None))
        if value is not None and head is not None and line.startswith(head):
            rest = line[len(head) - 1 :]
            if len(rest) < _DIGITS:
                entry = _decode(_LIST[len(_PREFIX) :] + rest)
                entry.value = value
                return entry
        if not line.startswith(_PREFIX) or _has_long_numbers(line):
            return None
        entry = _decode(line[len(_PREFIX) :])
        if not _is_flat(entry.value):
            return None
        if line.startswith(_LIST):
            self._learn(line[: line.find(b"]") + 1])
        return entry

    def _learn(self, head: bytes) -> None:
        # The line is whole JSON: what has nothing but digits and commas is a list of numbers.
        if len(head) < _START.stop or head[len(_LIST) : -1].translate(None, b"0123456789,"):
            return
        self._left_bytes -= len(head)
        if self._left_bytes < 0:
            self._known.clear()
            self._left_bytes = _LIST_BYTES - len(head)
        self._known[head[_START]] = head, msgspec.Raw(memoryview(head)[len(_LIST) - 1 :])


def parse(stream: BinaryIO, path: str, lists: Lists | None = None) -> DetailLog:
    """Parse a detail log.

    lists: what other logs have taught, and this one will
    Every message is told, but the place of one that repeats is the place of the first.
    Raises EvidenceError naming the line that is cut or is not of this format.
    """
    log = _Log(path, lists or Lists())
    for block in _blocks(stream):
        log.read(block)
    if not log.found:
        raise EvidenceError("the file is empty", place=Place(path=path), hint=_DIED)
    return DetailLog(
        facts=_Facts(log.found, path),
        errors=tuple(log.errors),
        warnings=tuple(log.warnings),
        conflicts=tuple(log.conflicts.values()),
    )


_DIED = "did the harness die? see stderr.txt of the case"


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Yield whole lines. What has no line end is the end of the file, or a line that is too long."""
    parts: list[bytes] = []
    left = MOST_BYTES
    while left > 0 and (part := stream.read(min(_BLOCK_BYTES, left))):
        end = part.rfind(b"\n") + 1
        parts.append(part[:end] or part)
        left -= len(part)
        if end:
            yield b"".join(parts)
            parts = [part[end:]]
            left = MOST_BYTES - len(parts[0])
    if any(parts):
        yield b"".join(parts)


class _Facts(Mapping[str, Fact]):
    """Facts that are made when they are asked for: a log has a hundred, and few of them are."""

    def __init__(self, found: Mapping[str, tuple[int, msgspec.Raw]], path: str) -> None:
        self._found = found
        self._path = path

    def __getitem__(self, key: str) -> Fact:
        number, value = self._found[key]
        return Fact(key=key, value=_built(value), place=Place(path=self._path, line=number))

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def _built(value: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _characters(json.loads(bytes(value).decode(errors="replace")))


def _characters(value: Any) -> Any:
    """Return a value with characters only: a half of one, which JSON can escape, cannot be written."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, list):
        return [_characters(part) for part in value]
    if isinstance(value, dict):
        return {_characters(name): _characters(part) for name, part in value.items()}
    return value


class _Log:
    """What is kept of the lines that were read.

    found:             by key, its first line and value
    errors, warnings:  LoadGen may say the same a million times: it is one Fact, so many times
    conflicts:         by key, its first line, and the first that says otherwise
    """

    def __init__(self, path: str, lists: Lists) -> None:
        self.found: dict[str, tuple[int, msgspec.Raw]] = {}
        self.errors: list[Fact] = []
        self.warnings: list[Fact] = []
        self.conflicts: dict[str, tuple[Fact, Fact]] = {}
        self._path = path
        self._lists = lists
        self._lines = 0
        self._kept_bytes = 0
        self._said: dict[tuple[str, bytes], Fact] = {}

    def read(self, block: bytes) -> None:
        """Read lines. Raises EvidenceError naming the first that is wrong."""
        if not block.endswith(b"\n"):
            raise _cut(block, Place(path=self._path, line=self._lines + 1))
        found, lists, start = self.found, self._lists, len(_PREFIX)
        for number, line in enumerate(BytesIO(block), start=self._lines + 1):
            entry = None
            try:
                # Half the time of a log of short lines is spent here, and a function would be a tenth more.
                if len(line) >= _DIGITS:
                    entry = lists.read(line)
                elif line.startswith(_PREFIX):
                    entry = _decode(line[start:])
                    if len(entry.value) > _LEVELS and not _is_flat(entry.value):
                        entry = None
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass
            if entry is None:
                entry = _checked(line, Place(path=self._path, line=number))
            key, marks = entry.key, entry.metadata
            if key not in found:
                found[key] = number, entry.value
                self._kept_bytes += len(line)
            else:
                self._compare(key, entry.value, number)
            if marks.is_error or marks.is_warning:
                self._hear(entry, number)
        self._lines = number
        self._check_kept()

    def _check_kept(self) -> None:
        if self._kept_bytes > MOST_BYTES:
            what = f"found more than {MOST_BYTES >> 20} MiB of different keys and messages"
            raise EvidenceError(what, place=Place(path=self._path, line=self._lines))

    def _compare(self, key: str, value: msgspec.Raw, number: int) -> None:
        if not key.startswith(_ONCE):
            return
        first = _Facts(self.found, self._path)[key]
        other = Fact(key=key, value=_built(value), place=Place(path=self._path, line=number))
        # By what Python writes: NaN is not equal to itself, and True is equal to 1.
        if key not in self.conflicts and repr(first.value) != repr(other.value):
            self.conflicts[key] = first, other
            self._kept_bytes += len(value)

    def _hear(self, entry: _Entry, number: int) -> None:
        said = entry.key, bytes(entry.value)
        fact = self._said.get(said)
        if fact is None:
            place = Place(path=self._path, line=number)
            fact = self._said[said] = Fact(key=entry.key, value=_built(entry.value), place=place)
            self._kept_bytes += 2 * len(said[1])
        if entry.metadata.is_error:
            self.errors.append(fact)
        if entry.metadata.is_warning:
            self.warnings.append(fact)


def _is_flat(value: msgspec.Raw) -> bool:
    """Return whether a value can have no more levels than are read."""
    text = bytes(value)
    if text.find(b"[", 1) < 0 and text.find(b"{", 1) < 0:
        return True
    return text.count(b"[") + text.count(b"{") <= _LEVELS


def _has_long_numbers(block: bytes) -> bool:
    """Return whether there may be a number of too many digits: it would fill one of these parts."""
    step = _DIGITS - _SOME_DIGITS
    return any(block[at : at + _SOME_DIGITS].isdigit() for at in range(0, len(block), step))


def _cut(line: bytes, place: Place) -> EvidenceError:
    if len(line) >= MOST_BYTES:
        return EvidenceError(f"the line is longer than {MOST_BYTES >> 20} MiB", place=place)
    return EvidenceError("the last line is cut", place=place, hint=_DIED)


def _checked(line: bytes, place: Place) -> _Entry:
    """Return what a line says. Raises EvidenceError naming what is wrong with it."""
    if line.startswith(_ENDPOINTS):
        raise EvidenceError("an endpoint log, not LoadGen's; not judged by this version", place=place)
    if not line.startswith(_PREFIX):
        found, allowed = line[:40].decode(errors="replace"), _PREFIX.decode()
        raise EvidenceError(f"found {found!r}, allowed: lines that start with {allowed!r}", place=place)
    try:
        entry = _characters(json.loads(line[len(_PREFIX) : -1].decode(errors="replace")))
    except (ValueError, RecursionError) as error:
        hint = "LoadGen escapes no text, and writes numbers such as inf"
        raise EvidenceError(f"not JSON: {error}", place=place, hint=hint) from error
    if not isinstance(entry, dict) or not {"key", "value", "metadata"} <= entry.keys():
        raise EvidenceError("found no key, value and metadata", place=place)
    key, value, marks = entry["key"], entry["value"], entry["metadata"]
    if not isinstance(key, str) or not isinstance(marks, dict):
        raise EvidenceError("found another shape, allowed: text as key, a mapping as metadata", place=place)
    if _nests(value):
        raise EvidenceError(f"found a value of more than {_LEVELS} levels", place=place)
    is_error, is_warning = bool(marks.get("is_error")), bool(marks.get("is_warning"))
    return _Entry(key, msgspec.Raw(json.dumps(value)), _Marks(is_error, is_warning))


def _nests(value: Any) -> bool:
    """Return whether a value has more levels of lists and mappings than are read."""
    parts = [value]
    for _ in range(_LEVELS + 1):
        nests = [part for part in parts if isinstance(part, dict | list)]
        parts = [part for nest in nests for part in (nest.values() if isinstance(nest, dict) else nest)]
    return bool(nests)
