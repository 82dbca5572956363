from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf.errors import ConfigurationError
from pytest_mlperf.hardware.matching import Delta
from pytest_mlperf.matrix import Case
from pytest_mlperf.rounds import checker
from pytest_mlperf.submission import audit
from pytest_mlperf.submission.candidates import Candidate
from pytest_mlperf.submission.export import Export, forecast, plan, write
from tests.exports import GPU, HARNESS, INVENTORY, Person, Ran
from tests.submissions import SUBMITTER, SYSTEM

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_mlperf.verdict.official import Level

BERT = f"closed/{SUBMITTER}/results/{SYSTEM}/bert-99"
PERFORMANCE, ACCURACY = "PerformanceOnly", "AccuracyOnly"


def planned(ran: Ran) -> Export:
    return plan(ran.records.values(), ran.order())


def exported(ran: Ran, tree: Path) -> Export:
    export = planned(ran)
    write(export, tree)
    return export


def rejected(ran: Ran, tree: Path, level: Level = "strict") -> list[str]:
    """Return what is rejected in a tree, and by which rule."""
    results = list(audit(tree, round=ran.round, level=level))
    assert results
    return [
        f"{result.path}: {result.outcome}: {[str(r.finding) for r in result.rulings if r.rejects(level)]}"
        for result in results
        if not result.accepted or result.outcome != "valid"
    ]


def resnet(round_name: str) -> Callable[[Path], Ran]:
    return lambda output: Ran(
        output=output,
        round=round_name,
        benchmark="resnet50",
        official="resnet",
        scenarios=("SingleStream", "MultiStream", "Offline"),
        category="edge",
    )


