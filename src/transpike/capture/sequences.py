"""Let torch.export take a recurrent layer for one operator, packed sequences included.

Traced as they are, recurrent layers run through every element of a sequence (a minute for 500 words), and packed sequences
have shapes that depend on the data. While a model is exported, its recurrent layers therefore call an operator of ours, and
a packed sequence stays padded and knows its lengths.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from transpike.errors import CaptureError


class Padded:
    """Stands for a packed sequence: still padded [batch, elements, ...], or time first, with the lengths [batch]."""

    def __init__(self, data: Tensor, lengths: Tensor, batch_first: bool) -> None:
        self.data = data
        self.lengths = lengths
        self.batch_first = batch_first


@torch.library.custom_op("transpike::recurrent", mutates_args=())
def recurrent(
    data: Tensor,  # noqa: ARG001
    lengths: Tensor | None,  # noqa: ARG001
    states: Sequence[Tensor],  # noqa: ARG001
    weights: Sequence[Tensor],  # noqa: ARG001
    kind: str,  # noqa: ARG001
    has_biases: bool,  # noqa: ARG001
    num_layers: int,  # noqa: ARG001
    bidirectional: bool,  # noqa: ARG001
    batch_first: bool,  # noqa: ARG001
) -> list[Tensor]:
    """Stand for a recurrent layer while a model is exported: all outputs, then the last states [layers, batch, ...]."""
    raise CaptureError("Recurrent layers are read, not run, by the capture.")


@recurrent.register_fake
def _(
    data: Tensor,
    lengths: Tensor | None,  # noqa: ARG001 - shapes do not depend on them
    states: Sequence[Tensor],  # noqa: ARG001
    weights: Sequence[Tensor],
    kind: str,
    has_biases: bool,
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
) -> list[Tensor]:
    directions = 2 if bidirectional else 1
    hidden, outputs = weights[1].shape[0] // GATES[kind], weights[1].shape[1]
    levels, batch = num_layers * directions, data.shape[0 if batch_first else 1]
    found = [data.new_empty(*data.shape[:2], outputs * directions), data.new_empty(levels, batch, outputs)]
    assert len(weights) == levels * (2 + 2 * has_biases + (hidden != outputs))
    return [*found, data.new_empty(levels, batch, hidden)] if GATES[kind] == LSTM else found


LSTM = 4
GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1, "normal_lstm": 4, "normal_gru": 3, "normal_rnn": 1}


def traced_forward(layer: nn.RNNBase, data: Tensor | Padded, hx: Any = None) -> tuple[Any, Any]:
    """Do in the export what a recurrent layer does: return its outputs and last states."""
    padded = isinstance(data, Padded)
    values, lengths = (data.data, data.lengths) if isinstance(data, Padded) else (data, None)
    if values.ndim != 3:  # noqa: PLR2004 - [batch, elements, features]
        raise CaptureError("A recurrent layer of the model reads a sequence without a batch axis: give it one.")
    batch_first = data.batch_first if isinstance(data, Padded) else layer.batch_first
    states = [] if hx is None else list(hx) if isinstance(hx, tuple | list) else [hx]
    kind: str = getattr(layer, "kind", layer.mode.lower())
    weights = list(layer._flat_weights)  # noqa: SLF001 - in the order in which torch takes them
    sizes = (layer.bias, layer.num_layers, layer.bidirectional, batch_first)
    output, *last = recurrent(values, lengths, states, weights, kind, *sizes)
    outputs = Padded(output, lengths, batch_first) if padded and lengths is not None else output
    return outputs, tuple(last) if len(last) > 1 else last[0]


def packed(input: Tensor, lengths: Tensor | list[int], batch_first: bool = False, enforce_sorted: bool = True) -> Padded:  # noqa: A002, ARG001
    """Stand for torch.nn.utils.rnn.pack_padded_sequence."""
    return Padded(input, torch.as_tensor(lengths), batch_first)


def unpacked(
    sequence: Padded, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Stand for torch.nn.utils.rnn.pad_packed_sequence; the outputs of a recurrent layer behind the end of a sequence are 0."""
    if padding_value != 0:
        raise CaptureError(f"The model pads sequences with {padding_value}: only 0 can be captured.")
    along = sequence.data.shape[1 if sequence.batch_first else 0]
    if total_length not in {None, along}:
        raise CaptureError(
            f"The model pads sequences to {total_length} elements, but they have {along}: leave total_length out."
        )
    same = sequence.batch_first == batch_first
    return sequence.data if same else sequence.data.transpose(0, 1), sequence.lengths


STAND_INS: dict[Callable[..., Any], Callable[..., Any]] = {
    nn.utils.rnn.pack_padded_sequence: packed,
    nn.utils.rnn.pad_packed_sequence: unpacked,
}


@contextmanager
def whole_sequences(model: nn.Module) -> Iterator[None]:
    """While inside, recurrent layers are one operator each, and what packs sequences leaves them padded."""
    spaces = {id(vars(nn.utils.rnn)): vars(nn.utils.rnn)}
    for module in model.modules():
        space = vars(sys.modules.get(type(module).__module__, nn.utils.rnn))
        spaces[id(space)] = space
        forward = getattr(type(module).forward, "__globals__", {})
        spaces[id(forward)] = forward
    with ExitStack() as stack:
        kinds = {type(module) for module in model.modules() if isinstance(module, nn.RNNBase)}
        own = {kind for kind in kinds if "kind" in vars(kind)}
        for layer in (nn.LSTM, nn.GRU, nn.RNN, *own):
            stack.enter_context(patch.object(layer, "forward", traced_forward))
        for space in spaces.values():
            names = {name: new for name, value in space.items() for old, new in STAND_INS.items() if value is old}
            stack.enter_context(patch.dict(space, names))
        yield
