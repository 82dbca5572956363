"""The story of a case, with a harness whose program writes the logs that a test asks for."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mlperf import rounds
from pytest_mlperf.baselines import Standards
from pytest_mlperf.executor import local
from pytest_mlperf.hardware import Device, Host, Inventory, skus
from pytest_mlperf.harness import Command, Container, Preparation
from pytest_mlperf.matrix import HarnessTerms, Settings
from pytest_mlperf.pipeline import has_host_alone, run_case
from pytest_mlperf.placement.leases import Request, lease
from pytest_mlperf.record import Measurement, from_json
from pytest_mlperf.site import Site

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_mlperf.executor import Terms
    from pytest_mlperf.matrix import Case
    from pytest_mlperf.placement import Placement
    from pytest_mlperf.record import Record
    from pytest_mlperf.rounds import Round
    from pytest_mlperf.verdict.baseline import Kind
    from tests.unit.conftest import DetailLine, MakeCase

ROUND = rounds.load("v2.0")
A2 = Device(
    vendor="NVIDIA",
    name="NVIDIA A2",
    uuid="GPU-0",
    pci_device="25B6",
    memory_bytes=15 * 2**30,
    power_limit_w=60,
    compute_capability="8.6",
)
HOST = Host(cores=1, cpu=None, memory_bytes=None, board=None)
# What LoadGen must be told in a case of `round` conformance.
OF_THE_ROUND = {
    "effective_min_duration_ms": 600000,
    **{f"effective_{name}_rng_seed": seed for name, seed in asdict(ROUND.seeds).items()},
}
FOOTER = "\nNo warnings encountered during test.\n\nNo errors encountered during test.\n"


@dataclass(frozen=True, kw_only=True)
class Scripted:
    """A harness that writes files with `prepare`, and runs a program that exits."""

    files: Mapping[str, str] = field(default_factory=dict)
    code: int = 0
    lacks: str | None = None
    container: Container | None = None

    def terms(self, mlperf_round: Round) -> HarnessTerms:
        return HarnessTerms(system_suffix="", benchmarks=mlperf_round.benchmarks)

    def missing(self, mlperf_round: Round) -> str | None:
        del mlperf_round
        return self.lacks

    def estimated_duration_s(self, case: Case, mlperf_round: Round) -> float | None:
        del case, mlperf_round
        return None

    def log_tree(self, case: Case, mlperf_round: Round) -> str | None:
        del case, mlperf_round
        return None

    def prepare(self, case: Case, placement: Placement, *, mlperf_round: Round, folder: Path) -> Preparation:
        del case, placement, mlperf_round
        logs = folder / "loadgen"
        logs.mkdir()
        for name, text in self.files.items():
            (logs / name).write_text(text, encoding="utf-8")
        program = (
            f"import os; print(f'{{VARIABLE}}={{os.environ.get(VARIABLE)}}'); raise SystemExit({self.code})"
        )
        argv = (sys.executable, "-c", f"VARIABLE = 'CUDA_VISIBLE_DEVICES'; {program}")
        step = Command(name="run", argv=argv, env=os.environ, container=self.container)
        return Preparation(steps=(step,), log_dir=logs, time_limit_s=30)


def no_image(name: str) -> None:
    raise AssertionError(name)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(
        inventory=Inventory(host=HOST, devices=(A2, replace(A2, uuid="GPU-1")), blind=()),
        skus=skus.load(),
        rounds={"v2.0": ROUND},
        harnesses={"custom": Scripted()},
        execute=local.execute,
        find_image=no_image,
        output=tmp_path / "out",
        strict=False,
    )


@dataclass(frozen=True, kw_only=True)
class Story:
    """Runs cases on a site with a harness that leaves these logs."""

    site: Site
    detail_line: DetailLine

    def performance(self, case: Case, verdict: str = "VALID", **facts: Any) -> Record:
        measured = dict.fromkeys(MEASURED[case.scenario][:1], 1.0)
        stated = {
            "effective_test_mode": case.mode,
            "effective_scenario": case.scenario,
            **(facts or measured),
        }
        last = {"result_99.90_percentile_latency_ns": 1}
        told = {**stated, "result_validity": verdict, **OF_THE_ROUND, **last}
        lines = [self.detail_line(k, v) for k, v in told.items()]
        summary = f"Result is : {verdict}\n{FOOTER}"
        return self.run(
            case,
            Scripted(files={"mlperf_log_detail.txt": "".join(lines), "mlperf_log_summary.txt": summary}),
        )

    def accuracy(self, case: Case, line: str) -> Record:
        facts = {"effective_test_mode": case.mode, "effective_scenario": case.scenario}
        log = '[\n{ "seq_id" : 0, "qsl_idx" : 0, "data" : "00" }\n]\n'
        files = {
            "mlperf_log_detail.txt": "".join(self.detail_line(k, v) for k, v in facts.items()),
            "mlperf_log_summary.txt": FOOTER,
            "mlperf_log_accuracy.json": log,
            "accuracy.txt": f"{line}\nhash={hashlib.sha256(log.encode()).hexdigest()}\n",
        }
        return self.run(case, Scripted(files=files))

    def run(self, case: Case, harness: Scripted) -> Record:
        return run_case(case, replace(self.site, harnesses={"custom": harness}))


@pytest.fixture
def story(site: Site, detail_line: DetailLine) -> Story:
    return Story(site=site, detail_line=detail_line)


def test_a_valid_run_passes_with_its_measurement(story: Story, make_case: MakeCase) -> None:
    record = story.performance(make_case(), result_samples_per_second=1234.5)
    assert (record.ending, record.verdict, record.reason) == ("pass", "VALID", None)
    assert record.measurements == (
        Measurement(name="result_samples_per_second", value=1234.5, unit="samples/s"),
    )
    assert record.devices == ("GPU-0", "GPU-1")
    assert record.folder == f"cases/{record.case.id}"
    assert record.started_at is not None
    assert record.started_at.endswith("+00:00")
    assert record.duration_s is not None
    assert record.waited_s is not None
    assert 0 <= record.waited_s <= record.duration_s


@pytest.mark.parametrize(
    ("held", "value", "ending"),
    [((), 300.0, "pass"), (("published",), 300.0, "fail"), (("published",), 500.0, "pass")],
)
def test_a_run_is_held_to_what_was_published_where_that_is_asked_for(
    held: tuple[Kind, ...], value: float, ending: str, story: Story, make_case: MakeCase
) -> None:
    """Two of NVIDIA's A2 make 500 samples/s of bert."""
    site = replace(story.site, standards=Standards(held=held))
    record = replace(story, site=site).performance(make_case(), result_samples_per_second=value)
    assert record.ending == ending
    rules = [finding.rule for finding in record.findings if finding.rule == "published baseline"]
    assert rules == [f"{kind} baseline" for kind in held]
    (comparison,) = record.comparisons
    assert comparison.ratio == pytest.approx(value / 500, rel=0.05)
    assert comparison.baseline.n >= 4
    if ending == "fail":
        assert str(record.reason).startswith("published baseline is broken: expected >= 4")
        assert "[loadgen/mlperf_log_detail.txt:3]; next: compare clocks" in str(record.reason)
    assert from_json(record.to_json()) == record


