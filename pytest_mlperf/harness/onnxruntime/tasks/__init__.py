"""What a miniature does with a sample: predict, and score what was answered.

One module per kind of task; each has a class that fulfils `Task`. Only the child process of the
harness imports them, because they need numpy and onnxruntime.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

Responses: TypeAlias = "np.ndarray[Any, Any] | list[np.ndarray[Any, Any]]"
"""One C-contiguous array, row k answering sample k; or a list of C-contiguous arrays where sizes differ."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """The quality of a whole accuracy run.

    value:    in the unit that MLPerf states the metric in (percent; DICE is a fraction)
    line:     what MLPerf's accuracy script of this kind prints (`accuracy=98.800%, good=494, total=500`)
    """

    value: float
    line: str


class Task(Protocol):
    """A model, its evaluation set and its metric."""

    sample_count: int
    batch_size: int
    """The largest batch that `predict` is given."""

    uneven: bool
    """Whether samples differ in cost, so that batches should be made of samples with like `cost`."""

    def cost(self, index: int) -> int:
        """Return the relative cost of a sample (its length); equal for all where `uneven` is false."""
        ...

    def predict(self, indices: Sequence[int]) -> Responses:
        """Return the responses to the samples, in the order given. Called from several threads at once."""
        ...

    def score(self, responses: Mapping[int, bytes]) -> Score:
        """Return the quality of the responses, by sample index, each as the bytes that LoadGen logged.

        Raises ValueError when a sample is missing or a response has the wrong size.
        """
        ...
