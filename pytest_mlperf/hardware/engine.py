"""The container engine: whether there is one, which, and what it says of GPUs. Starts no container."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from pytest_mlperf.hardware import Engine
from pytest_mlperf.hardware.address import knock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DEFAULT = "unix:///var/run/docker.sock"
_TIME_LIMIT_S = 5
"""For each of three answers, which take milliseconds on an idle machine."""

# What the engines call themselves in the first of their components.
_NAMES = {"Engine": "Docker", "Podman Engine": "Podman"}
_PROBLEMS = {
    errno.ENOENT: "not there (is an engine running? DOCKER_HOST names another address)",
    errno.ECONNREFUSED: "nobody listens (the container engine is not running)",
    errno.EAGAIN: "accepts nobody more (is the container engine stuck?)",
    errno.EACCES: "permission denied (it is for the members of its group, usually docker)",
}


def detect(environment: Mapping[str, str] | None = None) -> Engine:
    """Ask the engine that `docker` would use: that of DOCKER_HOST, of the current context, or the usual one.

    environment: with Docker's variables; None: this process's own
    """
    import docker  # noqa: PLC0415  only wanted where an engine is asked about

    variables = dict(os.environ if environment is None else environment)
    address = variables.get("DOCKER_HOST") or _context_host(variables.get("DOCKER_CONTEXT")) or _DEFAULT
    try:
        knock(address, time_limit_s=_TIME_LIMIT_S)
        client = docker.from_env(timeout=_TIME_LIMIT_S, environment={**variables, "DOCKER_HOST": address})
        try:
            return _engine(address, client.version(), client.info())
        finally:
            client.close()
    # Every exception of requests is an OSError, and an address with a port that is no number is a ValueError.
    except (docker.errors.DockerException, OSError, ValueError) as error:
        return Engine(address=address, problem=f"{address}: {_problem(error)}")


def _context_host(name: str | None) -> str | None:
    """Return where a context of `docker` leads, by default the current one. Older SDKs (7.1) look at none."""
    import docker  # noqa: PLC0415

    context = docker.ContextAPI.get_context(name)
    return context.Host if context else None


def _engine(address: str, version: Mapping[str, Any], info: Mapping[str, Any]) -> Engine:
    components = version.get("Components") or [{}]
    called = components[0].get("Name", "Engine")
    discovered = info.get("DiscoveredDevices")
    return Engine(
        address=address,
        name=_NAMES.get(called, called),
        version=version.get("Version"),
        api_version=version.get("ApiVersion"),
        runtimes=tuple(sorted(info.get("Runtimes") or ())),
        cdi_directories=tuple(info.get("CDISpecDirs") or ()),
        cdi_devices=None if discovered is None else tuple(device["ID"] for device in discovered),
    )


def _problem(error: BaseException) -> str:
    """Return what was met below the SDK, which wraps it several times, or else what the SDK says."""
    for cause in _causes(error):
        if isinstance(cause, TimeoutError):
            return f"no answer within {_TIME_LIMIT_S} s (is the engine busy, or stopped?)"
        if isinstance(cause, OSError) and cause.errno in _PROBLEMS:
            return _PROBLEMS[cause.errno]
    told = [cause.strerror for cause in _causes(error) if isinstance(cause, OSError) and cause.strerror]
    return told[-1] if told else str(error).partition("\n")[0]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
