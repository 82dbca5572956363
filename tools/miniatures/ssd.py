"""What the two SSDs share: heads on two feature maps, training, and box decoding within the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tools.miniatures import canvases, digits
from tools.miniatures.card import Card
from tools.miniatures.default_boxes import CENTRE_SCALE, PER_CELL, SIZE_SCALE, default_boxes, targets
from tools.miniatures.graph import Graph
from tools.miniatures.quantise import quantise

if TYPE_CHECKING:
    from pathlib import Path

SEED = 0
BATCH = 32
TRAINING_COUNT, TRAINING_SEED = 6000, 1
HELD_OUT_COUNT, HELD_OUT_SEED = 256, 77
CLASSES = 11
"""Background and ten digits."""
CHANNELS = CLASSES + 4
SCORE_THRESHOLD, OVERLAP_THRESHOLD, MOST_PER_CLASS = 0.05, 0.5, 20


def convolution(entering: int, leaving: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(entering, leaving, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(leaving),
        nn.ReLU(),
    )


def convolution_nodes(graph: Graph, x: str, layers: nn.Sequential) -> str:
    return graph.relu(graph.convolution(x, layers[0], layers[1]))


class Network(nn.Module):
    """A backbone with a head on its feature map of stride 8 and one on that of stride 16.

    block: a part of the backbone, made from channels in, channels out and stride; it can `build` its nodes
    """

    def __init__(self, block: type[nn.Module], width: int):
        super().__init__()
        w = width
        self.stem = convolution(1, w, 3, 2)
        self.fine = nn.Sequential(
            block(w, 2 * w, 2), block(2 * w, 2 * w, 1), block(2 * w, 4 * w, 2), block(4 * w, 4 * w, 1)
        )
        self.coarse = nn.Sequential(block(4 * w, 4 * w, 2), block(4 * w, 4 * w, 1))
        self.heads = nn.ModuleList([nn.Conv2d(4 * w, PER_CELL * CHANNELS, 3, 1, 1) for _ in range(2)])

    def forward(self, x):
        fine = self.fine(self.stem(x))
        maps = fine, self.coarse(fine)
        answers = [head(x).permute(0, 2, 3, 1) for head, x in zip(self.heads, maps, strict=True)]
        return torch.cat([answer.reshape(len(x), -1, CHANNELS) for answer in answers], 1)


def make(folder: Path, *, network: Network, steps: int, card: dict[str, Any]) -> Card:
    """Train the network, write its files and return its card, of which `card` tells what differs."""
    training_digits, held_out_digits = digits.split()
    training = canvases.generate(TRAINING_COUNT, source=training_digits, seed=TRAINING_SEED)
    held_out = canvases.generate(HELD_OUT_COUNT, source=held_out_digits, seed=HELD_OUT_SEED)
    train(network, training, steps=steps)
    name = card["name"]
    files = {"fp32": [f"{name}.fp32.onnx"], "int8": [f"{name}.int8.onnx"], "dataset": ["canvases.npz"]}
    export(network, folder / files["fp32"][0])
    quantise(
        folder / files["fp32"][0],
        folder / files["int8"][0],
        [{"image": scaled(training[start : start + 16]).numpy()} for start in range(0, 256, 16)],
        recipe="reduced",
        kinds=["Conv", "Add"],
    )
    np.savez_compressed(folder / "canvases.npz", **canvases.pack(held_out))
    return Card(
        task="detection",
        parameters=sum(p.numel() for p in network.parameters()),
        dataset="256 canvases (96x96 pixels, 32 grey levels) with one to four of 500 held-out UCI digits",
        sample_count=HELD_OUT_COUNT,
        seed=SEED,
        licence=digits.LICENCE,
        metric="mAP",
        unit="%",
        files=files,
        **card,
    )


def scaled(chosen: list[canvases.Canvas]) -> torch.Tensor:
    grey = np.stack([canvas.grey for canvas in chosen])[:, None]
    return torch.tensor(grey.astype(np.float32) / np.float32(canvases.WHITE))


def train(network: Network, training: list[canvases.Canvas], *, steps: int) -> None:
    wanted = [targets(canvas.boxes, canvas.labels) for canvas in training]
    classes = torch.tensor(np.stack([each for each, _ in wanted]))
    offsets = torch.tensor(np.stack([each for _, each in wanted]))
    # Twice as fast on a CPU as the usual order in memory.
    images = scaled(training).to(memory_format=torch.channels_last)
    network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=steps)
    for step in range(steps):
        chosen = torch.randint(len(images), (BATCH,))
        loss = _loss(network(images[chosen]), classes[chosen], offsets[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 200 == 199:
            print(f"ssd: step {step + 1}: loss {loss.item():.3f}", flush=True)
    network.eval()


def _loss(answer: torch.Tensor, classes: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Return the loss of SSD: smooth L1 for boxes, cross entropy for digits and the hardest background."""
    positive = classes > 0
    count = positive.sum().clamp(min=1)
    logits = answer[..., :CLASSES].reshape(-1, CLASSES)
    entropy = functional.cross_entropy(logits, classes.clamp(min=0).flatten(), reduction="none").view_as(
        classes
    )
    background = torch.where(classes == 0, entropy.detach(), -1.0)
    hardest = background.topk(int(3 * count / len(classes)) + 3, 1)[0][:, -1:]
    negative = (background >= hardest) & (classes == 0)
    boxes = functional.smooth_l1_loss(answer[..., CLASSES:][positive], offsets[positive], reduction="sum")
    return (entropy[positive].sum() + entropy[negative].sum() + 0.7 * boxes) / count


