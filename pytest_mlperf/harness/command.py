"""Whatever can be started by a command: what to run for a case is what its matrix says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mlperf.errors import Place, RunError
from pytest_mlperf.harness import Appearance, Command, Container, Mount, Preparation
from pytest_mlperf.matrix import own
from pytest_mlperf.matrix.fields import argv, fill, is_pattern, planned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_mlperf.matrix import Case, HarnessTerms
    from pytest_mlperf.matrix.commands import CommandTemplate, ContainerTemplate
    from pytest_mlperf.placement import Placement
    from pytest_mlperf.rounds import Round

_TIME_LIMIT_S = 24 * 3600.0
"""What a command does beside the benchmark (downloading, building) is not known."""


@dataclass(frozen=True, kw_only=True)
class ByCommand:
    """All harnesses that matrices describe themselves."""

    def terms(self, mlperf_round: Round) -> HarnessTerms:
        """Return the benchmarks of the round."""
        return own.terms(mlperf_round)

    def missing(self, mlperf_round: Round) -> str | None:
        """Return None: whether a program is there is known when it is started."""
        del mlperf_round
        return None

    def estimated_duration_s(self, case: Case, mlperf_round: Round) -> float | None:
        """Return the shortest performance run; None for accuracy."""
        if case.mode == "AccuracyOnly":
            return None
        return case.settings.min_duration_s or mlperf_round.min_duration_s

    def log_tree(self, case: Case, mlperf_round: Round) -> str | None:
        """Return None: nobody says where it leaves logs when it is started by hand."""
        del case, mlperf_round
        return None

    def prepare(self, case: Case, placement: Placement, *, mlperf_round: Round, folder: Path) -> Preparation:
        """Fill the command's fields, and make its log folder. Raises RunError where it cannot be started."""
        template = case.command
        assert template is not None
        # Processes are started there, and containers see it by this name.
        folder = folder.absolute()
        values = {
            **planned(case, mlperf_round),
            "folder": str(folder),
            "matrix_dir": str(Path(template.place.path).absolute().parent),
            "devices": ",".join(device.key for device in placement.devices),
            "device_count": str(len(placement.devices)),
        }
        values["log_dir"] = fill(template.log_dir, values)
        _make(template, Path(values["log_dir"]))
        return Preparation(
            steps=tuple(_steps(case, template, values)),
            log_dir=Path(values["log_dir"]),
            time_limit_s=case.settings.time_limit_s or _TIME_LIMIT_S,
            appearance=_appearance(case, template, values),
        )


def _make(template: CommandTemplate, log_dir: Path) -> None:
    if is_pattern(template.log_dir):
        return
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the folder: {error.strerror}", place=Place(path=str(log_dir))) from error


def _steps(case: Case, template: CommandTemplate, values: Mapping[str, str]) -> list[Command]:
    own_env = {name: fill(text, values) for name, text in template.env.items()}
    env = own_env if template.container else {**os.environ, **own_env}
    cwd = Path(fill(template.cwd, values))
    if not template.container and not cwd.is_dir():
        raise RunError(f"{template.place}: cwd: {cwd} is no folder of this machine")
    programs = {"run": template.argv}
    if template.score is not None and case.mode == "AccuracyOnly":
        programs["score"] = template.score
    container = _container(template.container, values) if template.container else None
    return [
        Command(name=name, argv=argv(program, values), env=env, cwd=cwd, container=container)
        for name, program in programs.items()
    ]


def _container(template: ContainerTemplate, values: Mapping[str, str]) -> Container:
    return Container(
        image=fill(template.image, values),
        mounts=tuple(
            Mount(
                source=Path(fill(mount.source, values)),
                target=fill(mount.target, values),
                read_only=mount.read_only,
            )
            for mount in template.mounts
        ),
        shm_bytes=template.shm_bytes,
    )


def _appearance(case: Case, template: CommandTemplate, values: Mapping[str, str]) -> Appearance:
    accuracy = fill(template.accuracy_file, values) if case.mode == "AccuracyOnly" else None
    return Appearance(
        logs=_below(values["log_dir"], values),
        accuracy=_below(accuracy, values) if accuracy else None,
        said=template.place,
    )


def _below(path: str, values: Mapping[str, str]) -> str:
    """Return a path as it stands below the folder of the case, which itself may look like a pattern."""
    return path.removeprefix(values["folder"]).lstrip("/")
