from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_mlperf.errors import Place
from pytest_mlperf.evidence import Distribution, Throughput
from pytest_mlperf.hardware import Device, Driver, Host, Inventory
from pytest_mlperf.matrix import Settings
from pytest_mlperf.record import Attempt, Measurement
from pytest_mlperf.report import html
from pytest_mlperf.report.conformance import add_up
from pytest_mlperf.report.explanation import explain
from pytest_mlperf.report.machine import Machine, hardware
from pytest_mlperf.verdict import Finding, Margin
from pytest_mlperf.verdict.baseline import baseline, compare, hold
from tests.pages import Page, parse

if TYPE_CHECKING:
    from pytest_mlperf.record import Record
    from tests.unit.conftest import MakeCase, MakeRecord

ID = "bert-A2x2_TRT-custom_k_99_MaxP-Offline-PerformanceMode"
QPS = Measurement(name="result_samples_per_second", value=1234.5, unit="samples/s")
HOSTILE = "</pre></td></script><script>alert('x')</script>\"><img src=x onerror=alert(1)>&amp;<!--"
MACHINE = Machine(
    host="node-7", hardware=("EPYC (2 cores)",), started_at="2026-11-30T08:00:00+00:00", word="conformant"
)


def page(*records: Record, machines: tuple[Machine, ...] = (MACHINE,), ended: bool = True) -> Page:
    links = [("stdout.txt", "out/a%20b/stdout.txt")]
    parts = html.fragments(
        add_up(records, ended=ended), records, machines, lambda record: links if record.folder else []
    )
    return parse("".join(parts))


def near(percent: float, rule: str = "late") -> Finding:
    margin = Margin(percent=percent, bound="most")
    return Finding(
        rule=rule, expected="<= 100 ms", observed="97 ms", satisfied=True, source="s", margin=margin
    )


def test_a_row_has_what_one_sorts_and_filters_by(make_record: MakeRecord, make_case: MakeCase) -> None:
    record = make_record(findings=(near(3),), measurements=(QPS,), duration_s=61.2)
    failed = make_record(case=make_case(id="other", conformance="smoke"), ending="fail")
    assert page(record, failed).rows == {
        ID: {
            "case": ID,
            "ending": "pass",
            "verdict": "VALID",
            "benchmark": "bert",
            "scenario": "Offline",
            "mode": "PerformanceOnly",
            "SKU": "A2x2",
            "value": [1234.5, "1234.5 samples/s"],
            "margin": [3, "3.0 % below the limit: late"],
            "compared": None,
            "duration": [61.2, "1 min 1 s"],
        },
        "other": {
            "case": "other",
            "ending": "fail",
            "verdict": "INVALID; shortened",
            "benchmark": "bert",
            "scenario": "Offline",
            "mode": "PerformanceOnly",
            "SKU": "A2x2",
            "value": None,
            "margin": None,
            "compared": None,
            "duration": None,
        },
    }


def test_an_opened_case_has_every_rule_and_what_is_broken_first(make_record: MakeRecord) -> None:
    holds = Finding(rule="mode", expected="a", observed="a", satisfied=True, source="s")
    broken = Finding(
        rule="validity",
        expected="<= 2",
        observed="3",
        satisfied=False,
        source="s",
        place=Place(path="detail.txt", line=3),
        margin=Margin(percent=-50, bound="most"),
        next_step="turn it",
    )
    relaxed = replace(holds, observed="b", satisfied=False, relaxed=True, advice="more")
    record = make_record(ending="fail", findings=(holds, broken, relaxed))
    assert page(record).details(ID)["findings"] == [
        ["broken", "validity", "<= 2", "3", "50.0 % above the limit", "turn it", "detail.txt:3", "s"],
        ["relaxed", "mode", "a", "b", "", "LoadGen recommends: more", "", "s"],
        ["holds", "mode", "a", "a", "", "", "", "s"],
    ]


