"""What rounds since v3.0 forbid in a submission, wherever it stands: it is to live in a repository of git."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST_BYTES = 50 << 20


def flaws(folder: Path) -> Iterator[str]:
    """Give what is untidy in the folder of a submission, with its path from there."""
    unread: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=unread.append):
        inside = os.path.relpath(place, folder)
        if not folders and not files:
            yield f"{inside} is empty"
        for name in (*folders, *files):
            if name.startswith("."):
                yield f"{inside}/{name} is hidden"
            if " " in name:
                yield f"{inside}/{name} has a space in its name"
            if name == "__pycache__":
                yield f"{inside}/{name} is a cache of Python"
        for name in files:
            yield from _file_flaws(f"{place}/{name}", f"{inside}/{name}")
    for error in unread:
        yield f"{os.path.relpath(error.filename, folder)} cannot be read: {error.strerror}"


def _file_flaws(path: str, shown: str) -> Iterator[str]:
    try:
        if os.stat(path).st_size > _MOST_BYTES:  # noqa: PTH116  see layout.listing
            yield f"{shown} is larger than {_MOST_BYTES >> 20} MiB"
    except FileNotFoundError:
        yield f"{shown} is a link to nothing"
    except OSError as error:
        yield f"{shown} cannot be read: {error.strerror}"
