"""Runs the child with a task of the tests' own: `fake_child.py KIND SPEC.json`."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_mlperf.harness.onnxruntime import child
from pytest_mlperf.harness.onnxruntime.tasks import Responses, Score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Even:
    sample_count = 16
    batch_size = 4
    uneven = False

    def cost(self, index: int) -> int:
        return index if self.uneven else 1

    def predict(self, indices: Sequence[int]) -> Responses:
        return np.array([[index] for index in indices], np.int64)

    def score(self, responses: Mapping[int, bytes]) -> Score:
        return Score(value=len(responses), line=f"accuracy={len(responses)}")


class Uneven(Even):
    uneven = True


class Lists(Uneven):
    """Responses of 0 to 4 numbers."""

    def predict(self, indices: Sequence[int]) -> Responses:
        return [np.full(index % 5, index, np.int64) for index in indices]


class Widening(Uneven):
    """Responses as wide as the widest of the batch, in arrays whose rows lie apart in memory."""

    def predict(self, indices: Sequence[int]) -> Responses:
        return np.array([[index] * (max(indices) + 1) for index in indices], np.int32, order="F")


class Raising(Even):
    def predict(self, indices: Sequence[int]) -> Responses:
        raise RuntimeError(f"broken on purpose at {indices}")


class Short(Even):
    def predict(self, indices: Sequence[int]) -> Responses:
        return np.zeros((len(indices) - 1, 1), np.int64)


class Mixed(Even):
    """Responses of two types in one list."""

    def predict(self, indices: Sequence[int]) -> Responses:
        types: tuple[Any, ...] = (np.int64, np.float32)
        return [np.zeros(1, types[place % 2]) for place in range(len(indices))]


class Segfault(Even):
    def predict(self, indices: Sequence[int]) -> Responses:
        ctypes.string_at(len(indices))
        return super().predict(indices)


class Stuck(Even):
    def predict(self, indices: Sequence[int]) -> Responses:
        sys.stdout.write(f"{os.getpid()}\n")
        sys.stdout.flush()
        time.sleep(60)
        return super().predict(indices)


KINDS = {
    kind.__name__: kind for kind in (Even, Uneven, Lists, Widening, Raising, Short, Mixed, Segfault, Stuck)
}


def main(kind: str, specification: str) -> int:
    if kind == "Parent":
        return subprocess.run([sys.executable, __file__, "Stuck", specification], check=False).returncode
    return child.main([specification], lambda *_: KINDS[kind]())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
