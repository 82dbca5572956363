"""The container engine: the real one where there is one, and made-up ones that answer well or badly."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import socket
import socketserver
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from pytest_mlperf.hardware import Engine, engine
from tests import machines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

USUAL_SOCKET = Path("/var/run/docker.sock")
VERSION = {
    "ApiVersion": "1.41",
    "Version": "20.10.24+dfsg1",
    "Components": [{"Name": "Engine", "Version": "20.10.24+dfsg1"}, {"Name": "containerd"}],
}
INFO = {"Runtimes": {"runc": {"path": "runc"}, "io.containerd.runc.v2": {"path": "runc"}}}


def ask(path: Path) -> Engine:
    return engine.detect({"DOCKER_HOST": f"unix://{path}"})


@contextmanager
def answering(
    path: Path, *, version: Mapping[str, Any] = VERSION, info: object = INFO
) -> Iterator[list[str]]:
    """Answer at a socket as an engine does, and collect the paths that are asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps(version if self.path.endswith("/version") else info).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield asked
        server.shutdown()


@contextmanager
def bound(path: Path, *, listening: bool) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        if listening:
            server.listen(4)
        yield server


@contextmanager
def nobody() -> Iterator[None]:
    """Be a user who owns nothing, where this one is root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_the_engine_of_this_machine_says_what_it_is() -> None:
    if not (os.environ.get("DOCKER_HOST") or USUAL_SOCKET.exists()):
        if "CI" in os.environ:
            pytest.fail("CI needs a container engine (.ci/docker start)")
        pytest.skip("needs a container engine (.ci/docker start)")
    found = engine.detect()
    assert found.problem is None
    assert found.name in ("Docker", "Podman")
    assert found.address == os.environ.get("DOCKER_HOST", found.address)
    client = docker.from_env()
    try:
        assert (found.version, found.api_version) == (
            client.version()["Version"],
            client.version()["ApiVersion"],
        )
        assert set(found.runtimes) == set(client.info()["Runtimes"])
    finally:
        client.close()


# What an engine says of itself: what is added to its answers, and what is found.
ENGINES: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]] = {
    "Docker without GPUs": (
        {},
        {},
        {
            "name": "Docker",
            "version": "20.10.24+dfsg1",
            "api_version": "1.41",
            "runtimes": ("io.containerd.runc.v2", "runc"),
            "cdi_directories": (),
            "cdi_devices": None,
            "nvidia": None,
        },
    ),
    "Docker with NVIDIA's runtime": (
        {},
        {"Runtimes": {"runc": {}, "nvidia": {"path": "nvidia-container-runtime"}}},
        {"runtimes": ("nvidia", "runc"), "nvidia": "runtime"},
    ),
    "Docker with CDI": (
        {"ApiVersion": "1.50", "Version": "28.2.2"},
        {
            "CDISpecDirs": ["/etc/cdi", "/var/run/cdi"],
            "DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}],
        },
        {
            "api_version": "1.50",
            "cdi_directories": ("/etc/cdi", "/var/run/cdi"),
            "cdi_devices": ("nvidia.com/gpu=0",),
            "nvidia": "CDI",
        },
    ),
    "Docker with CDI for others": (
        {},
        {"DiscoveredDevices": [{"Source": "cdi", "ID": "vendor.com/nic=0"}]},
        {"cdi_devices": ("vendor.com/nic=0",), "nvidia": None},
    ),
    "Podman, whatever it says": (
        {"Components": [{"Name": "Podman Engine"}], "Version": "4.3.1"},
        {"Runtimes": {"crun": {}, "nvidia": {}}},
        {"name": "Podman", "version": "4.3.1", "nvidia": None},
    ),
    "another": ({"Components": [{"Name": "Whale"}]}, {}, {"name": "Whale"}),
    "an old one that says less": (
        {"Components": None},
        {"Runtimes": None, "CDISpecDirs": None},
        {"name": "Docker", "runtimes": (), "cdi_directories": ()},
    ),
}


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_is_what_it_says(name: str, tmp_path: Path) -> None:
    version, info, facts = ENGINES[name]
    path = tmp_path / "e.sock"
    with answering(path, version={**VERSION, **version}, info={**INFO, **info}):
        found = ask(path)
    assert found.problem is None
    assert {fact: getattr(found, fact) for fact in facts} == facts
    assert found.address == f"unix://{path}"


def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "e.sock"
    hint = "is an engine running? DOCKER_HOST names another address"
    assert ask(path) == Engine(address=f"unix://{path}", problem=f"unix://{path}: not there ({hint})")


def test_an_engine_that_ended(tmp_path: Path) -> None:
    path = tmp_path / "e.sock"
    with bound(path, listening=False):
        found = ask(path)
    assert found.problem == f"unix://{path}: nobody listens (the container engine is not running)"


def test_an_engine_that_is_for_others() -> None:
    # Not below pytest's folder, into which nobody else may look.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "e.sock"
        Path(folder).chmod(0o755)
        with bound(path, listening=True):
            path.chmod(0)
            with nobody():
                found = ask(path)
    hint = "it is for the members of its group, usually docker"
    assert found.problem == f"unix://{path}: permission denied ({hint})"


def test_an_engine_that_never_answers_is_waited_for_within_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_TIME_LIMIT_S", 1)
    path = tmp_path / "e.sock"
    started = time.monotonic()
    with bound(path, listening=True):
        found = ask(path)
    assert found.problem == f"unix://{path}: no answer within 1 s (is the engine busy, or stopped?)"
    assert 1 <= time.monotonic() - started < 10


def test_an_engine_that_is_stuck(tmp_path: Path) -> None:
    path = tmp_path / "e.sock"
    with bound(path, listening=True), ExitStack() as waiting:
        refusal = 0
        while not refusal:
            client = waiting.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            refusal = client.connect_ex(str(path))
        found = ask(path)
    assert found.problem == f"unix://{path}: accepts nobody more (is the container engine stuck?)"


def test_an_engine_that_hangs_up(tmp_path: Path) -> None:
    path = tmp_path / "e.sock"
    with bound(path, listening=True) as server:

        def hang_up() -> None:
            while True:
                server.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        problem = ask(path).problem
    assert problem
    assert problem.startswith(f"unix://{path}: ")


# Answers that are no engine's, and words of the problem.
STRANGERS: dict[str, tuple[Mapping[str, Any], object, str]] = {
    "no API version": ({"Version": "1"}, INFO, '"ApiVersion" is missing'),
    "a protocol of long ago": ({"ApiVersion": "1.12"}, INFO, "no longer supported"),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", STRANGERS)
def test_what_is_no_engine_is_a_problem(name: str, tmp_path: Path) -> None:
    version, info, words = STRANGERS[name]
    path = tmp_path / "e.sock"
    with answering(path, version=version, info=info):
        problem = ask(path).problem
    gc.collect()  # the SDK leaves its socket open when it refuses an engine: warn about that here and now
    assert problem
    assert words in problem


# Addresses at which nothing can be asked, and what is said.
ADDRESSES = {
    "tcp://127.0.0.1:1": "nobody listens (the container engine is not running)",
    "tcp://127.0.0.1:x": "Port could not be cast to integer value as 'x'",
    "gopher://host": "Invalid bind address protocol: gopher://host",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_at_which_nothing_can_be_asked(address: str) -> None:
    found = engine.detect({"DOCKER_HOST": address})
    assert found == Engine(address=address, problem=f"{address}: {ADDRESSES[address]}")


def test_an_engine_is_found_by_the_context_of_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "e.sock"
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    context = {"Name": "rootless", "Metadata": {}, "Endpoints": {"docker": {"Host": f"unix://{path}"}}}
    meta = f"contexts/meta/{hashlib.sha256(b'rootless').hexdigest()}/meta.json"
    current = {"currentContext": "rootless"}
    machines.write(tmp_path / "config", {"config.json": json.dumps(current), meta: json.dumps(context)})
    with answering(path):
        assert engine.detect({}).address == f"unix://{path}"
        assert engine.detect({}).problem is None
        assert engine.detect({"DOCKER_HOST": ""}).name == "Docker"
        assert engine.detect({"DOCKER_CONTEXT": "default"}).address != f"unix://{path}"


def test_an_engine_is_asked_little(tmp_path: Path) -> None:
    path = tmp_path / "e.sock"
    with answering(path) as asked:
        ask(path)
    assert asked == ["/version", "/v1.41/version", "/v1.41/info"]
