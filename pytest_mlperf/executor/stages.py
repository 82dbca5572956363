"""The steps of a case in order. A stage, whose result outlasts the case, is only done when something changed.

What a stage was done for stands in its stamp, which is written when it has ended well: one that was killed is
done again. Sessions of one machine that share stamps wait for each other.
"""

from __future__ import annotations

import fcntl
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from pytest_mlperf.errors import Place, RunError
from pytest_mlperf.executor import limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_mlperf.executor import Execute, FindImage, Limit, Terms
    from pytest_mlperf.harness import Command, Stamp

IMAGE = "image"
"""The input that every stage in a container has: the digest of its image."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of a case that has ended.

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


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Runs the steps of a case.

    terms:     limit of all of them together, and what else they run with
    progress:  is told of each step as it begins
    """

    execute: Execute
    find_image: FindImage
    terms: Terms
    progress: Callable[[str, Limit], None] | None = None

    def run(self, steps: Iterable[Command], folder: Path) -> Iterator[Step]:
        """Run the steps one after the other, and give each as it has ended.

        Raises RunError when a step cannot be started, does not end well, or reaches a time limit, and
        HostError when a container engine does not answer.
        """
        for step in steps:
            yield self._run(step, folder) if step.stamp is None else self._stage(step, step.stamp, folder)

    def _run(self, step: Command, folder: Path) -> Step:
        image = self._image(step)
        if step.container is not None and image is not None:
            step = replace(step, container=replace(step.container, image=image))
        ends = self.terms.limit
        if step.time_limit_s is not None and step.time_limit_s < ends.left_s:
            ends = limit(step.time_limit_s, of_step=True)
        if self.progress is not None:
            self.progress(step.name, ends)
        started = time.monotonic()
        self.execute(step, folder, replace(self.terms, limit=ends))
        return Step(
            name=step.name,
            duration_s=round(time.monotonic() - started, 3),
            image=image,
            privileges=step.container.privileges if step.container else (),
        )

    def _stage(self, step: Command, stamp: Stamp, folder: Path) -> Step:
        with self._alone(step, stamp):
            image = self._image(step)
            inputs = {**stamp.inputs, **({IMAGE: image} if image is not None and stamp.of_image else {})}
            before = _read(stamp.path)
            why = (_changed(before.inputs, inputs) or self._gone(stamp)) if before else None
            if before and why is None:
                return Step(name=step.name, image=image, done_at=before.done_at)
            with _remembering(step, stamp):
                stamp.path.unlink(missing_ok=True)
            done = self._run(step, folder)
            with _remembering(step, stamp):
                _write(stamp.path, inputs)
        return replace(done, why=why)

    def _gone(self, stamp: Stamp) -> str | None:
        """Return what a stage made and is no more, None where all of it is there."""
        if stamp.image is not None and self.find_image(stamp.image) is None:
            return f"image {stamp.image} is gone"
        if stamp.folder is not None and not (stamp.folder.is_dir() and any(stamp.folder.iterdir())):
            return f"{stamp.folder} is empty"
        return None

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
                fcntl.flock(gate, fcntl.LOCK_EX)
            yield


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
    """What a stamp says."""

    done_at: str
    inputs: Mapping[str, str]


def _read(path: Path) -> _Done | None:
    """Return what a stamp says; None where there is none, or none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _Done(done_at=str(content["done_at"]), inputs=dict(content["inputs"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, inputs: Mapping[str, str]) -> None:
    done_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps({"done_at": done_at, "inputs": inputs}, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)
