from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.errors import ConfigurationError
from pytest_mlperf.submission import Tree, audit, layout
from tests.submissions import SYSTEM, Submission

if TYPE_CHECKING:
    from pathlib import Path

OLD = [
    "closed/Acme/results/A/resnet50/Offline/performance/run_1/mlperf_log_detail.txt",
    "closed/Acme/results/A/resnet50/Offline/performance/run_2/mlperf_log_detail.txt",
    "closed/Acme/results/A/resnet50/Offline/performance/ranging/mlperf_log_detail.txt",
    "closed/Acme/results/A/resnet50/Offline/accuracy/accuracy.txt",
    "closed/Acme/results/A/bert-99/Server/accuracy/accuracy.txt",
    "closed/Acme/results/A/README.md",
    "closed/Acme/results/submission_checker_log.txt",
    "closed/Acme/compliance/A/resnet50/Offline/TEST01/verify_accuracy.txt",
    "closed/Acme/measurements/A/resnet50/Offline/user.conf",
    "closed/Acme/documentation/results/B/resnet50/Offline/accuracy/accuracy.txt",
    "closed/NoResults/systems/C.json",
    "network/Acme/results/N/resnet50/Server/accuracy/accuracy.txt",
    "open/Zed/results/Z/ours/multistream/performance/run_1/mlperf_log_detail.txt",
    "open/Zed/results/Z/ours/interactive/performance/run_1/mlperf_log_detail.txt",
    "assets/results/A/resnet50/Offline/accuracy/accuracy.txt",
    "README.md",
]


def grown(tree: Path, files: list[str]) -> Path:
    for name in files:
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")
    return tree


def folders(tree: Path, name: str = "v2.0") -> list[layout.ScenarioFolder]:
    return [
        folder
        for submission in layout.submissions(tree)
        for folder in layout.scenario_folders(submission, name)
    ]


def test_the_directories_of_results_in_order(tmp_path: Path) -> None:
    found = folders(grown(tmp_path, OLD))
    assert [folder.results.relative_to(tmp_path).as_posix() for folder in found] == [
        "closed/Acme/results/A/bert-99/Server",
        "closed/Acme/results/A/resnet50/Offline",
        "network/Acme/results/N/resnet50/Server",
        "open/Zed/results/Z/ours/interactive",
        "open/Zed/results/Z/ours/multistream",
    ]
    assert [folder.scenario for folder in found] == [
        *("Server", "Offline", "Server", "Interactive", "MultiStream")
    ]


def test_what_belongs_to_a_directory_of_results(tmp_path: Path) -> None:
    found = next(folder for folder in folders(grown(tmp_path, OLD)) if folder.benchmark == "resnet50")
    root = tmp_path / "closed" / "Acme"
    assert found.submission == layout.Submission(division="closed", submitter="Acme", folder=root)
    assert found.run == root / "results/A/resnet50/Offline/performance/run_1"
    assert found.accuracy == root / "results/A/resnet50/Offline/accuracy"
    assert found.power == root / "results/A/resnet50/Offline/performance/power"
    assert found.ranging == root / "results/A/resnet50/Offline/performance/ranging"
    assert found.compliance == root / "compliance/A/resnet50/Offline"
    assert found.measurements == root / "measurements/A/resnet50/Offline"


def test_everything_is_inside_of_results_since_v6_0(tmp_path: Path) -> None:
    found = folders(grown(tmp_path, OLD), "v6.0")[1]
    assert found.compliance == found.measurements == found.results


def test_a_directory_with_another_name_keeps_it(tmp_path: Path) -> None:
    found = folders(grown(tmp_path, ["open/Zed/results/Z/ours/Burst/x"]))
    assert [(folder.name, folder.scenario) for folder in found] == [("Burst", "Burst")]


def test_a_tree_without_submissions_has_no_results(tmp_path: Path) -> None:
    assert folders(grown(tmp_path, ["closed/README.md"])) == []
    with pytest.raises(ConfigurationError, match=r"found no results in it, allowed: a folder with closed/"):
        list(audit(tmp_path, round="v2.0"))


def test_an_unknown_level(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"level: found 'Strict', allowed: official, strict"):
        list(audit(tmp_path, round="v2.0", level="Strict"))  # type: ignore[arg-type]


def test_a_tree_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(audit(tmp_path / "nowhere", round="v2.0"))


