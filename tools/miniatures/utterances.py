"""Spoken digits, synthesised by espeak-ng with voices of which some are kept for the evaluation set."""

from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLE_RATE = 8000
ESPEAK_RATE = 22050
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TRAINING_VOICES = (
    *("en-us", "en-us+m1", "en-us+m3", "en-us+m6", "en-us+f1", "en-us+f2", "en-us+croak", "en-us+klatt2"),
    *("en-gb", "en-gb+m2", "en-gb+f3", "en-gb+klatt", "en-gb-scotland+m4", "en-gb-x-rp+f4", "en-029+m5"),
)
HELD_OUT_VOICES = ("en-us+m7", "en-us+f4", "en-us+klatt3", "en-gb+f5", "en-gb-x-rp+m3")
MARGIN = SAMPLE_RATE // 20
"""Samples kept before and after the speech."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """Sound as mu-law uint8 (length,) at 8 kHz, and the digits that are said."""

    sound: np.ndarray
    digits: list[int]


def generate(count: int, *, voices: Sequence[str], seed: int) -> list[Utterance]:
    draw = random.Random(seed)  # noqa: S311  the same speech again is what is wanted
    return [_utterance(draw, voices) for _ in range(count)]


def pack(utterances: list[Utterance]) -> dict[str, np.ndarray]:
    """Return the arrays of an evaluation set; utterance k is from starts[k] to starts[k + 1]."""

    def starts(rows):
        return np.cumsum([0, *[len(row) for row in rows]]).astype(np.uint32)

    sounds, said = [each.sound for each in utterances], [each.digits for each in utterances]
    return {
        "sounds": np.concatenate(sounds),
        "sound_starts": starts(sounds),
        "digits": np.concatenate(said).astype(np.uint8),
        "digit_starts": starts(said),
    }


def mu_law(value: np.ndarray) -> np.ndarray:
    """Return values from -1 to 1 as the bytes of ITU-T G.711's curve (without its inverted bits)."""
    curve = np.sign(value) * np.log1p(255 * np.abs(value)) / np.log(256)
    return np.round((curve + 1) / 2 * 255).astype(np.uint8)


def _utterance(draw: random.Random, voices: Sequence[str]) -> Utterance:
    voice, speed, pitch = draw.choice(voices), draw.randint(120, 210), draw.randint(30, 70)
    digits = [draw.randrange(10) for _ in range(draw.randint(1, 5))]
    noise = np.random.RandomState(draw.randrange(1 << 30))
    value = _trimmed(_spoken(voice, digits, speed=speed, pitch=pitch))
    loudness, ratio_db = noise.uniform(0.2, 0.6), noise.uniform(12, 32)
    hiss = noise.randn(len(value)) * np.sqrt((value**2).mean()) * 10 ** (-ratio_db / 20)
    return Utterance(sound=mu_law(np.clip(loudness * value + hiss, -1, 1)), digits=digits)


def _spoken(voice: str, digits: list[int], *, speed: int, pitch: int) -> np.ndarray:
    text = " ".join(WORDS[digit] for digit in digits)
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text]
    wave = subprocess.run(command, capture_output=True, check=True).stdout
    # On standard output the header's sizes are not filled in, so the samples are what follows its last field.
    start = wave.index(b"data") + 8
    end = len(wave) - (len(wave) - start) % 2
    return _resampled(np.frombuffer(wave[start:end], np.int16) / 32768)


def _resampled(value: np.ndarray) -> np.ndarray:
    """Return the sound at 8 kHz, smoothed first because its upper half would fold into the lower."""
    smooth = np.convolve(value, np.ones(3) / 3, "same")
    count = len(value) * SAMPLE_RATE // ESPEAK_RATE
    return np.interp(np.arange(count) * ESPEAK_RATE / SAMPLE_RATE, np.arange(len(value)), smooth)


def _trimmed(value: np.ndarray) -> np.ndarray:
    value = value / np.abs(value).max()
    loud = np.flatnonzero(np.abs(value) > 0.01)
    return value[max(0, loud[0] - MARGIN) : loud[-1] + MARGIN]
