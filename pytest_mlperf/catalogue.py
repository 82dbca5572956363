"""The one list of adapters by name, and what is made of them together. Nothing registers itself."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from pytest_mlperf import process, rounds
from pytest_mlperf.errors import HostError
from pytest_mlperf.executor import Execute, Terms, local
from pytest_mlperf.executor.container import Containers
from pytest_mlperf.hardware import Inventory, Sighting, engine, host, skus
from pytest_mlperf.hardware.amd import Amdgpu
from pytest_mlperf.hardware.jetson import Jetson
from pytest_mlperf.hardware.nvidia import Nvml
from pytest_mlperf.harness import Installation
from pytest_mlperf.harness.command import ByCommand
from pytest_mlperf.harness.nvidia import Nvidia
from pytest_mlperf.harness.onnxruntime import OnnxRuntime
from pytest_mlperf.matrix import Vocabulary
from pytest_mlperf.site import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pytest_mlperf.hardware import Engine, Probe
    from pytest_mlperf.harness import Command, Harness

PROBES: Mapping[str, Probe] = {"NVML": Nvml(), "amdgpu": Amdgpu(), "Jetson": Jetson()}

CONTAINERS = Containers(engine.detect)

EXECUTORS: Mapping[str, Execute] = {"local": local.execute, "container": CONTAINERS.execute}


def harnesses(nvidia: Installation) -> Mapping[str, Harness]:
    """Return all harnesses by name.

    nvidia: where NVIDIA's is on this machine
    """
    return {
        **{name: Nvidia(name=name, installation=nvidia) for name in ("lwis", "custom", "triton")},
        "onnxruntime": OnnxRuntime(precision="fp32"),
        "onnxruntime-int8": OnnxRuntime(precision="int8"),
        COMMAND: ByCommand(),
    }


HARNESSES = harnesses(Installation())
"""For plans: none of NVIDIA's can run."""


def execute(step: Command, folder: Path, terms: Terms) -> None:
    """Run a step where its harness wants it: in the container that it names, or as a process."""
    run = EXECUTORS["local" if step.container is None else "container"]
    run(step, folder, terms)


def end_orphans() -> None:
    """End the programs and containers of processes of this user that were killed."""
    process.reap()
    with suppress(HostError):  # no engine, no containers
        CONTAINERS.reap()


def vocabularies(harnesses: Mapping[str, Harness]) -> Callable[[str], Vocabulary]:
    """Return a function that gives the words a matrix of a round may use, with these harnesses."""

    @cache
    def vocabulary(round_name: str) -> Vocabulary:
        mlperf_round = rounds.load(round_name)
        return Vocabulary(
            round=mlperf_round,
            system_ids={name: sku.system_id for name, sku in skus.load().items()},
            cpu_skus={name for name, sku in skus.load().items() if not sku.count},
            # A matrix names its commands itself.
            harnesses={n: h.terms(mlperf_round) for n, h in harnesses.items() if n != COMMAND},
        )

    return vocabulary


@cache
def inventory() -> Inventory:
    """Look at this machine, once in a process."""
    seen = {name: _look(probe) for name, probe in PROBES.items()}
    return Inventory(
        host=host.detect(),
        devices=tuple(device for sighting in seen.values() for device in sighting.devices),
        blind=tuple(f"{name}: {reason}" for name, sighting in seen.items() for reason in sighting.blind),
        drivers=tuple(sighting.driver for sighting in seen.values() if sighting.driver),
        hidden=tuple(reason for sighting in seen.values() for reason in sighting.hidden),
    )


def inventory_of_replay() -> Inventory:
    """Return what is known of devices where nothing is run: nothing, and nobody is asked."""
    return Inventory(host=host.detect(), devices=(), blind=("logs are replayed: no device was looked for",))


def _look(probe: Probe) -> Sighting:
    """Return what a probe sees, or why it sees nothing."""
    try:
        return probe.detect()
    except HostError as error:
        return Sighting(blind=(str(error),))


def container_engine() -> Engine:
    """Ask the container engine of this machine what it is."""
    return engine.detect()
