"""ssd-mobilenet-digits: an SSD on depthwise separable convolutions; stands for ssd-mobilenet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from tools.miniatures import ssd

if TYPE_CHECKING:
    from pathlib import Path

    from tools.miniatures.card import Card
    from tools.miniatures.graph import Graph

WIDTH = 24
STEPS = 2500


class Separable(nn.Module):
    """A convolution of each channel, then one across channels."""

    def __init__(self, entering: int, leaving: int, stride: int):
        super().__init__()
        self.each = ssd.convolution(entering, entering, 3, stride, entering)
        self.across = ssd.convolution(entering, leaving, 1)

    def forward(self, x):
        return self.across(self.each(x))

    def build(self, graph: Graph, x: str) -> str:
        return ssd.convolution_nodes(graph, ssd.convolution_nodes(graph, x, self.each), self.across)


def make(folder: Path) -> Card:
    """Train the network, write its files and return its card."""
    torch.manual_seed(ssd.SEED)
    card = {
        "name": "ssd-mobilenet-digits",
        "stands_for": "ssd-mobilenet",
        "summary": "Finds and reads the digits on a canvas of 96x96 pixels, with few multiplications.",
        "architecture": "SSD with 360 default boxes on a convolution and six depthwise separable ones",
    }
    return ssd.make(folder, network=ssd.Network(Separable, WIDTH), steps=STEPS, card=card)