def test_an_opened_case_has_what_its_logs_and_its_runs_told(make_record: MakeRecord) -> None:
    spread = Distribution(of="query", quantiles=((0.5, 1.0), (0.99, 2.0)), limit=(0.99, 3.0))
    attempt = Attempt(
        ending="fail",
        reason="too late",
        findings=(),
        measurements=(QPS,),
        devices=(),
        neighbours=None,
        folder="f",
        started_at=None,
        duration_s=None,
    )
    record = make_record(
        latencies=(spread,),
        throughput=Throughput(bin_s=0.5, samples_per_s=(1.0, 2.0)),
        attempts=(attempt,),
        measurements=(QPS,),
        devices=("GPU-1", "GPU-2"),
        neighbours=("other",),
        waited_s=90,
        statement="it is VALID",
    )
    told = page(record).details(ID)
    assert told["latencies"] == [{"of": "query", "quantiles": [[0.5, 1], [0.99, 2]], "limit": [0.99, 3]}]
    assert told["throughput"] == {"bin_s": 0.5, "samples_per_s": [1, 2]}
    assert told["attempts"] == [["1", "fail", "result_samples_per_second 1234.5 samples/s", "too late"]]
    assert told["links"] == [["stdout.txt", "out/a%20b/stdout.txt"]]
    assert told["facts"] == [
        ["result_samples_per_second", "1234.5 samples/s"],
        ["the harness said", "it is VALID"],
        ["devices", "GPU-1, GPU-2"],
        ["neighbours", "other"],
        ["waited", "1 min 30 s"],
        ["matrix", "matrices/m.yaml:7"],
    ]


def test_a_case_is_shown_beside_its_baselines(make_record: MakeRecord) -> None:
    metric = ("result_samples_per_second", "samples/s")
    published = baseline("published", metric=metric, values=[100, 101, 102, 104], source="results of v2.0")
    own = baseline("own", metric=metric, values=[90.0], source="h.sqlite")
    record = make_record(
        comparisons=(compare(published, 95), compare(own, 95)),
        findings=(hold(compare(published, 95), None),),
        measurements=(QPS,),
    )
    told = page(record)
    assert told.rows[ID]["compared"] == [0.936, "93.6 % as good as published"]
    assert told.details(ID)["comparisons"] == [
        [
            "published",
            "93.6 % of the median of 4 published figures (MAD 0.99 %)",
            "101.5 samples/s",
            "results of v2.0",
        ],
        [
            "earlier runs",
            "105.6 % of the median of 1 session (MAD 0 %); no baseline: fewer than 5 sessions",
            "90 samples/s",
            "h.sqlite",
        ],
    ]
    assert "published baseline: 0 hold, 1 broken, 0 no baseline" in told.text


def test_what_a_case_has_not_got_is_left_out(make_record: MakeRecord) -> None:
    record = make_record(ending="unplaced", folder=None, reason="needs 2x A2 (<16 GiB)")
    assert page(record).details(ID) == {
        "headline": "unplaced",
        "reason": "needs 2x A2 (<16 GiB)",
        "facts": [["matrix", "matrices/m.yaml:7"]],
    }


def test_the_head_answers_without_a_script(make_record: MakeRecord, make_case: MakeCase) -> None:
    failed = make_record(case=make_case(id="bad"), ending="fail", reason="r")
    told = page(
        make_record(findings=(near(3, "late"),)),
        failed,
        make_record(case=make_case(id="away", sku="A30x8"), ending="unplaced", folder=None, reason="no A30"),
    )
    assert "NOT CONFORMANT 1 of 3 planned cases passed" in told.text
    assert "node-7: EPYC (2 cores); 2026-11-30T08:00:00+00:00" in told.text
    assert "A2x2, A30x8; round v2.0" in told.text
    assert "3 in the matrix = 1 pass + 1 fail + 1 unplaced + 0 error + 0 dropped" in told.text
    assert "late3.0 % below the limit97 ms (<= 100 ms)" in told.text
    assert "Did not pass (1)" in told.text
    assert explain(failed) in told.text
    assert "1 unplaced: no A30" in told.text
    assert f"#case={ID}" in told.addresses


def test_the_worst_margins_come_first(make_record: MakeRecord, make_case: MakeCase) -> None:
    records = [
        make_record(case=make_case(id=f"c{n}"), findings=(near(n, f"rule {n}"),)) for n in (9, 2, 7, 4, 5, 1)
    ]
    text = page(*records).text
    places = [text.index(f"rule {n}") for n in (1, 2, 4, 5, 7)]
    assert places == sorted(places)
    assert "rule 9" not in text[: text.index("Cases")]


