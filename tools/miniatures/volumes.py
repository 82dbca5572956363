"""Generated volumes, a little like CT: a kidney with one or two tumours, and things that are neither."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIZE = 32
WHITE = 31
"""Volumes have 32 grey levels, few enough to pack well."""
KIDNEY, TUMOUR = 1, 2
NOISE = 0.06
TISSUE = 0.35


@dataclass(frozen=True, kw_only=True)
class Volume:
    """Grey values uint8 (32, 32, 32) of 0 (black) to 31 (white), and labels 0, 1 (kidney), 2 (tumour)."""

    grey: np.ndarray
    labels: np.ndarray


def generate(count: int, *, seed: int) -> list[Volume]:
    random = np.random.RandomState(seed)
    return [_volume(random) for _ in range(count)]


def _volume(random: np.random.RandomState) -> Volume:
    grid = np.stack(np.meshgrid(*[np.arange(SIZE)] * 3, indexing="ij"), -1).astype(np.float32)
    kidney = _kidney(random, grid)
    value = TISSUE + _smooth(random, 4) * 0.08
    value[kidney] += random.uniform(0.16, 0.26)
    labels = np.where(kidney, KIDNEY, 0).astype(np.uint8)
    inside = np.argwhere(kidney)
    for _ in range(random.randint(1, 3)):
        ball = _ball(grid, inside[random.randint(len(inside))], random.uniform(2.5, 5.5))
        labels[ball] = TUMOUR
        value[ball] = (TISSUE + random.uniform(0.06, 0.12) + _smooth(random, 8) * 0.06)[ball]
    for _ in range(random.randint(1, 4)):
        other = _ball(grid, random.uniform(0, SIZE, 3), random.uniform(2, 4.5)) & (labels == 0)
        value[other] += random.choice([-0.2, 0.25, 0.1])
    value += random.randn(SIZE, SIZE, SIZE) * NOISE
    return Volume(grey=np.round(np.clip(value, 0, 1) * WHITE).astype(np.uint8), labels=labels)


def _kidney(random: np.random.RandomState, grid: np.ndarray) -> np.ndarray:
    """Return where a bent ellipsoid with a notch is, turned at random near the middle."""
    axes, _ = np.linalg.qr(random.randn(3, 3))
    centre = SIZE / 2 + random.uniform(-4, 4, 3)
    radii = np.array([random.uniform(8, 12), random.uniform(5, 7), random.uniform(5, 7)])
    place = (grid - centre) @ axes.T / radii
    bent = (place**2).sum(-1) + 0.6 * place[..., 0] ** 2 * place[..., 1]
    notch = ((place - [0, 0.9, 0]) ** 2).sum(-1) < 0.25
    return (bent < 1) & ~notch


def _ball(grid: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    return ((grid - centre) ** 2).sum(-1) < radius**2


def _smooth(random: np.random.RandomState, points: int) -> np.ndarray:
    """Return a random field that is linear between `points` random values per axis."""
    field = random.randn(points, points, points)
    at = np.clip((np.arange(SIZE) + 0.5) * points / SIZE - 0.5, 0, points - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, points - 1)
    for axis in range(3):
        part = (at - low).reshape([SIZE if a == axis else 1 for a in range(3)])
        field = np.take(field, low, axis) * (1 - part) + np.take(field, high, axis) * part
    return field
