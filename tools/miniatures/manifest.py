"""The manifest, written from the cards: checksums are taken, quality is measured by the shipped tasks."""

from __future__ import annotations

import hashlib
import importlib
from typing import TYPE_CHECKING

import yaml

from pytest_mlperf.harness.onnxruntime.miniatures import MANIFEST, MODELS

if TYPE_CHECKING:
    from tools.miniatures.card import Card

HEADER = """\
# The miniatures: what each is, what it scores, and the checksums of its files (relative to models/).
# Written by `python -m tools.miniatures`; not meant to be edited by hand.
# quality is what the accuracy script says, in `unit`; the gates are 99 % and 99.9 % of quality.fp32.
"""


def write(cards: list[Card], *, order: list[str]) -> None:
    """Put the entries of these cards into the manifest, replacing older ones of the same name."""
    old = yaml.safe_load(MANIFEST.read_text(encoding="utf-8")) if MANIFEST.exists() else {}
    entries = old | {card.name: entry(card) for card in cards}
    sorted_entries = {name: entries[name] for name in order if name in entries}
    text = yaml.safe_dump(sorted_entries, sort_keys=False, width=110, allow_unicode=True)
    MANIFEST.write_text(HEADER + "\n" + text, encoding="utf-8")


def entry(card: Card) -> dict:
    described = {key: value for key, value in vars(card).items() if key not in {"name", "files"}}
    quality = {use: quality_of(card, use) for use in card.files if use != "dataset"}
    files = {use: [file(path) for path in paths] for use, paths in card.files.items()}
    return {**described, "quality": quality, "files": files}


def quality_of(card: Card, precision: str) -> float:
    """Run the whole evaluation set through the shipped task and return its score."""
    module = importlib.import_module(f"pytest_mlperf.harness.onnxruntime.tasks.{card.task}")
    models, dataset = ([MODELS / path for path in card.files[use]] for use in (precision, "dataset"))
    task = getattr(module, card.task.capitalize())(models, dataset)
    responses = {}
    for start in range(0, task.sample_count, task.batch_size):
        indices = list(range(start, min(start + task.batch_size, task.sample_count)))
        responses |= {i: row.tobytes() for i, row in zip(indices, task.predict(indices), strict=True)}
    score = task.score(responses)
    print(f"{card.name} {precision}: {score.line}")
    return score.value


def file(path: str) -> dict[str, str]:
    return {"path": path, "sha256": hashlib.sha256((MODELS / path).read_bytes()).hexdigest()}
