"""Activations with a trainable threshold, which integrate-and-fire neurons can take over as it is."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import torch
from torch import Tensor, nn

from transpike.errors import ArgumentError, positive_whole
from transpike.training.in_time import fired
from transpike.training.straight_through import clamped, qcfs, slip_relu

SMALLEST = 2.0**-20  # no threshold falls below


class Activation(nn.Module):
    """An activation with a trainable threshold lambda, one number for the layer.

    The parameter `threshold` may take any value: its absolute value, at least 2^-20, is lambda.
    """

    def __init__(self, threshold: float = 1.0, *, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace
        self.threshold = nn.Parameter(torch.tensor(float(threshold)))
        self.set_threshold(threshold)

    def set_threshold(self, threshold: float) -> None:
        """Set lambda. Raises ArgumentError unless it is positive and finite."""
        if not (isinstance(threshold, int | float) and 0 < threshold < math.inf):
            raise ArgumentError(f"threshold must be a positive number, not {threshold!r}.")
        with torch.no_grad():
            self.threshold.fill_(threshold)

    @property
    def positive_threshold(self) -> Tensor:
        """Lambda, above 0 whatever the parameter is."""
        return self.threshold.abs().clamp(min=SMALLEST)

    def with_threshold(self, threshold: float, *, inplace: bool = False) -> Self:
        """Return another activation of this kind, with its own lambda."""
        other = copy.deepcopy(self)
        other.set_threshold(threshold)
        other.inplace = inplace
        return other

    def quantise(self, x: Tensor) -> Tensor:
        """Return the activation of `x`, in a new tensor."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of `x`; in `x` itself if the activation that it replaces worked in place."""
        return x.copy_(self.quantise(x.clone())) if self.inplace else self.quantise(x)

    def extra_repr(self) -> str:
        return f"threshold={float(self.positive_threshold.detach()):.4g}"


class Stepped(Activation):
    """An activation with `levels` levels up to its threshold, moved by `shift` levels.

    Inside `running` it is the neuron that it becomes, and its batch holds `time_steps` steps of the samples.
    """

    def __init__(self, levels: int, threshold: float = 1.0, shift: float = 0.5, *, inplace: bool = False) -> None:
        super().__init__(threshold, inplace=inplace)
        self.levels = positive_whole("levels", levels)
        self.shift = fraction("shift", shift)
        self.time_steps: int | None = None

    def quantise(self, x: Tensor) -> Tensor:
        if self.time_steps is not None:
            return fired(x, self.positive_threshold, self.shift, self.time_steps)
        return self.curve(x)

    def curve(self, x: Tensor) -> Tensor:
        """Return the mean of what the neuron sends for an even input `x`, in a new tensor."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        return f"levels={self.levels}, {super().extra_repr()}, shift={self.shift:g}"


class QCFS(Stepped):
    """Quantisation, clip, floor and shift: y = lambda clip(floor(levels x / lambda + shift) / levels, 0, 1).

    Any shape; the floor has the derivative 1 in training (straight-through estimator). A neuron with threshold lambda
    that starts at shift * lambda sends the same in T = levels steps of a constant input. Raises ArgumentError for settings
    that cannot be meant. Source: Bu et al. 2022 (QCFS).

    >>> activation = QCFS(levels=4, threshold=2.0)
    >>> activation(torch.tensor([-1.0, 0.3, 0.9, 5.0])).tolist()
    [0.0, 0.5, 1.0, 2.0]
    """

    def curve(self, x: Tensor) -> Tensor:
        result: Tensor = qcfs(x, self.positive_threshold, self.levels, self.shift)
        return result


class SlipReLU(Stepped):
    """A weighted mean of a clipped ReLU and QCFS, with the weights `slope` and 1 - `slope`.

    y = slope clip(x + offset lambda / levels, 0, lambda) + (1 - slope) qcfs(x), where qcfs(x) is as in `QCFS`. With shift 1/2
    and offset 0 the mean error of the converted neuron is 0, since it is so for both parts. Raises ArgumentError for settings
    that cannot be meant. Source: Jiang et al. 2023, whose a is `slope`, shift1 `offset` and shift2 `shift`.

    >>> SlipReLU(levels=4, slope=0.5, threshold=2.0)(torch.tensor([-1.0, 0.3, 5.0])).tolist()
    [0.0, 0.4000000059604645, 2.0]
    """

    def __init__(
        self,
        levels: int,
        slope: float,
        threshold: float = 1.0,
        shift: float = 0.5,
        offset: float = 0.0,
        *,
        inplace: bool = False,
    ) -> None:
        super().__init__(levels, threshold, shift, inplace=inplace)
        self.slope = fraction("slope", slope)
        self.offset = fraction("offset", offset)

    def curve(self, x: Tensor) -> Tensor:
        result: Tensor = slip_relu(x, self.positive_threshold, self.levels, self.slope, self.shift, self.offset)
        return result

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, slope={self.slope:g}, offset={self.offset:g}"


class ClampedReLU(Activation):
    """A ReLU without small values: y = min(x, lambda) where x >= floor * lambda, else 0.

    For codes by the time of the first spike, in which small values come late: a neuron has `resolution / floor` steps to fire.
    In training the derivative is that of a clipped ReLU. Raises ArgumentError for settings that cannot be meant.
    Source: Rueckauer and Liu 2018 (TTFS clamped).

    >>> ClampedReLU(floor=0.1, threshold=2.0)(torch.tensor([-1.0, 0.1, 0.5, 5.0])).tolist()
    [0.0, 0.0, 0.5, 2.0]
    """

    def __init__(self, floor: float = 0.1, threshold: float = 1.0, *, inplace: bool = False) -> None:
        super().__init__(threshold, inplace=inplace)
        self.floor = fraction("floor", floor)

    def quantise(self, x: Tensor) -> Tensor:
        result: Tensor = clamped(x, self.positive_threshold, self.floor)
        return result

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, floor={self.floor:g}"


@contextmanager
def running(model: nn.Module, time_steps: int) -> Iterator[None]:
    """Run the activations with levels of `model` as neurons inside the `with` block, on batches [time_steps * batch, ...]."""
    activations = [module for module in model.modules() if isinstance(module, Stepped)]
    for activation in activations:
        activation.time_steps = time_steps
    try:
        yield
    finally:
        for activation in activations:
            activation.time_steps = None


def fraction(name: str, value: object) -> float:
    """Return `value` if it is a number in 0 .. 1, else raise naming the argument."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ArgumentError(f"{name} must be a number from 0 to 1, not {value!r}.")
    return float(value)