def test_an_invalid_run_fails_with_what_was_expected(story: Story, make_case: MakeCase) -> None:
    record = story.performance(
        make_case(), verdict="INVALID", effective_scenario="Server", result_samples_per_second=1.0
    )
    assert (record.ending, record.verdict) == ("fail", "INVALID")
    assert record.reason == (
        "effective_scenario is broken: expected Offline, observed Server [loadgen/mlperf_log_detail.txt:2]; "
        "next: look at what the harness ran: stdout.txt and stderr.txt of the case; "
        "result_validity is broken: expected VALID, observed INVALID [loadgen/mlperf_log_detail.txt:4]"
    )


@pytest.mark.parametrize(("quality", "ending", "verdict"), [(90.1, "pass", "PASS"), (88.5, "fail", "FAIL")])
def test_an_accuracy_run_is_held_to_its_target(
    quality: float, ending: str, verdict: str, story: Story, make_case: MakeCase
) -> None:
    case = make_case(mode="AccuracyOnly")
    record = story.accuracy(case, f"{{'exact_match': 80.0, 'f1': {quality}}}")
    assert (record.ending, record.verdict) == (ending, verdict)
    assert record.measurements == (
        Measurement(name="AccuracyValue", value=quality, unit="%"),
        Measurement(name="ThresholdValue", value=89.96526, unit="%"),
        Measurement(name="Accuracy Threshold Ratio", value=quality / 89.96526, unit="1"),
    )


