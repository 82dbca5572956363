"""What is said when a miniature's files are missing or damaged, or when what is asked for is not there."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.harness.onnxruntime.miniatures import Asset, find, load, manifest, verify

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mlperf.harness.onnxruntime.miniatures import Miniature

CHECKSUM_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def miniature(tmp_path: Path) -> Miniature:
    path = tmp_path / "abc.onnx"
    path.write_bytes(b"abc")
    asset = Asset(path=path, sha256=CHECKSUM_OF_ABC)
    return replace(find("resnet8-digits"), files={"fp32": (asset,), "dataset": (asset,)})


def test_whole_files_pass(miniature: Miniature) -> None:
    verify(miniature, "fp32")


def test_a_damaged_file_is_named_with_both_checksums(miniature: Miniature) -> None:
    path = miniature.files["fp32"][0].path
    path.write_bytes(b"abd")
    with pytest.raises(
        ValueError, match=r"abc\.onnx: file: found sha256 a52d159f.*, expected sha256 ba7816bf"
    ):
        verify(miniature, "fp32")


def test_a_missing_file_is_named(miniature: Miniature) -> None:
    miniature.files["fp32"][0].path.unlink()
    with pytest.raises(ValueError, match=r"found none, expected sha256 ba7816bf.* ; hint: reinstall"):
        verify(miniature, "fp32")


def test_a_precision_that_is_not_provided(miniature: Miniature) -> None:
    with pytest.raises(ValueError, match="resnet8-digits: precision: found int8, allowed fp32"):
        verify(miniature, "int8")


def test_a_miniature_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="miniature: found resnet50, allowed resnet8-digits"):
        load("resnet50", "fp32")


@pytest.mark.parametrize("name", manifest())
def test_the_files_of_the_package_are_whole(name: str) -> None:
    miniature = find(name)
    for precision in miniature.precisions:
        verify(miniature, precision)


@pytest.mark.parametrize("name", manifest())
def test_every_precision_has_a_quality(name: str) -> None:
    miniature = find(name)
    assert tuple(miniature.quality) == miniature.precisions
    assert "fp32" in miniature.precisions


def test_the_manifest_is_read_without_numpy() -> None:
    program = (
        "import sys; from pytest_mlperf.harness.onnxruntime.miniatures import manifest; "
        "manifest(); sys.exit('numpy' in sys.modules or 'onnxruntime' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
