"""The default boxes of the SSDs, and which of them shall answer for which digit."""

from __future__ import annotations

import numpy as np

from tools.miniatures.canvases import SIZE

LEVELS = ((8, (16, 24)), (16, (30, 40)))
"""For each feature map: its stride and the heights of its default boxes, in pixels."""
PER_CELL = 2
ASPECT = 0.85
CENTRE_SCALE, SIZE_SCALE = 10, 5
"""Offsets are multiplied by these, so that they are of like size as chances."""
IGNORED = -1


def default_boxes() -> np.ndarray:
    """Return centre y, centre x, height and width of each in pixels, in the order of the network's output."""
    return np.array(
        [
            ((row + 0.5) * stride, (column + 0.5) * stride, height, height * ASPECT)
            for stride, heights in LEVELS
            for row in range(SIZE // stride)
            for column in range(SIZE // stride)
            for height in heights
        ],
        np.float32,
    )


def targets(boxes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return per default box its class and the offsets to its digit's box.

    The class is 0 for background, else the digit + 1, or IGNORED where it is neither.
    """
    priors = default_boxes()
    classes = np.zeros(len(priors), np.int64)
    if len(boxes) == 0:
        return classes, np.zeros((len(priors), 4), np.float32)
    overlap = _overlap(_corners(priors), boxes.astype(np.float32))
    chosen, best = overlap.argmax(1), overlap.max(1)
    positive = best > 0.45
    for digit, prior in enumerate(overlap.argmax(0)):
        positive[prior], chosen[prior] = True, digit
    classes[positive] = labels[chosen[positive]] + 1
    classes[~positive & (best > 0.35)] = IGNORED
    wanted = boxes[chosen].astype(np.float32)
    centre, size = (wanted[:, :2] + wanted[:, 2:]) / 2, wanted[:, 2:] - wanted[:, :2]
    offsets = (
        (centre - priors[:, :2]) / priors[:, 2:] * CENTRE_SCALE,
        np.log(size / priors[:, 2:]) * SIZE_SCALE,
    )
    return classes, np.concatenate(offsets, 1)


def _corners(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)


def _overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    top_left = np.maximum(one[:, None, :2], other[None, :, :2])
    bottom_right = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(bottom_right - top_left, 0, None).prod(-1)
    areas = ((boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (one, other))
    return shared / (next(areas)[:, None] + next(areas)[None] - shared)
