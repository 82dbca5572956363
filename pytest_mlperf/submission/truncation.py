"""The accuracy log as a submission has it: its beginning and its end, and the hash of the whole.

Source of the form: mlcommons/inference, tools/submission/truncate_accuracy_log.py.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KEPT_BYTES = 4096
_GAP = b"\n\n...\n\n"
_BLOCK_BYTES = 1 << 20
_HASH = re.compile(r"^hash=(\S+)", re.MULTILINE)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, read piece by piece. Raises OSError."""
    sha256 = hashlib.sha256()
    for block in blocks(path):
        sha256.update(block)
    return sha256.hexdigest()


def blocks(path: Path) -> Iterator[bytes]:
    """Give a file piece by piece. Raises OSError."""
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block


def stated_hash(text: str) -> str | None:
    """Return the hash that accuracy.txt states, None where it states none."""
    match = _HASH.search(text)
    return match[1] if match else None


def hash_line(text: str, sha256: str) -> str:
    """Return what is to be put after accuracy.txt, so that it states the hash on a line of its own."""
    if stated_hash(text) is not None:
        return ""
    return f"hash={sha256}\n" if not text or text.endswith("\n") else f"\nhash={sha256}\n"


def shortened(path: Path, *, most_bytes: int) -> bytes:
    """Return a file whole, or its beginning and end where it is larger than that. Raises OSError."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        if size <= most_bytes:
            return stream.read()
        head = stream.read(_KEPT_BYTES)
        stream.seek(size - _KEPT_BYTES)
        return head + _GAP + stream.read()
