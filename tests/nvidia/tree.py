"""A stand-in for NVIDIA's tree, and the image that it is built on, which is made without a network."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlperf_loadgen
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).parent
BASE_IMAGE = "mlperf-stand-in:base"

DGX_A100_40GB = {
    "system_id": "DGX-A100_A100-SXM4-40GBx8",
    "gpus": 8,
    "qps": {"Offline": 30000, "Server": 1000},
    "bert": {"right": 91},
}

_NOT_NEEDED = ("test", "site-packages", "__pycache__", "idlelib", "tkinter", "ensurepip", "lib2to3")


def write(folder: Path, machine: dict[str, Any]) -> Path:
    """Write a checkout into a folder, and return its closed/NVIDIA.

    machine: what the harness knows and does, see `code/main.py` of the stand-in
    """
    tree = folder / "closed/NVIDIA"
    shutil.copytree(HERE / "closed", tree)
    know(tree, machine)
    return tree


def know(tree: Path, machine: dict[str, Any]) -> None:
    """Let the harness of a tree know another machine."""
    (tree / "code/machine.json").write_text(json.dumps(machine), encoding="utf-8")


def make_base_image(client: Any) -> None:
    """Import the image with what the harness needs to run: bash, make, busybox, Python and LoadGen."""
    if client.images.list(BASE_IMAGE):
        return
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        _fill(tar)
    name, _, tag = BASE_IMAGE.partition(":")
    client.api.import_image_from_data(
        content.getvalue(), repository=name, tag=tag, changes=[f"ENV PATH={_bin()}:/bin", "WORKDIR /work"]
    )


def _fill(tar: tarfile.TarFile) -> None:
    programs = [Path(_found(name)) for name in ("bash", "make")]
    busybox = _found("busybox")
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    library = Path(sysconfig.get_paths(vars={"base": sys.base_prefix})["stdlib"])
    loadgen = Path(mlperf_loadgen.__file__)
    for folder in ("bin", "tmp", "proc", "sys", "dev", "work", "etc"):
        entry = tarfile.TarInfo(folder)
        entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
        tar.addfile(entry)
    tar.add(busybox, "bin/busybox")
    applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    for name in sorted(set(applets) - {"busybox", "bash", "make"}):
        _link(tar, f"bin/{name}", "busybox")
    for program in programs:
        tar.add(program.resolve(), f"bin/{program.name}")
    tar.add(python.resolve(), str(python)[1:])
    _link(tar, f"{_bin()[1:]}/python3", python.name)
    tar.add(library, str(library)[1:], filter=_without)
    tar.add(loadgen, f"{str(library)[1:]}/{loadgen.name}")
    natives = [*programs, python, loadgen, *library.glob("lib-dynload/*.so")]
    for path in sorted(_libraries(natives)):
        tar.add(Path(path).resolve(), path[1:])


def _without(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = Path(entry.name).name
    return None if name in _NOT_NEEDED or name.startswith("config-") else entry


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)


def _bin() -> str:
    return f"{sys.base_prefix}/bin"


def _libraries(programs: Iterable[Path]) -> set[str]:
    done = subprocess.run([_found("ldd"), *map(str, programs)], check=False, capture_output=True, text=True)
    return set(re.findall(r"(/\S+\.so\S*) \(0x", done.stdout))


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"needs {program}")
    return path
