"""What a speech network hears of simple sounds."""

from __future__ import annotations

import numpy as np

from pytest_mlperf.harness.onnxruntime.tasks.spectrum import BANDS, SAMPLE_RATE, STACK, features

SILENCE = 128
"""The mu-law byte next to zero."""


def tone(frequency_hz: float) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    wave = np.sin(2 * np.pi * frequency_hz * np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE)
    return np.round(wave * 120 + SILENCE).astype(np.uint8)


def loudest_band(frequency_hz: float) -> int:
    # Features are normalised over time, so the tone must begin somewhere.
    heard = features(np.concatenate([np.full(SAMPLE_RATE // 2, SILENCE, np.uint8), tone(frequency_hz)]))
    return int((heard[-2] - heard[0]).reshape(STACK, BANDS).sum(0).argmax())


def test_a_frame_is_40_ms() -> None:
    heard = features(np.full(SAMPLE_RATE, SILENCE, np.uint8))
    # 98 windows of 25 ms every 10 ms fit in a second; four make a frame.
    assert heard.shape == (24, STACK * BANDS)
    assert heard.dtype == np.float32


def test_a_higher_tone_is_heard_in_a_higher_band() -> None:
    bands = [loudest_band(frequency_hz) for frequency_hz in (200, 600, 1200, 2400)]
    assert bands == sorted(set(bands))
