"""How what is wrong with a matrix is said."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from pytest_mlperf.errors import Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_mlperf.matrix.source import Source

_MANY, _SHOWN = 30, 8
"""Of more words than many, only some are shown."""


def unknown(source: Source, where: tuple[str | int, ...], found: str, allowed: Iterable[str]) -> Problem:
    """Return that a word is unknown, with the allowed ones (of many, the nearest)."""
    words = sorted(allowed)
    shown = difflib.get_close_matches(found, words, n=_SHOWN, cutoff=0) if len(words) > _MANY else words
    some = f"{len(words)} names, the nearest are " if len(words) > _MANY else ""
    return Problem(
        what=f"{dotted(where)}: found '{found}', allowed: {some}{', '.join(shown)}",
        place=source.place(where),
        hint=nearest(found, words),
    )


def dotted(where: Iterable[str | int]) -> str:
    """Return a place of the document as it is said: `include[0].scenario`."""
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "matrix"
