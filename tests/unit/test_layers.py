"""The arrows between the modules: a stage imports earlier stages, and nothing goes round in a circle.

Read with `ast`: imports inside functions and under TYPE_CHECKING count like all others.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PACKAGE = Path(__file__).parents[2] / "pytest_mlperf"

# Each may import itself and what stands before it.
STAGES = (
    "errors",
    "units",
    "ownership",
    "process",
    "version",
    "shipped",
    "rounds",
    "matrix",
    "plan",
    "hardware",
    "published",
    "placement",
    "packing",
    "harness",
    "executor",
    "evidence",
    "verdict",
    "record",
    "attempts",
    "replay",
    "resume",
    "baselines",
    "measurements",
    "site",
    "pipeline",
    "report",
    "history",
    "submission",
    "doctor",
    "catalogue",
    "plugin",
)

# What `import pytest_mlperf` shows; no stage looks at it.
FACE = ""

# What stands in these folders are adapters: they know neither each other nor who uses them.
ADAPTER_STAGES = ("harness", "executor", "hardware")
NO_ADAPTERS = (
    "hardware.skus",
    "hardware.matching",
    "hardware.platforms",
    "hardware.visible",
    "hardware.linux",
    "hardware.address",
    "executor.ending",
    "executor.stages",
)
# The adapters have one user, the catalogue.
ADAPTER_USERS = ("catalogue",)

# A module of Python or of another project, and the only stage that may import it.
OUTSIDE = {"subprocess": "process", "pytest": "plugin", "_pytest": None}


@dataclass(frozen=True, kw_only=True)
class Package:
    """The modules of a package by name without the package's own (`harness.nvidia`; "" is the package)."""

    name: str
    trees: Mapping[str, ast.Module]
    folders: frozenset[str]

    def imports(self, module: str) -> Iterator[str]:
        """Give what a module imports, with names in full (`pytest_mlperf.errors.Place`)."""
        for node in ast.walk(self.trees[module]):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                origin = self._origin(module, node)
                yield from (f"{origin}.{alias.name}" for alias in node.names)

    def _origin(self, module: str, node: ast.ImportFrom) -> str:
        if not node.level:
            return str(node.module)
        here = [self.name, *filter(None, module.split("."))]
        up = node.level - (module in self.folders)
        return ".".join([*here[: len(here) - up], *filter(None, [node.module])])

    def arrows(self, module: str) -> set[str]:
        """Return the modules of this package that a module imports by name."""
        found = set()
        for target in self.imports(module):
            first, _, inner = target.partition(".")
            if first != self.name:
                continue
            while inner and inner not in self.trees:
                inner = inner.rpartition(".")[0]
            found.add(inner)
        return found - {module}


def read_package(folder: Path) -> Package:
    trees: dict[str, ast.Module] = {}
    folders: set[str] = set()
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        trees[name] = ast.parse(path.read_text(encoding="utf-8"))
        if parts[-1] == "__init__":
            folders.add(name)
    return Package(name=folder.name, trees=trees, folders=frozenset(folders))


def _stage(module: str) -> str:
    return module.partition(".")[0]


def _adapter(module: str) -> str | None:
    """Return the adapter that a module is part of (`harness.onnxruntime`), or None."""
    parts = module.split(".")
    adapter = ".".join(parts[:2])
    return adapter if len(parts) > 1 and parts[0] in ADAPTER_STAGES and adapter not in NO_ADAPTERS else None


def without_stage(package: Package) -> list[str]:
    return [m for m in package.trees if m and _stage(m) not in STAGES]


def against_the_order(package: Package) -> list[str]:
    order = {stage: index for index, stage in enumerate([*STAGES, FACE])}
    return [
        f"{module} -> {target}"
        for module in package.trees
        for target in sorted(package.arrows(module))
        if order[_stage(target)] > order[_stage(module)]
    ]


def outside_of_their_stage(package: Package) -> list[str]:
    return [
        f"{module} -> {target}"
        for module in package.trees
        for target in sorted({target.partition(".")[0] for target in package.imports(module)})
        if target in OUTSIDE and _stage(module) != OUTSIDE[target]
    ]


def into_adapters(package: Package) -> list[str]:
    return [
        f"{module} -> {target}"
        for module in package.trees
        for target in sorted(package.arrows(module))
        if _adapter(target) not in (None, _adapter(module)) and module not in ADAPTER_USERS
    ]


def cycles(package: Package) -> list[str]:
    """Return the modules that import themselves by way of others: a shortest way round for each circle."""
    arrows = {module: package.arrows(module) for module in package.trees}
    found: dict[frozenset[str], str] = {}
    for module in arrows:
        ways = [[module]]
        seen = {module}
        for way in ways:
            if module in arrows[way[-1]]:
                found.setdefault(frozenset(way), " -> ".join([*way, module]))
                break
            ways += [[*way, target] for target in sorted(arrows[way[-1]] - seen)]
            seen |= arrows[way[-1]]
    return sorted(found.values())


@pytest.fixture(scope="module")
def package() -> Package:
    return read_package(PACKAGE)


def test_every_module_has_a_stage(package: Package) -> None:
    assert without_stage(package) == []
    assert {_stage(module) for module in package.trees} - {""} == set(STAGES)


def test_no_stage_imports_a_later_one(package: Package) -> None:
    assert against_the_order(package) == []


