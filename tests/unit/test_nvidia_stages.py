"""What is started for a case of NVIDIA's harness, where, and for what it would be done again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf import rounds
from pytest_mlperf.hardware import Device
from pytest_mlperf.harness import Installation, Mount
from pytest_mlperf.harness.nvidia import Nvidia
from pytest_mlperf.harness.nvidia.editions import EDITIONS
from pytest_mlperf.harness.nvidia.names import Names
from pytest_mlperf.harness.nvidia.stages import Stages
from pytest_mlperf.matrix import Settings
from pytest_mlperf.placement import Placement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_mlperf.harness import Command, Stamp
    from tests.unit.conftest import MakeCase

ROOT, USER = 0, 1000
A2 = Device(vendor="NVIDIA", name="NVIDIA A2", uuid="GPU-0")
BERT = Names(
    system_id="A2x2",
    benchmark="bert",
    harness="custom",
    accuracy="99",
    power="MaxP",
    scenario="Offline",
    several_levels=True,
)
FILES = {
    "Makefile": "all:",
    "docker/Dockerfile": "FROM x",
    "code/main.py": "pass",
    "code/bert/preprocess.py": "pass",
    "configs/bert/Offline/__init__.py": "qps = 1",
    "scripts/print.py": "pass",
    "documentation/FAQ.md": "?",
}
SELECTION = "--benchmarks=bert --scenarios=Offline --config_ver=default"


@dataclass(frozen=True, kw_only=True)
class Site:
    """A tree of NVIDIA's, and a folder for models and data."""

    tree: Path
    scratch: Path
    make_case: MakeCase

    def stages(self, *, user_id: int = ROOT, names: Names = BERT, **changes: Any) -> Stages:
        """Return the stages of a case on two A2, but for the changes of it."""
        case = self.make_case(**changes)
        return Stages(
            case=case,
            names=names,
            edition=EDITIONS[case.round],
            tree=self.tree,
            scratch=self.scratch,
            user_id=user_id,
            placement=Placement(sku=case.sku, devices=(A2, replace(A2, uuid="GPU-1")), driver="510.47.03"),
        )

    def steps(self, stages: Stages) -> dict[str, Command]:
        return {step.name: step for step in stages.steps(Path("/out/logs"))}

    def told(self, **changes: Any) -> str:
        """Return what the run of a case is told."""
        return self.steps(self.stages(**changes))["run_harness"].argv[-1]

    def edit(self, name: str, text: str) -> None:
        (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
        (self.tree / name).write_text(text, encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path, make_case: MakeCase) -> Site:
    made = Site(tree=tmp_path / "closed/NVIDIA", scratch=tmp_path / "scratch", make_case=make_case)
    made.scratch.mkdir()
    for name, text in FILES.items():
        made.edit(name, text)
    return made


IN_CONTAINER = (
    ("make", "link_dirs"),
    ("make", "download_data", "BENCHMARKS=bert"),
    ("make", "download_model", "BENCHMARKS=bert"),
    ("make", "preprocess_data", "BENCHMARKS=bert"),
    ("make", "build"),
    ("make", "generate_engines", f"RUN_ARGS={SELECTION}"),
    ("make", "run_harness", "LOG_DIR=/out/logs", f"RUN_ARGS={SELECTION} --test_mode=PerformanceOnly"),
)
ONLINE = ("download_data", "download_model", "build")


@pytest.mark.parametrize(
    ("user_id", "targets", "suffix"),
    [
        pytest.param(ROOT, ("build_docker",), "-latest", id="root"),
        pytest.param(USER, ("build_docker", "docker_add_user"), "", id="another user"),
    ],
)
def test_a_server_runs_in_a_container_but_for_its_images(
    user_id: int, targets: tuple[str, ...], suffix: str, site: Site
) -> None:
    stages = site.stages(user_id=user_id)
    steps = list(stages.steps(Path("/out/logs")))
    tag = f"DOCKER_TAG={stages.tag}"
    words = {"build_docker": ("NO_BUILD=1", tag), "docker_add_user": (tag,)}
    on_host, contained = steps[: len(targets)], steps[len(targets) :]
    assert [step.argv for step in on_host] == [("make", target, *words[target]) for target in targets]
    assert {(step.container, step.cwd) for step in on_host} == {(None, site.tree)}
    assert tuple(step.argv for step in contained) == IN_CONTAINER
    assert {step.cwd for step in contained} == {Path("/work")}
    for step in contained:
        assert step.container is not None
        assert step.container.image == f"mlperf-inference:{stages.tag}{suffix}"
        assert step.container.mounts == (
            Mount(source=site.tree, target="/work", read_only=False),
            Mount(source=site.scratch, target=str(site.scratch), read_only=False),
        )
        assert step.container.shm_bytes == 32 * 2**30
        assert step.container.privileges == (("network=bridge",) if step.name in ONLINE else ())
        assert step.env == {"MLPERF_SCRATCH_PATH": str(site.scratch)}


@pytest.mark.parametrize(
    ("sku", "system_id"),
    [pytest.param("Orin", "Orin", id="Orin"), pytest.param("Xavier_NX", "Xavier_NX", id="Xavier NX")],
)
def test_a_jetson_runs_without_containers(sku: str, system_id: str, site: Site) -> None:
    stages = site.stages(user_id=USER, sku=sku, names=replace(BERT, system_id=system_id))
    steps = list(stages.steps(Path("/out/logs")))
    assert tuple(step.argv for step in steps) == IN_CONTAINER
    assert {(step.container, step.cwd) for step in steps} == {(None, site.tree)}
    assert {step.env["MLPERF_SCRATCH_PATH"] for step in steps} == {str(site.scratch)}
    assert all("PATH" in step.env for step in steps)


def test_the_last_step_says_the_verdict_and_is_done_for_every_case(site: Site) -> None:
    *others, last = site.stages(user_id=USER).steps(Path("/out/logs"))
    assert (last.name, last.says_verdict, last.stamp) == ("run_harness", True, None)
    assert not any(step.says_verdict or step.stamp is None for step in others)
    assert {step.name: step.time_limit_s for step in others if step.time_limit_s is not None} == {
        "generate_engines": 4 * 3600
    }


def test_what_was_done_is_remembered_where_it_is(site: Site) -> None:
    stages = site.stages(user_id=USER)
    stamps = {step.name: step.stamp for step in stages.steps(Path("/out/logs")) if step.stamp}
    ours, theirs = site.tree / "build/.pytest-mlperf", site.scratch / ".pytest-mlperf/v2.0"
    engines = "generate_engines-bert-A2x2_TRT-custom_k_99_MaxP-Offline"
    assert {name: (stamp.path, sorted(stamp.inputs)) for name, stamp in stamps.items()} == {
        "build_docker": (ours / "build_docker.json", ["environment", "source"]),
        "docker_add_user": (ours / "docker_add_user.json", ["source"]),
        "link_dirs": (ours / "link_dirs.json", ["scratch"]),
        "download_data": (theirs / "download_data-bert.json", ["source"]),
        "download_model": (theirs / "download_model-bert.json", ["source"]),
        "preprocess_data": (theirs / "preprocess_data-bert.json", ["source"]),
        "build": (ours / "build.json", ["source"]),
        "generate_engines": (ours / f"{engines}.json", ["arguments", "devices", "driver", "source"]),
    }
    assert stamps["build_docker"].image == f"mlperf-inference:{stages.tag}-latest"
    assert stamps["docker_add_user"].image == f"mlperf-inference:{stages.tag}"
    assert stamps["docker_add_user"].base == stamps["build_docker"].image
    assert stamps["generate_engines"].folder == site.tree / "build/engines/A2x2/bert/Offline"


def test_an_image_is_made_again_from_another_base(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for base in ("cuda:11", "cuda:12"):
        monkeypatch.setenv("BASE_IMAGE", base)
        stamp = next(site.stages().steps(Path("/out/logs"))).stamp
        assert stamp is not None
        found.append(stamp.inputs["environment"])
    assert found == ["BASE_IMAGE=cuda:11", "BASE_IMAGE=cuda:12"]


def test_two_checkouts_and_two_users_have_images_of_their_own(site: Site, tmp_path: Path) -> None:
    here, there = site.stages(), replace(site.stages(), tree=tmp_path / "other/closed/NVIDIA")
    tags = [here.tag, there.tag, site.stages(user_id=USER).tag]
    assert len(set(tags)) == 3
    assert here.tag == site.stages(mode="AccuracyOnly").tag
    assert all(tag.startswith("pytest-mlperf-v2.0-") for tag in tags)


# What a matrix sets for a case of a scenario, and what its run is told of it.
TOLD: Mapping[str, tuple[str, Settings, str]] = {
    "nothing": ("Offline", Settings(), ""),
    "Offline": ("Offline", Settings(target_qps=2500.5), " --offline_expected_qps=2500.5"),
    "Offline, many": ("Offline", Settings(target_qps=2120000), " --offline_expected_qps=2120000"),
    "Server": (
        "Server",
        Settings(target_qps=24750, target_latency_ms=130),
        " --server_target_qps=24750 --server_target_latency_ns=130000000",
    ),
    "SingleStream": (
        "SingleStream",
        Settings(expected_latency_ms=1.7),
        " --single_stream_expected_latency_ns=1700000",
    ),
    "MultiStream": (
        "MultiStream",
        Settings(expected_latency_ms=0.0015),
        " --multi_stream_expected_latency_ns=1500",
    ),
    "how long": (
        "Offline",
        Settings(min_duration_s=0.5, min_query_count=3),
        " --min_duration=500 --min_query_count=3",
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_the_settings_of_a_case_are_told(name: str, site: Site) -> None:
    scenario, settings, told = TOLD[name]
    names = replace(BERT, scenario=scenario)
    selection = f"--benchmarks=bert --scenarios={scenario} --config_ver=default"
    assert site.told(names=names, scenario=scenario, settings=settings) == (
        f"RUN_ARGS={selection} --test_mode=PerformanceOnly{told}"
    )


@pytest.mark.parametrize(
    ("round_name", "flag"), [("v2.0", "--fast"), ("v4.1", "--test_run"), ("v5.1", "--test_run")]
)
def test_a_shortened_case_is_told_so(round_name: str, flag: str, site: Site) -> None:
    assert site.told(round=round_name, conformance="smoke").split()[-1] == flag
    assert flag not in site.told(round=round_name, conformance="round")


@pytest.mark.parametrize(
    ("round_name", "changes", "selection"),
    [
        ("v2.0", {"accuracy": "99.9", "power": "MaxQ"}, ["--config_ver=high_accuracy_maxq"]),
        ("v4.1", {"harness": "triton"}, ["--config_ver=triton"]),
        ("v5.1", {}, ["--harness_type=custom", "--accuracy_target=0.99", "--power_setting=MaxP"]),
        (
            "v5.1",
            {"harness": "triton", "accuracy": "99.9", "power": "MaxQ"},
            ["--harness_type=triton", "--accuracy_target=0.999", "--power_setting=MaxQ"],
        ),
    ],
)
def test_a_configuration_is_asked_for_as_its_round_does(
    round_name: str, changes: dict[str, str], selection: list[str], site: Site
) -> None:
    steps = site.steps(site.stages(round=round_name, names=replace(BERT, **changes)))  # type: ignore[arg-type]
    asked = ["RUN_ARGS=--benchmarks=bert", "--scenarios=Offline", *selection]
    assert steps["generate_engines"].argv[-1].split() == asked
    assert steps["run_harness"].argv[-1].split() == [*asked, "--test_mode=PerformanceOnly"]


def engines(stages: Stages) -> Stamp:
    stamp = next(step.stamp for step in stages.steps(Path("/out/logs")) if step.name == "generate_engines")
    assert stamp is not None
    return stamp


def test_engines_are_made_again_for_another_machine_or_configuration(site: Site) -> None:
    stages = site.stages()
    before = engines(stages)
    assert before.inputs["devices"] == "2x NVIDIA A2"
    assert before.inputs["driver"] == "510.47.03"
    places = {
        "devices": replace(stages.placement, devices=(A2, replace(A2, name="NVIDIA A30"))),
        "driver": replace(stages.placement, driver=None),
    }
    for changed, placement in places.items():
        after = engines(replace(stages, placement=placement)).inputs
        assert [name for name in after if after[name] != before.inputs[name]] == [changed]
    other = engines(site.stages(names=replace(BERT, accuracy="99.9")))
    assert other.inputs["arguments"] != before.inputs["arguments"]
    assert other.path != before.path


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("configs/bert/Offline/__init__.py", True),
        ("configs/bert/Offline/custom.py", True),
        ("code/main.py", True),
        ("documentation/FAQ.md", False),
        ("code/__pycache__/main.pyc", False),
        ("build/logs/stdout.txt", False),
    ],
)
def test_engines_are_made_again_for_another_source(name: str, *, again: bool, site: Site) -> None:
    before = engines(site.stages())
    site.edit(name, "edited")
    assert (engines(site.stages()) != before) is again


def test_both_modes_of_a_configuration_share_their_engines(site: Site) -> None:
    performance = site.stages(settings=Settings(min_duration_s=900, target_qps=3))
    accuracy = site.stages(mode="AccuracyOnly", conformance="smoke")
    assert engines(performance) == engines(accuracy)
    elsewhere = list(accuracy.steps(Path("/elsewhere/logs")))
    assert [step.stamp for step in elsewhere] == [step.stamp for step in performance.steps(Path("/out"))]


def test_a_case_is_prepared_with_its_folder_of_logs(site: Site, tmp_path: Path) -> None:
    case = tmp_path / "case"
    case.mkdir()
    where = Installation(trees={"v2.0": site.tree}, scratch=site.scratch)
    prepared = Nvidia(name="custom", installation=where).prepare(
        site.make_case(mode="AccuracyOnly", settings=Settings(time_limit_s=7)),
        Placement(sku="A2x2", devices=(A2, A2)),
        mlperf_round=rounds.load("v2.0"),
        folder=case,
    )
    assert prepared.log_dir == case / "logs/A2x2_TRT/bert-99/Offline"
    assert prepared.time_limit_s == 7
    assert prepared.steps[-1].argv == (
        "make",
        "run_harness",
        f"LOG_DIR={case / 'logs'}",
        f"RUN_ARGS={SELECTION} --test_mode=AccuracyOnly",
    )
    assert (case / "logs").is_dir()
