"""dlrm-clicks: a deep-learning recommendation model for a generated click log; stands for dlrm."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tools.miniatures import clicks
from tools.miniatures.card import Card
from tools.miniatures.graph import Graph
from tools.miniatures.quantise import quantise

if TYPE_CHECKING:
    from pathlib import Path

NAME = "dlrm-clicks"
SEED = 0
EMBEDDING = 16
EPOCHS = 2
BATCH = 1024
SAMPLES, PAIRS_PER_SAMPLE = 128, 64
HELD_OUT = SAMPLES * PAIRS_PER_SAMPLE


class Network(nn.Module):
    """Bottom MLP for dense features, one embedding per sparse one, their dot products, top MLP."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(sum(clicks.CARDINALITIES), EMBEDDING)
        nn.init.normal_(self.embedding.weight, 0, 0.05)
        self.bottom = nn.ModuleList([nn.Linear(clicks.DENSE, 64), nn.Linear(64, EMBEDDING)])
        self.vectors = len(clicks.CARDINALITIES) + 1
        products = self.vectors * (self.vectors - 1) // 2
        self.top = nn.ModuleList([nn.Linear(EMBEDDING + products, 64), nn.Linear(64, 32), nn.Linear(32, 1)])
        # One table holds all embeddings: a feature's rows begin where the one before it ends.
        self.starts = np.cumsum([0, *clicks.CARDINALITIES[:-1]])
        self.pairs = [high * self.vectors + low for low, high in combinations(range(self.vectors), 2)]

    def forward(self, dense, sparse):
        x = dense
        for layer in self.bottom:
            x = functional.relu(layer(x))
        vectors = torch.cat([x[:, None], self.embedding(sparse + torch.tensor(self.starts))], 1)
        products = (vectors @ vectors.transpose(1, 2)).flatten(1)[:, self.pairs]
        y = torch.cat([x, products], 1)
        for layer in self.top[:-1]:
            y = functional.relu(layer(y))
        return self.top[-1](y)[:, 0]


def make(folder: Path) -> Card:
    """Train the network, write its files and return its card."""
    log = clicks.generate()
    held_out, training = log.part(slice(HELD_OUT)), log.part(slice(HELD_OUT, None))
    network = train(training)
    files = {"fp32": [f"{NAME}.fp32.onnx"], "int8": [f"{NAME}.int8.onnx"], "dataset": ["clicks.npz"]}
    export(network, folder / files["fp32"][0])
    parts = [training.part(slice(start, start + 512)) for start in range(0, 8192, 512)]
    quantise(
        folder / files["fp32"][0],
        folder / files["int8"][0],
        [{"dense": scaled(part.dense), "sparse": part.sparse.astype(np.int32)} for part in parts],
        recipe="reduced",
        kinds=["MatMul", "Gather"],
    )
    shape = (SAMPLES, PAIRS_PER_SAMPLE)
    np.savez_compressed(
        folder / "clicks.npz",
        dense=held_out.dense.reshape(*shape, -1),
        dense_step=np.float32(clicks.DENSE_STEP),
        sparse=held_out.sparse.reshape(*shape, -1),
        clicked=held_out.clicked.reshape(shape),
    )
    return Card(
        name=NAME,
        stands_for="dlrm",
        summary="Foretells whether a user clicks on an item, for 64 pairs of both at once.",
        task="recommendation",
        architecture="DLRM: bottom MLP 64-16, four embeddings of 16, their dot products, top MLP 64-32-1",
        parameters=sum(p.numel() for p in network.parameters()),
        dataset="8192 pairs in 128 samples of 64, held out from 120 000; clicks drawn from hidden tastes",
        sample_count=SAMPLES,
        seed=SEED,
        licence="Data and weights: Apache-2.0, generated for this project.",
        metric="auc",
        unit="%",
        files=files,
    )


def scaled(dense: np.ndarray) -> np.ndarray:
    return dense.astype(np.float32) * np.float32(clicks.DENSE_STEP)


def train(training: clicks.Log) -> Network:
    torch.manual_seed(SEED)
    network = Network()
    dense, sparse = torch.tensor(scaled(training.dense)), torch.tensor(training.sparse.astype(np.int64))
    clicked = torch.tensor(training.clicked.astype(np.float32))
    layers = [*network.bottom.parameters(), *network.top.parameters()]
    embeddings = {"params": network.embedding.parameters(), "weight_decay": 0.5}
    optimiser = torch.optim.AdamW([embeddings, {"params": layers, "weight_decay": 1e-3}], 2e-3)
    for epoch in range(EPOCHS):
        losses = []
        for chosen in torch.randperm(len(clicked)).split(BATCH):
            loss = functional.binary_cross_entropy_with_logits(
                network(dense[chosen], sparse[chosen]), clicked[chosen]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        print(f"{NAME}: epoch {epoch}: loss {np.mean(losses):.4f}", flush=True)
    return network.eval()


def export(network: Network, path: Path) -> None:
    graph = Graph()
    x = "dense"
    for layer in network.bottom:
        x = graph.relu(graph.linear(x, layer))
    rows = graph.node("Add", "sparse", graph.weight(network.starts.astype(np.int32)))
    embedded = graph.node("Gather", graph.weight(network.embedding.weight), rows, axis=0)
    dense_vector = graph.node("Unsqueeze", x, graph.weight(np.array([1])))
    vectors = graph.node("Concat", dense_vector, embedded, axis=1)
    products = graph.node("MatMul", vectors, graph.node("Transpose", vectors, perm=[0, 2, 1]))
    flat = graph.node("Reshape", products, graph.weight(np.array([-1, network.vectors**2])))
    distinct = graph.node("Gather", flat, graph.weight(np.array(network.pairs)), axis=1)
    y = graph.node("Concat", x, distinct, axis=1)
    for layer in network.top[:-1]:
        y = graph.relu(graph.linear(y, layer))
    graph.node("Sigmoid", graph.linear(y, network.top[-1]), result="click")
    inputs = {
        "dense": ("float32", ["N", clicks.DENSE]),
        "sparse": ("int32", ["N", len(clicks.CARDINALITIES)]),
    }
    graph.save(path, inputs, {"click": ("float32", ["N", 1])})
