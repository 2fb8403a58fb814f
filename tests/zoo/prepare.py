"""Give a model weights and statistics that are neither trivial nor random from run to run."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

SAMPLES = 32
Factory = Callable[[], tuple[nn.Module, Tensor | tuple[Tensor, ...]]]


def made(build: Callable[[], nn.Module], *shapes: tuple[int, ...], seed: int = 0) -> Factory:
    """Return a factory of the model that `build` makes, with samples of `shapes` (without the batch)."""

    def make() -> tuple[nn.Module, Tensor | tuple[Tensor, ...]]:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            inputs = tuple(torch.rand(SAMPLES, *shape) for shape in shapes)
            model = settled(build(), inputs)
        return model, inputs[0] if len(inputs) == 1 else inputs

    return make


def anew(module: nn.Module) -> nn.Module:
    """Return a copy of `module` with weights drawn anew, so that no two models share a part."""
    module = copy.deepcopy(module)
    for part in module.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    return module


def settled(model: nn.Module, inputs: tuple[Tensor, ...]) -> nn.Module:
    """Return the model in evaluation mode: weights that keep the size of the signal, batch norms as after training."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.normal_(module.bias, 0, 0.1)
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        if norm.affine:
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0.1, 0.3)
    if norms:
        with torch.no_grad():
            for _ in range(10):
                model.train()(*inputs)
    for norm in norms:
        norm.running_mean.add_(0.1 * torch.randn_like(norm.running_mean))
        norm.running_var.mul_(0.8 + 0.4 * torch.rand_like(norm.running_var))
    return model.eval()