def test_sessions_of_several_machines_each_have_their_word(make_record: MakeRecord) -> None:
    killed = replace(MACHINE, host="node-8", word=None)
    told = page(make_record(), machines=(MACHINE, killed), ended=False)
    assert "INCOMPLETE 1 of 1 planned cases passed" in told.text
    assert "node-7: EPYC (2 cores); 2026-11-30T08:00:00+00:00: conformant" in told.text
    assert "node-8: EPYC (2 cores); 2026-11-30T08:00:00+00:00: ended before its end" in told.text


def test_many_failures_are_told_as_far_as_one_reads(make_record: MakeRecord, make_case: MakeCase) -> None:
    records = [make_record(case=make_case(id=f"c{n}"), ending="fail", reason="r") for n in range(120)]
    told = page(*records)
    assert "Did not pass (120)" in told.text
    assert "and 70 more, among the cases below" in told.text
    assert len(told.rows) == 120
    assert told.details("c119")["headline"] == "INVALID"


def test_hostile_words_are_text_everywhere(make_record: MakeRecord, make_case: MakeCase) -> None:
    finding = Finding(
        rule=HOSTILE,
        expected=HOSTILE,
        observed=HOSTILE,
        satisfied=False,
        source=HOSTILE,
        place=Place(path=HOSTILE, line=1),
        next_step=HOSTILE,
        advice=HOSTILE,
    )
    case = make_case(id=HOSTILE, benchmark=HOSTILE, sku=HOSTILE, settings=Settings(expected_failure=HOSTILE))
    measurement = Measurement(name=HOSTILE, value=1, unit=HOSTILE)
    passed = make_record(case=replace(case, id=f"3{HOSTILE}"), findings=(near(3, HOSTILE),))
    told = page(
        make_record(case=case, ending="fail", findings=(finding,), measurements=(measurement,)),
        make_record(case=replace(case, id=f"2{HOSTILE}"), ending="error", reason=HOSTILE),
        passed,
        machines=(replace(MACHINE, host=HOSTILE, hardware=(HOSTILE,)),),
    )
    plain = page(make_record(ending="fail"), make_record(case=make_case(id="e"), ending="error", reason="r"))
    assert told.elements - plain.elements <= {"a"}
    assert "img" not in told.elements
    assert told.text.count(HOSTILE) > 20
    assert told.details(HOSTILE)["findings"][0].count(HOSTILE) == 5
    assert all(address.startswith(("#case=", "out/")) for address in told.addresses)


def test_names_that_are_no_text_can_be_written(make_record: MakeRecord) -> None:
    told = page(make_record(ending="error", reason="folder caf\udce9"))
    assert "folder caf\\udce9" in told.text
    assert told.details(ID)["reason"] == "folder caf\udce9"


def test_a_machine_is_told_in_words() -> None:
    host = Host(cores=128, cpu="AMD EPYC 7742", memory_bytes=1, board=None)
    gpu = Device(vendor="NVIDIA", name="NVIDIA A30", memory_bytes=24 << 30, power_limit_w=165)
    inventory = Inventory(
        host=host, devices=(gpu,) * 8, blind=(), drivers=(Driver(vendor="NVIDIA", version="510.47.03"),)
    )
    assert hardware(inventory) == (
        "AMD EPYC 7742 (128 cores)",
        "8x NVIDIA A30 (24 GiB, 165 W)",
        "driver 510.47.03",
    )
    bare = replace(inventory, host=replace(host, cores=1, cpu=None), devices=(), drivers=())
    assert hardware(bare) == ("unknown processor (1 core)", "no accelerator seen")


@pytest.mark.parametrize("name", ["page.css", "charts.js", "cases.js", "uPlot.iife.min.js", "uPlot.min.css"])
def test_assets_load_nothing_from_elsewhere(name: str) -> None:
    text = html.style(name)
    assert "url(" not in text
    assert "import " not in text.replace("!important ", "")
