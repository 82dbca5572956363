"""Answers to LoadGen, made to cost little: response objects and their memory are used again.

LoadGen copies the bytes of a response before `QuerySamplesComplete` returns, so one buffer will do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mlperf_loadgen
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_mlperf.harness.onnxruntime.tasks import Responses


class Responder:
    """Sends the responses of one thread; two threads must not share one."""

    def __init__(self) -> None:
        self._prepared: dict[tuple[int, ...], tuple[np.ndarray[Any, Any], list[Any]]] = {}
        self._spare: list[Any] = []

    def send(self, ids: Sequence[int], outputs: Responses) -> None:
        """Complete the samples with these ids, in the order of the outputs.

        Raises ValueError unless there is one response for each id.
        """
        if isinstance(outputs, list):
            self._send_list(ids, outputs)
            return
        # The shape counts the samples, so this finds objects whose pointers and sizes are right already:
        # asking numpy for an address anew costs ten times as much as copying a small answer.
        prepared = self._prepared.get(outputs.shape)
        if prepared is None:
            prepared = self._prepared[outputs.shape] = _prepare(outputs)
        buffer, responses = prepared
        if len(ids) != len(responses):
            raise ValueError(_miscounted(ids, outputs))
        buffer[...] = outputs
        for response, sample in zip(responses, ids):  # noqa: B905  `strict` costs more than the check above
            response.id = sample
        mlperf_loadgen.QuerySamplesComplete(responses)

    def _send_list(self, ids: Sequence[int], outputs: list[np.ndarray[Any, Any]]) -> None:
        if len(ids) != len(outputs):
            raise ValueError(_miscounted(ids, outputs))
        joined = np.concatenate(outputs, axis=None, dtype=outputs[0].dtype, casting="no")
        address = _address(joined)
        while len(self._spare) < len(ids):
            self._spare.append(mlperf_loadgen.QuerySampleResponse())
        responses = self._spare[: len(ids)]
        for response, sample, output in zip(responses, ids, outputs):  # noqa: B905  as above
            response.id, response.data, response.size = sample, address, output.nbytes
            address += output.nbytes
        mlperf_loadgen.QuerySamplesComplete(responses)


def _prepare(outputs: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], list[Any]]:
    buffer = np.empty(outputs.shape, outputs.dtype)
    address, size = _address(buffer), buffer.strides[0]
    return buffer, [
        mlperf_loadgen.QuerySampleResponse(0, address + row * size, size) for row in range(len(buffer))
    ]


def _address(array: np.ndarray[Any, Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _miscounted(ids: Sequence[int], outputs: Responses) -> str:
    # LoadGen would wait for the missing ones for ever.
    return f"predict: found {len(outputs)} responses, expected {len(ids)}"
