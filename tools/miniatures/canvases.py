"""Pictures for detection: handwritten digits of many sizes on a textured canvas, with their boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.miniatures import digits

SIZE = 96
WHITE = 31
"""Canvases have 32 grey levels, few enough to pack well."""
INK = 0.25
TRIES = 20


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """A picture and what is on it.

    grey:       uint8 (96, 96), 0 to 31
    boxes:      ymin, xmin, ymax, xmax in pixels, of shape (count, 4)
    labels:     the digits in the boxes, of shape (count,)
    """

    grey: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray


def generate(count: int, *, source: digits.Digits, seed: int) -> list[Canvas]:
    random = np.random.RandomState(seed)
    return [_canvas(random, source) for _ in range(count)]


def pack(canvases: list[Canvas]) -> dict[str, np.ndarray]:
    """Return the arrays of an evaluation set; canvas k has the boxes from starts[k] to starts[k + 1]."""
    return {
        "images": np.stack([canvas.grey for canvas in canvases]),
        "white": np.uint8(WHITE),
        "boxes": np.concatenate([canvas.boxes for canvas in canvases]).astype(np.uint8),
        "labels": np.concatenate([canvas.labels for canvas in canvases]).astype(np.uint8),
        "starts": np.cumsum([0, *[len(canvas.labels) for canvas in canvases]]).astype(np.uint16),
    }


def _canvas(random: np.random.RandomState, source: digits.Digits) -> Canvas:
    value = _resized(random.rand(8, 8) * 0.35, SIZE, SIZE) + random.rand(SIZE, SIZE) * 0.12
    for _ in range(random.randint(0, 4)):
        _scratch(random, value)
    boxes, labels = [], []
    for _ in range(random.randint(1, 5)):
        chosen = random.randint(len(source.labels))
        box = _paste(random, value, source.images[chosen] / digits.WHITE, boxes)
        if box is not None:
            boxes.append(box)
            labels.append(source.labels[chosen])
    grey = np.round(np.clip(value, 0, 1) * WHITE).astype(np.uint8)
    return Canvas(grey=grey, boxes=np.array(boxes).reshape(-1, 4), labels=np.array(labels, np.int64))


def _scratch(random: np.random.RandomState, value: np.ndarray) -> None:
    top, left, bottom, right = random.randint(0, SIZE, 4)
    length = max(abs(bottom - top), abs(right - left), 1)
    along = np.linspace(top, bottom, length).astype(int), np.linspace(left, right, length).astype(int)
    value[along] = random.rand() * 0.7


def _paste(
    random: np.random.RandomState, value: np.ndarray, digit: np.ndarray, taken: list[tuple[int, ...]]
) -> tuple[int, ...] | None:
    """Draw a digit where it touches none of the taken boxes; return its box, None if there was no place."""
    height = random.randint(16, 45)
    width = int(height * random.uniform(0.8, 1.2))
    drawn = _resized(digit, height, width)
    rows, columns = np.where(drawn > INK)
    for _ in range(TRIES):
        top, left = random.randint(0, SIZE - height), random.randint(0, SIZE - width)
        box = top + rows.min(), left + columns.min(), top + rows.max() + 1, left + columns.max() + 1
        if not any(_touch(box, other) for other in taken):
            patch = value[top : top + height, left : left + width]
            patch[:] = patch * (1 - drawn) + drawn * random.uniform(0.75, 1)
            return box
    return None


def _touch(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    apart = one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]
    return not apart


def _resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the image in another size, bilinearly."""
    for axis, size in enumerate((height, width)):
        count = image.shape[axis]
        at = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1)
        low = np.floor(at).astype(int)
        part = (at - low).reshape((size, 1) if axis == 0 else (1, size))
        image = (
            np.take(image, low, axis) * (1 - part)
            + np.take(image, np.minimum(low + 1, count - 1), axis) * part
        )
    return image
