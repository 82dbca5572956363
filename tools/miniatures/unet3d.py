"""unet3d-volumes: a 3D U-Net that marks kidney and tumour in generated volumes; stands for 3d-unet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tools.miniatures import volumes
from tools.miniatures.card import Card
from tools.miniatures.graph import Graph
from tools.miniatures.quantise import quantise

if TYPE_CHECKING:
    from pathlib import Path

NAME = "unet3d-volumes"
SEED = 0
WIDTH = 6
CLASSES = 3
STEPS = 1400
BATCH = 4
TRAINING_COUNT, TRAINING_SEED = 400, 11
HELD_OUT_COUNT, HELD_OUT_SEED = 48, 99


def double(entering: int, leaving: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(entering, leaving, 3, 1, 1, bias=False),
        nn.BatchNorm3d(leaving),
        nn.ReLU(),
        nn.Conv3d(leaving, leaving, 3, 1, 1, bias=False),
        nn.BatchNorm3d(leaving),
        nn.ReLU(),
    )


class Network(nn.Module):
    """Three levels: down twice, up twice, with what was seen on the way down beside it."""

    def __init__(self):
        super().__init__()
        w = WIDTH
        self.level_1, self.level_2, self.level_3 = double(1, w), double(2 * w, 2 * w), double(4 * w, 4 * w)
        self.down_1, self.down_2 = nn.Conv3d(w, 2 * w, 2, 2), nn.Conv3d(2 * w, 4 * w, 2, 2)
        self.up_2, self.up_1 = nn.ConvTranspose3d(4 * w, 2 * w, 2, 2), nn.ConvTranspose3d(2 * w, w, 2, 2)
        self.merge_2, self.merge_1 = double(4 * w, 2 * w), double(2 * w, w)
        self.head = nn.Conv3d(w, CLASSES, 1)

    def forward(self, x):
        high = self.level_1(x)
        middle = self.level_2(self.down_1(high))
        low = self.level_3(self.down_2(middle))
        middle = self.merge_2(torch.cat([self.up_2(low), middle], 1))
        return self.head(self.merge_1(torch.cat([self.up_1(middle), high], 1)))


def make(folder: Path) -> Card:
    """Train the network, write its files and return its card."""
    training = volumes.generate(TRAINING_COUNT, seed=TRAINING_SEED)
    held_out = volumes.generate(HELD_OUT_COUNT, seed=HELD_OUT_SEED)
    network = train(training)
    files = {"fp32": [f"{NAME}.fp32.onnx"], "int8": [f"{NAME}.int8.onnx"], "dataset": ["volumes.npz"]}
    export(network, folder / files["fp32"][0])
    quantise(
        folder / files["fp32"][0],
        folder / files["int8"][0],
        [{"volume": scaled(training[start : start + 2]).numpy()} for start in range(0, 48, 2)],
        recipe="reduced",
        kinds=["Conv", "ConvTranspose", "Concat"],
    )
    np.savez_compressed(
        folder / "volumes.npz",
        volumes=np.stack([volume.grey for volume in held_out]),
        labels=np.stack([volume.labels for volume in held_out]),
        white=np.uint8(volumes.WHITE),
    )
    return Card(
        name=NAME,
        stands_for="3d-unet",
        summary="Marks kidney and tumour in a volume of 32x32x32 voxels.",
        task="segmentation",
        architecture="3D U-Net of three levels with 6, 12 and 24 channels",
        parameters=sum(p.numel() for p in network.parameters()),
        dataset="48 generated volumes (32x32x32 voxels, 32 grey levels): a kidney with one or two tumours",
        sample_count=len(held_out),
        seed=SEED,
        licence="Data and weights: Apache-2.0, generated for this project.",
        metric="dice",
        unit="1",
        files=files,
    )


def scaled(chosen: list[volumes.Volume]) -> torch.Tensor:
    grey = np.stack([volume.grey for volume in chosen])
    return torch.tensor(grey.astype(np.float32) / np.float32(volumes.WHITE))[:, None]


def train(training: list[volumes.Volume]) -> Network:
    torch.manual_seed(SEED)
    # Faster on a CPU than the usual order in memory.
    network = Network().to(memory_format=torch.channels_last_3d)
    grey = scaled(training)
    labels = torch.tensor(np.stack([volume.labels for volume in training])).long()
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, total_steps=STEPS)
    for step in range(STEPS):
        chosen = torch.randint(len(labels), (BATCH,))
        pairs = [_mirrored(grey[index], labels[index]) for index in chosen]
        x, y = (torch.stack(each) for each in zip(*pairs, strict=True))
        x = x * (1 + 0.1 * torch.randn(())) + 0.05 * torch.randn(())
        loss = _loss(network(x.to(memory_format=torch.channels_last_3d)), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 99:
            print(f"{NAME}: step {step + 1}: loss {loss.item():.3f}", flush=True)
    return network.eval()


def _mirrored(grey: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    axes = [axis for axis in (-3, -2, -1) if torch.rand(()) < 0.5]
    return grey.flip(axes), labels.flip(axes)


def _loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    chance = logits.softmax(1)
    truth = functional.one_hot(labels, CLASSES).movedim(-1, 1).float()
    over = (0, 2, 3, 4)
    dice = 2 * (chance * truth).sum(over) / ((chance + truth).sum(over) + 1)
    return functional.cross_entropy(logits, labels) + 1 - dice[1:].mean()


def export(network: Network, path: Path) -> None:
    graph = Graph()

    def double_nodes(x: str, block: nn.Sequential) -> str:
        x = graph.relu(graph.convolution(x, block[0], block[1]))
        return graph.relu(graph.convolution(x, block[3], block[4]))

    def up(x: str, layer: nn.ConvTranspose3d) -> str:
        weights = graph.weight(layer.weight), graph.weight(layer.bias)
        return graph.node("ConvTranspose", x, *weights, kernel_shape=[2] * 3, strides=[2] * 3)

    high = double_nodes("volume", network.level_1)
    middle = double_nodes(graph.convolution(high, network.down_1), network.level_2)
    low = double_nodes(graph.convolution(middle, network.down_2), network.level_3)
    middle = double_nodes(graph.node("Concat", up(low, network.up_2), middle, axis=1), network.merge_2)
    merged = double_nodes(graph.node("Concat", up(middle, network.up_1), high, axis=1), network.merge_1)
    label = graph.node("ArgMax", graph.convolution(merged, network.head), axis=1, keepdims=0)
    # One byte per voxel, as MLPerf's 3d-unet answers.
    graph.cast(label, "uint8", result="labels")
    size = [volumes.SIZE] * 3
    graph.save(path, {"volume": ("float32", ["N", 1, *size])}, {"labels": ("uint8", ["N", *size])})