def test_an_unknown_round(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"found 'v1\.0', allowed: v2\.0, "):
        list(audit(tmp_path, round="v1.0"))


def test_the_files_of_a_directory(tmp_path: Path) -> None:
    grown(tmp_path, ["a/b.txt", "a/c/d.txt"])
    assert layout.listing(tmp_path / "a").files == frozenset({"b.txt"})
    assert layout.file_sizes(tmp_path / "a") == {"b.txt": 0}
    assert layout.listing(tmp_path / "nowhere").files is None
    assert layout.listing(tmp_path / "a" / "b.txt").files is None
    assert layout.file_sizes(tmp_path / "nowhere") is None


def test_directories_that_are_no_results_of_a_round_are_told(tmp_path: Path) -> None:
    grown(tmp_path, OLD)
    results = [r for r in audit(tmp_path, round="v2.0") if r.folder.benchmark == "ours"]
    assert {(r.mode, r.outcome) for r in results} == {
        ("files", "invalid"),
        ("performance", "unchecked"),
        ("accuracy", "unchecked"),
    }
    assert results[0].rulings[0].finding.observed == "ours"
    assert not any(result.accepted for result in results)


@pytest.mark.parametrize("text", ["{", "[]", "null", "\0"])
def test_a_description_that_cannot_be_read(text: str, tmp_path: Path) -> None:
    grown(tmp_path, OLD)
    (tmp_path / "closed/Acme/systems").mkdir()
    (tmp_path / "closed/Acme/systems/A.json").write_text(text, encoding="utf-8")
    results = [r for r in audit(tmp_path, round="v2.0") if r.folder.system == "A"]
    around = [result for result in results if result.mode == "files"]
    assert {result.outcome for result in around} == {"error"}
    assert "closed/Acme/systems/A.json" in str(around[0].error)


def test_a_directory_is_listed_without_its_logs_and_judged_alone(tmp_path: Path) -> None:
    submission = Submission(
        round="v5.1", category="edge", scenarios=("MultiStream", "Offline", "SingleStream")
    )
    tree = Tree(submission.write(tmp_path), round="v5.1")
    found = [(f.submission.submitter, f.system, f.benchmark, f.scenario, f.tests()) for f in tree.folders()]
    tests = ("TEST01", "TEST04")
    assert found == [("Acme", SYSTEM, "resnet", name, tests) for name in submission.scenarios]
    *_, last = tree.folders()
    assert tree.benchmark(last) == "resnet"
    assert tree.modes(last) == ("files", "performance", "accuracy", *tests)
    assert tree.judge(last) == [r for r in audit(tmp_path, round="v5.1") if r.folder == last]


def test_a_directory_of_no_benchmark_has_modes_too(tmp_path: Path) -> None:
    tree = Tree(grown(tmp_path, OLD), round="v2.0")
    *_, last = tree.folders()
    assert tree.benchmark(last) is None
    assert tree.modes(last) == tuple(result.mode for result in tree.judge(last))
    assert last.tests() == ()


def test_a_tree_is_named_by_text_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = list(audit(grown(tmp_path, OLD), round="v2.0"))
    monkeypatch.chdir(tmp_path)
    for name in (str(tmp_path), f"{tmp_path}/", ".", "./closed/.."):
        assert [result.path for result in audit(name, round="v2.0")] == [result.path for result in results]


def test_several_processes_give_the_same_results_in_the_same_order(tmp_path: Path) -> None:
    submission = Submission(round="v5.1", category="edge", scenarios=("SingleStream", "Offline"))
    submission.files[f"{submission.run('Offline')}/mlperf_log_detail.txt"] = "cut"
    tree = grown(submission.write(tmp_path), OLD)
    alone = list(audit(tree, round="v5.1"))
    apart = list(audit(tree, round="v5.1", processes=2))
    assert [(r.path, r.mode, r.outcome, r.accepted, r.rulings, r.folder, str(r.error)) for r in apart] == [
        (r.path, r.mode, r.outcome, r.accepted, r.rulings, r.folder, str(r.error)) for r in alone
    ]
    errors = [result.error for result in apart if result.error]
    assert errors
    assert all(error.problems[0].place for error in errors)


def test_a_tree_that_is_not_there_for_several_processes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(audit(tmp_path / "nowhere", round="v2.0", processes=2))
