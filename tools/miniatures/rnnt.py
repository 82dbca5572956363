"""rnnt-digits: a recurrent neural network transducer that hears spoken digits; stands for rnnt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional

from pytest_mlperf.harness.onnxruntime.tasks.spectrum import BANDS, STACK, features
from tools.miniatures import utterances
from tools.miniatures.card import Card
from tools.miniatures.graph import Graph
from tools.miniatures.quantise import quantise_weights
from tools.miniatures.transducer_loss import transducer_loss

if TYPE_CHECKING:
    from pathlib import Path

NAME = "rnnt-digits"
SEED = 0
BLANK = 10
START = np.array([BLANK])
"""What the prediction network is told before the first digit."""
STATE = ("predicted", "hidden", "cell")
SYMBOLS = 11
HEARD, ENCODED, PREDICTED, EMBEDDED, JOINED = STACK * BANDS, 128, 64, 32, 96
STEPS = 1200
BATCH = 32
TRAINING_COUNT, TRAINING_SEED = 3000, 0
HELD_OUT_COUNT, HELD_OUT_SEED = 128, 1


class Network(nn.Module):
    """Encoder of two LSTMs, prediction network of one, and the joint network that says a digit or none."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.ModuleList(
            [nn.LSTM(HEARD, ENCODED, batch_first=True), nn.LSTM(ENCODED, ENCODED, batch_first=True)]
        )
        self.encoder_out = nn.Linear(ENCODED, JOINED)
        self.embedding = nn.Embedding(SYMBOLS, EMBEDDED)
        self.predictor = nn.LSTM(EMBEDDED, PREDICTED, batch_first=True)
        self.predictor_out = nn.Linear(PREDICTED, JOINED)
        self.joint = nn.Linear(JOINED, SYMBOLS)

    def encode(self, heard):
        inner = functional.dropout(self.encoder[0](heard)[0], 0.1, self.training)
        return self.encoder_out(self.encoder[1](inner)[0])

    def forward(self, heard, said):
        """Return log chances (samples, frames, digits + 1, symbols)."""
        before = functional.pad(said, (1, 0), value=BLANK)
        predicted = self.predictor_out(self.predictor(self.embedding(before))[0])
        joined = torch.tanh(self.encode(heard)[:, :, None] + predicted[:, None])
        return self.joint(joined).log_softmax(-1)


def make(folder: Path) -> Card:
    """Train the network, write its files and return its card."""
    training = utterances.generate(TRAINING_COUNT, voices=utterances.TRAINING_VOICES, seed=TRAINING_SEED)
    held_out = utterances.generate(HELD_OUT_COUNT, voices=utterances.HELD_OUT_VOICES, seed=HELD_OUT_SEED)
    print(f"{NAME}: {TRAINING_COUNT + HELD_OUT_COUNT} utterances spoken", flush=True)
    network = train(training)
    files = {"fp32": [f"{NAME}.fp32.onnx"], "int8": [f"{NAME}.int8.onnx"], "dataset": ["utterances.npz"]}
    export(network, folder / files["fp32"][0])
    quantise_weights(folder / files["fp32"][0], folder / files["int8"][0])
    np.savez_compressed(folder / "utterances.npz", **utterances.pack(held_out))
    return Card(
        name=NAME,
        stands_for="rnnt",
        summary="Hears one to five spoken digits and writes them down.",
        task="speech",
        architecture="RNN-T: encoder of two LSTMs of 128, predictor of one LSTM of 64, joint of 96; "
        "greedy decoding, at most one digit per frame of 40 ms",
        parameters=sum(p.numel() for p in network.parameters()),
        dataset="128 utterances by espeak-ng (8 kHz, mu-law, with noise) in five voices not trained on",
        sample_count=HELD_OUT_COUNT,
        seed=SEED,
        licence="Data and weights: Apache-2.0, generated for this project; the speech is output of espeak-ng "
        "(GPL-3.0), none of whose code or voice data is contained.",
        metric="wer",
        unit="%",
        files=files,
    )


def train(training: list[utterances.Utterance]) -> Network:
    torch.manual_seed(SEED)
    network = Network()
    # Batches are drawn from neighbours in length, so that little is padding.
    training = sorted(training, key=lambda each: len(each.sound))
    heard = [torch.tensor(features(each.sound)) for each in training]
    said = [torch.tensor(each.digits) for each in training]
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=STEPS, pct_start=0.15)
    for step in range(STEPS):
        first = int(torch.randint(len(training) - BATCH, ()))
        chosen = slice(first, first + BATCH)
        loss = _loss(network, heard[chosen], said[chosen])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 99:
            print(f"{NAME}: step {step + 1}: loss {loss.item():.3f}", flush=True)
    return network.eval()