# Keys of the detail log, and those that are measured in each scenario.
MEASURED = {
    "SingleStream": ["result_90.00_percentile_latency_ns", "early_stopping_latency_ss"],
    "MultiStream": ["result_99.00_percentile_per_query_latency_ns", "early_stopping_latency_ms"],
    "Server": [
        "result_scheduled_samples_per_sec",
        "result_completed_samples_per_sec",
        "result_99.00_percentile_latency_ns",
    ],
    "Offline": ["result_samples_per_second"],
}


@pytest.mark.parametrize("scenario", MEASURED)
def test_each_scenario_has_its_headline_values(scenario: str, story: Story, make_case: MakeCase) -> None:
    facts: dict[str, Any] = {key: len(key) for keys in MEASURED.values() for key in keys}
    record = story.performance(make_case(scenario=scenario), **facts)
    assert [(m.name, m.value) for m in record.measurements] == [(key, len(key)) for key in MEASURED[scenario]]
    rates = ("per_second", "per_sec")
    assert [m.unit for m in record.measurements] == [
        "samples/s" if key.endswith(rates) else "ns" for key in MEASURED[scenario]
    ]


def test_a_verdict_without_a_value_is_an_error(story: Story, make_case: MakeCase) -> None:
    record = story.performance(make_case(), result_query_count=1)
    assert record.ending == "error"
    assert "no key result_samples_per_second: a verdict without a value" in str(record.reason)


def test_logs_of_another_scenario_fail_without_a_value(story: Story, make_case: MakeCase) -> None:
    record = story.performance(make_case(), effective_scenario="SingleStream", early_stopping_latency_ss=5)
    assert (record.ending, record.measurements) == ("fail", ())
    assert str(record.reason).startswith("effective_scenario is broken: expected Offline, observed SingleS")


@pytest.mark.parametrize("value", ["fast", None, [1], float("inf"), 10**400])
def test_a_value_that_is_no_number_is_an_error(value: Any, story: Story, make_case: MakeCase) -> None:
    assert story.performance(make_case(), result_samples_per_second=value).ending == "error"


def test_a_harness_that_fails_is_an_error(story: Story, make_case: MakeCase) -> None:
    record = story.run(make_case(), Scripted(code=7))
    assert (record.ending, record.verdict) == ("error", None)
    assert str(record.reason).startswith("stdout.txt: step 'run' exited with 7 after ")
    assert record.folder is not None


def test_logs_that_are_missing_are_an_error(story: Story, make_case: MakeCase) -> None:
    record = story.run(make_case(), Scripted())
    assert record.ending == "error"
    assert str(record.reason).startswith("loadgen/mlperf_log_detail.txt: the file is missing")


def test_a_case_that_has_ended_is_not_run_again(story: Story, make_case: MakeCase) -> None:
    first = story.performance(make_case())
    assert first.ending == "pass"
    assert story.performance(make_case(), verdict="INVALID") == first


def test_what_an_interrupted_run_left_is_kept(story: Story, make_case: MakeCase) -> None:
    case = make_case()
    cases = story.site.output / "cases"
    (cases / case.id).mkdir(parents=True)
    (cases / case.id / "stderr.txt").write_text("half way", encoding="utf-8")
    assert story.performance(case).ending == "pass"
    (kept,) = cases.glob(f"{case.id}.interrupted-*")
    assert (kept / "stderr.txt").read_text(encoding="utf-8") == "half way"


def test_a_folder_that_cannot_be_made_is_an_error(site: Site, make_case: MakeCase) -> None:
    site.output.touch()
    record = run_case(make_case(), site)
    assert (record.ending, record.folder, record.waited_s) == ("error", None, None)
    assert str(record.reason).endswith(": cannot make the folder: Not a directory")


def test_hardware_that_is_not_here_leaves_no_folder(site: Site, make_case: MakeCase) -> None:
    record = run_case(make_case(sku="A30x8"), site)
    assert (record.ending, record.folder, record.findings) == ("unplaced", None, ())
    assert record.reason == "needs 8x A30, found 2x A2: this is A2x2"
    assert not site.output.exists()


