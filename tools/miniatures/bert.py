"""bert2-spans: a BERT of two layers that finds the answer to a question in a passage; stands for bert."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tools.miniatures import passages
from tools.miniatures.card import Card
from tools.miniatures.graph import Graph
from tools.miniatures.quantise import quantise

if TYPE_CHECKING:
    from pathlib import Path

NAME = "bert2-spans"
SEED = 0
WIDTH, LAYERS, HEADS, POSITIONS = 96, 2, 4, 160
STEPS = 2000
BATCH = 48
TRAINING_SEED, CALIBRATION_SEED, HELD_OUT_SEED = 1, 2, 999
HELD_OUT_COUNT = 512
MASKED = -1e4


class Layer(nn.Module):
    """Self-attention and feed-forward, each with its shortcut and normalisation."""

    def __init__(self):
        super().__init__()
        self.query_key_value, self.attended = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.attention_norm, self.norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x, mask):
        samples, length, _ = x.shape
        shape = (samples, length, 3, HEADS, WIDTH // HEADS)
        query, key, value = self.query_key_value(x).view(shape).permute(2, 0, 3, 1, 4)
        weight = (query @ key.transpose(-1, -2) / math.sqrt(WIDTH // HEADS) + mask).softmax(-1)
        x = self.attention_norm(x + self.attended((weight @ value).transpose(1, 2).reshape(x.shape)))
        return self.norm(x + self.narrow(functional.gelu(self.wide(x))))


class Network(nn.Module):
    """Embeddings of word, position and segment, two layers, and a logit each for start and end."""

    def __init__(self, words: int):
        super().__init__()
        self.words, self.positions = nn.Embedding(words, WIDTH), nn.Embedding(POSITIONS, WIDTH)
        self.segments, self.norm = nn.Embedding(2, WIDTH), nn.LayerNorm(WIDTH)
        for embedding in (self.words, self.positions, self.segments):
            nn.init.normal_(embedding.weight, 0, 0.3)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, words, mask, segments):
        x = self.words(words) + self.positions.weight[: words.shape[1]] + self.segments(segments)
        x = self.norm(x)
        for layer in self.layers:
            x = layer(x, (1.0 - mask[:, None, None].float()) * MASKED)
        return self.head(x)


def make(folder: Path) -> Card:
    """Train the network, write its files and return its card."""
    network = train()
    files = {"fp32": [f"{NAME}.fp32.onnx"], "int8": [f"{NAME}.int8.onnx"], "dataset": ["passages.npz"]}
    export(network, folder / files["fp32"][0])
    calibration = passages.generate(CALIBRATION_SEED)
    quantise(
        folder / files["fp32"][0],
        folder / files["int8"][0],
        [inputs(list(islice(calibration, 16))) for _ in range(8)],
        recipe="reduced",
        kinds=["MatMul"],
    )
    held_out = list(islice(passages.generate(HELD_OUT_SEED), HELD_OUT_COUNT))
    np.savez_compressed(folder / "passages.npz", **pack(held_out))
    return Card(
        name=NAME,
        stands_for="bert",
        summary="Finds the words of a passage that answer a question.",
        task="language",
        architecture="BERT: two layers of width 96, four heads, 384 in between; start and end logits",
        parameters=sum(p.numel() for p in network.parameters()),
        dataset="512 generated passages of up to nine statements on two or three people, and a question",
        sample_count=HELD_OUT_COUNT,
        seed=SEED,
        licence="Data and weights: Apache-2.0, generated for this project.",
        metric="f1",
        unit="%",
        files=files,
    )


def pack(chosen: list[passages.Passage]) -> dict[str, np.ndarray]:
    """Return the arrays of an evaluation set; passage k is words[starts[k] : starts[k + 1]]."""
    return {
        "words": np.concatenate([passage.words for passage in chosen]).astype(np.uint16),
        "starts": np.cumsum([0, *[len(passage.words) for passage in chosen]]).astype(np.uint32),
        "contexts": np.array([passage.context for passage in chosen], np.uint8),
        "answers": np.array([(passage.first, passage.last) for passage in chosen], np.uint8),
    }


def inputs(chosen: list[passages.Passage]) -> dict[str, np.ndarray]:
    """Return what the network reads: words, mask and segments, int32 (samples, longest)."""
    length = max(len(passage.words) for passage in chosen)
    place = np.arange(length)[None]
    words = [passage.words + [passages.PAD] * (length - len(passage.words)) for passage in chosen]
    mask = place < np.array([[len(passage.words)] for passage in chosen])
    segments = mask & (place >= np.array([[passage.context] for passage in chosen]))
    named = {"input_ids": np.array(words), "input_mask": mask, "segment_ids": segments}
    return {name: array.astype(np.int32) for name, array in named.items()}


def train() -> Network:
    torch.manual_seed(SEED)
    network = Network(len(passages.vocabulary()))
    training = passages.generate(TRAINING_SEED)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.5e-3, total_steps=STEPS, pct_start=0.1)
    for step in range(STEPS):
        loss = _loss(network, list(islice(training, BATCH)))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 99:
            print(f"{NAME}: step {step + 1}: loss {loss.item():.3f}", flush=True)
    return network.eval()


def _loss(network: Network, chosen: list[passages.Passage]) -> torch.Tensor:
    words, mask, segments = (torch.tensor(array).long() for array in inputs(chosen).values())
    logits = network(words, mask, segments).masked_fill(mask[..., None] == 0, MASKED)
    wanted = torch.tensor([(passage.first, passage.last) for passage in chosen])
    return 2 * functional.cross_entropy(logits, wanted)


def export(network: Network, path: Path) -> None:
    graph = Graph()
    zero, one, two = (graph.weight(np.array([value])) for value in range(3))
    length = graph.node("Slice", graph.node("Shape", "input_ids"), one, two)
    positions = graph.node("Slice", graph.weight(network.positions.weight), zero, length, zero)
    words, segments = (
        graph.node("Gather", graph.weight(embedding.weight), name)
        for embedding, name in ((network.words, "input_ids"), (network.segments, "segment_ids"))
    )
    x = graph.node("Add", graph.node("Add", words, positions), segments)
    x = _normalised(graph, x, network.norm)
    hidden = graph.node("Sub", graph.weight(np.float32(1)), graph.cast("input_mask", "float32"))
    shifts = graph.node("Unsqueeze", hidden, graph.weight(np.array([1, 2])))
    mask = graph.node("Mul", shifts, graph.weight(np.float32(MASKED)))
    for layer in network.layers:
        x = _layer(graph, x, layer, mask)
    graph.linear(x, network.head, result="logits")
    read = {name: ("int32", ["N", "T"]) for name in ("input_ids", "input_mask", "segment_ids")}
    graph.save(path, read, {"logits": ("float32", ["N", "T", 2])})


def _layer(graph: Graph, x: str, layer: Layer, mask: str) -> str:
    attended = graph.linear(_attention(graph, x, layer, mask), layer.attended)
    x = _normalised(graph, graph.node("Add", x, attended), layer.attention_norm)
    inner = graph.linear(_gelu(graph, graph.linear(x, layer.wide)), layer.narrow)
    return _normalised(graph, graph.node("Add", x, inner), layer.norm)


def _attention(graph: Graph, x: str, layer: Layer, mask: str) -> str:
    size = WIDTH // HEADS
    shape = graph.weight(np.array([0, 0, 3, HEADS, size]))
    together = graph.node("Reshape", graph.linear(x, layer.query_key_value), shape)
    # (3, samples, heads, length, size), the key with its last two dimensions swapped.
    stacked = graph.node("Transpose", together, perm=[2, 0, 3, 1, 4])
    query, key, value = (
        graph.node("Gather", stacked, graph.weight(np.array(part)), axis=0) for part in range(3)
    )
    scores = graph.node("MatMul", query, graph.node("Transpose", key, perm=[0, 1, 3, 2]))
    scaled = graph.node("Mul", scores, graph.weight(np.float32(1 / math.sqrt(size))))
    weight = graph.node("Softmax", graph.node("Add", scaled, mask), axis=3)
    mixed = graph.node("Transpose", graph.node("MatMul", weight, value), perm=[0, 2, 1, 3])
    return graph.node("Reshape", mixed, graph.weight(np.array([0, 0, WIDTH])))


def _gelu(graph: Graph, x: str) -> str:
    """Add x times the chance that a normal variable is below it, the exact form."""
    erf = graph.node("Erf", graph.node("Div", x, graph.weight(np.float32(math.sqrt(2)))))
    twice = graph.node("Mul", x, graph.node("Add", erf, graph.weight(np.float32(1))))
    return graph.node("Mul", twice, graph.weight(np.float32(0.5)))


def _normalised(graph: Graph, x: str, norm: nn.LayerNorm) -> str:
    weights = graph.weight(norm.weight), graph.weight(norm.bias)
    return graph.node("LayerNormalization", x, *weights, axis=-1, epsilon=norm.eps)