SESSIONS: dict[str, Callable[[Path], Ran]] = {
    "v2.0 bert": lambda output: Ran(output=output),
    "v2.0 bert, open": lambda output: Ran(output=output, division="open", scenarios=("Offline",)),
    "v2.0 resnet": resnet("v2.0"),
    "v4.1 resnet": resnet("v4.1"),
    "v5.1 resnet": resnet("v5.1"),
    "v6.0 resnet": resnet("v6.0"),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_a_tree_is_accepted_once_what_is_listed_is_filled_in(name: str, tmp_path: Path) -> None:
    ran = SESSIONS[name](tmp_path / "out")
    export = exported(ran, tmp_path / "tree")
    assert export.refused == ()
    assert export.results == 2 * len(ran.scenarios)
    Person(tree=tmp_path / "tree", ran=ran).fill_in(export)
    assert rejected(ran, tmp_path / "tree") == []
    assert rejected(ran, tmp_path / "tree", "official") == []


@pytest.mark.parametrize("name", ["v2.0 bert", "v4.1 resnet", "v6.0 resnet"])
def test_each_thing_that_is_listed_is_missed_by_the_audit(name: str, tmp_path: Path) -> None:
    ran = SESSIONS[name](tmp_path / "out")
    export = exported(ran, tmp_path / "tree")
    person = Person(tree=tmp_path / "tree", ran=ran)
    person.fill_in(export)
    not_missed = []
    for missing in export.missing:
        person.take_out(missing)
        if not rejected(ran, person.tree):
            not_missed.append(missing.path)
        person.add(missing)
    assert rejected(ran, person.tree) == []
    # Where the code is in src/, no checker looks for it.
    assert [path for path in not_missed if "/src/" not in path] == []


# What a session may lack, and where that is listed.
SPOILT: dict[str, tuple[Callable[[Ran], object], str]] = {
    "failed": (
        lambda ran: ran.spoil("Offline", PERFORMANCE, ending="fail", reason="result_validity is broken"),
        f"{BERT}/Offline/performance/run_1: INVALID: result_validity is broken",
    ),
    "failed accuracy": (
        lambda ran: ran.spoil("Offline", ACCURACY, ending="fail", reason="too low"),
        f"{BERT}/Offline/accuracy: FAIL: too low",
    ),
    "error": (
        lambda ran: ran.spoil("Server", ACCURACY, ending="error", reason="it died\nand said more"),
        f"{BERT}/Server/accuracy: error: it died (",
    ),
    "unplaced": (
        lambda ran: ran.spoil("Server", ACCURACY, ending="unplaced", reason="no GPU", folder=None),
        f"{BERT}/Server/accuracy: unplaced: no GPU",
    ),
    "dropped": (
        lambda ran: ran.spoil("Server", ACCURACY, ending="dropped", reason="not selected", folder=None),
        f"{BERT}/Server/accuracy: dropped: not selected",
    ),
    "promised": (
        lambda ran: ran.spoil("Server", ACCURACY, ending="fail", reason="promised hardware", folder=None),
        f"{BERT}/Server/accuracy: fail: promised hardware",
    ),
    "a partial match": (
        lambda ran: ran.spoil(
            "Server", PERFORMANCE, deltas=(Delta(trait="power limit", expected="400 W", found="275 W"),)
        ),
        f"{BERT}/Server/performance/run_1: partial match: power limit: needs 400 W, found 275 W",
    ),
    "no case of a mode": (
        lambda ran: ran.records.pop(("Server", ACCURACY)),
        f"{BERT}/Server/accuracy: no case of AccuracyOnly in this scenario",
    ),
    "a whole scenario": (
        lambda ran: [ran.records.pop(("Server", mode)) for mode in (ACCURACY, PERFORMANCE)],
        f"{BERT}/Server/performance/run_1: no case of PerformanceOnly in this scenario",
    ),
    "a scenario that failed": (
        lambda ran: ran.fail("Server"),
        f"closed/{SUBMITTER}/measurements/{SYSTEM}/bert-99/Server/user.conf: there is no result",
    ),
    "a log": (
        lambda ran: (ran.logs("Offline", PERFORMANCE) / "mlperf_log_detail.txt").unlink(),
        f"{BERT}/Offline/performance/run_1/mlperf_log_detail.txt: no mlperf_log_detail.txt in ",
    ),
    "the summary": (
        lambda ran: (ran.logs("Offline", PERFORMANCE) / "mlperf_log_summary.txt").unlink(),
        f"{BERT}/Offline/performance/run_1: no single mlperf_log_summary.txt in ",
    ),
    "the accuracy log": (
        lambda ran: (ran.logs("Offline", ACCURACY) / "mlperf_log_accuracy.json").unlink(),
        f"{BERT}/Offline/accuracy/mlperf_log_accuracy.json: no mlperf_log_accuracy.json in ",
    ),
    "the scores of this log": (
        lambda ran: (ran.logs("Offline", ACCURACY) / "mlperf_log_accuracy.json").write_text("[\n]\n"),
        f"{BERT}/Offline/accuracy/accuracy.txt: states hash=",
    ),
    "user.conf": (
        lambda ran: (ran.logs("Offline", PERFORMANCE) / "user.conf").unlink(),
        f"closed/{SUBMITTER}/measurements/{SYSTEM}/bert-99/Offline/user.conf: no single user.conf among",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_a_session_lacks_is_listed_and_not_written(name: str, tmp_path: Path) -> None:
    spoil, said = SPOILT[name]
    ran = Ran(output=tmp_path / "out")
    spoil(ran)
    tree = tmp_path / "tree"
    export = exported(ran, tree)
    (listed,) = [missing for missing in export.missing if str(missing).startswith(said)]
    assert not (tree / listed.path).exists()
    assert "\n" not in str(listed)
    assert rejected(ran, tree)
    Person(tree=tree, ran=ran).fill_in(export)
    assert rejected(ran, tree) == []


# Cases that are no results of a submission, and why.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "smoke": ({"conformance": "smoke", "category": "smoke"}, "shortened: not submission-valid"),
    "miniature": ({"harness": "miniatures"}, "harness 'miniatures' runs no benchmark of a round"),
    "another benchmark": ({"benchmark": "chess"}, "'chess' is no benchmark of v2.0"),
    "another round": ({"round": "v2.1"}, "it is of v2.1: a tree is of one round, this one of v2.0"),
    "no such round": ({"round": "v1.0"}, "round v1.0: what its checker asks for is not known"),
    "a place that is taken": (
        {},
        f"its place is taken by bert-{SYSTEM}-custom_k_99_MaxP-Offline-PerformanceMode (select one of them)",
    ),
    "another scenario": (
        {"benchmark": "3d-unet", "scenario": "Server"},
        "v2.0 has no 3d-unet-99 Server for datacenter",
    ),
    "another category": (
        {"benchmark": "ssd-mobilenet"},
        "v2.0 has no ssd-small for datacenter",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_case_that_is_no_result_is_named_and_not_written(name: str, tmp_path: Path) -> None:
    changes, reason = REFUSED[name]
    ran = Ran(output=tmp_path / "out")
    usual = planned(ran)
    case = replace(ran.case("Offline", PERFORMANCE), **{"id": "other", **changes})
    record = replace(ran.records["Offline", PERFORMANCE], case=case)
    export = plan([*ran.records.values(), record], ran.order())
    assert [(refused.case, refused.reason) for refused in export.refused] == [(case.id, reason)]
    assert export.pieces == usual.pieces
    assert export.missing == usual.missing


def test_nothing_is_written_of_a_session_that_has_nothing_to_submit(tmp_path: Path) -> None:
    ran = Ran(output=tmp_path / "out")
    for scenario, mode in ran.records:
        ran.spoil(scenario, mode, ending="error", reason="it died")
    export = planned(ran)
    assert export.pieces == ()
    assert {str(missing) for missing in export.missing} == {
        f"{BERT}/{scenario}/{run}: error: it died (a session exports what passed in it)"
        for scenario in ("Server", "Offline")
        for run in ("accuracy", "performance/run_1")
    }


def test_what_passed_keeps_its_place_before_what_did_not(tmp_path: Path) -> None:
    ran = Ran(output=tmp_path / "out")
    failed = replace(
        ran.records["Offline", PERFORMANCE], case=ran.case("Offline", PERFORMANCE, id="other"), ending="fail"
    )
    export = plan([failed, *ran.records.values()], ran.order())
    assert [refused.case for refused in export.refused] == ["other"]
    assert export.results == 4


def test_a_record_of_an_audit_is_passed_over(tmp_path: Path) -> None:
    ran = Ran(output=tmp_path / "out")
    published: Any = replace(ran.records["Offline", PERFORMANCE], case="a published result")  # type: ignore[arg-type]
    assert plan([*ran.records.values(), published], ran.order()) == planned(ran)


def test_the_forecast_names_what_the_end_will_name(tmp_path: Path) -> None:
    ran = Ran(output=tmp_path / "out")
    cases = [record.case for record in ran.records.values() if isinstance(record.case, Case)]
    before = forecast([Candidate(case=case) for case in cases], ran.order())
    after = planned(ran)
    assert before.refused == after.refused == ()
    only_after = {missing.path for missing in set(after.missing) - set(before.missing)}
    assert set(before.missing) <= set(after.missing)
    assert {path.rpartition("/")[2] for path in only_after} == {"mlperf.conf"}
    assert f"closed/{SUBMITTER}/compliance/{SYSTEM}/bert-99/Offline/TEST01" in {
        missing.path for missing in before.missing
    }


def test_a_system_is_named_by_its_metrics_with_the_power_setting(tmp_path: Path) -> None:
    ran = Ran(output=tmp_path / "out")
    name = f"{SYSTEM}_MaxQ-{HARNESS}_k_99_9_MaxQ-Offline-PerformanceMode"
    case = ran.case("Offline", PERFORMANCE, metric_name=name, accuracy="99.9", power="MaxQ", id="q")
    export = plan([replace(ran.records["Offline", PERFORMANCE], case=case)], ran.order())
    assert f"closed/{SUBMITTER}/systems/{SYSTEM}_MaxQ.json" in {piece.path for piece in export.pieces}
    assert any(f"/results/{SYSTEM}_MaxQ/bert-99.9/Offline/" in piece.path for piece in export.pieces)


def test_systems_share_the_code_of_a_benchmark(tmp_path: Path) -> None:
    ran = Ran(output=tmp_path / "out")
    other = [
        replace(
            record, case=replace(record.case, id=f"other-{n}", metric_name=f"other-{record.case.metric_name}")
        )
        for n, record in enumerate(ran.records.values())
    ]
    export = plan([*ran.records.values(), *other], ran.order())
    write(export, tmp_path / "tree")
    root = tmp_path / f"tree/closed/{SUBMITTER}"
    assert export.results == 8
    assert sorted(path.name for path in (root / "systems").iterdir()) == sorted(
        [f"{SYSTEM}.json", f"other-{SYSTEM}.json"]
    )
    assert len(list((root / "code").rglob("README.md"))) == 1


def test_a_system_says_what_the_machine_says_and_no_more(tmp_path: Path) -> None:
    ran = Ran(output=tmp_path / "out")
    exported(ran, tmp_path / "tree")
    path = tmp_path / f"tree/closed/{SUBMITTER}/systems/{SYSTEM}.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    assert {key: value for key, value in described.items() if value != ""} == {
        "accelerator_memory_capacity": "16 GiB",
        "accelerator_model_name": GPU.name,
        "accelerators_per_node": 1,
        "division": "closed",
        "host_memory_capacity": "512 GiB",
        "host_processor_model_name": "AMD EPYC 7742",
        "host_processors_per_node": 2,
        "number_of_nodes": 1,
        "operating_system": "Ubuntu 20.04",
        "other_software_stack": "NVIDIA driver 510.39.01",
        "status": "available",
        "submitter": SUBMITTER,
        "system_name": SYSTEM,
        "system_type": "datacenter",
    }
    assert set(described) == set(checker.load("v2.0").system_fields)
    listed = {m.what for m in planned(ran).missing if m.path.endswith(f"systems/{SYSTEM}.json")}
    empty = {key for key, value in described.items() if value == ""}
    assert listed == {f'"{key}"' for key in empty - {"hw_notes", "sw_notes"}}


def test_a_system_without_accelerators_says_so(tmp_path: Path) -> None:
    ran = Ran(output=tmp_path / "out")
    for scenario, mode in ran.records:
        ran.spoil(scenario, mode, devices=())
    exported(ran, tmp_path / "tree")
    path = tmp_path / f"tree/closed/{SUBMITTER}/systems/{SYSTEM}.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    assert described["accelerators_per_node"] == 0
    assert described["accelerator_model_name"] == described["accelerator_frequency"] == "N/A"


def test_scores_are_copied_as_they_are_and_get_the_hash(tmp_path: Path) -> None:
    ran = Ran(output=tmp_path / "out")
    path = ran.logs("Offline", ACCURACY) / "accuracy.txt"
    hashed = path.read_bytes().splitlines(keepends=True)[-1]
    assert hashed.startswith(b"hash=")
    strange = b"1/2\r2/2\r\n" + path.read_bytes().removesuffix(hashed).rstrip() + b" \xff"
    path.write_bytes(strange)
    exported(ran, tmp_path / "tree")
    copied = (tmp_path / "tree" / BERT / "Offline/accuracy/accuracy.txt").read_bytes()
    assert copied == strange + b"\n" + hashed


def test_configuration_files_are_those_of_the_run(tmp_path: Path) -> None:
    ran = Ran(output=tmp_path / "out")
    (ran.logs("Offline", PERFORMANCE) / "mlperf.conf").write_text("# LoadGen's own\n", encoding="utf-8")
    export = exported(ran, tmp_path / "tree")
    folder = tmp_path / f"tree/closed/{SUBMITTER}/measurements/{SYSTEM}/bert-99"
    assert (folder / "Offline/mlperf.conf").read_text(encoding="utf-8") == "# LoadGen's own\n"
    assert (folder / "Offline/user.conf").read_text(encoding="utf-8") == "*.Offline.target_qps = 1\n"
    generated = (folder / "Server/mlperf.conf").read_text(encoding="utf-8").splitlines()
    assert "*.Server.target_latency = 130" in generated
    assert "*.Server.min_duration = 600000" in generated
    assert "*.*.qsl_rng_seed = 6655344265603136530" in generated
    assert [m.path for m in export.missing if m.path.endswith("mlperf.conf")] == [
        f"closed/{SUBMITTER}/measurements/{SYSTEM}/bert-99/Server/mlperf.conf"
    ]


def test_a_tree_is_never_written_over(tmp_path: Path) -> None:
    ran = Ran(output=tmp_path / "out")
    export = exported(ran, tmp_path / "tree")
    before = sorted(path for path in (tmp_path / "tree").rglob("*"))
    with pytest.raises(ConfigurationError, match=r"found closed in it, allowed: a new or empty folder"):
        write(export, tmp_path / "tree")
    assert sorted(path for path in (tmp_path / "tree").rglob("*")) == before


def test_a_machine_of_which_nothing_is_known_is_described_with_holes(tmp_path: Path) -> None:
    ran = Ran(output=tmp_path / "out")
    host = replace(INVENTORY.host, cpu=None, memory_bytes=None, sockets=None, os=None)
    unknown = tuple(replace(device, memory_bytes=None) for device in INVENTORY.devices)
    inventory = replace(INVENTORY, host=host, devices=unknown, drivers=())
    export = plan(ran.records.values(), replace(ran.order(), inventory=inventory))
    listed = {missing.what.split('"')[1] for missing in export.missing if missing.what.startswith('"')}
    assert {"host_memory_capacity", "operating_system", "accelerator_memory_capacity"} <= listed
