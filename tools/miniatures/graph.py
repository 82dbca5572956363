"""An ONNX graph under construction, written node by node so that the file holds nothing but the network.

`torch.onnx` is not used: its output changes with its version, and it cannot say every operator we want.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import nn

OPSET = 17
IR_VERSION = 8
TYPES = {
    "float32": TensorProto.FLOAT,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
}

Values = dict[str, tuple[str, list[int | str]]]
"""Inputs or outputs: name -> (type, shape), where a dimension that varies is a name."""


class Graph:
    """Nodes and weights; each method that adds one returns the name of its result."""

    def __init__(self, *, prefix: str = ""):
        # Names in the body of a loop must differ from those around it.
        self._prefix = prefix
        self._nodes = []
        self._weights = []

    def weight(self, array: np.ndarray | np.generic | torch.Tensor) -> str:
        """Add a constant."""
        name = f"{self._prefix}w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.asarray(_numpy(array), order="C"), name))
        return name

    def node(self, kind: str, *inputs: str, result: str | None = None, **attributes) -> str:
        """Add a node with one result, which gets a name of its own unless `result` says one."""
        name = result or self._name(kind)
        self._nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def nodes(self, kind: str, inputs: Sequence[str], results: Sequence[str], **attributes) -> list[str]:
        """Add a node with several named results ("" is an unused one); return their names in the graph."""
        names = [result and self._prefix + result for result in results]
        self._nodes.append(helper.make_node(kind, inputs, names, name=self._name(kind), **attributes))
        return names

    def _name(self, kind: str) -> str:
        return f"{self._prefix}{kind}_{len(self._nodes)}"

    def convolution(self, x: str, layer: nn.Conv2d | nn.Conv3d, norm: nn.Module | None = None) -> str:
        """Add a convolution, with the batch normalisation that follows it folded into its weights."""
        weight, bias = folded(layer, norm)
        return self.node(
            "Conv",
            x,
            self.weight(weight),
            self.weight(bias),
            kernel_shape=list(weight.shape[2:]),
            strides=list(layer.stride),
            pads=list(layer.padding) * 2,
            group=layer.groups,
        )

    def linear(self, x: str, layer: nn.Linear, *, result: str | None = None) -> str:
        """Add a matrix product and its bias; `x` may have any number of leading dimensions."""
        product = self.node("MatMul", x, self.weight(_numpy(layer.weight).T))
        return self.node("Add", product, self.weight(layer.bias), result=result)

    def cast(self, x: str, kind: str, *, result: str | None = None) -> str:
        """Add a conversion to one of TYPES."""
        return self.node("Cast", x, result=result, to=TYPES[kind])

    def relu(self, x: str) -> str:
        return self.node("Relu", x)

    def body(self, name: str, inputs: Values, outputs: Values) -> onnx.GraphProto:
        """Return the nodes and weights as the body of a loop."""
        return helper.make_graph(self._nodes, name, _declared(inputs), _declared(outputs), self._weights)

    def save(self, path: Path, inputs: Values, outputs: Values) -> None:
        """Check the graph and write it."""
        graph = self.body(path.name.split(".")[0], inputs, outputs)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="pytest-mlperf"
        )
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)


def folded(layer: nn.Module, norm: nn.Module | None) -> tuple[np.ndarray, np.ndarray]:
    """Return weight and bias of a convolution in which the batch normalisation after it is contained."""
    weight = _numpy(layer.weight)
    bias = np.zeros(len(weight), np.float32) if layer.bias is None else _numpy(layer.bias)
    if norm is not None:
        scale = _numpy(norm.weight) / np.sqrt(_numpy(norm.running_var) + np.float32(norm.eps))
        weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        bias = (bias - _numpy(norm.running_mean)) * scale + _numpy(norm.bias)
    return weight.astype(np.float32), bias.astype(np.float32)


def _numpy(array) -> np.ndarray:
    return array.detach().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)


def _declared(values: Values) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, TYPES[kind], shape) for name, (kind, shape) in values.items()]