def test_hardware_that_was_promised_is_a_failure(site: Site, make_case: MakeCase) -> None:
    record = run_case(make_case(sku="A30x8"), replace(site, strict=True))
    assert (record.ending, record.verdict, record.folder) == ("fail", None, None)
    assert record.reason == (
        "promised hardware is broken: expected 8x A30, observed 2x A2: this is A2x2 [matrices/m.yaml:7]"
    )


def test_a_harness_that_is_not_here_leaves_a_case_unplaced(story: Story, make_case: MakeCase) -> None:
    record = story.run(make_case(), Scripted(lacks="not installed"))
    assert (record.ending, record.reason) == ("unplaced", "needs harness 'custom', found not installed")


@pytest.mark.parametrize(
    ("changes", "alone"),
    [
        pytest.param({}, True, id="performance"),
        pytest.param({"settings": Settings(share_host=True)}, False, id="performance, shared"),
        pytest.param({"mode": "AccuracyOnly"}, False, id="accuracy"),
    ],
)
def test_a_measurement_has_the_host_alone(
    changes: dict[str, Any], *, alone: bool, make_case: MakeCase
) -> None:
    assert has_host_alone(make_case(**changes)) is alone


@pytest.mark.parametrize("mode", ["PerformanceOnly", "AccuracyOnly"])
def test_neighbours_are_named(mode: str, story: Story, make_case: MakeCase) -> None:
    case = make_case(sku="A2x1", mode=mode, settings=Settings(share_host=True))
    beside = Request(case="beside", count=1, devices=("GPU-0",), exclusive=False)
    with lease(beside):
        record = story.run(case, Scripted(code=1))
    assert record.neighbours == ("beside",)
    assert record.devices == ("GPU-1",)


def test_programs_of_a_case_see_its_devices_only(site: Site, story: Story, make_case: MakeCase) -> None:
    record = story.run(make_case(sku="A2x1"), Scripted())
    seen = (site.output / str(record.folder) / "stdout.txt").read_text(encoding="utf-8")
    assert seen == "CUDA_VISIBLE_DEVICES=GPU-0\n"
    assert record.devices == ("GPU-0",)


def test_a_container_may_do_what_the_matrix_allows_its_case(site: Site, make_case: MakeCase) -> None:
    asked: list[Container | None] = []

    def execute(step: Command, folder: Path, terms: Terms) -> None:
        del folder, terms
        asked.append(step.container)

    harness = Scripted(container=Container(image="i", privileges=("network=bridge",)))
    site = replace(
        site, harnesses={"custom": harness}, execute=execute, find_image=lambda name: f"sha256:{name}"
    )
    case = make_case(settings=Settings(privileges=("cap_add=SYS_ADMIN",)))
    allowed = ("cap_add=SYS_ADMIN", "network=bridge")
    record = run_case(case, site)
    assert asked == [Container(image="sha256:i", privileges=allowed)]
    [step] = record.steps
    assert (step.image, step.privileges, record.privileges) == ("sha256:i", allowed, allowed)
    assert from_json(json.loads(json.dumps(record.to_json()))) == record


def test_a_partial_match_runs_where_it_is_asked_for_and_is_labelled(
    site: Site, story: Story, make_case: MakeCase
) -> None:
    capped = replace(A2, power_limit_w=40)
    machine = replace(story.site, inventory=replace(site.inventory, devices=(capped,)))
    case = make_case(sku="A2x1")
    refused = Story(site=machine, detail_line=story.detail_line).performance(case)
    assert (refused.ending, refused.reason) == ("unplaced", "needs 1x A2 (60 W), found 1x A2 (40 W)")
    asked = Story(site=replace(machine, match="partial"), detail_line=story.detail_line).performance(case)
    assert asked.ending == "pass"
    assert asked.labels == ("partial match: power limit: needs 60 W, found 40 W",)
    by_matrix = make_case(sku="A2x1", id="other", match="partial")
    assert Story(site=machine, detail_line=story.detail_line).performance(by_matrix).deltas == asked.deltas


def test_the_record_stands_in_the_folder_of_its_case(site: Site, story: Story, make_case: MakeCase) -> None:
    for case in (make_case(), make_case(id="other")):
        record = story.run(case, Scripted(code=1))
        text = (site.output / str(record.folder) / "record.json").read_text(encoding="utf-8")
        assert from_json(json.loads(text)) == record
