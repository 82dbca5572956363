"""A stand-in for NVIDIA's driver library, so that the unmodified pynvml finds the GPUs of a profile.

Which library there is, is settled when a process starts: only child processes can be given this one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pynvml
import pytest

HERE = Path(__file__).parent
NAME = "libnvidia-ml.so.1"
PROFILES = {path.stem: path for path in sorted((HERE / "profiles").glob("*.conf"))}

# What would let the machine that the tests run on into what they expect.
_OUTER = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")


def build(folder: Path) -> Path:
    """Compile the library into a folder and return its path; skips the test where there is no compiler.

    In CI, which says so by the variable CI, a missing compiler is a failure.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "no C compiler, which builds the stand-in for NVML"
        )
    source = HERE / "stand_in.c"
    stubs = folder / "stubs.c"
    stubs.write_text(_stubs(source.read_text(encoding="utf-8")), encoding="utf-8")
    library = folder / NAME
    options = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", f"-Wl,-soname,{NAME}")
    subprocess.run([compiler, *options, "-o", str(library), str(source), str(stubs)], check=True)
    return library


def _stubs(source: str) -> str:
    """Return C for all else that pynvml may ask for: it is not supported."""
    client = Path(pynvml.__file__).read_text(encoding="utf-8")
    wanted = set(re.findall(r'_nvmlGetFunctionPointer\("(nvml\w+)"', client))
    missing = sorted(wanted - set(re.findall(r"\b(nvml\w+)\(", source)))
    return "".join(f"int {name}(void);\nint {name}(void) {{ return 3; }}\n" for name in missing)


def environment(profile: str | Path, library: Path) -> dict[str, str]:
    """Return the whole environment of a process that finds the GPUs of a profile.

    profile:  name of one of PROFILES, or the path of a file
    library:  as `build` returned it
    """
    path = PROFILES[profile] if isinstance(profile, str) else profile
    kept = {name: value for name, value in os.environ.items() if name not in _OUTER}
    before = kept.get("LD_LIBRARY_PATH")
    folders = [str(library.parent), *([before] if before else [])]
    return {**kept, "LD_LIBRARY_PATH": os.pathsep.join(folders), "NVML_PROFILE": str(path)}
