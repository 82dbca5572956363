"""The steps of a case in NVIDIA's tree: `make` and its targets, in the order of its README.

What outlasts a case is stamped with what it was made from. The image is built by the tree's own targets; the
container is ours, so that it has no name to collide with, does not see the home folder, and may do what its
matrix says and no more. Source: mlcommons/inference_results_v2.0, closed/NVIDIA, README.md, Makefile.
"""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mlperf.errors import RunError
from pytest_mlperf.harness import Command, Container, Mount, Stamp
from pytest_mlperf.harness.nvidia.source import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_mlperf.harness.nvidia.editions import Edition
    from pytest_mlperf.harness.nvidia.names import Names
    from pytest_mlperf.matrix import Case
    from pytest_mlperf.placement import Placement

WORK = "/work"
"""The tree in the container (CONTAINER_VOL)."""
STAMPS = ".pytest-mlperf"

_SHM_BYTES = 32 * 2**30
_ONLINE = ("network=bridge",)
_ENGINES_TIME_LIMIT_S = 4 * 3600.0
"""Twice what the harness gives to a process that builds engines (code/main.py)."""

_DOCKER = ("Makefile", "Makefile.docker", "docker")
_DOCKER_VARIABLES = ("BASE_IMAGE", "BASE_IMAGE_DATE", "SM_GENCODE")
"""What the environment tells the tree's targets about the image."""
_CODE = (*_DOCKER, "code", "configs", "scripts")

_LIBRARIES = (f"/usr/lib/{platform.machine()}-linux-gnu", "/usr/lib", "/usr/local/lib")

