"""Find the logs where a matrix says that they appear. Whatever is not there is an EvidenceError."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence.reading import ACCURACY, DETAIL

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mlperf.harness import Appearance

_HINT = "does the command write elsewhere? See stdout.txt and stderr.txt of the case"


def locate(appearance: Appearance, folder: Path) -> Path:
    """Return the folder with LoadGen's logs, after what has the accuracy is copied to them.

    folder: of the case
    Raises EvidenceError naming what was looked for, and where the matrix says that it is there.
    """
    log_dir = _one(f"{appearance.logs}/{DETAIL}", folder, appearance, what="LoadGen's logs").parent
    if appearance.accuracy is not None:
        _bring(_one(appearance.accuracy, folder, appearance, what="the accuracy"), log_dir, appearance)
    return log_dir


def _one(pattern: str, folder: Path, appearance: Appearance, *, what: str) -> Path:
    found = sorted(folder.glob(pattern)) if "*" in pattern else [folder / pattern]
    if len(found) > 1:
        raise EvidenceError(
            f"found {len(found)} of it, allowed: one, as {appearance.said} says where {what} appear"
            f" ({', '.join(str(path.relative_to(folder)) for path in found)})",
            place=Place(path=pattern),
            hint="name the folder of this scenario and mode",
        )
    if not found or not found[0].is_file():
        raise EvidenceError(
            f"the file is missing in the case's folder: {appearance.said} says that {what} will be there",
            place=Place(path=pattern),
            hint=_HINT,
        )
    return found[0]


def _bring(path: Path, log_dir: Path, appearance: Appearance) -> None:
    target = log_dir / ACCURACY
    if path == target:
        return
    if target.exists():
        raise EvidenceError(
            f"is there too, but {appearance.said} says that the accuracy is in {path.name}",
            place=Place(path=f"{log_dir.name}/{ACCURACY}"),
            hint="which of them is it?",
        )
    try:
        shutil.copyfile(path, target)
    except OSError as error:
        place = Place(path=f"{log_dir.name}/{ACCURACY}")
        raise EvidenceError(f"cannot be written: {error.strerror}", place=place) from error
