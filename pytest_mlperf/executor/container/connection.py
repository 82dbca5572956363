"""Speaking to a container engine through the docker SDK, whose errors become those of this project."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_mlperf.errors import HostError, Place, RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_mlperf.hardware import Engine

_TIME_LIMIT_S = 120
"""For an answer: to create a container may take long. Waiting for its end has a limit of its own."""
_HINTS: Mapping[str, str] = {
    "could not select device driver|[Uu]nknown (or invalid )?runtime": (
        "the engine needs the NVIDIA Container Toolkit"
    ),
    "container-init binary not found": "Podman needs catatonit",
}


@dataclass(frozen=True, kw_only=True)
class Connection:
    """An engine that answers, and the SDK's client of it (which has no types)."""

    engine: Engine
    client: Any

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Raise HostError in place of what the SDK raises when the engine is gone, or refuses."""
        import docker  # noqa: PLC0415

        place = Place(path=self.engine.address)
        try:
            yield
        except docker.errors.APIError as error:
            raise HostError(f"the container engine refuses: {_explanation(error)}", place=place) from error
        # Every exception of requests is an OSError.
        except (OSError, docker.errors.DockerException) as error:
            raise HostError(
                "lost the container engine",
                place=place,
                hint="did it end? Containers may run on: `docker ps --filter label=pytest-mlperf.case`",
            ) from error

    def image(self, name: str) -> str | None:
        """Return the digest of an image (`sha256:...`), None when the engine does not have it."""
        import docker  # noqa: PLC0415

        with self.asking():
            try:
                return str(self.client.images.get(name).id)
            except docker.errors.ImageNotFound:
                return None


@contextmanager
def refusals(step: str) -> Iterator[None]:
    """Raise RunError in place of what the SDK raises when an engine refuses to make or start a container."""
    import docker  # noqa: PLC0415

    try:
        yield
    except docker.errors.APIError as error:
        told = _explanation(error)
        hint = next((hint for pattern, hint in _HINTS.items() if re.search(pattern, told)), None)
        raise RunError(f"step '{step}': its container cannot start: {told}", hint=hint) from error


def _explanation(error: Any) -> str:
    """Return what an engine says of what it refused, on one line."""
    return " ".join(str(error.explanation or error).split())


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """Connect to an engine for a while. Raises HostError when it does not answer."""
    import docker  # noqa: PLC0415

    if engine.problem is not None:
        raise HostError(engine.problem)
    connection = Connection(engine=engine, client=None)
    with connection.asking():
        variables = {**os.environ, "DOCKER_HOST": engine.address}
        client = docker.from_env(timeout=_TIME_LIMIT_S, environment=variables)
    try:
        yield Connection(engine=engine, client=client)
    finally:
        client.close()
