"""Recurrent layers and activations with the S-curve of normally distributed thresholds, to be converted into populations."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transpike import ops
from transpike.errors import ArgumentError

SIGMOID, TANH = 1.75, 0.88  # deviations, as in a thesis on conversion, section 5.2; any would do that is trained with

Turn = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


@torch.library.custom_op("transpike::normal_curve", mutates_args=())
def normal_curve(x: Tensor, sigma: float, low: float) -> Tensor:
    """Return low + (1 - low) Phi(x / sigma)."""
    return ops.NormalCurve(sigma, low)(x)


@normal_curve.register_fake
def _(x: Tensor, sigma: float, low: float) -> Tensor:  # noqa: ARG001
    return torch.empty_like(x)


def keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001 - torch's signature
    """Keep what the gradient needs."""
    ctx.save_for_backward(inputs[0])
    ctx.settings = inputs[1:]


def slope(ctx: Any, received: Tensor) -> tuple[Tensor | None, ...]:
    """Return the gradient of x: the density of the normal distribution."""
    (x,), (sigma, low) = ctx.saved_tensors, ctx.settings
    density = torch.exp(-0.5 * (x / sigma) ** 2) / (sigma * (2 * torch.pi) ** 0.5)
    return received * (1 - low) * density, None, None


normal_curve.register_autograd(slope, setup_context=keep)


def gate(x: Tensor) -> Tensor:
    """Return Phi(x / 1.75), in place of a sigmoid."""
    return 0.5 + 0.5 * torch.erf(x * (0.5**0.5 / SIGMOID))


def squash(x: Tensor) -> Tensor:
    """Return 2 Phi(x / 0.88) - 1, in place of tanh."""
    return torch.erf(x * (0.5**0.5 / TANH))


def lstm_turn(x: Tensor, state: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the states [2, batch, hidden] (output, cell) after one element with currents `x` [batch, 4 hidden]."""
    enter, forget, update, leave = (x + F.linear(state[0], weight, bias)).chunk(4, 1)
    cell = gate(forget) * state[1] + gate(enter) * squash(update)
    return torch.stack([gate(leave) * squash(cell), cell])


