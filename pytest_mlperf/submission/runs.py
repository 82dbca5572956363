"""The files that a case left, as they go into a submission."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mlperf.submission import truncation
from pytest_mlperf.submission.reading import SAMPLES, SCORES, SUMMARY

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


_RUN_AGAIN = "run the case again"


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A file of a submission.

    text:        its content, or what follows that of `source`
    most_bytes:  above which only the beginning and the end of `source` are taken; None takes all of it
    """

    path: str
    text: str = ""
    source: Path | None = None
    most_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Missing:
    """What a submission lacks: where it belongs, what is known of it, and what to do."""

    path: str
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what} ({self.hint})"


def of_run(
    folder: Path, where: str, names: Iterable[str], *, most_bytes: int
) -> tuple[list[Piece], list[Missing]]:
    """Return the logs of a run as they go to a directory, and what of them is missing.

    folder:      of the case
    names:       of the files that a run must have; its log of samples goes with them
    most_bytes:  of the log of samples
    Raises OSError for a log that cannot be read.
    """
    logs = _log_folder(folder)
    if logs is None:
        return [], [Missing(path=where, what=f"no single {SUMMARY} in {folder}", hint=_RUN_AGAIN)]
    pieces: list[Piece] = []
    missing: list[Missing] = []
    for name in sorted({*names, SAMPLES}):
        path = f"{where}/{name}"
        if not (logs / name).is_file():
            if name in names:
                what = f"no {name} in {logs}"
                missing.append(Missing(path=path, what=what, hint=_RUN_AGAIN))
        elif name == SCORES:
            scores = _scores(logs, path)
            if isinstance(scores, Missing):
                missing.append(scores)
            else:
                pieces.append(scores)
        else:
            cut = most_bytes if name == SAMPLES else None
            pieces.append(Piece(path=path, source=logs / name, most_bytes=cut))
    return pieces, missing


def _scores(logs: Path, path: str) -> Piece | Missing:
    """Return accuracy.txt with the hash of the whole log, unless it states that of another log."""
    if not (logs / SAMPLES).is_file():
        return Piece(path=path, source=logs / SCORES)
    text = (logs / SCORES).read_text(encoding="utf-8", errors="replace")
    stated, found = truncation.stated_hash(text), truncation.digest(logs / SAMPLES)
    if stated not in (None, found):
        what = f"states hash={stated}, found {found} of {logs / SAMPLES}"
        return Missing(path=path, what=what, hint="it is of another run: run the case again")
    return Piece(path=path, source=logs / SCORES, text=truncation.hash_line(text, found))


def configuration(folder: Path, name: str) -> Path | None:
    """Return the configuration file of LoadGen that a case left, None for none or several."""
    found = list(folder.rglob(name))
    return found[0] if len(found) == 1 else None


def _log_folder(folder: Path) -> Path | None:
    found = list(folder.rglob(SUMMARY))
    return found[0].parent if len(found) == 1 else None
