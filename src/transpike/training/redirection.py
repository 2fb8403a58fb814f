"""Lead the calls of an activation function inside a module to activations that the module holds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from transpike.errors import ArgumentError

SITES = "activation_sites"
IN_PLACE = (torch.relu_, Tensor.relu_)
RELU = (F.relu, torch.relu, Tensor.relu, *IN_PLACE)
CLIPPED = (F.relu6, F.hardtanh)
AVERAGES: dict[Callable[..., Any], Callable[..., Any]] = {
    F.max_pool1d: F.avg_pool1d,
    F.max_pool2d: F.avg_pool2d,
    F.max_pool3d: F.avg_pool3d,
    torch.max_pool1d: F.avg_pool1d,
    torch.max_pool2d: F.avg_pool2d,
    torch.max_pool3d: F.avg_pool3d,
}
ADAPTIVE_AVERAGES: dict[Callable[..., Any], Callable[..., Any]] = {
    F.adaptive_max_pool1d: F.adaptive_avg_pool1d,
    F.adaptive_max_pool2d: F.adaptive_avg_pool2d,
    F.adaptive_max_pool3d: F.adaptive_avg_pool3d,
}


def rectifies(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call is a ReLU, or a clip that starts at 0."""
    if function is F.hardtanh:
        return (args[1] if len(args) > 1 else kwargs.get("min_val", -1.0)) == 0
    return function in RELU or function in CLIPPED


def works_in_place(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call that rectifies changes its input."""
    position = 3 if function is F.hardtanh else 1
    return function in IN_PLACE or bool(args[position] if len(args) > position else kwargs.get("inplace", False))


def averaged(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """Return the average pool in place of a call of a max-pool; None for any other call."""
    if function in ADAPTIVE_AVERAGES:
        sizes = {name: value for name, value in kwargs.items() if name != "return_indices"}
        adapted: Tensor = ADAPTIVE_AVERAGES[function](*args[:2], **sizes)
        return adapted
    if function not in AVERAGES:
        return None
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    given = dict(zip(names, args[1:], strict=False)) | {name: kwargs[name] for name in names if name in kwargs}
    dilation = given.pop("dilation", 1)
    if any(step != 1 for step in (dilation if isinstance(dilation, tuple | list) else (dilation,))):
        raise ArgumentError("A dilated max-pool has no average pool in its place: leave average_pool=False.")
    x = args[0] if args else kwargs["input"]
    pooled: Tensor = AVERAGES[function](x, **given, count_include_pad=False)
    return pooled


class Sites(nn.ModuleList):
    """The activations of one module, in the order of their calls in its forward."""

    def __init__(self, activations: list[nn.Module], place: str, *, average_pool: bool) -> None:
        super().__init__(activations)
        self.place = place
        self.average_pool = average_pool


class Redirect(TorchFunctionMode):
    """While active, the n-th call that rectifies runs the n-th activation of `sites` instead."""

    def __init__(self, sites: Sites) -> None:
        super().__init__()
        self.sites = sites
        self.calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if rectifies(func, args, kwargs):
            return self.activation()(args[0] if args else kwargs["input"])
        if self.sites.average_pool and (pooled := averaged(func, args, kwargs)) is not None:
            return pooled
        return func(*args, **kwargs)

    def activation(self) -> nn.Module:
        """Return the activation of the next call."""
        self.calls += 1
        if self.calls > len(self.sites):
            raise ArgumentError(
                f"{self.sites.place} of your model calls more activations than on the samples that it was prepared with "
                f"({len(self.sites)}): its control flow changed. Prepare it with samples that take this way."
            )
        return self.sites[self.calls - 1]


def redirect(module: nn.Module, sites: Sites) -> None:
    """Let the forward of `module` run with its activations led to `sites`, which become part of it."""
    kind = type(module)

    @functools.wraps(kind.forward)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        with Redirect(getattr(self, SITES)):
            return kind.forward(self, *args, **kwargs)

    module.add_module(SITES, sites)
    module.__class__ = type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})
