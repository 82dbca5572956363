"""Where logs are found that a matrix says something about, and what is said when they are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.errors import EvidenceError, Place
from pytest_mlperf.evidence.locating import locate
from pytest_mlperf.harness import Appearance

if TYPE_CHECKING:
    from pathlib import Path

DETAIL = "mlperf_log_detail.txt"


def appearance(logs: str, accuracy: str | None = None) -> Appearance:
    return Appearance(logs=logs, accuracy=accuracy, said=Place(path="m.yaml", line=5))


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")


def test_a_pattern_finds_the_one_folder_with_logs(tmp_path: Path) -> None:
    write(tmp_path, f"results/b/run_1/{DETAIL}", "results/a/run_1/system.json")
    assert locate(appearance("results/*/run_1"), tmp_path) == tmp_path / "results" / "b" / "run_1"


def test_logs_in_several_folders_are_an_error_that_names_them(tmp_path: Path) -> None:
    write(tmp_path, f"a/{DETAIL}", f"b/{DETAIL}")
    with pytest.raises(EvidenceError) as caught:
        locate(appearance("*"), tmp_path)
    assert str(caught.value) == (
        f"*/{DETAIL}: found 2 of it, allowed: one, as m.yaml:5 says where LoadGen's logs appear "
        f"(a/{DETAIL}, b/{DETAIL}) (name the folder of this scenario and mode)"
    )


def test_a_folder_that_looks_like_a_pattern_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "out[1]*"
    write(folder, f"x/logs/{DETAIL}")
    assert locate(appearance("*/logs"), folder) == folder / "x" / "logs"


def test_the_accuracy_is_put_beside_the_logs(tmp_path: Path) -> None:
    write(tmp_path, f"logs/{DETAIL}", "stdout.txt")
    locate(appearance("logs", "stdout.txt"), tmp_path)
    assert (tmp_path / "logs" / "accuracy.txt").read_text(encoding="utf-8") == "stdout.txt"


def test_an_accuracy_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, f"logs/{DETAIL}", "logs/accuracy.txt")
    locate(appearance("logs", "logs/accuracy.txt"), tmp_path)
    assert (tmp_path / "logs" / "accuracy.txt").read_text(encoding="utf-8") == "logs/accuracy.txt"
