"""Write the tables of docs/miniatures.md from the manifest: `python -m tools.miniatures.page [--check]`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mlperf.harness.onnxruntime.miniatures import manifest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_mlperf.harness.onnxruntime.miniatures import Miniature

PAGE = Path(__file__).parents[2] / "docs" / "miniatures.md"
LEVELS = (0.99, 0.999)
TABLES = {
    "what": ("Name", "Stands for", "Architecture", "Parameters", "Data", "Samples"),
    "scores": ("Name", "Metric", "FP32", "99 % gate", "99.9 % gate", "INT8", "INT8 of FP32", "INT8 holds"),
    "licences": ("Name", "Licence"),
}


def main() -> int:
    """Write the tables into the page; with --check, only say whether they are up to date."""
    old = PAGE.read_text(encoding="utf-8")
    new = old
    for name, columns in TABLES.items():
        rows = [ROWS[name](miniature) for miniature in manifest().values()]
        new = _with_table(new, name, [columns, ["---"] * len(columns), *rows])
    if "--check" in sys.argv:
        if new != old:
            print(f"{PAGE.name}: tables: not those of the manifest ; hint: python -m tools.miniatures.page")
        return int(new != old)
    PAGE.write_text(new, encoding="utf-8")
    return 0


def _with_table(page: str, name: str, rows: Iterable[Iterable[str]]) -> str:
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    start, end = f"<!-- table: {name} -->", "<!-- end of table -->"
    return re.sub(f"{start}.*?{end}", lambda _: f"{start}\n\n{lines}\n\n{end}", page, flags=re.DOTALL)


def _what(miniature: Miniature) -> tuple[str, ...]:
    return (
        f"`{miniature.name}`",
        miniature.stands_for,
        miniature.architecture,
        f"{miniature.parameters:,}".replace(",", " "),
        miniature.dataset,
        str(miniature.sample_count),
    )


def _scores(miniature: Miniature) -> tuple[str, ...]:
    reference = miniature.quality["fp32"]
    gates = (_quality(level * reference, miniature) for level in LEVELS)
    return (
        f"`{miniature.name}`",
        miniature.metric,
        _quality(reference, miniature),
        *gates,
        *_int8(miniature, reference),
    )


def _int8(miniature: Miniature, reference: float) -> tuple[str, str, str]:
    quality = miniature.quality.get("int8")
    if quality is None:
        return "-", "-", "-"
    held = [f"{100 * level:g} %" for level in LEVELS if quality >= level * reference]
    return (
        _quality(quality, miniature),
        f"{100 * quality / reference:.2f} %",
        " and ".join(held) or "neither",
    )


def _quality(value: float, miniature: Miniature) -> str:
    return f"{value:.4f}" if miniature.unit == "1" else f"{value:.3f} {miniature.unit}"


def _licences(miniature: Miniature) -> tuple[str, str]:
    return f"`{miniature.name}`", miniature.licence


ROWS = {"what": _what, "scores": _scores, "licences": _licences}


if __name__ == "__main__":
    sys.exit(main())
