"""The regulariser of QCFS training: pull activations to the middle of their levels."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from transpike.errors import ArgumentError
from transpike.ops.activation import position
from transpike.training.activation import Stepped

MIDDLE = 0.5


class SquaredRounding(torch.autograd.Function):
    """mean (clip(z, 0, lambda) - q)^2 with q = QCFS(z) constant; in units of a level the error is fraction(u) - 1/2."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, threshold: Tensor, levels: int) -> Tensor:
        error = position(z, threshold, levels, 0.5).clamp_(0.5, levels + 0.5).frac_().sub_(0.5)
        ctx.save_for_backward(error, threshold / levels)
        return (threshold / levels * torch.linalg.vector_norm(error)).square() / error.numel()

    @staticmethod
    def backward(ctx: Any, received: Tensor) -> tuple[Tensor | None, ...]:
        error, level = ctx.saved_tensors
        return error * (2 * level / error.numel() * received), None, None


def quantisation_penalty(z: Tensor, activation: Stepped) -> Tensor:
    """Return mean (clip(z, 0, lambda) - q)^2 over all elements of `z`, with q = QCFS(z).

    q and lambda are constants here: with a straight-through q the gradient would vanish, and lambda would shrink all steps to
    0 instead of moving z into their middle. z is clipped first: below 0 and above lambda a neuron is silent or fires at every
    step whatever z is, so that pulling it back costs the network freedom and mends no error. In the slides' formula
    q carries a further - 1/2, which would make it the edge between two levels; their step 4, "pulling z to bin
    centers", asks for QCFS(z) itself, and only shift 1/2 has it there: ArgumentError otherwise.
    Source: slides "QCFS Activation and Regularizer".

    >>> from transpike.training import QCFS
    >>> round(float(quantisation_penalty(torch.tensor([-3.0, 0.1, 0.6, 9.0]), QCFS(levels=2, threshold=1.0))), 6)
    0.005
    """
    if activation.shift != MIDDLE:
        raise ArgumentError(
            f"The regulariser pulls activations to the middle of their levels, which needs shift=0.5, not {activation.shift:g}."
        )
    penalty: Tensor = SquaredRounding.apply(z, activation.positive_threshold.detach(), activation.levels)
    return penalty


class Penalties:
    """Collects the penalty of every activation of `model` that runs inside the `with` block.

    `total` is their sum, each the mean over the elements of its layer: layers count alike, whatever their size.
    """

    def __init__(self, model: nn.Module) -> None:
        self.activations = [module for module in model.modules() if isinstance(module, Stepped)]
        self.found: list[Tensor] = []
        self.hooks: list[Any] = []

    def __enter__(self) -> Self:
        self.hooks = [activation.register_forward_pre_hook(self.note) for activation in self.activations]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for hook in self.hooks:
            hook.remove()

    def note(self, activation: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        """Add the penalty of one activation, before it runs."""
        assert isinstance(activation, Stepped)
        z = arguments[0].clone() if activation.inplace else arguments[0]
        self.found.append(quantisation_penalty(z.to(activation.threshold.dtype), activation))

    @property
    def total(self) -> Tensor:
        """The sum of the penalties so far."""
        return torch.stack(self.found).sum()
