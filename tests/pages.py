"""HTML reports as they are read: the text that needs no script, and the cases that one shows."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[str] = set()
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.packed: dict[str, str] = {}
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        known = dict(attrs)
        self.addresses += [value for name, value in attrs if name == "href" and value]
        self._within = (known.get("id") or tag) if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        del tag
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within.startswith("mlperf-"):
            self.packed[self._within] = data
        elif not self._within:
            self.texts.append(data)


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page, read.

    text:       without that of scripts
    elements:   names of all elements
    addresses:  of its links
    """

    text: str
    elements: frozenset[str]
    addresses: tuple[str, ...]
    _packed: Mapping[str, str] = field(repr=False)

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The rows of the cases, by case; in a row the cells by column."""
        told = self._unpack("mlperf-rows")
        columns = told["named"] + told["quantities"]
        rows = [dict(zip(columns, row, strict=True)) for row in told["rows"]]
        assert len({row["case"] for row in rows}) == len(rows)
        return {row["case"]: row for row in rows}

    def details(self, case_id: str) -> dict[str, Any]:
        """Return what is shown of a case that is opened."""
        index = list(self.rows).index(case_id)
        start = index - index % 100
        details: dict[str, Any] = self._unpack(f"mlperf-details-{start}")[index - start]
        return details

    def _unpack(self, name: str) -> Any:
        return json.loads(gzip.decompress(base64.b64decode(self._packed[name])))


def parse(text: str) -> Page:
    """Return what a page says."""
    parser = _Parser()
    parser.feed(text)
    parser.close()
    return Page(
        text="".join(parser.texts),
        elements=frozenset(parser.elements),
        addresses=tuple(parser.addresses),
        _packed=parser.packed,
    )


def read(path: Path) -> Page:
    """Return what the page in a file says."""
    return parse(path.read_text(encoding="utf-8"))