def gru_turn(x: Tensor, state: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the state [1, batch, hidden] after one element with currents `x` [batch, 3 hidden]."""
    reset, update, new = x.chunk(3, 1)
    reset_back, update_back, new_back = F.linear(state[0], weight, bias).chunk(3, 1)
    candidate = squash(new + gate(reset + reset_back) * new_back)
    return (candidate + gate(update + update_back) * (state[0] - candidate))[None]


def elman_turn(x: Tensor, state: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the state [1, batch, hidden] after one element with currents `x` [batch, hidden]."""
    return squash(x + F.linear(state[0], weight, bias))[None]


class NormalRecurrence(nn.RNNBase):
    """A recurrent layer of PyTorch's with other curves: the same weights, arguments and results."""

    kind: ClassVar[str]  # what the capture reads it as
    turn: ClassVar[Any]  # a Turn
    states: ClassVar[int] = 1

    def forward(self, input: Tensor, hx: Any = None) -> tuple[Tensor, Any]:  # noqa: A002 - as in PyTorch
        """Return the outputs at all elements and the last states, as the layer of PyTorch does."""
        if not isinstance(input, Tensor) or input.ndim != 3 or self.proj_size:  # noqa: PLR2004 - [batch, elements, features]
            raise ArgumentError(f"{type(self).__name__} takes batches of padded sequences, without projections.")
        x = input if self.batch_first else input.transpose(0, 1)
        directions = 2 if self.bidirectional else 1
        zero = x.new_zeros(self.num_layers * directions, len(x), self.hidden_size)
        given = [zero] * self.states if hx is None else list(hx) if isinstance(hx, tuple) else [hx]
        first = torch.stack(given)  # [states, layers, batch, hidden]
        last = []
        for level in range(self.num_layers):
            outputs = []
            for direction in range(directions):
                place = level * directions + direction
                output, state = self.run(x, first[:, place], self.all_weights[place], backwards=bool(direction))
                outputs.append(output)
                last.append(state)
            x = torch.cat(outputs, -1)
            if level < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        finals = torch.stack(last, 1)
        result = x if self.batch_first else x.transpose(0, 1)
        return result, (tuple(finals) if self.states > 1 else finals[0])

    def run(self, x: Tensor, state: Tensor, weights: Sequence[Tensor], *, backwards: bool) -> tuple[Tensor, Tensor]:
        """Return the outputs [batch, elements, hidden] and the last states of one level in one direction."""
        bias, bias_back = weights[2:4] if self.bias else (None, None)
        currents = F.linear(x, weights[0], bias).unbind(1)
        outputs = []
        for current in reversed(currents) if backwards else currents:
            state = type(self).turn(current, state, weights[1], bias_back)
            outputs.append(state[0])
        return torch.stack(outputs[::-1] if backwards else outputs, 1), state


class NormalLSTM(NormalRecurrence, nn.LSTM):  # type: ignore[misc]
    """An LSTM whose gates are Phi(x / 1.75) and whose states are 2 Phi(x / 0.88) - 1.

    Populations with normally distributed thresholds compute just that, so that converting it with recipe "population-normal"
    loses nothing but what is random. Takes the arguments and the weights of torch.nn.LSTM; no projections, no packed
    sequences. Source: a thesis on conversion, the outlook of section 5.4.

    >>> import torch
    >>> layer = NormalLSTM(4, 3, batch_first=True)
    >>> layer(torch.zeros(2, 5, 4))[0].shape
    torch.Size([2, 5, 3])
    """

    kind = "normal_lstm"
    turn = staticmethod(lstm_turn)
    states = 2


class NormalGRU(NormalRecurrence, nn.GRU):  # type: ignore[misc]
    """A GRU with the curves of NormalLSTM."""

    kind = "normal_gru"
    turn = staticmethod(gru_turn)


class NormalRNN(NormalRecurrence, nn.RNN):  # type: ignore[misc]
    """An Elman layer with the curve of NormalLSTM in place of tanh."""

    kind = "normal_rnn"
    turn = staticmethod(elman_turn)


class NormalCurve(nn.Module):
    """y = low + (1 - low) Phi(x / sigma): the share of neurons below x, in place of a sigmoid, or with `low` -1 of tanh."""

    def __init__(self, sigma: float = SIGMOID, low: float = 0.0) -> None:
        super().__init__()
        self.sigma = sigma
        self.low = low

    def forward(self, x: Tensor) -> Tensor:
        """Return the curve of `x`."""
        return normal_curve(x, self.sigma, self.low)

    def extra_repr(self) -> str:
        return f"sigma={self.sigma:g}, low={self.low:g}"


LAYERS = {nn.LSTM: NormalLSTM, nn.GRU: NormalGRU, nn.RNN: NormalRNN}


def prepare_populations(model: nn.Module) -> nn.Module:
    """Return a copy of `model` with normal curves in place of sigmoid and tanh, in its recurrent layers and as modules.

    It is to be trained, from the weights that it has or from others, and then converted by recipe "population-normal". The
    names of the weights stay; `model` is not changed. Raises ArgumentError if there is nothing to replace.

    >>> prepare_populations(nn.Sequential(nn.Linear(4, 3), nn.Tanh()))[1]
    NormalCurve(sigma=0.88, low=-1)
    """
    prepared = copy.deepcopy(model)
    found = 0
    for module in list(prepared.modules()):
        new = LAYERS.get(type(module))
        if new is not None and getattr(module, "nonlinearity", "tanh") == "tanh":
            module.__class__ = new
            found += 1
        for name, child in module.named_children():
            if type(child) in (nn.Sigmoid, nn.Tanh):
                setattr(module, name, NormalCurve() if type(child) is nn.Sigmoid else NormalCurve(TANH, -1.0))
                found += 1
    if not found:
        raise ArgumentError("The model has no LSTM, GRU, RNN, Sigmoid or Tanh module: there is nothing to prepare.")
    return prepared