def _loss(network: Network, heard: list[torch.Tensor], said: list[torch.Tensor]) -> torch.Tensor:
    frames, digits = (torch.tensor([len(row) for row in rows]) for rows in (heard, said))
    x, y = (nn.utils.rnn.pad_sequence(rows, batch_first=True) for rows in (heard, said))
    x = x + 0.15 * torch.randn_like(x)
    # A random band of frequencies is silenced, so that no single one is relied on.
    low, width = int(torch.randint(BANDS - 6, ())), int(torch.randint(6, ()))
    x.view(len(x), -1, STACK, BANDS)[..., low : low + width] = 0
    return transducer_loss(network(x, y), y, frames=frames, digits=digits, blank=BLANK)


def export(network: Network, path: Path) -> None:
    """Write encoder and greedy decoding as one graph: features in, a digit or the blank per frame out."""
    graph = Graph()
    x = graph.node("Transpose", "features", perm=[1, 0, 2])
    for layer in network.encoder:
        directions = graph.node("LSTM", x, *_weights(graph, layer), hidden_size=layer.hidden_size)
        x = graph.node("Squeeze", directions, graph.weight(np.array([1])))
    encoded = graph.linear(x, network.encoder_out)
    nothing_said = graph.node(
        "ConstantOfShape", _one_by_samples(graph), value=onnx.numpy_helper.from_array(START)
    )
    state = _predict(graph, network, nothing_said, before=("", ""))
    results = [*(f"{name}_last" for name in STATE), "said"]
    *_, said = graph.nodes("Scan", [*state, encoded], results, num_scan_inputs=1, body=_frame(network))
    by_sample = graph.node("Transpose", graph.node("Squeeze", said, graph.weight(np.array([1]))), perm=[1, 0])
    graph.cast(by_sample, "uint8", result="symbols")
    graph.save(path, {"features": ("float32", ["N", "T", HEARD])}, {"symbols": ("uint8", ["N", "T"])})


def _frame(network: Network) -> onnx.GraphProto:
    """Return what is done with a frame: say a symbol and, unless it is the blank, predict the next."""
    body = Graph(prefix="frame_")
    joined = body.node("Tanh", body.node("Add", "encoded", "predicted"))
    symbol = body.node("ArgMax", body.linear(joined, network.joint), result="symbol", axis=2, keepdims=0)
    blank = body.node("Equal", symbol, body.weight(np.array(BLANK)))
    silent = body.node("Unsqueeze", blank, body.weight(np.array([2])))
    fresh = _predict(body, network, symbol, before=("hidden", "cell"))
    kept = [
        body.node("Where", silent, old, new, result=f"{old}_next")
        for old, new in zip(STATE, fresh, strict=True)
    ]
    shapes = {"predicted": JOINED, "hidden": PREDICTED, "cell": PREDICTED}
    state = {name: ("float32", [1, "N", size]) for name, size in shapes.items()}
    after = dict(zip(kept, state.values(), strict=True))
    heard, said = ("float32", ["N", JOINED]), ("int64", [1, "N"])
    return body.body("frame", {**state, "encoded": heard}, {**after, "symbol": said})


def _predict(graph: Graph, network: Network, symbol: str, *, before: tuple[str, str]) -> tuple[str, str, str]:
    """Add the prediction network; return the names of what it predicts and of its hidden and cell state."""
    embedded = graph.node("Gather", graph.weight(network.embedding.weight), symbol, axis=0)
    inputs = [embedded, *_weights(graph, network.predictor), "", *before]
    _, hidden, cell = graph.nodes("LSTM", inputs, ["", "hidden_fresh", "cell_fresh"], hidden_size=PREDICTED)
    return graph.linear(hidden, network.predictor_out), hidden, cell


def _one_by_samples(graph: Graph) -> str:
    """Add the shape (1, samples)."""
    zero, one = graph.weight(np.array([0])), graph.weight(np.array([1]))
    samples = graph.node("Slice", graph.node("Shape", "features"), zero, one)
    return graph.node("Concat", one, samples, axis=0)


def _weights(graph: Graph, layer: nn.LSTM) -> tuple[str, str, str]:
    """Add the weights of an LSTM, whose gates torch orders i, f, c, o and ONNX i, o, f, c."""

    def ordered(weight: torch.Tensor) -> torch.Tensor:
        gate_i, gate_f, gate_c, gate_o = weight.chunk(4)
        return torch.cat([gate_i, gate_o, gate_f, gate_c])[None]

    biases = torch.cat([ordered(layer.bias_ih_l0), ordered(layer.bias_hh_l0)], 1)
    each = ordered(layer.weight_ih_l0), ordered(layer.weight_hh_l0), biases
    return tuple(graph.weight(weight) for weight in each)
