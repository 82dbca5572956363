"""The real thing on this machine's CPU: LoadGen, real models, and the report as a person sees it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
CASES = 12


def _run(output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "suites",
        "-p",
        "no:cacheprovider",
        "--mlperf-output",
        str(output),
    ]
    return subprocess.run([*argv, *options], cwd=ROOT, capture_output=True, text=True, check=False)


def _records(output: Path) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in (output / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    assert "footer" in lines[-1]
    return {line["record"]["case"]["id"]: line["record"] for line in lines if "record" in line}


@pytest.fixture(scope="module")
def two_miniatures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Run two miniatures of the smoke matrix with two workers, once for the tests below."""
    folder = tmp_path_factory.mktemp("smoke")
    options = (
        "-m",
        "smoke and (resnet8-digits or dlrm-clicks)",
        "-n2",
        f"--html={folder}/r.html",
        "--self-contained-html",
    )
    return folder, _run(folder / "out", *options)


@pytest.mark.long
def test_every_case_passes_on_real_logs(
    two_miniatures: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = two_miniatures
    assert "conformant: 12 of 12 planned cases passed (shortened: not submission-valid)" in done.stdout, (
        done.stdout
    )
    assert done.returncode == 0
    ran = [record for record in _records(folder / "out").values() if record["ending"] == "pass"]
    assert len(ran) == CASES
    for record in ran:
        logs = folder / "out" / record["folder"] / "loadgen"
        assert "loadgen_version" in (logs / "mlperf_log_detail.txt").read_text(encoding="utf-8")
        assert (logs / "accuracy.txt").exists() == (record["case"]["mode"] == "AccuracyOnly")
        assert record["neighbours"] == [] or record["case"]["mode"] == "AccuracyOnly"


@pytest.mark.long
def test_report_is_readable_in_a_browser(
    two_miniatures: tuple[Path, subprocess.CompletedProcess[str]], browser: Browser
) -> None:
    folder, _ = two_miniatures
    with opened(browser, folder / "r.html") as page:
        assert page.inner_text(".answer") == (
            "CONFORMANT 12 of 12 planned cases passed (shortened: not submission-valid)"
        )
        assert page.locator(".cases tbody tr").count() == CASES
        for number, scenario in enumerate(("SingleStream", "MultiStream", "Server", "Offline"), 1):
            case = f"resnet8-digits-CPU_ORT-onnxruntime_k_99_MaxP-{scenario}-PerformanceMode"
            page.goto(f"{page.url.partition('#')[0]}#case={case}")
            page.wait_for_function(f"document.querySelectorAll('.opened canvas').length == {number}")
        assert page.locator(".opened .files a").first.get_attribute("href") is not None


@pytest.mark.long
def test_workers_leave_the_same_records(
    two_miniatures: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder, _ = two_miniatures
    alone = _run(tmp_path / "alone", "-m", "smoke and dlrm-clicks", "-p", "no:xdist")

    assert alone.returncode == 0, alone.stdout
    endings = [
        {
            case_id: (record["ending"], record["reason"])
            for case_id, record in _records(output).items()
            if record["case"]["benchmark"] == "dlrm-clicks"
        }
        for output in (tmp_path / "alone", folder / "out")
    ]
    assert endings[0] == endings[1]


@pytest.mark.long
def test_same_models_give_the_same_quality_in_every_scenario(
    two_miniatures: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = two_miniatures
    ran = [record for record in _records(folder / "out").values() if record["folder"]]
    records = [r for r in ran if r["case"]["benchmark"] == "resnet8-digits" and r["verdict"] == "PASS"]
    qualities = {m["value"] for r in records for m in r["measurements"] if m["name"] == "AccuracyValue"}
    assert len(records) == 4
    assert qualities == {99.6}


@pytest.mark.parametrize("damage", ["corrupt", "missing"])
def test_damaged_model_is_an_error_that_names_the_file(tmp_path: Path, damage: str) -> None:
    package = shutil.copytree(ROOT / "pytest_mlperf", tmp_path / "pytest_mlperf")
    model = package / "harness" / "onnxruntime" / "models" / "resnet8-digits.fp32.onnx"
    if damage == "corrupt":
        model.write_bytes(model.read_bytes()[:-1] + b"x")
    else:
        model.unlink()
    selection = "smoke and resnet8-digits and Offline and accuracy"
    argv = [sys.executable, "-m", "pytest", "suites", "-p", "no:cacheprovider", "-m", selection]
    done = subprocess.run(
        [*argv, "--mlperf-output", str(tmp_path / "out")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    (record,) = [r for r in _records(tmp_path / "out").values() if r["folder"]]
    assert record["ending"] == "error"
    assert "resnet8-digits.fp32.onnx: file: found " in record["reason"]
    assert "reinstall pytest-mlperf" in record["reason"]
