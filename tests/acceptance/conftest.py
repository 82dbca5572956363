"""Projects to run pytest in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import docker
import pytest
from docker.types import DeviceRequest
from installed import Installed
from sessions import CONFTEST, MATRIX, SUITE, Session

from tests.containers import needed
from tests.nvidia import tree
from tests.nvml import stand_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _project(pytester: pytest.Pytester, neighbours: tuple[str, ...]) -> Session:
    session = Session(pytester=pytester, neighbours=neighbours)
    pytester.makeini("[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_suite=SUITE)
    session.write_matrix(MATRIX)
    return session


@pytest.fixture
def session(pytester: pytest.Pytester) -> Session:
    """A project with the scripted matrix, run without xdist."""
    return _project(pytester, ("-p", "no:xdist"))


@pytest.fixture(params=["no:xdist", "n0", "n2"])
def any_session(request: pytest.FixtureRequest, pytester: pytest.Pytester) -> Session:
    """The same, run without xdist, with xdist asleep, and with two workers."""
    neighbours = {"no:xdist": ("-p", "no:xdist"), "n0": ("-n0",), "n2": ("-n2",)}
    return _project(pytester, neighbours[request.param])


@pytest.fixture(scope="module")
def gpu_engine(engine_client: Any) -> Any:
    """An engine that gives containers the GPUs they ask for, and has the image that the tree is built on."""
    tree.make_base_image(engine_client)
    request = DeviceRequest(device_ids=["GPU-0"], capabilities=[["gpu"]])
    asking = engine_client.containers.create(tree.BASE_IMAGE, ["true"], device_requests=[request])
    try:
        asking.start()
    except docker.errors.APIError as error:
        needed("an engine that is asked for GPUs", command=f".ci/docker start; {error}")
    finally:
        asking.remove(force=True)
    return engine_client


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, gpu_engine: Any) -> Iterator[Installed]:
    """A checkout that all tests of this module use, one after the other."""
    scratch = tmp_path_factory.mktemp("scratch")
    checkout = tree.write(tmp_path_factory.mktemp("v2.0"), tree.DGX_A100_40GB)
    installed = Installed(tree=checkout, scratch=scratch, client=gpu_engine)
    yield installed
    for tag in installed.tags():
        gpu_engine.images.remove(tag, force=True)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stand_in.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def machine(
    session: Session,
    installed: Installed,
    library: Path,
    engine_gate: object,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Session]:
    """A session on a machine with eight A100 of 40 GB, where NVIDIA's harness is."""
    del engine_gate
    for name, value in stand_in.environment("nd96asr-v4", library).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLPERF_SCRATCH_PATH", str(installed.scratch))
    yield session
    tree.know(installed.tree, tree.DGX_A100_40GB)
    assert installed.containers(session) == []
