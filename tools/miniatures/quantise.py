"""INT8 variants that answer alike on every CPU: `quantise` a network, or `quantise_weights` alone.

Products of 8-bit activations and 8-bit weights are added in pairs in 16 bits on CPUs without VNNI, where
they can saturate. Two recipes are free of that: weights of 7 bits ("reduced"), and unsigned weights, for
which onnxruntime takes another path ("unsigned"). Scales are fixed at calibration time: scales computed while
running would make an answer depend on the other samples of its batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

SMALLEST_WEIGHT = 1024
"""Of the weights that `quantise_weights` stores as INT8, in numbers."""
RECIPES = {
    "reduced": {"weight_type": QuantType.QInt8, "per_channel": True, "reduce_range": True},
    "unsigned": {"weight_type": QuantType.QUInt8, "per_channel": False, "reduce_range": False},
}


class _Batches(CalibrationDataReader):
    def __init__(self, batches: Iterable[Mapping[str, np.ndarray]]):
        self._batches = iter(batches)

    def get_next(self):
        return next(self._batches, None)


def quantise(
    source: Path,
    target: Path,
    batches: Iterable[Mapping[str, np.ndarray]],
    *,
    recipe: str,
    kinds: Sequence[str],
) -> None:
    """Write the INT8 variant of `source`: operators of these kinds, with scales from the batches."""
    quantize_static(
        str(source),
        str(target),
        _Batches(batches),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        op_types_to_quantize=list(kinds),
        extra_options={"MatMulConstBOnly": True},
        **RECIPES[recipe],
    )


def quantise_weights(source: Path, target: Path) -> None:
    """Write the variant of `source` that stores its larger weights as INT8, one scale per row or column.

    The arithmetic stays FP32: onnxruntime multiplies the weights out once, when it opens the model.
    """
    model = onnx.load(source)
    _store_as_int8(model.graph)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


def _store_as_int8(graph: onnx.GraphProto) -> None:
    columns = {node.input[1] for node in graph.node if node.op_type == "MatMul"}
    restored = []
    for weight in list(graph.initializer):
        array = numpy_helper.to_array(weight)
        if array.dtype == np.float32 and array.size >= SMALLEST_WEIGHT:
            graph.initializer.remove(weight)
            restored += _int8_nodes(graph, weight.name, array, axis=-2 if weight.name in columns else -1)
    for node in reversed(restored):
        graph.node.insert(0, node)
    for body in (
        attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")
    ):
        _store_as_int8(body)


def _int8_nodes(graph: onnx.GraphProto, name: str, array: np.ndarray, *, axis: int) -> list[onnx.NodeProto]:
    """Add the INT8 weight with scales along `axis`; return the nodes that restore it under its old name."""
    scale = np.maximum(np.abs(array).max(axis=axis, keepdims=True), np.float32(1e-12)) / np.float32(127)
    stored = {f"{name}_int8": np.round(array / scale).astype(np.int8), f"{name}_scale": scale}
    graph.initializer.extend(numpy_helper.from_array(value, each) for each, value in stored.items())
    cast = helper.make_node("Cast", [f"{name}_int8"], [f"{name}_float"], to=onnx.TensorProto.FLOAT)
    return [cast, helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], [name])]