def test_only_process_starts_programs_and_only_plugin_knows_pytest(package: Package) -> None:
    assert outside_of_their_stage(package) == []


def test_only_the_catalogue_imports_adapters(package: Package) -> None:
    assert into_adapters(package) == []


def test_no_import_goes_round(package: Package) -> None:
    assert cycles(package) == []


# Sources of a made-up package by file, the check that must object, and what it says.
FORBIDDEN = {
    "a later stage": (
        {"errors.py": "from made_up.matrix import Case", "matrix.py": ""},
        against_the_order,
        ["errors -> matrix"],
    ),
    "a later stage, by module": (
        {"errors.py": "import made_up.plugin.suite", "plugin/suite.py": ""},
        against_the_order,
        ["errors -> plugin.suite"],
    ),
    "a later stage, in a function": (
        {"units.py": "def f():\n    from made_up import catalogue", "catalogue.py": ""},
        against_the_order,
        ["units -> catalogue"],
    ),
    "a later stage, for types": (
        {
            "plan.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import made_up.record",
            "record.py": "",
        },
        against_the_order,
        ["plan -> record"],
    ),
    "a later stage, relative": (
        {"matrix/loading.py": "from ..report import html", "report/html.py": "", "report/__init__.py": ""},
        against_the_order,
        ["matrix.loading -> report.html"],
    ),
    "the package itself from a stage": (
        {"errors.py": "from . import __version__"},
        against_the_order,
        ["errors -> "],
    ),
    "the plugin from the catalogue": (
        {"catalogue.py": "from made_up.plugin import check", "plugin/__init__.py": ""},
        against_the_order,
        ["catalogue -> plugin"],
    ),
    "a module without a stage": ({"helpers.py": ""}, without_stage, ["helpers"]),
    "subprocess": (
        {"executor/local.py": "import subprocess"},
        outside_of_their_stage,
        ["executor.local -> subprocess"],
    ),
    "a name of subprocess": (
        {"hardware/host.py": "def f():\n    from subprocess import run"},
        outside_of_their_stage,
        ["hardware.host -> subprocess"],
    ),
    "pytest": ({"record.py": "import pytest"}, outside_of_their_stage, ["record -> pytest"]),
    "_pytest": (
        {"plugin/__init__.py": "from _pytest.config import Config"},
        outside_of_their_stage,
        ["plugin -> _pytest"],
    ),
    "an adapter from another": (
        {"harness/a.py": "from made_up.harness import b", "harness/b.py": ""},
        into_adapters,
        ["harness.a -> harness.b"],
    ),
    "a module of an adapter from another": (
        {"harness/a.py": "from made_up.harness.b.models import x", "harness/b/models.py": ""},
        into_adapters,
        ["harness.a -> harness.b.models"],
    ),
    "an adapter from a stage": (
        {"record.py": "from made_up.hardware.nvidia import Nvml", "hardware/nvidia.py": ""},
        into_adapters,
        ["record -> hardware.nvidia"],
    ),
    "a circle of two": (
        {"rounds/a.py": "import made_up.rounds.b", "rounds/b.py": "def f():\n    from . import a"},
        cycles,
        ["rounds.a -> rounds.b -> rounds.a"],
    ),
    "a circle of three, for types": (
        {
            "matrix/a.py": "from .b import x",
            "matrix/b.py": "if TYPE_CHECKING:\n    from .c import x",
            "matrix/c.py": "from .a import x",
        },
        cycles,
        ["matrix.a -> matrix.b -> matrix.c -> matrix.a"],
    ),
    "a circle through a package": (
        {"plan/__init__.py": "from made_up.plan import a", "plan/a.py": "from made_up.plan import Plan"},
        cycles,
        ["plan -> plan.a -> plan"],
    ),
}
ALLOWED = {
    "__init__.py": "from made_up.version import __version__",
    "version.py": "__version__ = '1'",
    "errors.py": "import difflib",
    "process.py": "import subprocess",
    "matrix/__init__.py": "from made_up.errors import Place\nfrom made_up.version import __version__",
    "matrix/loading.py": "from made_up.matrix import Case",
    "harness/__init__.py": "from made_up.matrix import Case",
    "harness/a/__init__.py": "from made_up.harness.a import models",
    "harness/a/models.py": "from made_up.harness import Command",
    "hardware/skus.py": "",
    "placement.py": "from made_up.hardware import skus",
    "catalogue.py": "from made_up.harness.a import A\nfrom made_up.matrix.loading import load",
    "plugin/__init__.py": "import pytest\nfrom made_up import catalogue",
}
CHECKS = (without_stage, against_the_order, outside_of_their_stage, into_adapters, cycles)


def _write(folder: Path, files: Mapping[str, str]) -> Package:
    root = folder / "made_up"
    for name, text in {"__init__.py": "__version__ = '1'", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return read_package(root)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_forbidden_imports_are_found(name: str, tmp_path: Path) -> None:
    files, check, said = FORBIDDEN[name]
    assert check(_write(tmp_path, files)) == said


@pytest.mark.parametrize("check", CHECKS)
def test_allowed_imports_are_let_pass(check: Callable[[Package], list[str]], tmp_path: Path) -> None:
    assert check(_write(tmp_path, ALLOWED)) == []
