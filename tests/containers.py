"""A container engine, and an image that needs no network to make."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

USUAL_SOCKET = Path("/var/run/docker.sock")


def needed(what: str, *, command: str) -> str:
    """Skip where something is missing; in CI nothing may be."""
    if "CI" in os.environ:
        pytest.fail(f"CI needs {what} ({command})")
    pytest.skip(f"needs {what} ({command})")


@pytest.fixture(scope="module")
def engine_client() -> Iterator[Any]:
    """Connect to the engine."""
    import docker  # noqa: PLC0415  only wanted where an engine is

    if not (os.environ.get("DOCKER_HOST") or USUAL_SOCKET.exists()):
        needed("a container engine", command=".ci/docker start")
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def engine_gate(engine_client: Any) -> Iterator[IO[bytes]]:
    """Let tests use the engine beside each other; those that ask for `engine_alone` wait for all of them."""
    address = hashlib.sha256(engine_client.api.base_url.encode() + os.environ.get("DOCKER_HOST", "").encode())
    path = Path(tempfile.gettempdir()) / f"pytest-mlperf-engine-{os.getuid()}-{address.hexdigest()[:8]}.lock"
    with path.open("ab") as gate:
        fcntl.flock(gate, fcntl.LOCK_SH)
        yield gate


@pytest.fixture
def engine_alone(engine_gate: IO[bytes]) -> None:
    """Keep others from the engine: they would remove what a test leaves there on purpose."""
    fcntl.flock(engine_gate, fcntl.LOCK_UN)
    fcntl.flock(engine_gate, fcntl.LOCK_EX)


@pytest.fixture(scope="module")
def busybox_image(engine_client: Any) -> Iterator[str]:
    """Make an image of a single static program, whose own entrypoint is never to run."""
    # Podman imports under no other tag.
    name, tag = f"pytest-mlperf-test-{uuid.uuid4().hex[:8]}", "latest"
    engine_client.api.import_image_from_data(
        _content(),
        repository=name,
        tag=tag,
        changes=["ENV PATH=/bin", "ENV OF_IMAGE=here", 'ENTRYPOINT ["/bin/false"]', 'CMD ["unwanted"]'],
    )
    yield f"{name}:{tag}"
    engine_client.images.remove(f"{name}:{tag}", force=True)


def _content() -> bytes:
    busybox = shutil.which("busybox") or needed("a static busybox", command="apt-get install busybox-static")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
        names = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
        for name in set(names) - {"busybox"}:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name in ("tmp", "proc", "sys", "dev"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(folder)
    return content.getvalue()
