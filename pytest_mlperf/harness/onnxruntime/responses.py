"""Answers to LoadGen, made to cost little: response objects and their memory are used again.

LoadGen copies the bytes of a response before `QuerySamplesComplete` returns, so one buffer will do. It is the
cold cache that counts here: after a model has run, the first use of any code or data costs far more than its
repetition, so numpy is asked for its bytes and for nothing else.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import mlperf_loadgen

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from pytest_mlperf.harness.onnxruntime.tasks import Responses


class Responder:
    """Sends the responses of one thread; two threads must not share one."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[memoryview, list[Any]]] = {}
        self._slots: list[_Slot] = []

    def send(self, ids: Sequence[int], outputs: Responses) -> None:
        """Complete the samples with these ids, in the order of the outputs.

        Raises ValueError unless there is one response for each id.
        """
        count = len(ids)
        if len(outputs) != count:
            # LoadGen would wait for the missing ones for ever.
            raise ValueError(f"predict: found {len(outputs)} responses, expected {count}")
        if isinstance(outputs, list):
            self._send_list(ids, outputs)
            return
        data = outputs.tobytes()
        prepared = self._rows.get(count)
        if prepared is None or len(prepared[0]) != len(data):
            prepared = self._rows[count] = _prepare_rows(count, len(data) // count)
        memory, responses = prepared
        memory[:] = data
        for response, sample in zip(responses, ids):  # noqa: B905  `strict` costs more than the check above
            response.id = sample
        mlperf_loadgen.QuerySamplesComplete(responses)

    def _send_list(self, ids: Sequence[int], outputs: list[np.ndarray[Any, Any]]) -> None:
        while len(self._slots) < len(ids):
            self._slots.append(_Slot())
        responses = [
            slot.fill(sample, output.tobytes())
            for slot, sample, output in zip(self._slots, ids, outputs)  # noqa: B905  as above
        ]
        mlperf_loadgen.QuerySamplesComplete(responses)


class _Slot:
    """Room for a response of any size."""

    def __init__(self) -> None:
        self._memory, address = _allocate(1)
        self._size = 0
        self._response = mlperf_loadgen.QuerySampleResponse(0, address, 0)

    def fill(self, sample: int, data: bytes) -> Any:
        """Return the response; sets only what has changed, for each attribute costs a microsecond."""
        size = len(data)
        if size > len(self._memory):
            self._memory, self._response.data = _allocate(2 * size)
        self._memory[:size] = data
        self._response.id = sample
        if size != self._size:
            self._response.size = self._size = size
        return self._response


def _prepare_rows(count: int, size: int) -> tuple[memoryview, list[Any]]:
    """Return memory for so many responses of so many bytes, and the objects that point to them."""
    memory, address = _allocate(count * size)
    rows = range(count)
    return memory, [mlperf_loadgen.QuerySampleResponse(0, address + row * size, size) for row in rows]


def _allocate(size: int) -> tuple[memoryview, int]:
    """Return memory, which the view keeps alive, and its address."""
    memory = (ctypes.c_char * size)()
    return memoryview(memory).cast("B"), ctypes.addressof(memory)
