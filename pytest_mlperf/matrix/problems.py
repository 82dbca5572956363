"""How what is wrong with a matrix is said."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from pytest_mlperf.errors import Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_mlperf.matrix.source import Source

_MANY, _SHOWN = 30, 8
"""Of more words than many, only some are shown."""


def unknown(source: Source, where: tuple[str | int, ...], found: str, allowed: Iterable[str]) -> Problem:
    """Return that a word is unknown, with the allowed ones (of many, the nearest)."""
    what, hint = not_among(found, sorted(allowed))
    return Problem(what=f"{dotted(where)}: {what}", place=source.place(where), hint=hint)


def not_among(found: str, allowed: Sequence[str]) -> tuple[str, str | None]:
    """Return that a word is not among the allowed ones (of many, the nearest), and a hint."""
    many = len(allowed) > _MANY
    shown = difflib.get_close_matches(found, allowed, n=_SHOWN, cutoff=0) if many else allowed
    some = f"{len(allowed)} names, the nearest are " if many else ""
    return f"found '{found}', allowed: {some}{', '.join(shown)}", nearest(found, allowed)


def dotted(where: Iterable[str | int]) -> str:
    """Return a place of the document as it is said: `include[0].scenario`."""
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "matrix"
