"""resnet8-digits: a residual network of 8 layers that reads handwritten digits; stands for resnet50."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tools.miniatures import digits
from tools.miniatures.card import Card
from tools.miniatures.graph import Graph
from tools.miniatures.quantise import quantise

if TYPE_CHECKING:
    from pathlib import Path

NAME = "resnet8-digits"
SEED = 0
WIDTH = 16
EPOCHS = 30
BATCH = 64


class Block(nn.Module):
    """Two convolutions and the shortcut around them."""

    def __init__(self, entering: int, leaving: int, stride: int):
        super().__init__()
        self.first = nn.Conv2d(entering, leaving, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(leaving)
        self.second = nn.Conv2d(leaving, leaving, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(leaving)
        same = stride == 1 and entering == leaving
        self.shortcut = None if same else nn.Conv2d(entering, leaving, 1, stride, 0, bias=False)

    def forward(self, x):
        inner = functional.relu(self.first_norm(self.first(x)))
        around = x if self.shortcut is None else self.shortcut(x)
        return functional.relu(self.second_norm(self.second(inner)) + around)

    def build(self, graph: Graph, x: str) -> str:
        inner = graph.relu(graph.convolution(x, self.first, self.first_norm))
        inner = graph.convolution(inner, self.second, self.second_norm)
        around = x if self.shortcut is None else graph.convolution(x, self.shortcut)
        return graph.relu(graph.node("Add", inner, around))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, WIDTH, 3, 1, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(WIDTH)
        self.blocks = nn.Sequential(
            Block(WIDTH, WIDTH, 1), Block(WIDTH, 2 * WIDTH, 2), Block(2 * WIDTH, 4 * WIDTH, 2)
        )
        self.head = nn.Linear(4 * WIDTH, 10)

    def forward(self, x):
        return self.head(self.blocks(functional.relu(self.stem_norm(self.stem(x)))).mean((2, 3)))


def make(folder: Path) -> Card:
    """Train the network, write its files and return its card."""
    training, held_out = digits.split()
    network = train(training)
    files = {"fp32": [f"{NAME}.fp32.onnx"], "int8": [f"{NAME}.int8.onnx"], "dataset": ["digits.npz"]}
    export(network, folder / files["fp32"][0])
    batches = [{"image": scaled(training.images[start : start + 50])} for start in range(0, 500, 50)]
    quantise(
        folder / files["fp32"][0],
        folder / files["int8"][0],
        batches,
        recipe="unsigned",
        kinds=["Conv", "Add", "GlobalAveragePool", "Gemm"],
    )
    np.savez_compressed(
        folder / "digits.npz", images=held_out.images, labels=held_out.labels, white=np.uint8(digits.WHITE)
    )
    return Card(
        name=NAME,
        stands_for="resnet50",
        summary="Reads the handwritten digit in an image of 8x8 pixels.",
        task="classification",
        architecture="ResNet-8: 3x3 convolution, residual blocks of 16, 32 and 64 channels, average pooling",
        parameters=sum(p.numel() for p in network.parameters()),
        dataset="500 of the 1797 UCI digits (8x8 pixels, 17 grey levels); the other 1297 were trained on",
        sample_count=len(held_out.labels),
        seed=SEED,
        licence=digits.LICENCE,
        metric="accuracy",
        unit="%",
        files=files,
    )


def scaled(images: np.ndarray) -> np.ndarray:
    return (images.astype(np.float32) / np.float32(digits.WHITE))[:, None]


def train(training: digits.Digits) -> Network:
    torch.manual_seed(SEED)
    network = Network()
    images, labels = torch.tensor(scaled(training.images)), torch.tensor(training.labels.astype(np.int64))
    steps = len(labels) // BATCH
    optimiser = torch.optim.SGD(network.parameters(), 0.1, 0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.1, total_steps=EPOCHS * steps)
    for _ in range(EPOCHS):
        order = torch.randperm(len(labels))
        for step in range(steps):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            shift = tuple(torch.randint(-1, 2, (2,)).tolist())
            guess = network(torch.roll(images[chosen], shift, (2, 3)))
            loss = functional.cross_entropy(guess, labels[chosen], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def export(network: Network, path: Path) -> None:
    graph = Graph()
    x = graph.relu(graph.convolution("image", network.stem, network.stem_norm))
    for block in network.blocks:
        x = block.build(graph, x)
    flat = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    head = network.head
    logits = graph.node("Gemm", flat, graph.weight(head.weight), graph.weight(head.bias), transB=1)
    graph.node("ArgMax", logits, result="label", axis=1, keepdims=1)
    graph.save(path, {"image": ("float32", ["N", 1, 8, 8])}, {"label": ("int64", ["N", 1])})
