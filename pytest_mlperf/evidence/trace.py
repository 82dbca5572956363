"""`mlperf_log_trace.json`: when each sample was issued and answered.

LoadGen writes it only when it is asked to (`enable_trace`), and no verdict stands on it: a trace that cannot
be read, or is cut, is as good as none. It may have gigabytes, and is read in bounded memory.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_mlperf.evidence import Distribution, Throughput

if TYPE_CHECKING:
    from collections.abc import Iterable

_SAMPLE = re.compile(rb'"ts":\s*(-?\d+(?:\.\d+)?).*?"complete_ns":\s*(\d{1,19})\b')
_MOST_BINS = 240
_FIRST_BIN_S = 1 / 1024
_STEPS = 100
"""Of latencies: each is one percent more than the one before, or a little less."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What a trace says of its samples.

    latencies:  from when a sample was due, or issued, to its answer
    """

    throughput: Throughput
    latencies: Distribution


def parse(lines: Iterable[bytes]) -> Trace | None:
    """Return what a trace says; None where it has no samples."""
    timeline, histogram = _Timeline(), _Histogram()
    for line in lines:
        if b'"complete_ns"' not in line:
            continue
        found = _SAMPLE.search(line)
        if found is None:
            continue
        issued_us, latency_ns = float(found[1]), int(found[2])
        timeline.add(issued_us / 1e6 + latency_ns / 1e9)
        histogram.add(latency_ns)
    if not histogram.count:
        return None
    return Trace(throughput=timeline.throughput(), latencies=histogram.distribution())


@dataclass(kw_only=True)
class _Timeline:
    """Counts of answers in bins of time, which get wider as the test gets longer."""

    bin_s: float = _FIRST_BIN_S
    counts: list[int] = field(default_factory=lambda: [0] * _MOST_BINS)
    end_s: float = 0.0

    def add(self, at_s: float) -> None:
        """Count an answer; those from before the test do not exist."""
        at_s = max(at_s, 0.0)
        while at_s >= self.bin_s * _MOST_BINS:
            self._widen()
        self.counts[int(at_s / self.bin_s)] += 1
        self.end_s = max(self.end_s, at_s)

    def _widen(self) -> None:
        halves = zip(self.counts[::2], self.counts[1::2], strict=True)
        self.counts = [one + other for one, other in halves] + [0] * (_MOST_BINS // 2)
        self.bin_s *= 2

    def throughput(self) -> Throughput:
        """Return the rates; the last bin ends with the last answer."""
        last = int(self.end_s / self.bin_s)
        lengths_s = [self.bin_s] * last + [(self.end_s - last * self.bin_s) or self.bin_s]
        rates = (count / length_s for count, length_s in zip(self.counts, lengths_s, strict=False))
        return Throughput(bin_s=self.bin_s, samples_per_s=tuple(round(rate, 3) for rate in rates))


@dataclass(kw_only=True)
class _Histogram:
    """Counts of latencies by size, in steps of one percent."""

    counts: dict[int, int] = field(default_factory=dict)
    count: int = 0

    def add(self, latency_ns: int) -> None:
        """Count a latency."""
        step = math.ceil(math.log(latency_ns) * _STEPS) if latency_ns > 0 else 0
        self.counts[step] = self.counts.get(step, 0) + 1
        self.count += 1

    def distribution(self) -> Distribution:
        """Return the quantiles: at each size that occurs, the share that did not exceed it."""
        quantiles, below = [], 0
        for step in sorted(self.counts):
            below += self.counts[step]
            quantiles.append((below / self.count, float(round(math.exp(step / _STEPS)))))
        return Distribution(of="sample", quantiles=tuple(quantiles))
