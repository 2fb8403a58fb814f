"""Replace the activations of a model by trainable ones that can be converted as they are, without rewriting the model."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from transpike.calibration import Histogram
from transpike.capture import count_inputs
from transpike.conversion import convert
from transpike.data import Batch, batches
from transpike.errors import ArgumentError, DataError
from transpike.passes import Percentile
from transpike.training.activation import Activation
from transpike.training.redirection import Sites, averaged, rectifies, redirect, works_in_place

PLAIN = (nn.ReLU, nn.ReLU6, nn.Hardtanh)  # modules that only call the function
INITIAL = Percentile(99.9)


@dataclass
class Site:
    """A call of an activation: the n-th one while `owner` runs, perhaps through the module `through`."""

    owner: nn.Module
    through: nn.Module | None
    inplace: bool
    values: Histogram = field(default_factory=lambda: Histogram(1))


def prepare(
    model: nn.Module,
    samples: Any,
    activation: Activation,
    *,
    threshold: float | Percentile = INITIAL,
    average_pool: bool = False,
) -> nn.Module:
    """Return a copy of `model` in which each ReLU has become an `activation` with a threshold of its own.

    Modules (ReLU, ReLU6, Hardtanh from 0) and functions (F.relu, torch.relu, x.relu_() and the like) are replaced, each place
    that calls one by itself, also where several places share a module; weights that are shared share their activations.
    `threshold` is the initial lambda of all, or a rule that takes it from the activations on `samples` [n, ...]: percentile
    99.9 by default. `average_pool` replaces max-pools by average pools of the same windows, as Bu et al. 2022 do. The names
    of the weights stay; `model` is not changed. Keep the state dict of the copy, not the copy itself: preparing again gives the
    model to load it into. The copy is converted once, so that what cannot be converted is refused before it is trained: raises
    ArgumentError, DataError, CaptureError or ConversionError.

    >>> from transpike.training import QCFS
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> prepare(model, torch.rand(64, 4), QCFS(levels=4), threshold=2.0)[1]
    QCFS(levels=4, threshold=2, shift=0.5)
    """
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"A model must be a torch.nn.Module, not {type(model).__name__}.")
    if not isinstance(activation, Activation):
        raise ArgumentError(f"activation must be QCFS(...) or another activation, not {type(activation).__name__}.")
    if any(isinstance(module, Activation) for module in model.modules()):
        raise ArgumentError("The model has been prepared already: prepare the original one, or train this one.")
    modes = {name: module.training for name, module in model.named_modules()}
    prepared = copy.deepcopy(model).eval()
    unshare(prepared)
    sites = watch(prepared, samples, average_pool, whole=not isinstance(threshold, int | float))
    install(prepared, sites, activations(sites, activation, threshold), average_pool=average_pool)
    convert(prepared.eval(), tuple(on_device(prepared, first(samples, prepared))), "qcfs")
    for name, module in prepared.named_modules():
        module.training = modes.get(name, model.training)
    return prepared


def unshare(model: nn.Module) -> None:
    """Give each place of a Sequential its own plain activation: they hold no weights, so nothing changes."""
    for module in model.modules():
        if isinstance(module, nn.Sequential):
            for name, child in module._modules.items():  # noqa: SLF001 - named_children names a shared child once
                module._modules[name] = copy.deepcopy(child) if type(child) in PLAIN else child  # noqa: SLF001


class Watch(TorchFunctionMode):
    """Records which module is running, and each call of an activation in it with the values that it gives."""

    def __init__(self, model: nn.Module, *, average_pool: bool) -> None:
        super().__init__()
        self.model = model
        self.average_pool = average_pool
        self.running: list[list[Any]] = []  # module, calls so far
        self.through: list[nn.Module] = []
        self.sites: dict[tuple[int, int], Site] = {}
        self.pooling: dict[int, nn.Module] = {}

    def enter(self, module: nn.Module, _: Any) -> None:
        """Note that a module starts."""
        self.running.append([module, 0])

    def leave(self, *_: Any) -> None:
        """Note that a module has run."""
        self.running.pop()

    def enter_plain(self, module: nn.Module, _: Any) -> None:
        """Note that a module starts that only calls an activation: the call belongs to the module around it."""
        self.through.append(module)

    def leave_plain(self, *_: Any) -> None:
        """Note that it has run."""
        self.through.pop()

    def run(self, batch: Batch) -> None:
        """Run the model on one batch and watch it. Raises DataError if it cannot run."""
        hooks: list[Any] = []
        for module in self.model.modules():
            plain = type(module) in PLAIN and module is not self.model
            hooks.append(module.register_forward_pre_hook(self.enter_plain if plain else self.enter))
            hooks.append(module.register_forward_hook(self.leave_plain if plain else self.leave, always_call=True))
        inputs = on_device(self.model, batch)
        try:
            with torch.no_grad(), self:
                self.model(*inputs)
        except (RuntimeError, TypeError, IndexError) as error:
            raise DataError(f"The model cannot run on the samples: {str(error).splitlines()[0]}") from error
        finally:
            for hook in hooks:
                hook.remove()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        owner = self.running[-1]
        if self.average_pool and (pooled := averaged(func, args, kwargs)) is not None:
            self.pooling[id(owner[0])] = owner[0]
            return pooled
        result = func(*args, **kwargs)
        if rectifies(func, args, kwargs):
            owner[1] += 1
            through = self.through[-1] if self.through else None
            new = Site(owner[0], through, works_in_place(func, args, kwargs))
            site = self.sites.setdefault((id(owner[0]), owner[1]), new)
            site.values.add(result.detach().flatten()[None])
        return result


def watch(model: nn.Module, samples: Any, average_pool: bool, *, whole: bool) -> Watch:
    """Run `model` on its samples, or on the first batch, and return what was seen."""
    found, seen = Watch(model, average_pool=average_pool), 0
    for batch in batches(samples, count_inputs(model), "samples"):
        if len(batch):
            seen += len(batch)
            found.run(batch)
            if not whole:
                break
    if not seen:
        raise DataError("The samples are empty: give at least one, better a few hundred.")
    if not found.sites:
        raise ArgumentError(
            "The model calls no ReLU on the samples, so there is nothing to prepare. Replace other activations by ReLU first."
        )
    return found


def on_device(model: nn.Module, batch: Batch) -> list[torch.Tensor]:
    """Return the inputs of a batch where the weights of the model are."""
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    return [tensor.to(device) for tensor in batch.inputs]


def first(samples: Any, model: nn.Module) -> Batch:
    """Return the first batch that is not empty."""
    return next(batch for batch in batches(samples, count_inputs(model), "samples") if len(batch))


def activations(seen: Watch, activation: Activation, threshold: float | Percentile) -> list[Activation]:
    """Return the activation of each site; one that never was active gets the median threshold."""
    sites = list(seen.sites.values())
    if isinstance(threshold, int | float):
        values = torch.full((len(sites),), float(threshold), dtype=torch.float64)
    else:
        values = torch.cat([threshold(site.values) for site in sites])
        alive = values[values > 0]
        values = torch.where(values > 0, values, alive.median() if len(alive) else 1.0)
    like = next(seen.model.parameters(), torch.zeros(()))
    made = [activation.with_threshold(float(v), inplace=s.inplace) for v, s in zip(values, sites, strict=True)]
    return [one.to(like.device, like.dtype) for one in made]


def install(model: nn.Module, seen: Watch, made: list[Activation], *, average_pool: bool) -> None:
    """Put each activation where its site is: for a module that is called in one place only, else into its owner."""
    sites = list(seen.sites.values())
    uses: dict[int, int] = {}
    for site in sites:
        uses[id(site.through)] = uses.get(id(site.through), 0) + 1
    kept: dict[int, list[nn.Module]] = {key: [] for key in seen.pooling}
    owners = dict(seen.pooling)
    for site, activation in zip(sites, made, strict=True):
        if site.through is not None and uses[id(site.through)] == 1:
            exchange(model, site.through, activation)
        else:
            kept.setdefault(id(site.owner), []).append(activation)
            owners[id(site.owner)] = site.owner
    names = {id(module): name for name, module in model.named_modules()}
    for key, owner in owners.items():
        place = repr(names[key]) if names[key] else "The forward"
        if isinstance(owner, nn.Sequential):
            raise ArgumentError(f"{place} of your model is a Sequential that calls functions itself: make it a Module.")
        redirect(owner, Sites(kept[key], place, average_pool=average_pool))


def exchange(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put `new` in place of a module wherever it is registered."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):  # noqa: SLF001 - a module may be registered under two names
            if child is old:
                parent._modules[name] = new  # noqa: SLF001
