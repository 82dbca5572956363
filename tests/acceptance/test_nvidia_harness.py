"""NVIDIA's harness, from the matrix to the metrics: a stand-in for its tree, the real LoadGen and engine."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from installed import SHORT

from tests.nvidia import tree
from tests.nvml import stand_in

if TYPE_CHECKING:
    from installed import Installed
    from sessions import Session

ROOT = Path(__file__).parents[2]
USUAL_SOCKET = Path("/var/run/docker.sock")

SYSTEM = "DGX-A100_A100-SXM4-40GBx8"
ONE_CASE = f"""\
round: v2.0
category: datacenter
{SHORT}
axes: {{sku: A100-SXM4-40GBx8, benchmark: bert, harness: custom, scenario: %s, mode: %s}}
"""


def run(machine: Session, installed: Installed, *options: str) -> pytest.RunResult:
    return machine.run(*installed.options, "--mlperf-output", "out", *options)


def metrics(session: Session) -> dict[str, str]:
    """Return the values of the metrics by benchmark and name."""
    with (session.pytester.path / "out/metrics.csv").open(newline="", encoding="utf-8") as stream:
        return {f"{row['Scenario']} {row['Metric Name']}": row["Value"] for row in csv.DictReader(stream)}


def the_record(session: Session) -> dict[str, Any]:
    (record,) = session.records().values()
    return record


@pytest.mark.long
def test_the_datacenter_suite_passes_on_bert(machine: Session, installed: Installed) -> None:
    shipped = (ROOT / "matrices/datacenter.yaml").read_text(encoding="utf-8")
    machine.write_matrix(shipped.replace("category: datacenter\n", f"category: datacenter\n{SHORT}"))
    options = ("-m", "datacenter and bert", "--junitxml=j.xml", "--html=h.html", "--self-contained-html")
    suite = (ROOT / "suites/test_conformance.py", f"--rootdir={machine.pytester.path}")
    plugins = ("-p", "no:cacheprovider", "-p", "no:xdist")
    told = (*suite, *plugins, *installed.options, "--mlperf-output", "out", *options)
    result = machine.pytester.runpytest_subprocess(*told, timeout=400)

    assert result.parseoutcomes()["passed"] == 16
    levels = ("TRT-custom_k_99", "TRT-custom_k_99_9", "TRT_Triton-triton_k_99", "TRT_Triton-triton_k_99_9")
    expected = {
        f"bert {SYSTEM}_{level}_MaxP-{scenario}-{mode}": "1.0"
        for level in levels
        for scenario in ("Offline", "Server")
        for mode in ("AccuracyMode", "PerformanceMode")
    }
    found = metrics(machine)
    assert expected.items() <= found.items()
    config = f"bert {SYSTEM}_TRT-custom_k_99_9_MaxP"
    assert float(found[f"{config}-Offline-AccuracyValue"]) == pytest.approx(91, abs=0.5)
    assert float(found[f"{config}-Offline-ThresholdValue"]) == pytest.approx(90.783, abs=0.001)
    assert float(found[f"{config}-Server-result_scheduled_samples_per_sec"]) > 0
    targets = installed.targets_since(0)
    once = ("build_docker", "link_dirs", "download_data", "download_model", "preprocess_data", "build")
    assert [targets.count(target) for target in once] == [1] * len(once)
    assert targets.count("generate_engines") == 8
    assert targets.count("run_harness") == 16


def test_a_case_leaves_what_it_did(machine: Session, installed: Installed) -> None:
    machine.write_matrix(ONE_CASE % ("Offline", "PerformanceOnly"))
    run(machine, installed).assert_outcomes(passed=1)
    record = the_record(machine)
    steps = {step["name"]: step for step in record["steps"]}
    assert list(steps) == [
        *("build_docker", "link_dirs", "download_data", "download_model", "preprocess_data"),
        *("build", "generate_engines", "run_harness"),
    ]
    assert record["image"] == steps["run_harness"]["image"]
    image = installed.client.images.get(record["image"])
    assert any(tag.startswith("mlperf-inference:pytest-mlperf-v2.0-") for tag in image.tags)
    assert record["statement"].endswith("Result is VALID")
    assert len(record["devices"]) == 8

    before = len(installed.calls)
    run(machine, installed, "--mlperf-output", "again").assert_outcomes(passed=1)
    assert installed.targets_since(before) == ["run_harness"]
    (again,) = machine.records("again").values()
    assert all(step["done_at"] for step in again["steps"][:-1])


TRAPS: dict[str, tuple[dict[str, Any], str, tuple[str | None, ...]]] = {
    "too inaccurate, and nothing written": (
        {"bert": {"right": 89}},
        "AccuracyOnly",
        ("fail", "FAIL", None, "Accuracy test FAILED!"),
    ),
    "too slow, with exit status 0": (
        {"bert": {"latency_s": 0.4}},
        "PerformanceOnly",
        ("fail", "INVALID", None, "Result is INVALID"),
    ),
    "a machine that it does not know": (
        {"gpus": 4},
        "PerformanceOnly",
        ("error", None, "UnmatchedError", ""),
    ),
    "an accuracy that it cannot read": (
        {"accuracy_script": "silent"},
        "AccuracyOnly",
        ("error", None, "StatementError", ""),
    ),
}


@pytest.mark.parametrize("name", TRAPS)
def test_what_the_harness_hides_comes_out(name: str, machine: Session, installed: Installed) -> None:
    known, mode, (ending, verdict, error, statement) = TRAPS[name]
    tree.know(installed.tree, {**tree.DGX_A100_40GB, **known})
    machine.write_matrix(ONE_CASE % ("Server", mode))
    run(machine, installed)
    record = the_record(machine)
    assert (record["ending"], record["verdict"], record["error"]) == (ending, verdict, error)
    assert (statement or "") in (record["statement"] or "")
    value = {f"bert {record['case']['metric_name']}": "0.0"} if ending == "fail" else {}
    assert {name: v for name, v in metrics(machine).items() if name.endswith("Mode")} == value


def test_another_driver_makes_other_engines(
    machine: Session, installed: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.write_matrix(ONE_CASE % ("Offline", "PerformanceOnly"))
    run(machine, installed).assert_outcomes(passed=1)
    profile = stand_in.PROFILES["nd96asr-v4"].read_text(encoding="utf-8")
    newer = tmp_path / "newer.conf"
    newer.write_text(profile.replace("driver = 535.161.08", "driver = 550.54.15"), encoding="utf-8")
    monkeypatch.setenv("NVML_PROFILE", str(newer))
    before = len(installed.calls)
    run(machine, installed, "--mlperf-output", "newer").assert_outcomes(passed=1)
    assert installed.targets_since(before) == ["generate_engines", "run_harness"]
    (record,) = machine.records("newer").values()
    engines = next(step for step in record["steps"] if step["name"] == "generate_engines")
    assert engines["why"] == "driver: 550.54.15, was 535.161.08"


LATER: dict[str, tuple[str, str, str, dict[str, Any], tuple[str, str]]] = {
    "v4.1 passes": ("v4.1", "A100-SXM-80GBx8", "bert", {}, ("pass", "pass")),
    "v4.1 is too inaccurate, with exit status 0": (
        "v4.1",
        "A100-SXM-80GBx8",
        "bert",
        {"bert": {"right": 89}},
        ("fail", "pass"),
    ),
    "v5.1 passes": ("v5.1", "B200-SXM-180GBx8", "whisper", {}, ("pass", "pass")),
    "v5.1 does not know the machine": (
        "v5.1",
        "B200-SXM-180GBx8",
        "whisper",
        {"gpus": 4},
        ("error", "error"),
    ),
}
PROFILES = {"A100-SXM-80GBx8": "dgx-a100", "B200-SXM-180GBx8": "b200-x8"}


@pytest.mark.parametrize("name", LATER)
def test_later_rounds_are_run_as_they_want_it(
    name: str, machine: Session, installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlperf_round, sku, benchmark, known, endings = LATER[name]
    monkeypatch.setenv("NVML_PROFILE", str(stand_in.PROFILES[PROFILES[sku]]))
    system = {"A100-SXM-80GBx8": "DGX-A100_A100-SXM-80GBx8"}.get(sku, sku)
    tree.know(installed.tree, {**tree.DGX_A100_40GB, "system_id": system, "round": mlperf_round, **known})
    machine.write_matrix(
        f"round: {mlperf_round}\ncategory: datacenter\n{SHORT}"
        f"axes: {{sku: {sku}, benchmark: {benchmark}, harness: custom, scenario: Offline, "
        "mode: [AccuracyOnly, PerformanceOnly]}\n"
    )
    machine.run("--mlperf-nvidia", f"{mlperf_round}={installed.tree}", "--mlperf-output", "out")
    records = {record["case"]["mode"]: record for record in machine.records().values()}
    found = tuple(records[mode]["ending"] for mode in ("AccuracyOnly", "PerformanceOnly"))
    assert found == endings, [record["reason"] for record in records.values()]
    assert {r["error"] for r in records.values()} == ({"UnmatchedError"} if "error" in endings else {None})


def test_without_a_tree_cases_say_what_to_name(machine: Session) -> None:
    machine.write_matrix(ONE_CASE % ("Offline", "PerformanceOnly"))
    result = machine.run("--mlperf-output", "out", "-rs")
    result.assert_outcomes(skipped=1)
    expected = "needs harness 'custom', found no tree of v2.0: name it with --mlperf-nvidia v2.0=FOLDER"
    assert the_record(machine)["reason"] == expected


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("v9.9=x", "--mlperf-nvidia: found 'v9.9=x', allowed: ROUND=TREE, ROUND one of "),
        ("x", "--mlperf-nvidia: found 'x', allowed: ROUND=TREE, ROUND one of "),
        (
            "v2.0=matrices",
            "matrices: --mlperf-nvidia: no Makefile there, nor in closed/NVIDIA (is it a checkout ",
        ),
    ],
)
def test_a_tree_that_is_none_is_refused(word: str, said: str, session: Session) -> None:
    result = session.run("--mlperf-nvidia", word)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said in result.stderr.str() + result.stdout.str()


def test_a_scratch_folder_that_is_not_there_is_refused(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLPERF_SCRATCH_PATH", "/no/such/folder")
    result = session.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "/no/such/folder: MLPERF_SCRATCH_PATH: no such folder" in result.stderr.str() + result.stdout.str()
