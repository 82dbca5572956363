"""The steps of a case in order. A stage, whose result outlasts the case, is only done when something changed.

What a stage was done for stands in its stamp, which is written when it has ended well: one that was killed is
done again. Sessions of one machine that share stamps wait for each other.
"""

from __future__ import annotations

import fcntl
import fnmatch
import json
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING

from pytest_mlperf.errors import Place, RunError
from pytest_mlperf.executor import limit
from pytest_mlperf.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_mlperf.executor import Execute, FindImage, Limit, Terms
    from pytest_mlperf.harness import Command, Stamp

IMAGE = "image"
"""The input that every stage in a container has: the digest of its image."""
BASE = "base"
"""The input of a stage that makes one image from another: the digest of that."""
_PAUSE_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of a case that has ended, well or not.

    failed:      it did not end well
    duration_s:  None for a stage that was not done again
    image:       digest of the image of its container (`sha256:...`), None for a process
    privileges:  what its container was allowed: `cap_add=SYS_ADMIN`; none of a stage that was not done again
    done_at:     when an earlier case did it for the same inputs, ISO 8601, UTC; None for a step that ran
    why:         what made a stage run though it was done before: `driver: 510.47.03, was 470.82.01`
    """

    name: str
    duration_s: float | None = None
    image: str | None = None
    privileges: tuple[str, ...] = ()
    done_at: str | None = None
    why: str | None = None
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Runs the steps of a case.

    terms:     limit of all of them together, and what else they run with
    ended:     is told of each step that has ended, well or not
    progress:  is told of each step as it begins
    """

    execute: Execute
    find_image: FindImage
    terms: Terms
    ended: Callable[[Step], None]
    progress: Callable[[str, Limit], None] | None = None

    def run(self, steps: Iterable[Command], folder: Path) -> None:
        """Run the steps one after the other.

        Raises RunError when a step cannot be started, does not end well, or reaches a time limit, and
        HostError when a container engine does not answer.
        """
        for step in steps:
            if step.stamp is None:
                self._run(step, folder)
            else:
                self._stage(step, step.stamp, folder)

    def _run(self, step: Command, folder: Path, *, why: str | None = None) -> None:
        image = self._image(step)
        if step.container is not None and image is not None:
            step = replace(step, container=replace(step.container, image=image))
        ends = self.terms.limit
        if step.time_limit_s is not None and step.time_limit_s < ends.left_s:
            ends = limit(step.time_limit_s, of_step=True)
        if self.progress is not None:
            self.progress(step.name, ends)
        started, failed = time.monotonic(), True
        try:
            self.execute(step, folder, replace(self.terms, limit=ends))
            failed = False
        finally:
            self.ended(
                Step(
                    name=step.name,
                    duration_s=round(time.monotonic() - started, 3),
                    image=image,
                    privileges=step.container.privileges if step.container else (),
                    why=why,
                    failed=failed,
                )
            )

    def _stage(self, step: Command, stamp: Stamp, folder: Path) -> None:
        with self._alone(step, stamp):
            image = self._image(step)
            base = self.find_image(stamp.base) if stamp.base is not None else None
            made_from = {IMAGE: image if stamp.of_image else None, BASE: base}
            inputs = {**stamp.inputs, **{name: digest for name, digest in made_from.items() if digest}}
            before = _read(stamp.path)
            why = (_changed(before.inputs, inputs) or self._gone(stamp, before)) if before else None
            if before and why is None:
                self.ended(Step(name=step.name, image=image, done_at=before.done_at))
                return
            with _remembering(step, stamp):
                stamp.path.unlink(missing_ok=True)
            self._run(step, folder, why=why)
            with _remembering(step, stamp):
                _write(stamp.path, inputs, made=_own(stamp))

    def _gone(self, stamp: Stamp, done: _Done) -> str | None:
        """Return what a stage made and is no more, None where all of it is there."""
        if stamp.image is not None and self.find_image(stamp.image) is None:
            return f"image {stamp.image} is gone"
        if stamp.folder is None:
            return None
        left = _files(stamp.folder)
        gone = next((name for name in done.made if name not in left), None)
        return f"{stamp.folder / gone} is gone" if gone else None if left else f"{stamp.folder} is empty"

    def _image(self, step: Command) -> str | None:
        """Return the digest of the image that a step's container has now."""
        if step.container is None:
            return None
        name = step.container.image
        image = self.find_image(name)
        if image is None:
            raise RunError(
                f"step '{step.name}': image '{name}': the container engine does not have it",
                hint=f"nothing is pulled: make it with `docker build -t {name} .`, or bring it with "
                "`docker load`",
            )
        return image

    @contextmanager
    def _alone(self, step: Command, stamp: Stamp) -> Iterator[None]:
        """Wait until nobody else does a stage of the same folder of stamps."""
        folder = stamp.path.parent
        with _remembering(step, stamp):
            folder.mkdir(parents=True, exist_ok=True)
            gate = (folder / ".lock").open("a")
        with gate:
            try:
                fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self.terms.notice is not None:
                    self.terms.notice(f"step '{step.name}' waits for a stage of another case ({folder})")
                self._wait(step, gate)
            yield

    def _wait(self, step: Command, gate: IO[str]) -> None:
        """Wait for a lock, no longer than the case may take."""
        while time.monotonic() < self.terms.limit.at_s:
            time.sleep(_PAUSE_S)
            with suppress(BlockingIOError):
                fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
        raise RunError(
            f"step '{step.name}': waited for a stage of another case up to the time limit of "
            f"{format_duration(self.terms.limit.duration_s)}",
            place=Place(path=gate.name),
            hint="nothing of it was run: raise time_limit_s, or wait for the other session",
        )


@contextmanager
def _remembering(step: Command, stamp: Stamp) -> Iterator[None]:
    """Raise RunError where the folder of stamps cannot be written."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"step '{step.name}': cannot remember that it was done: {error.strerror}",
            place=Place(path=str(stamp.path.parent)),
        ) from error


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    """Return how inputs differ from those of before, None where they do not."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return "; ".join(f"{n}: {now.get(n, 'none')}, was {before.get(n, 'none')}" for n in names) or None


@dataclass(frozen=True, kw_only=True)
class _Done:
    """What a stamp says.

    made: files that were in the folder of the stage when it had ended
    """

    done_at: str
    inputs: Mapping[str, str]
    made: Sequence[str]


def _read(path: Path) -> _Done | None:
    """Return what a stamp says; None where there is none, or none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _Done(
            done_at=str(content["done_at"]), inputs=dict(content["inputs"]), made=list(content["made"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _files(folder: Path | None) -> list[str]:
    """Return the names of the files in a folder; none where there is no folder."""
    return sorted(path.name for path in folder.iterdir()) if folder and folder.is_dir() else []


def _own(stamp: Stamp) -> list[str]:
    """Return the names of the files that a stage has made."""
    files = _files(stamp.folder)
    return fnmatch.filter(files, stamp.own) or files


def _write(path: Path, inputs: Mapping[str, str], *, made: Sequence[str]) -> None:
    done_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    draft = path.with_suffix(".draft")
    draft.write_text(
        json.dumps({"done_at": done_at, "inputs": inputs, "made": made}, indent=1) + "\n", encoding="utf-8"
    )
    draft.replace(path)
