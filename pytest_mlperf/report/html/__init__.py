"""What a page shows of a session: the answer first, then every case.

`head` is plain HTML, which stands wherever scripts and styles are forbidden; `cases` is data, which the
script in `assets` makes a table of. Everything from logs and YAML is escaped. uPlot, in `assets`, draws the
charts (MIT licence, beside it; `npm pack uplot`).
"""

from __future__ import annotations

import base64
import gzip
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mlperf.report.html import cases, head

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_mlperf.record import Record
    from pytest_mlperf.report.conformance import Conformance
    from pytest_mlperf.report.html.cases import Links
    from pytest_mlperf.report.machine import Machine

_ASSETS = Path(__file__).parent / "assets"
_CASES_A_CHUNK = 100


def fragments(
    conformance: Conformance, records: Sequence[Record], machines: Sequence[Machine], links: Links
) -> Iterator[str]:
    """Give the parts of the page that tell of a session.

    links: gives the names and the addresses of the log files of a record, as seen from the page
    """
    yield style("page.css", "uPlot.min.css")
    yield '<div id="mlperf">'
    for part in head.parts(conformance, records, machines):
        # Names of files need not be text, and could not be written.
        yield part.encode(errors="backslashreplace").decode()
    yield '<div id="mlperf-cases"></div></div>'
    yield data("mlperf-rows", cases.rows(records))
    for start in range(0, len(records), _CASES_A_CHUNK):
        some = records[start : start + _CASES_A_CHUNK]
        yield data(f"mlperf-details-{start}", [cases.details(record, links(record)) for record in some])
    yield script("charts.js", "cases.js")


def style(*names: str) -> str:
    """Return stylesheets of the assets."""
    return f"<style>{''.join(map(_asset, names))}</style>"


def script(*names: str) -> str:
    """Return scripts of the assets, behind the library that draws charts."""
    licence = _asset("uPlot.LICENSE").replace("--", "- -")
    texts = (_asset(name) for name in ("uPlot.iife.min.js", *names))
    return f"<!-- uPlot\n{licence}-->" + "".join(f"<script>{text}</script>" for text in texts)


@cache
def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def data(name: str, content: Any) -> str:
    """Return data for the scripts, packed: it repeats itself, and most of it is never asked for."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return f'<script type="text/plain" id="{name}">{packed}</script>'
