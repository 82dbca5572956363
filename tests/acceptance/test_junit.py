"""What JUnit XML says of a session, and whether its readers take it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import xmlschema

if TYPE_CHECKING:
    from sessions import Session

SCHEMA = Path(__file__).parents[1] / "data" / "junit-10.xsd"
XS = "{http://www.w3.org/2001/XMLSchema}"
NAME = "CPU_SCRIPT-scripted_k_99_MaxP-Offline"
BAD = f"bad-{NAME}-PerformanceMode"
TOLD = ("-o", "junit_logging=system-out", "--junitxml=j.xml")
FAMILIES = ("xunit1", "xunit2")
GITLAB_BYTES = 30 * 1000 * 1000
"""What GitLab takes of a file (its documentation, "Unit test reports")."""


def report(session: Session) -> ET.Element:
    return ET.parse(session.pytester.path / "j.xml").getroot()  # noqa: S314  written by pytest here


def cases(session: Session) -> dict[str, ET.Element]:
    found = [(case.attrib["name"], case) for case in report(session).iter("testcase")]
    by_id = {name.partition("[")[2].rstrip("]"): case for name, case in found}
    assert len(by_id) == len(found)
    return by_id


def output(case: ET.Element) -> str:
    """Return what the case said, without the headers that pytest writes over each."""
    texts = "".join(element.text or "" for element in case.iter("system-out"))
    return re.sub(r"^-+ Captured Out -+$", "", texts, flags=re.MULTILINE).strip()


def amended(family: str) -> xmlschema.XMLSchema:
    """Return the schema with what pytest writes beyond it: properties of a case; in xunit1 file and line.

    The readers take both; the schema has properties of a suite only.
    """
    tree = ET.parse(SCHEMA)  # noqa: S314  a file of this project
    (case,) = (e for e in tree.iter(f"{XS}element") if e.get("name") == "testcase")
    (choice,) = case.iter(f"{XS}choice")
    ET.SubElement(choice, f"{XS}element", ref="properties")
    (kind,) = case.iter(f"{XS}complexType")
    for name in ("file", "line") if family == "xunit1" else ():
        ET.SubElement(kind, f"{XS}attribute", name=name, type="xs:string")
    return xmlschema.XMLSchema(ET.tostring(tree.getroot(), encoding="unicode"))


@pytest.mark.parametrize("family", FAMILIES)
def test_cases_have_properties_and_say_why(any_session: Session, family: str) -> None:
    result = any_session.run("--mlperf-output=out", *TOLD, "-o", f"junit_family={family}", "--html=h.html")

    result.stdout.no_fnmatch_line("*Warning*")
    result.stdout.no_fnmatch_line("*Captured*")
    assert result.stdout.str().count("    observed: not satisfied") == 1 + 1
    assert "Captured" not in (any_session.pytester.path / "h.html").read_text(encoding="utf-8")
    found = cases(any_session)
    records = any_session.records()
    assert set(found) == {case_id for case_id, record in records.items() if record["ending"] != "dropped"}
    for case_id, case in found.items():
        properties = {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")}
        assert properties["ending"] == records[case_id]["ending"]
    assert output(found[f"good-{NAME}-AccuracyMode"]) == (
        f"good-{NAME}-AccuracyMode: PASS, 90 % (shortened: not submission-valid); "
        "tightest margin: quality (accuracy), 1.0 % above the limit"
    )
    said = output(found[BAD]).splitlines()
    assert said[0] == f"{BAD}: INVALID, 1234.5 samples/s (shortened: not submission-valid)"
    assert "    observed: not satisfied" in said
    assert output(found["good-A2x2_SCRIPT-scripted_k_99_MaxP-Offline-PerformanceMode"]).endswith(
        "needs 2x A2, found no accelerator"
    )
    (failure,) = found[BAD].iter("failure")
    assert said[0] in failure.attrib["message"].splitlines()[0]
    amended(family).validate(any_session.pytester.path / "j.xml")


def test_but_for_properties_the_schema_holds_unchanged(session: Session) -> None:
    session.run("--mlperf-output=out", *TOLD, "-o", "junit_family=xunit2")
    root = report(session)
    for case in root.iter("testcase"):
        for properties in case.findall("properties"):
            case.remove(properties)
    xmlschema.XMLSchema(SCHEMA).validate(ET.tostring(root, encoding="unicode"))


@pytest.mark.parametrize("asked", ["no", "system-err", "log"])
def test_output_that_is_not_asked_for_is_not_there(session: Session, asked: str) -> None:
    session.run("--mlperf-output=out", "--junitxml=j.xml", "-o", f"junit_logging={asked}")
    assert not [case_id for case_id, case in cases(session).items() if case_id in output(case)]


def test_without_junit_it_is_all_the_same(session: Session) -> None:
    result = session.run("--mlperf-output=out", "-p", "no:junitxml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "INTERNALERROR" not in result.stdout.str()


@pytest.mark.parametrize("family", FAMILIES)
def test_hostile_texts_stay_texts(any_session: Session, family: str) -> None:
    hostile = ']]><testcase name="x"/>&amp; \\x1b[31m \\x00 \\uffff \\ud83d\\ude00 é'
    any_session.write_matrix(
        "round: v2.0\ncategory: smoke\naxes: {sku: CPU, harness: scripted, scenario: Offline}\n"
        "include:\n  - {benchmark: [bad, good], mode: PerformanceOnly}\n"
    )
    source = (any_session.pytester.path / "conftest.py").read_text(encoding="utf-8")
    source += f"""
