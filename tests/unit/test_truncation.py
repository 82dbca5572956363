from __future__ import annotations

import hashlib
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.submission.truncation import digest, hash_line, shortened

if TYPE_CHECKING:
    from pathlib import Path

SHA256 = "0a" * 32
MOST_BYTES = 10240


@pytest.mark.parametrize("size", [0, 1, MOST_BYTES])
def test_a_short_log_stays_whole(size: int, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * size)
    assert shortened(path, most_bytes=MOST_BYTES) == b"x" * size


def test_a_long_log_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    content = bytes(number % 251 for number in range(MOST_BYTES + 1))
    path.write_bytes(content)
    cut = shortened(path, most_bytes=MOST_BYTES)
    assert cut == content[:4096] + b"\n\n...\n\n" + content[-4096:]
    assert len(cut) < MOST_BYTES


def test_a_log_is_never_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "log"
    size = 67 << 20
    with path.open("wb") as stream:
        stream.truncate(size)
    tracemalloc.start()
    found, cut = digest(path), shortened(path, most_bytes=MOST_BYTES)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == hashlib.sha256(bytes(size)).hexdigest()
    assert len(cut) == 2 * 4096 + 7
    assert peak < 4 << 20


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("accuracy=76%\n", f"hash={SHA256}\n"),
        ("accuracy=76%", f"\nhash={SHA256}\n"),
        ("", f"hash={SHA256}\n"),
        (f"hash={SHA256}\naccuracy=76%\n", ""),
    ],
)
def test_the_hash_has_a_line_of_its_own(text: str, added: str) -> None:
    assert hash_line(text, SHA256) == added
