"""An audit as people start it: `pytest suites/test_audit.py --mlperf-results TREE`."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.submissions import SYSTEM, Submission, accuracy_facts, log_text

if TYPE_CHECKING:
    from collections.abc import Callable

    Audit = Callable[..., pytest.RunResult]

SUITE = Path(__file__).parents[2] / "suites" / "test_audit.py"
RUNS = ("files", "PerformanceMode", "AccuracyMode", "TEST01", "TEST04-A", "TEST04-B", "TEST05")
NAME = f"closed-Acme-{SYSTEM}"


@pytest.fixture(params=["no:xdist", "n0", "n2"])
def audit(request: pytest.FixtureRequest, pytester: pytest.Pytester) -> Audit:
    """Run the suite over the folder `tree`, without xdist, with xdist asleep, and with two workers."""
    neighbours = {"no:xdist": ("-p", "no:xdist"), "n0": ("-n0",), "n2": ("-n2",)}[request.param]
    pytester.makeini("[pytest]\naddopts = --strict-markers -p no:cacheprovider\nfilterwarnings = error\n")
    shutil.copy(SUITE, pytester.path)

    def run(*options: str, tree: str = "tree") -> pytest.RunResult:
        return pytester.runpytest_subprocess(
            "--mlperf-results", tree, "--mlperf-output=out", *neighbours, *options, timeout=120
        )

    return run


@pytest.fixture
def alone(pytester: pytest.Pytester) -> Audit:
    """Run the suite without xdist."""
    pytester.makeini("[pytest]\naddopts = --strict-markers -p no:cacheprovider\nfilterwarnings = error\n")
    shutil.copy(SUITE, pytester.path)
    return lambda *options: pytester.runpytest_subprocess("-p", "no:xdist", "--mlperf-output=out", *options)


def records(pytester: pytest.Pytester) -> dict[str, dict[str, Any]]:
    lines = (pytester.path / "out" / "records.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line)["record"] for line in lines if "record" in json.loads(line)]
    by_id = {record["case"]["id"]: record for record in found}
    assert len(by_id) == len(found)
    return by_id


def resnet(**changes: Any) -> Submission:
    return Submission(round="v2.0", **changes)


def test_metrics_of_published_results_are_those_of_cases(audit: Audit, pytester: pytest.Pytester) -> None:
    resnet().write(pytester.path / "tree")
    audit("--mlperf-metrics=prometheus", "--mlperf-metrics=parquet")
    page = (pytester.path / "out/metrics.prom").read_text(encoding="utf-8").splitlines()
    (line,) = (
        line
        for line in page
        if "mlperf_throughput_samples_per_second{" in line and 'scenario="Offline"' in line
    )
    assert 'round="v2.0"' in line
    assert 'conformance="official"' in line
    assert line.endswith("} 123.5")
    assert sum(line.startswith("mlperf_case_passed{") for line in page) == 14
    assert (pytester.path / "out/metrics.parquet").exists()


def test_what_reaches_every_limit_passes(audit: Audit, pytester: pytest.Pytester) -> None:
    resnet().write(pytester.path / "tree")

    done = audit()

    ids = {f"resnet-{NAME}-{scenario}-{run}" for scenario in ("Server", "Offline") for run in RUNS}
    endings = {case: record["ending"] for case, record in records(pytester).items()}
    assert done.ret == 0
    assert endings == dict.fromkeys(ids, "pass")
    done.stdout.fnmatch_lines(
        [
            "conformant: 14 of 14 planned cases passed",
            "14 in the tree = 14 pass + 0 fail + 0 unplaced + 0 error + 0 dropped",
            "closed, v2.0, official: 2 of 2 scenarios accepted",
        ]
    )
    offline = records(pytester)[f"resnet-{NAME}-Offline-PerformanceMode"]
    assert offline["verdict"] == "VALID"
    assert offline["accepted"] is True
    assert offline["measurements"] == [
        {"name": "result_samples_per_second", "value": 123.5, "unit": "samples/s"}
    ]


def test_what_is_wrong_fails_and_says_why(audit: Audit, pytester: pytest.Pytester) -> None:
    tree = resnet()
    tree.spoil_run("Server", result_validity="INVALID", effective_performance_sample_count=1)
    tree.files[f"{tree.run('Offline')}/mlperf_log_detail.txt"] = ":::MLLOG {"
    tree.write(pytester.path / "tree")

    done = audit("--junitxml=j.xml")

    server, offline = (records(pytester)[f"resnet-{NAME}-{s}-PerformanceMode"] for s in ("Server", "Offline"))
    assert done.ret == 1
    assert (server["ending"], offline["ending"]) == ("fail", "error")
    assert [f["rule"] for f in server["findings"] if not f["satisfied"]] == [
        "validity",
        "performance_samples",
    ]
    assert server["accepted"] is False
    done.stdout.fnmatch_lines(
        [
            f"resnet-{NAME}-Offline-PerformanceMode: error",
            "  closed/Acme/*/Offline/performance/run_1/mlperf_log_detail.txt*: *",
            f"resnet-{NAME}-Server-PerformanceMode: INVALID, 123.5 samples/s",
            "  performance_samples",
            "    expected: >= 1024",
            "    observed: 1",
            "    in: closed/Acme/results/*/mlperf_log_detail.txt:*",
            "closed, v2.0, official: 0 of 2 scenarios accepted",
        ],
        consecutive=False,
    )
    cases = {
        case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")}
        for case in ET.parse(pytester.path / "j.xml").iter("testcase")  # noqa: S314  written by us
    }
    properties = cases[f"test_audit[resnet-{NAME}-Server-PerformanceMode]"]
    assert properties["value"] == "0.0"
    assert properties["metric"] == f"{NAME}-Server-PerformanceMode"
    assert properties["conformance"] == "official"


def test_markers_select(alone: Audit, pytester: pytest.Pytester) -> None:
    resnet().write(pytester.path / "tree")

    done = alone(
        "--mlperf-results=tree",
        "-m",
        f"closed and Acme and {SYSTEM} and datacenter and resnet and accuracy and Offline",
    )

    assert done.ret == 0
    endings = {case: record["ending"] for case, record in records(pytester).items()}
    assert [case for case, ending in endings.items() if ending == "pass"] == [
        f"resnet-{NAME}-Offline-AccuracyMode"
    ]
    assert set(endings.values()) == {"pass", "dropped"}


def test_an_open_result_below_its_target_is_accepted(alone: Audit, pytester: pytest.Pytester) -> None:
    tree = resnet(division="open")
    for scenario in tree.scenarios:
        tree.files[f"{tree.results(scenario)}/accuracy/accuracy.txt"] = (
            f"accuracy=12.5%, good=1, total=8\nhash={'0a' * 32}\n"
        )
    tree.write(pytester.path / "tree")

    done = alone("--mlperf-results=tree")

    accuracy = records(pytester)[f"resnet-open-Acme-{SYSTEM}-Offline-AccuracyMode"]
    assert (accuracy["ending"], accuracy["accepted"]) == ("fail", True)
    assert done.ret == 0
    done.assert_outcomes(passed=4, xfailed=2)
    done.stdout.fnmatch_lines(
        [
            "conformant: 4 of 6 planned cases passed, 2 failed and are accepted all the same",
            "open, v2.0, official: 2 of 2 scenarios accepted",
        ]
    )


def test_strict_finds_what_official_lets_pass(alone: Audit, pytester: pytest.Pytester) -> None:
    tree = resnet()
    wrong = {**accuracy_facts("v2.0", "resnet", "Offline"), "effective_test_mode": "AccuracyOnly"}
    tree.spoil_run("Offline", effective_test_mode=wrong["effective_test_mode"])
    tree.write(pytester.path / "tree")

    official = alone("--mlperf-results=tree", "-m", "performance and Offline")
    shutil.rmtree(pytester.path / "out")
    strict = alone("--mlperf-results=tree", "-m", "performance and Offline", "--mlperf-level=strict")

    assert (official.ret, strict.ret) == (0, 1)
    official.stdout.fnmatch_lines(
        ["1 run breaks rules that the checker let pass: judge with --mlperf-level strict"]
    )
    strict.stdout.fnmatch_lines(["    observed: AccuracyOnly", "*its checker does not look at this"])


def test_the_round_is_known_by_its_seeds(alone: Audit, pytester: pytest.Pytester) -> None:
    Submission(round="v4.1").write(pytester.path / "tree")
    done = alone("--mlperf-results=tree")
    assert done.ret == 0
    done.stdout.fnmatch_lines(["closed, v4.1, official: 2 of 2 scenarios accepted"])


def test_without_a_tree_there_is_no_audit(alone: Audit, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_other="def test_other():\n    pass\n")
    together = alone()
    together.assert_outcomes(passed=1)

    by_name = alone("test_audit.py")
    assert by_name.ret == pytest.ExitCode.USAGE_ERROR
    by_name.stderr.fnmatch_lines(
        ["ERROR: test_audit.py: found no submission tree to audit (name it with --mlperf-results)"]
    )


def _none(tree: Path) -> None:
    """Leave the folder empty."""
    tree.mkdir()


def _nowhere(_: Path) -> None:
    """Make no folder."""


def _seedless(tree: Path) -> None:
    submission = resnet()
    for scenario in submission.scenarios:
        submission.files[f"{submission.run(scenario)}/mlperf_log_detail.txt"] = log_text({"a": 1})
    submission.write(tree)


@pytest.mark.parametrize(
    ("make", "options", "said"),
    [
        (_nowhere, (), "/tree: --mlperf-results: found no such folder"),
        (_none, ("--mlperf-round=v2.0",), "/tree: found no results in it, allowed: "),
        (_none, ("--mlperf-round=v1.9",), "--mlperf-round: found 'v1.9', allowed: v2.0, "),
        (
            _seedless,
            (),
            "/tree: the round is not clear: found logs with the seeds of none that is known (2)",
        ),
    ],
    ids=["no folder", "nothing in it", "no such round", "no seeds"],
)
def test_bad_input_is_refused(
    make: Callable[[Path], None], options: tuple[str, ...], said: str, alone: Audit, pytester: pytest.Pytester
) -> None:
    make(pytester.path / "tree")
    done = alone("--mlperf-results=tree", *options)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in (*done.errlines, *done.outlines) if said in line]
    assert not (pytester.path / "out").exists()


def renamed(tree: Path, old: str, new: str) -> None:
    """Give every directory and file of a name another one."""
    for path in sorted(tree.rglob("*"), key=lambda path: -len(path.parts)):
        if path.name.startswith(old):
            path.rename(path.with_name(path.name.replace(old, new)))


@pytest.mark.parametrize("name", ["skip", "_sys", "sys (x8): 100%", "a|b [c]@d", "caf\u00e9"])
def test_any_name_is_a_name(name: str, alone: Audit, pytester: pytest.Pytester) -> None:
    tree = resnet()
    tree.spoil_run("Server", result_validity="INVALID")
    description = json.loads(tree.files[f"closed/Acme/systems/{SYSTEM}.json"])
    tree.files[f"closed/Acme/systems/{SYSTEM}.json"] = json.dumps(
        {**description, "system_type": "datacenter, xfail"}
    )
    tree.write(pytester.path / "tree")
    renamed(pytester.path / "tree", SYSTEM, name)

    done = alone("--mlperf-results=tree", "-m", "performance and closed")

    judged = [r["case"] for r in records(pytester).values() if r["verdict"] == "INVALID"]
    # The checker refuses a system of this type: no result of it is looked at.
    assert {(case["sku"], case["scenario"]) for case in judged} == {(name, "Server"), (name, "Offline")}
    assert done.ret == 1


def test_two_results_of_one_id_are_two_cases(alone: Audit, pytester: pytest.Pytester) -> None:
    for submitter, system in (("A", "B-C"), ("A-B", "C")):
        resnet(scenarios=("Offline",)).write(pytester.path / "new")
        renamed(pytester.path / "new", SYSTEM, system)
        (pytester.path / "tree" / "closed").mkdir(parents=True, exist_ok=True)
        (pytester.path / "new" / "closed" / "Acme").rename(pytester.path / "tree" / "closed" / submitter)

    done = alone("--mlperf-results=tree", "-m", "performance")

    judged = {r["case"]["id"]: r["case"]["sku"] for r in records(pytester).values() if r["verdict"]}
    assert judged == {
        "resnet-closed-A-B-C-Offline-PerformanceMode": "B-C",
        "resnet-closed-A-B-C-Offline~2-PerformanceMode": "C",
    }
    assert done.ret == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400])
def test_a_result_that_is_no_number_fails(value: float, alone: Audit, pytester: pytest.Pytester) -> None:
    tree = resnet()
    tree.spoil_run("Offline", result_samples_per_second=value)
    tree.write(pytester.path / "tree")

    done = alone("--mlperf-results=tree")

    broken = records(pytester)[f"resnet-{NAME}-Offline-PerformanceMode"]
    assert (done.ret, broken["ending"], broken["measurements"]) == (1, "fail", [])
    assert len(records(pytester)) == 14


def test_a_directory_that_cannot_be_listed_is_an_error(alone: Audit, pytester: pytest.Pytester) -> None:
    tree = resnet().write(pytester.path / "tree")
    loop = tree / f"closed/Acme/results/{SYSTEM}/resnet/Offline/accuracy"
    shutil.rmtree(loop)
    loop.symlink_to(loop)

    done = alone("--mlperf-results=tree")

    endings = {r["ending"] for r in records(pytester).values() if r["case"]["scenario"] == "Offline"}
    assert (done.ret, endings) == (1, {"error"})
    done.stdout.fnmatch_lines(["  closed/Acme/*/Offline/accuracy: cannot be read: *"])


def test_strict_excuses_in_open_only_what_the_accuracy_misses(
    alone: Audit, pytester: pytest.Pytester
) -> None:
    tree = resnet(division="open", scenarios=("Offline",))
    log = log_text(accuracy_facts("v2.0", "resnet", "Offline"), errors=("out of memory",))
    tree.files[f"{tree.results('Offline')}/accuracy/mlperf_log_detail.txt"] = log
    tree.write(pytester.path / "tree")

    done = alone("--mlperf-results=tree", "--mlperf-level=strict", "-m", "accuracy")

    assert done.ret == 1
    done.stdout.fnmatch_lines(["open, v2.0, strict: 0 of 1 scenarios accepted"])


def test_many_runs_have_the_same_endings_however_they_are_judged(
    audit: Audit, pytester: pytest.Pytester
) -> None:
    expected: Counter[str] = Counter()
    for number in range(15):
        tree = resnet()
        if number % 5 == 0:
            tree.spoil_run("Offline", result_validity="INVALID")
        tree.files = {name.replace(SYSTEM, f"{SYSTEM}{number}"): text for name, text in tree.files.items()}
        tree.write(pytester.path / "tree")
        expected += Counter({"pass": 13, "fail": 1} if number % 5 == 0 else {"pass": 14})

    done = audit("--junitxml=j.xml")

    assert done.ret == 1
    assert Counter(record["ending"] for record in records(pytester).values()) == expected
    done.stdout.fnmatch_lines(["closed, v2.0, official: 27 of 30 scenarios accepted"])
    done.assert_outcomes(passed=207, failed=3)


def test_a_test_of_published_runs_takes_nothing_but_the_record(
    audit: Audit, pytester: pytest.Pytester
) -> None:
    resnet().write(pytester.path / "tree")
    pytester.path.joinpath("test_audit.py").unlink()
    pytester.makepyfile(test_more="def test_it(mlperf_audited, tmp_path): pass")

    done = audit()

    assert done.ret == 4
    assert "test_more.py::test_it: takes mlperf_audited, tmp_path, allowed: mlperf_audited alone" in (
        done.stdout.str() + done.stderr.str()
    )


def test_marks_of_a_test_hold_for_its_runs(audit: Audit, pytester: pytest.Pytester) -> None:
    resnet().write(pytester.path / "tree")
    pytester.path.joinpath("test_audit.py").unlink()
    pytester.makepyfile(
        test_more="""
        import pytest
        from pytest_mlperf.plugin import check

        @pytest.mark.skip(reason="not today")
        def test_it(mlperf_audited):
            check(mlperf_audited)
        """
    )

    done = audit()

    assert done.ret == 5
    done.assert_outcomes(skipped=14)
    assert {record["reason"] for record in records(pytester).values()} == {"Skipped: not today"}
