"""What LoadGen logged for each sample, checked and turned back into arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping


def require_all(responses: Mapping[int, bytes], *, count: int) -> None:
    """Raise ValueError, naming the first sample that has no response, unless all `count` have one."""
    for index in range(count):
        if index not in responses:
            hint = "an accuracy run must answer the whole evaluation set"
            raise ValueError(
                f"sample {index}: response: found none, expected 1 for each of {count} ; hint: {hint}"
            )


def read_answer(
    index: int, response: bytes, *, dtype: type[np.generic], shape: tuple[int, ...]
) -> np.ndarray[Any, Any]:
    """Return one response as an array; at most one dimension of `shape` may be -1, which any length fits.

    Raises ValueError, naming the sample, when the number of bytes does not fit the shape.
    """
    unit = np.dtype(dtype).itemsize * int(np.prod([size for size in shape if size >= 0]))
    fits = len(response) % unit == 0 if -1 in shape else len(response) == unit
    if not fits:
        allowed = f"a multiple of {unit}" if -1 in shape else str(unit)
        hint = f"a response is {np.dtype(dtype).name} of shape {shape}"
        raise ValueError(
            f"sample {index}: response: found {len(response)} bytes, expected {allowed} ; hint: {hint}"
        )
    return np.frombuffer(response, dtype).reshape(shape)


def read_answers(
    responses: Mapping[int, bytes], *, count: int, dtype: type[np.generic], shape: tuple[int, ...]
) -> np.ndarray[Any, Any]:
    """Return the responses of all samples, in the order of the samples, as an array of shape (count, *shape).

    Raises ValueError, naming the sample, when one is missing or has the wrong size.
    """
    require_all(responses, count=count)
    return np.stack(
        [read_answer(index, responses[index], dtype=dtype, shape=shape) for index in range(count)]
    )
