"""The removal of containers whose owner was killed before it could remove them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pytest_mlperf.ownership import from_label, this_process

if TYPE_CHECKING:
    from collections.abc import Iterator

LABEL = "pytest-mlperf.owner"


def reap(client: Any) -> list[str]:
    """Remove the containers whose owners are dead, and return their names.

    client: of the docker SDK
    """
    return [name for name, container_id in _orphans(client) if remove(client, container_id)]


def remove(client: Any, container: str) -> bool:
    """Kill and remove a container with its volumes, and return whether there was one to remove."""
    import docker  # noqa: PLC0415  only wanted where containers run

    try:
        client.api.remove_container(container, force=True, v=True)
    except docker.errors.NotFound:
        return False
    except docker.errors.APIError as error:
        if error.status_code == HTTPStatus.CONFLICT:
            return False  # somebody else is at it
        raise
    return True


def _orphans(client: Any) -> Iterator[tuple[str, str]]:
    me = this_process()
    for container in client.api.containers(all=True, filters={"label": LABEL}):
        owner = from_label(container["Labels"][LABEL])
        if owner is not None and me.outlived(owner):
            yield container["Names"][0].lstrip("/"), container["Id"]
