"""What a speech network hears: log-mel energies, four frames of 10 ms stacked into one of 40 ms."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

SAMPLE_RATE = 8000
HOP, WINDOW, TRANSFORM = 80, 200, 256
BANDS, STACK = 32, 4
LOWEST_HZ, HIGHEST_HZ = 60, 3900


def features(sound: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return float32 features (frames, 128) of a sound in mu-law bytes, normalised over the utterance."""
    # Energies are computed in float64 whatever the version of numpy, then rounded once.
    windows = np.lib.stride_tricks.sliding_window_view(_decoded(sound), WINDOW)[::HOP] * np.hanning(WINDOW)
    energy = np.abs(np.fft.rfft(windows, TRANSFORM)) ** 2 @ _mel_bands()
    level: np.ndarray[Any, Any] = np.log(energy + 1e-6)
    level = (level - level.mean(0)) / (level.std(0) + 0.3)
    frames = len(level) // STACK
    stacked: np.ndarray[Any, Any] = level[: frames * STACK].reshape(frames, STACK * BANDS).astype(np.float32)
    return stacked


def _decoded(sound: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return mu-law bytes as values from -1 to 1."""
    curve = sound.astype(np.float64) / 255 * 2 - 1
    value: np.ndarray[Any, Any] = np.sign(curve) * np.expm1(np.abs(curve) * np.log(256)) / 255
    return value


@cache
def _mel_bands() -> np.ndarray[Any, Any]:
    """Return triangular filters (frequencies, bands), equally wide on the mel scale."""
    mel = np.linspace(_mel(LOWEST_HZ), _mel(HIGHEST_HZ), BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1) / SAMPLE_RATE * TRANSFORM
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    place = np.arange(TRANSFORM // 2 + 1)[:, None]
    bands: np.ndarray[Any, Any] = np.minimum(
        (place - low) / (middle - low), (high - place) / (high - middle)
    ).clip(0)
    return bands


def _mel(frequency_hz: float) -> float:
    return float(2595 * np.log10(1 + frequency_hz / 700))
