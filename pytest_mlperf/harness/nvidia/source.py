"""The source tree of a harness, as an input of what is built from it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pytest_mlperf.errors import Place, RunError

if TYPE_CHECKING:
    from pathlib import Path


def fingerprint(tree: Path, *parts: str) -> str:
    """Return a hash of files of a tree, and of all that is in folders of it, whether they are there or not.

    The content is looked at, not the revision: a tree is edited to know a machine better.
    Raises RunError for a file that cannot be read.
    """
    digest = hashlib.sha256()
    for part in parts:
        for path in _files(tree / part):
            digest.update(str(path.relative_to(tree)).encode() + b"\0")
            digest.update(hashlib.sha256(_content(path)).digest())
    return digest.hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    inside = (p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return sorted(inside)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"cannot be read: {error.strerror}", place=Place(path=str(path))) from error
