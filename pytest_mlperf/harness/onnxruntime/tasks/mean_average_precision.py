"""The metric of COCO: mean average precision over overlaps of 50 % to 95 %, at 101 points of recall.

Not here: crowds, areas and the limit of 100 detections per image, which the evaluation sets do not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

OVERLAPS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, kw_only=True)
class Boxes:
    """The boxes of one image.

    corners:    ymin, xmin, ymax, xmax, of shape (count, 4)
    labels:     of shape (count,)
    scores:     of shape (count,); of no meaning for true boxes
    """

    corners: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    scores: np.ndarray[Any, Any]


def mean_average_precision(found: Sequence[Boxes], expected: Sequence[Boxes]) -> float:
    """Return the mean over labels and overlaps of the average precision, a fraction."""
    labels = np.unique(np.concatenate([boxes.labels for boxes in expected]))
    return float(np.mean([_average_precision(found, expected, label=label) for label in labels]))


def _average_precision(found: Sequence[Boxes], expected: Sequence[Boxes], *, label: int) -> float:
    """Return the mean over overlaps of the average precision of one label."""
    scores, hits, count = [], [], 0
    for guess, truth in zip(found, expected, strict=True):
        ours, theirs = guess.labels == label, truth.labels == label
        order = np.argsort(-guess.scores[ours], kind="stable")
        scores.append(guess.scores[ours][order])
        hits.append(_hits(_overlap(guess.corners[ours][order], truth.corners[theirs])))
        count += int(np.count_nonzero(theirs))
    ranking = np.argsort(-np.concatenate(scores), kind="stable")
    return _area(np.concatenate(hits, axis=1)[:, ranking], count=count)


def _hits(overlap: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return, per overlap and detection (best score first), whether it takes a box that none took before."""
    detections, boxes = overlap.shape
    hits = np.zeros((len(OVERLAPS), detections), bool)
    if boxes == 0:
        return hits
    free, each = np.ones((len(OVERLAPS), boxes), bool), np.arange(len(OVERLAPS))
    for detection in range(detections):
        best = np.where(free, overlap[detection], -1.0)
        box = best.argmax(axis=1)
        hits[:, detection] = best[each, box] >= OVERLAPS
        free[each, box] &= ~hits[:, detection]
    return hits


def _area(hits: np.ndarray[Any, Any], *, count: int) -> float:
    """Return the mean precision at the points of recall, over all required overlaps."""
    good = np.cumsum(hits, axis=1)
    precision = good / np.arange(1, hits.shape[1] + 1)
    # At each recall, the best precision that this or a higher recall reaches; 0 where it is never reached.
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    precision = np.pad(precision, ((0, 0), (0, 1)))
    reached = [np.searchsorted(row / count, RECALLS, side="left") for row in good]
    return float(np.mean([row[at] for row, at in zip(precision, reached, strict=True)]))


def _overlap(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the intersection over union of each pair of boxes."""
    top_left = np.maximum(one[:, None, :2], other[None, :, :2])
    bottom_right = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(bottom_right - top_left, 0, None).prod(-1)
    area_one, area_other = ((boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (one, other))
    overlap: np.ndarray[Any, Any] = shared / (area_one[:, None] + area_other[None] - shared)
    return overlap