def export(network: Network, path: Path) -> None:
    graph = Graph()
    x = convolution_nodes(graph, "image", network.stem)
    maps = []
    for blocks in (network.fine, network.coarse):
        for block in blocks:
            x = block.build(graph, x)
        maps.append(x)
    rows = graph.weight(np.array([0, -1, CHANNELS]))
    answers = [
        graph.node("Reshape", graph.node("Transpose", graph.convolution(x, head), perm=[0, 2, 3, 1]), rows)
        for head, x in zip(network.heads, maps, strict=True)
    ]
    _detections(graph, graph.node("Concat", *answers, axis=1))
    size = [canvases.SIZE] * 2
    graph.save(path, {"image": ("float32", ["N", 1, *size])}, {"detections": ("float32", ["K", 7])})


def _detections(graph: Graph, answer: str) -> None:
    """Add the nodes that turn the heads' answer into rows: place in batch, corners, score, digit."""
    boxes, chances = _boxes(graph, answer), _chances(graph, answer)
    most = graph.weight(np.array([MOST_PER_CLASS]))
    thresholds = (
        graph.weight(np.array([value], np.float32)) for value in (OVERLAP_THRESHOLD, SCORE_THRESHOLD)
    )
    kept = graph.node("NonMaxSuppression", boxes, chances, most, *thresholds)
    place_and_digit = graph.cast(kept, "float32")
    place, digit = (
        graph.node("Gather", place_and_digit, graph.weight(np.array([k])), axis=1) for k in (0, 1)
    )
    box_index = graph.node("Gather", kept, graph.weight(np.array([0, 2])), axis=1)
    score = graph.node("Unsqueeze", graph.node("GatherND", chances, kept), graph.weight(np.array([1])))
    box = graph.node("GatherND", boxes, box_index)
    graph.node("Concat", place, box, score, digit, result="detections", axis=1)


def _boxes(graph: Graph, answer: str) -> str:
    """Add the nodes that turn offsets into corners, as fractions of the canvas: (samples, boxes, 4)."""
    priors = default_boxes() / np.float32(canvases.SIZE)
    offsets = [_part(graph, answer, CLASSES + start, CLASSES + start + 2) for start in (0, 2)]
    shift = graph.node("Mul", offsets[0], graph.weight(priors[:, 2:] / np.float32(CENTRE_SCALE)))
    centre = graph.node("Add", shift, graph.weight(priors[:, :2]))
    grown = graph.node("Exp", graph.node("Mul", offsets[1], graph.weight(np.float32(1 / SIZE_SCALE))))
    half = graph.node("Mul", grown, graph.weight(priors[:, 2:] / np.float32(2)))
    return graph.node("Concat", graph.node("Sub", centre, half), graph.node("Add", centre, half), axis=2)


def _chances(graph: Graph, answer: str) -> str:
    """Add the nodes that turn logits into the chances of each digit: (samples, digits, boxes)."""
    chances = graph.node("Softmax", _part(graph, answer, 0, CLASSES), axis=2)
    return graph.node("Transpose", _part(graph, chances, 1, CLASSES), perm=[0, 2, 1])


def _part(graph: Graph, x: str, start: int, end: int) -> str:
    return graph.node("Slice", x, *(graph.weight(np.array([value])) for value in (start, end, 2)))
