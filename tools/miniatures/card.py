"""The model card that a script hands over: what it made, to be measured and written to the manifest."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Card:
    """The fields of a miniature's entry in the manifest; files are relative to the models' folder."""

    name: str
    stands_for: str
    summary: str
    task: str
    architecture: str
    parameters: int
    dataset: str
    sample_count: int
    seed: int
    licence: str
    metric: str
    unit: str
    files: dict[str, list[str]]
