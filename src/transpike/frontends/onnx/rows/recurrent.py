"""Recurrent layers: as PyTorch's own, so that they are captured like those."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from transpike.frontends.onnx.graph import OnnxNode
from transpike.frontends.onnx.values import Value, tensor

ORDERS = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}  # ONNX has i o f c and z r h, PyTorch i f g o and r z n
ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}
LAYERS: dict[str, type[nn.RNNBase]] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
WEIGHTS, RECURRENT_WEIGHTS, BIASES, LENGTHS, STATE, CELL, PEEPHOLES = range(1, 8)


class Recurrent(nn.Module):
    """A recurrent layer of an ONNX file around one of PyTorch's: [elements, batch, features] and states as ONNX has them."""

    def __init__(self, node: OnnxNode) -> None:
        """Build the layer with the weights of the file."""
        super().__init__()
        check(node)
        self.node = node
        self.layer = built(node)

    def forward(self, x: Tensor, *_: Any, states: tuple[Value, ...] = ()) -> tuple[Tensor, ...]:
        """Return the outputs [elements, directions, batch, features] and the last states [directions, batch, features]."""
        known = [self.node.constants.get(STATE + place) if value is None else value for place, value in enumerate(states)]
        given = [self.spread(value, x.shape[1]) for value in known if value is not None]
        hx = None if not given else tuple(given) if self.node.op == "LSTM" else given[0]
        output, last = self.layer(x, hx)
        directions = 2 if self.layer.bidirectional else 1
        shaped = output.unflatten(2, (directions, -1)).permute(0, 2, 1, 3)
        return (shaped, *last) if isinstance(last, tuple) else (shaped, last)

    def spread(self, state: Value, batch: Any) -> Tensor:
        """Return a first state for all samples, where a file with a fixed batch has it for one."""
        found = tensor(self.node, state)
        return found.expand(found.shape[0], batch, found.shape[2]) if isinstance(state, np.ndarray) else found


def check(node: OnnxNode) -> None:
    """Refuse what PyTorch's layers cannot do."""
    wanted = ACTIVATIONS.get(node.op)
    directions = 2 if node.get("direction", "forward") == "bidirectional" else 1
    kinds = [str(kind) for kind in node.get("activations", (wanted or ["Tanh"]) * directions)]
    if kinds != wanted * directions if wanted else set(kinds) - {"Tanh", "Relu"}:
        raise node.refusal(f"its activations are {', '.join(kinds)}")
    if node.get("direction", "forward") == "reverse":
        raise node.refusal("it reads a sequence backwards alone", "Reverse the sequence outside of the model.")
    if node.op == "GRU" and not node.get("linear_before_reset", 0):
        raise node.refusal("it resets before its product with the weights", "Build it with reset_after=True and train again.")
    if node.get("layout", 0) or node.get("clip") or node.get("input_forget", 0):
        raise node.refusal("its layout, clip or input_forget is not the default one")
    if any(place < len(node.inputs) and node.inputs[place] for place in (LENGTHS, PEEPHOLES)):
        raise node.refusal("it has lengths of sequences or peepholes", "Export it with sequences of one length.")


def built(node: OnnxNode) -> nn.RNNBase:
    """Return PyTorch's layer with the weights of a node."""
    weights, recurrent = node.constant(WEIGHTS, "weights"), node.constant(RECURRENT_WEIGHTS, "recurrent weights")
    biases = node.constant(BIASES, "biases")
    if weights is None or recurrent is None:
        raise node.refusal("its weights are missing")
    directions, hidden = weights.shape[0], recurrent.shape[2]
    extra: dict[str, Any] = {"nonlinearity": str(node.get("activations", ["Tanh"])[0]).lower()} if node.op == "RNN" else {}
    layer = LAYERS[node.op](weights.shape[2], hidden, bias=biases is not None, bidirectional=directions == 2, **extra)  # noqa: PLR2004
    order, state = ORDERS[node.op], {}
    for direction, end in zip(range(directions), ("", "_reverse"), strict=False):
        state[f"weight_ih_l0{end}"] = ordered(weights[direction], order)
        state[f"weight_hh_l0{end}"] = ordered(recurrent[direction], order)
        if biases is not None:
            first, second = np.split(biases[direction], 2)
            state[f"bias_ih_l0{end}"], state[f"bias_hh_l0{end}"] = ordered(first, order), ordered(second, order)
    layer.load_state_dict(state)
    return layer


def ordered(values: np.ndarray, order: tuple[int, ...]) -> Tensor:
    """Return the gates in PyTorch's order."""
    gates = np.split(values, len(order))
    return torch.from_numpy(np.concatenate([gates[place] for place in order]).astype(np.float32))