import dataclasses

class Hostile(scripted_harness.Scripted):
    def prepare(self, case, placement, *, mlperf_round, folder):
        prepared = super().prepare(case, placement, mlperf_round=mlperf_round, folder=folder)
        said = {hostile!r}.encode("utf-8", "surrogatepass")
        program = f"import sys; sys.stderr.buffer.write({{said!r}}); sys.exit(3)"
        step = dataclasses.replace(prepared.steps[0], argv=(sys.executable, "-c", program))
        return dataclasses.replace(prepared, steps=(step,))

def pytest_mlperf_harnesses(config):
    return {{"scripted": Hostile()}}
"""
    any_session.pytester.makeconftest(source)
    result = any_session.run("--mlperf-output=out", *TOLD, "-o", f"junit_family={family}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    found = cases(any_session)
    assert len(found) == 2
    for case in found.values():
        assert ']]><testcase name="x"/>&amp;' in output(case)
        assert not re.search("[\x00-\x08\x0b-\x1f\ufffe\uffff]", "".join(case.itertext()))
    amended(family).validate(any_session.pytester.path / "j.xml")


MANY = """
import json
import pytest
from pytest_mlperf.plugin import check
from pytest_mlperf.plugin.suite import suite_of
from pytest_mlperf.plugin.telling import tell
from pytest_mlperf.record import from_json

with open("out/records.jsonl") as stream:
    LINES = [json.loads(line) for line in stream]
JUDGED = [r for r in (from_json(line["record"]) for line in LINES if "record" in line) if r.verdict]

@pytest.mark.parametrize("number", range(10_000))
def test_many(request, number):
    suite_of(request.config)
    check(tell(request.node, JUDGED[number % len(JUDGED)]))
"""


@pytest.mark.long
def test_ten_thousand_cases_are_no_more_than_readers_take(session: Session) -> None:
    session.run("--mlperf-output=out")
    session.pytester.makepyfile(test_many=MANY)
    session.run("test_many.py", "-q", "--tb=no", *TOLD, "-o", "junit_family=xunit2")
    (suite,) = report(session)
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("10000", "5000")
    size = (session.pytester.path / "j.xml").stat().st_size
    print(f"10,000 cases, half of them failed: {size / 1e6:.1f} MB")  # noqa: T201  the figure of the docs
    assert size < GITLAB_BYTES
