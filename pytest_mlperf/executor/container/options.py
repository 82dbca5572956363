"""What a container is created with: the least that its step can do with, and what is named beyond."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mlperf.errors import RunError
from pytest_mlperf.matrix import privileges
from pytest_mlperf.placement.visibility import container_devices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_mlperf.hardware import Device
    from pytest_mlperf.harness import Command, Container


def options(
    container: Container, step: Command, *, folder: Path, devices: Sequence[Device]
) -> dict[str, Any]:
    """Return how a step's container is created, as the docker SDK wants it; `image` and `name` are not in it.

    The container has the user of this process, so that what it writes is the user's own. Its output is not
    kept by the engine. Raises ConfigurationError where a privilege is unknown, and HostError or RunError
    where a device cannot be given.
    """
    import docker  # noqa: PLC0415  only wanted where containers run

    allowed = privileges.read(container.privileges)
    return {
        # As an entrypoint, for that of the image would get a mere command as its arguments.
        "entrypoint": list(step.argv[:1]),
        "command": list(step.argv[1:]),
        "environment": dict(step.env),
        "user": f"{os.getuid()}:{os.getgid()}",
        "working_dir": str(step.cwd or folder),
        "mounts": _mounts(container, folder),
        "shm_size": container.shm_bytes,
        "cap_drop": ["ALL"],
        "cap_add": list(allowed.capabilities),
        "security_opt": ["no-new-privileges:true", *allowed.unconfined],
        "network_mode": allowed.network,
        "init": True,
        "stop_signal": "SIGTERM",
        "log_config": docker.types.LogConfig(type="none"),
        **_devices(devices),
    }


def _mounts(container: Container, folder: Path) -> list[Any]:
    import docker  # noqa: PLC0415

    # Mounts, not volumes: the engine would make a folder of root's where the source of a volume is missing.
    return [
        docker.types.Mount(str(folder), str(folder), type="bind"),
        *(
            docker.types.Mount(m.target, str(m.source.absolute()), type="bind", read_only=m.read_only)
            for m in container.mounts
        ),
    ]


def _devices(devices: Sequence[Device]) -> dict[str, Any]:
    import docker  # noqa: PLC0415

    given = container_devices(devices)
    requests = [docker.types.DeviceRequest(device_ids=list(given.device_ids), capabilities=[["gpu"]])]
    return {
        "runtime": given.runtime,
        "device_requests": requests if given.device_ids else [],
        "devices": [f"{path}:{path}:rw" for path in given.device_files],
        "group_add": sorted({_group(path) for path in given.device_files}),
    }


def _group(path: str) -> str:
    """Return the number of the group that a device file is for: its name may not be known in the image."""
    try:
        return str(Path(path).stat().st_gid)
    except OSError as error:
        raise RunError(f"{path}: cannot be given to a container: {error.strerror}") from error
