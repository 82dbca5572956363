"""The address of a container engine, and whether anybody listens there."""

from __future__ import annotations

import socket


def knock(address: str, *, time_limit_s: float) -> None:
    """Raise the OSError when the socket of an engine cannot be connected to.

    The SDK would then leave its own end open, to be warned about wherever that is collected. An address of
    another kind is not knocked at; one that the SDK does not understand is a DockerException.
    """
    import docker  # noqa: PLC0415  only wanted where an engine is asked

    scheme, _, path = docker.utils.parse_host(address).partition("://")
    if scheme == "http+unix":
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(time_limit_s)
            client.connect(path if path.startswith("/") else f"/{path}")
