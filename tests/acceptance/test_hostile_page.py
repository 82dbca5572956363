"""Words of logs, matrices and tools, and names of files, are shown on the page and never obeyed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pytest_mlperf.errors import Place
from pytest_mlperf.evidence import Distribution
from pytest_mlperf.executor.stages import Step
from pytest_mlperf.hardware.matching import Delta
from pytest_mlperf.matrix import Settings
from pytest_mlperf.record import Attempt, Measurement
from pytest_mlperf.verdict import Finding
from pytest_mlperf.verdict.baseline import baseline, compare
from tests.browser import opened
from tests.records import HOSTILE, SPREAD, make_case, make_record, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser
    from sessions import Session

    from pytest_mlperf.record import Record


def test_hostile_words_are_only_shown(session: Session, browser: Browser) -> None:
    broken = Finding(rule=HOSTILE, expected=HOSTILE, observed=HOSTILE, satisfied=False, source=HOSTILE)
    measured = Measurement(name=HOSTILE, value=1, unit=HOSTILE)
    case = make_case(id=f"a{HOSTILE}", benchmark=HOSTILE, scenario="Offline", sku=HOSTILE)
    records = [
        make_record(case=case, ending="fail", reason=HOSTILE, findings=(broken,), measurements=(measured,)),
        make_record(case=make_case(id=f"b{HOSTILE}"), ending="error", reason=HOSTILE),
        make_record(case=make_case(id=f"c{HOSTILE}"), ending="unplaced", reason=HOSTILE, folder=None),
        make_record(
            case=make_case(id="d"), latencies=(Distribution(of=HOSTILE, quantiles=((0.5, 1), (1, 2))),)
        ),
    ]
    with opened(browser, report(session, records)) as page:
        for opener in page.locator(".opener").all():
            opener.click()
        page.wait_for_selector(".opened canvas")
        assert page.inner_text(".opened >> nth=0").count(HOSTILE) >= 5
        assert page.evaluate("window.hacked") is None
        assert page.locator("#mlperf img").count() == 0


def hostile_record(words: Callable[[str], str]) -> Record:
    """Return a record that has words wherever a log, a matrix or a tool gives them."""
    place = Place(path=words("place"), line=7)
    broken = Finding(
        rule=words("rule"),
        expected=words("expected"),
        observed=words("observed"),
        satisfied=False,
        place=place,
        source=words("source"),
        next_step=words("next step"),
    )
    metric = (words("metric"), words("unit"))
    others = baseline("own", metric=metric, values=[1] * 5, source=words("runs"), caveats=(words("caveat"),))
    run = Attempt(
        ending="error",
        reason=words("attempt"),
        findings=(),
        measurements=(Measurement(name=words("tried"), value=1, unit="1"),),
        devices=(),
        neighbours=None,
        folder=None,
        started_at=None,
        duration_s=None,
        steps=(Step(name="s", image=words("image"), privileges=(words("privilege"),)),),
    )
    return make_record(
        case=make_case(id="h", place=place, settings=Settings(expected_failure=words("known"))),
        ending="fail",
        findings=(broken,),
        measurements=(Measurement(name=metric[0], value=1, unit=metric[1]),),
        comparisons=(compare(others, 1),),
        attempts=(run, replace(run, ending="fail", reason=None)),
        latencies=(replace(SPREAD, of=words("latency of")),),
        steps=run.steps,
        statement=words("statement"),
        devices=(words("device"),),
        deltas=(Delta(trait=words("trait"), expected=words("needed"), found=words("found")),),
        foreign=(words("foreign"),),
        neighbours=(words("neighbour"),),
        replayed=words("replayed"),
        resumed=words("resumed"),
        started_at=words("started"),
    )


HOSTILE_FILES = (
    "\"><img src=x onerror='hacked = 3'>.txt",
    "<img src=x onerror=hacked=4>.txt",
    "javascript:hacked=5",
    "a?b#c%2e.txt",
)


def test_hostile_words_of_a_case_are_only_shown(session: Session, browser: Browser) -> None:
    given: list[str] = []

    def words(where: str) -> str:
        given.append(f"{where}: {HOSTILE}")
        return given[-1]

    record = hostile_record(words)
    folder = session.pytester.path / "r-records" / str(record.folder)
    folder.mkdir(parents=True)
    for name in HOSTILE_FILES:
        (folder / name).write_text("said", encoding="utf-8")
    with opened(browser, report(session, [record])) as page:
        page.click(".opener")
        page.wait_for_selector(".opened canvas")
        shown = page.inner_text(".opened")
        assert [text for text in given if text not in shown] == []
        assert page.locator(".files a").all_inner_texts() == sorted(HOSTILE_FILES)
        for link in page.locator(".files a").all():
            address = urlsplit(link.evaluate("link => link.href"))
            assert (address.scheme, address.query, address.fragment) == ("file", "", "")
            assert Path(unquote(address.path)) == folder / link.inner_text()
        assert page.evaluate("window.hacked") is None
        assert page.locator("#mlperf img").count() == 0
