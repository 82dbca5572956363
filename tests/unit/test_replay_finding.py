from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf import catalogue, rounds
from pytest_mlperf.errors import EvidenceError, RunError
from pytest_mlperf.hardware.matching import Delta
from pytest_mlperf.harness.nvidia import Nvidia
from pytest_mlperf.placement import Unplaced
from pytest_mlperf.replay import Logs, Replay

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import DetailLine, MakeCase, MakeRecord

DETAIL = "mlperf_log_detail.txt"
TREE = "A2x2_TRT/bert-99/Offline"


def _log(folder: Path, text: str = "") -> Path:
    folder.mkdir(parents=True)
    (folder / DETAIL).write_text(text, encoding="utf-8")
    return folder


def _find(tmp_path: Path, make_case: MakeCase, mode: str = "PerformanceOnly") -> Logs | Unplaced:
    replay = Replay(folder=tmp_path, name="logs")
    return replay.find(make_case(mode=mode), named=("cases/case", "case"), tree=TREE)


@pytest.mark.parametrize(
    "place", ["cases/case/loadgen", "case", "case/deeper/down", TREE, f"2026.11.22-09.00.00/{TREE}"]
)
def test_logs_are_found_where_runs_leave_them(place: str, tmp_path: Path, make_case: MakeCase) -> None:
    folder = _log(tmp_path / place)
    found = _find(tmp_path, make_case)
    assert isinstance(found, Logs)
    assert found.folders == (folder,)


@pytest.mark.parametrize("place", ["", "cases/other/loadgen", "2026/11/A2x2_TRT/bert-99/Offline"])
def test_logs_elsewhere_are_not_those_of_the_case(place: str, tmp_path: Path, make_case: MakeCase) -> None:
    _log(tmp_path / "logs" / place)
    found = _find(tmp_path / "logs", make_case)
    assert str(found) == "needs logs of the case in logs, found none"


def test_a_file_in_place_of_a_folder_is_no_log(tmp_path: Path, make_case: MakeCase) -> None:
    (tmp_path / "cases").touch()
    assert isinstance(_find(tmp_path, make_case), Unplaced)


@pytest.mark.parametrize(("mode", "found"), [("AccuracyOnly", True), ("PerformanceOnly", False)])
def test_in_a_tree_the_log_says_the_mode(
    mode: str, *, found: bool, tmp_path: Path, make_case: MakeCase, detail_line: DetailLine
) -> None:
    _log(tmp_path / TREE, detail_line("effective_test_mode", "AccuracyOnly"))
    logs = _find(tmp_path, make_case, mode)
    assert isinstance(logs, Logs) is found
    if not found:
        assert str(logs) == "needs logs of the case in logs, found those of AccuracyOnly"


def test_in_a_folder_of_the_case_any_mode_is_judged(
    tmp_path: Path, make_case: MakeCase, detail_line: DetailLine
) -> None:
    _log(tmp_path / "case", detail_line("effective_test_mode", "AccuracyOnly"))
    assert isinstance(_find(tmp_path, make_case), Logs)


def test_a_link_to_the_newest_logs_is_no_second_folder(tmp_path: Path, make_case: MakeCase) -> None:
    _log(tmp_path / "monday" / TREE)
    (tmp_path / "newest").symlink_to("monday")
    (tmp_path / "loop").symlink_to("loop")
    found = _find(tmp_path, make_case)
    assert isinstance(found, Logs)
    assert found.folders == (tmp_path / "monday" / TREE,)


def test_the_run_that_ranged_a_power_meter_is_no_second_folder(tmp_path: Path, make_case: MakeCase) -> None:
    folder = _log(tmp_path / TREE / "performance" / "run_1")
    _log(tmp_path / TREE / "performance" / "ranging")
    found = _find(tmp_path, make_case)
    assert isinstance(found, Logs)
    assert found.folders == (folder,)


def test_several_folders_are_all_named(tmp_path: Path, make_case: MakeCase) -> None:
    folders = [_log(tmp_path / name / TREE) for name in ("monday", "tuesday")]
    found = _find(tmp_path, make_case)
    assert isinstance(found, Logs)
    with pytest.raises(EvidenceError) as caught:
        found.copy(tmp_path)
    assert str(caught.value) == (
        f"{folders[0]}: found logs in 2 folders, allowed: one ({folders[1]}) (name the folder of one run)"
    )


