"""ssd-resnet-digits: an SSD on residual blocks; stands for ssd-resnet34."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from tools.miniatures import ssd

if TYPE_CHECKING:
    from pathlib import Path

    from tools.miniatures.card import Card
    from tools.miniatures.graph import Graph

WIDTH = 16
STEPS = 1500


class Residual(nn.Module):
    """Two convolutions and the shortcut around them."""

    def __init__(self, entering: int, leaving: int, stride: int):
        super().__init__()
        self.first = ssd.convolution(entering, leaving, 3, stride)
        self.second = nn.Conv2d(leaving, leaving, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(leaving)
        self.shortcut = nn.Conv2d(entering, leaving, 1, stride, bias=False)

    def forward(self, x):
        return functional.relu(self.norm(self.second(self.first(x))) + self.shortcut(x))

    def build(self, graph: Graph, x: str) -> str:
        inner = graph.convolution(ssd.convolution_nodes(graph, x, self.first), self.second, self.norm)
        return graph.relu(graph.node("Add", inner, graph.convolution(x, self.shortcut)))


def make(folder: Path) -> Card:
    """Train the network, write its files and return its card."""
    torch.manual_seed(ssd.SEED)
    card = {
        "name": "ssd-resnet-digits",
        "stands_for": "ssd-resnet34",
        "summary": "Finds and reads the digits on a canvas of 96x96 pixels, with full convolutions.",
        "architecture": "SSD with 360 default boxes on a convolution and six residual blocks",
    }
    return ssd.make(folder, network=ssd.Network(Residual, WIDTH), steps=STEPS, card=card)