# What LoadGen is told otherwise, by scenario.
_QPS = {"Offline": "offline_expected_qps", "Server": "server_target_qps"}
_LATENCY = {
    "SingleStream": "single_stream_expected_latency_ns",
    "MultiStream": "multi_stream_expected_latency_ns",
}


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The steps of one case.

    tree, scratch: absolute folders of this machine
    user_id:       of whoever runs them; root has no image with a user
    """

    case: Case
    names: Names
    edition: Edition
    tree: Path
    scratch: Path
    user_id: int
    placement: Placement

    def steps(self, log_dir: Path) -> Iterator[Command]:
        """Give the steps in order. Each may find that it was done before, but for the last."""
        if self.in_docker:
            yield from self._images()
        yield self._make("link_dirs", stamp=self._stamp("link_dirs", scratch=str(self.scratch)))
        yield from self._data()
        yield self._make("build", stamp=self._stamp("build", source=self._source(*_CODE)), online=True)
        yield self._engines()
        yield self._make("run_harness", f"LOG_DIR={log_dir}", self._arguments(), says_verdict=True)

    @property
    def in_docker(self) -> bool:
        """Whether the harness runs in a container."""
        return self.case.sku not in self.edition.bare and self.names.system_id not in self.edition.bare

    @property
    def tag(self) -> str:
        """Tag of the images that are made here (DOCKER_TAG), of this user and this tree alone."""
        tree = hashlib.sha256(str(self.tree).encode()).hexdigest()[:8]
        return f"pytest-mlperf-{self.case.round}-{self.user_id}-{tree}"

    @property
    def image(self) -> str:
        """Image that the steps run in. The tree's own one with a user cannot be made for root."""
        return f"mlperf-inference:{self.tag}" + ("-latest" if self.user_id == 0 else "")

    def _images(self) -> Iterator[Command]:
        source = self._source(*_DOCKER)
        tag = f"DOCKER_TAG={self.tag}"
        base = f"mlperf-inference:{self.tag}-latest"
        stamp = self._stamp("build_docker", image=base, source=source, environment=_told())
        yield self._on_host("build_docker", "NO_BUILD=1", tag, stamp=stamp)
        if self.user_id != 0:
            stamp = self._stamp("docker_add_user", image=self.image, base=base, source=source)
            yield self._on_host("docker_add_user", tag, stamp=stamp)

    def _data(self) -> Iterator[Command]:
        benchmark = self.names.benchmark
        source = self._source(f"code/{benchmark}")
        for target, online in (
            ("download_data", True),
            ("download_model", True),
            ("preprocess_data", False),
        ):
            name = f"{target}-{benchmark}"
            path = self.scratch / STAMPS / self.case.round / f"{name}.json"
            stamp = Stamp(path=path, inputs={"source": source}, of_image=False)
            yield self._make(target, f"BENCHMARKS={benchmark}", stamp=stamp, online=online)

    def _engines(self) -> Command:
        devices = [device.name for device in self.placement.devices]
        stamp = self._stamp(
            f"generate_engines-{self.case.benchmark}-{self.names.config}",
            folder=self.tree / self.names.engines,
            own=self.names.plans,
            source=self._source(*_CODE),
            devices=", ".join(f"{devices.count(name)}x {name}" for name in dict.fromkeys(devices)),
            driver=self.placement.driver or "unknown",
            **({} if self.in_docker else {"tensorrt": _tensorrt()}),
            arguments=self._selection(),
        )
        return self._make(
            "generate_engines",
            f"RUN_ARGS={self._selection()}",
            stamp=stamp,
            time_limit_s=_ENGINES_TIME_LIMIT_S,
        )

    def _selection(self) -> str:
        selected = [f"--benchmarks={self.names.benchmark}", f"--scenarios={self.names.scenario}"]
        return " ".join([*selected, *self.edition.configuration(self.names)])

    def _arguments(self) -> str:
        """Return what the run is told; unknown words would be passed over in silence, so there are none."""
        told = [self._selection(), f"--test_mode={self.case.mode}", *self._settings()]
        if self.case.conformance == "smoke":
            told.append(self.edition.shortened)
        return f"RUN_ARGS={' '.join(told)}"

    def _settings(self) -> Iterator[str]:
        settings, scenario = self.case.settings, self.case.scenario
        if settings.target_qps is not None:
            if scenario == "Server" and settings.target_qps % 1:
                raise RunError(
                    f"target_qps: found {settings.target_qps:g}, allowed in Server: a whole number",
                    place=self.case.place,
                    hint="NVIDIA's harness takes no other",
                )
            yield f"--{_QPS[scenario]}={settings.target_qps:.15g}"
        if settings.expected_latency_ms is not None:
            yield f"--{_LATENCY[scenario]}={round(settings.expected_latency_ms * 1e6)}"
        if settings.target_latency_ms is not None:
            yield f"--server_target_latency_ns={settings.target_latency_ms * 10**6}"
        if settings.min_duration_s is not None:
            yield f"--min_duration={round(settings.min_duration_s * 1000)}"
        if settings.min_query_count is not None:
            yield f"--min_query_count={settings.min_query_count}"

    def _source(self, *parts: str) -> str:
        return fingerprint(self.tree, *parts)

    def _stamp(
        self,
        name: str,
        *,
        image: str | None = None,
        base: str | None = None,
        folder: Path | None = None,
        own: str = "*",
        **inputs: str,
    ) -> Stamp:
        path = self.tree / "build" / STAMPS / f"{name}.json"
        return Stamp(path=path, inputs=inputs, image=image, base=base, folder=folder, own=own)

    def _on_host(self, target: str, *words: str, stamp: Stamp) -> Command:
        env = {**os.environ, **self._variables}
        return Command(name=target, argv=("make", target, *words), env=env, cwd=self.tree, stamp=stamp)

    def _make(
        self,
        target: str,
        *words: str,
        stamp: Stamp | None = None,
        online: bool = False,
        time_limit_s: float | None = None,
        says_verdict: bool = False,
    ) -> Command:
        """Return a target that is made where the harness runs."""
        container = self._container(online=online) if self.in_docker else None
        return Command(
            name=target,
            argv=("make", target, *words),
            env=self._variables if self.in_docker else {**os.environ, **self._variables},
            cwd=Path(WORK) if self.in_docker else self.tree,
            container=container,
            stamp=stamp,
            time_limit_s=time_limit_s,
            says_verdict=says_verdict,
        )

    @property
    def _variables(self) -> Mapping[str, str]:
        return {"MLPERF_SCRATCH_PATH": str(self.scratch)}

    def _container(self, *, online: bool) -> Container:
        return Container(
            image=self.image,
            mounts=(
                Mount(source=self.tree, target=WORK, read_only=False),
                Mount(source=self.scratch, target=str(self.scratch), read_only=False),
            ),
            shm_bytes=_SHM_BYTES,
            privileges=_ONLINE if online else (),
        )


def _told() -> str:
    """Return what the environment tells the tree's targets about the image; nothing as a rule."""
    return " ".join(f"{name}={os.environ[name]}" for name in _DOCKER_VARIABLES if name in os.environ)


def _tensorrt() -> str:
    """Return the versions of TensorRT on this machine, by the names of its library; `none` without it."""
    names = {path.name for folder in _LIBRARIES for path in Path(folder).glob("libnvinfer.so.*.*")}
    return ", ".join(sorted(names)) or "none"