def test_the_copy_is_of_what_is_judged(tmp_path: Path) -> None:
    source = _log(tmp_path / "case")
    for name in ("accuracy.txt", "mlperf_log_trace.json", "predictions.json"):
        (source / name).touch()
    target = tmp_path / "out" / "case"
    target.mkdir(parents=True)
    copy = Logs(folders=(source,)).copy(target)
    assert copy == target / "logs"
    assert {path.name for path in copy.iterdir()} == {DETAIL, "accuracy.txt"}


def test_what_cannot_be_copied_is_named(tmp_path: Path) -> None:
    source = tmp_path / "loadgen"
    (source / DETAIL).mkdir(parents=True)
    target = tmp_path / "case"
    target.mkdir()
    with pytest.raises(EvidenceError) as caught:
        Logs(folders=(source,)).copy(target)
    assert str(caught.value) == f"{source / DETAIL}: cannot be copied: Is a directory"


DELTA = Delta(trait="power limit", expected="60 W", found="40 W")


def _with_record(tmp_path: Path, text: str) -> Logs:
    path = tmp_path / "record.json"
    path.write_text(text, encoding="utf-8")
    return Logs(folders=(tmp_path,), records=(path, tmp_path / "no" / "record.json"))


def test_what_the_devices_differed_in_is_still_said(
    tmp_path: Path, make_case: MakeCase, make_record: MakeRecord
) -> None:
    text = json.dumps(make_record(deltas=(DELTA,)).to_json())
    assert _with_record(tmp_path, text).deltas(make_case()) == (DELTA,)


@pytest.mark.parametrize("error", ["RunError", "HostError", "StatementError", None])
def test_logs_of_a_run_that_went_wrong_are_not_judged(
    error: str | None, tmp_path: Path, make_case: MakeCase, make_record: MakeRecord
) -> None:
    text = json.dumps(make_record(ending="error", reason="it crashed", error=error).to_json())
    with pytest.raises(RunError) as caught:
        _with_record(tmp_path, text).deltas(make_case())
    assert str(caught.value) == f"{tmp_path}/record.json: the run that left these logs went wrong: it crashed"


def test_logs_that_could_not_be_read_are_read_again(
    tmp_path: Path, make_case: MakeCase, make_record: MakeRecord
) -> None:
    text = json.dumps(make_record(ending="error", reason="cut", error="EvidenceError").to_json())
    assert _with_record(tmp_path, text).deltas(make_case()) == ()


def test_logs_of_another_case_are_not_judged(
    tmp_path: Path, make_case: MakeCase, make_record: MakeRecord
) -> None:
    text = json.dumps(make_record(case=make_case(id="other")).to_json())
    with pytest.raises(EvidenceError, match=r"found the record of other, allowed: of bert-.*"):
        _with_record(tmp_path, text).deltas(make_case())


@pytest.mark.parametrize("text", ["", "[]", "{", '{"case": 1}'])
def test_a_record_that_is_none_is_an_error(text: str, tmp_path: Path, make_case: MakeCase) -> None:
    with pytest.raises(EvidenceError, match=r"record\.json: is no record of a case \(remove it "):
        _with_record(tmp_path, text).deltas(make_case())


@pytest.mark.parametrize(
    ("changes", "tree"),
    [
        ({"benchmark": "bert"}, "A2x2_TRT/bert-99/Offline"),
        ({"benchmark": "3d-unet", "accuracy": "99.9"}, "A2x2_TRT/3d-unet-99.9/Offline"),
        ({"benchmark": "resnet50", "scenario": "Server"}, "A2x2_TRT/resnet50/Server"),
        (
            {
                "metric_name": "Orin_TRT_Triton_MaxQ-triton_k_99_MaxQ-Offline-AccuracyMode",
                "harness": "triton",
                "power": "MaxQ",
            },
            f"Orin_TRT_Triton_MaxQ/{TREE[9:]}",
        ),
    ],
)
def test_nvidia_names_folders_by_system_benchmark_and_scenario(
    changes: dict[str, str], tree: str, make_case: MakeCase
) -> None:
    assert Nvidia(name="custom").log_tree(make_case(**changes), rounds.load("v2.0")) == tree


def test_the_folders_of_miniatures_name_no_case(make_case: MakeCase) -> None:
    assert catalogue.HARNESSES["onnxruntime"].log_tree(make_case(), rounds.load("v2.0")) is None
