"""Synaptic operations as three other programs count them, on the same network and the same spikes.

    python benchmarks/counters.py [--images 8] [--steps 16]

A CNN with padding and strides on MNIST (random weights; none is 0, or a fifth) is converted and simulated here. Its spikes are
then played through a torch model of the same layers, whose inputs sinabs (hooks), NeuroBench (SynapticOperations) and
SpikingJelly (SynOpCounter) count. The first layer reads an image, not spikes: what each makes of it stands in a column.
SpikingJelly also counts the network that its own converter makes of the model, against what is not 0 there.

Measured with sinabs 3.1.3, neurobench 2.3.0, spikingjelly 2.0.0. They are in no extra, since they ask for other versions of
what is here: pip install --no-deps sinabs==3.1.3 neurobench==2.3.0 spikingjelly==2.0.0 snntorch==1.0.0 nirtorch==2.6 loguru.
What is absent is named and left out. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import transpike as tp
from datasets import mnist
from tables import keep, show
from transpike.analysis.operations import count_work
from transpike.neurons import Neuron


def cnn(zeros: float) -> nn.Sequential:
    """Two convolutions (padding; stride and padding) and two linear layers, a share of whose weights is 0."""
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.ReLU()]
    model = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(12 * 196, 32), nn.ReLU(), nn.Linear(32, 10)).eval()
    with torch.no_grad():
        for part in model:
            if isinstance(part, nn.Conv2d | nn.Linear):
                part.weight[torch.rand_like(part.weight) < zeros] = 0
    return model


class Played(nn.Module):
    """In the place of neurons: the spikes [time * batch, ...] that they sent, whatever comes in."""

    def __init__(self, spikes: Tensor) -> None:
        super().__init__()
        self.spikes = spikes

    def forward(self, _: Tensor) -> Tensor:
        return self.spikes


def playing(model: nn.Sequential, trains: Sequence[Tensor], height: float = 1.0) -> nn.Sequential:
    """The model with recorded spikes of one height in the place of its activations."""
    left = iter(trains)
    return nn.Sequential(*[Played(next(left).float() * height) if isinstance(part, nn.ReLU) else part for part in model])


def inputs_of(model: nn.Module, x: Tensor) -> list[tuple[nn.Module, Tensor]]:
    """What each layer with weights reads."""
    found: list[tuple[nn.Module, Tensor]] = []
    layers = [part for part in model.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    hooks = [one.register_forward_pre_hook(lambda part, given: found.append((part, given[0].detach()))) for one in layers]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return found


def met(layer: nn.Module, x: Tensor) -> float:
    """Over how many weights that are not 0 the inputs that are not 0 arrive: counted here, apart from the package."""
    spikes, weight = (x != 0).double(), (layer.weight != 0).double()
    if isinstance(layer, nn.Conv2d):
        return float(F.conv2d(spikes, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups).sum())
    return float((spikes @ weight.T).sum())


def by_sinabs(model: nn.Sequential, x: Tensor) -> tuple[float, float]:
    from sinabs.hooks import register_synops_hooks

    for part in model:
        part.__dict__.pop("hook_data", None)
    register_synops_hooks(model)
    with torch.no_grad():
        model(x)
    layers = [part for part in model if isinstance(part, nn.Conv2d | nn.Linear)]
    counts = [float(part.hook_data["layer_synops_per_timestep"]) * len(x) for part in layers]
    return counts[0], sum(counts[1:])


def by_neurobench(model: nn.Sequential, x: Tensor) -> tuple[float, float]:
    from neurobench.metrics.workload import SynapticOperations
    from neurobench.models import TorchModel

    wrapped, metric = TorchModel(model), SynapticOperations()
    wrapped.register_hooks() if hasattr(wrapped, "register_hooks") else metric_hooks(wrapped)
    with torch.no_grad():
        wrapped(x)
    found = metric(wrapped, None, (x, None))
    return found["Effective_MACs"] * len(x), found["Effective_ACs"] * len(x)


def metric_hooks(wrapped: object) -> None:
    """Let NeuroBench's model watch its layers, as its benchmark does."""
    from neurobench.hooks.layer import LayerHook

    wrapped.connection_hooks = [LayerHook(layer) for layer in wrapped.connection_layers()]


def by_spikingjelly(model: nn.Module, x: Tensor) -> tuple[float, float]:
    """What its counter gives for the whole model; it takes no note of the first layer."""
    from spikingjelly.activation_based.op_counter import DispatchCounterMode, SynOpCounter

    counter = SynOpCounter()
    with torch.no_grad(), DispatchCounterMode([counter]):
        model(x)
    return float("nan"), float(counter.get_total())


def converted_by_spikingjelly(model: nn.Sequential, calibration: Tensor) -> nn.Module:
    from spikingjelly.activation_based import ann2snn, functional

    loader = [(part, part) for part in calibration.split(64)]
    network = ann2snn.Converter(ann2snn.RateCodingRecipe(loader, mode="99.9%")).convert(model)
    functional.reset_net(network)
    return network.eval()


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def run(images: int, steps: int, zeros: float) -> tuple[list[dict], dict[str, str | None]]:
    model, calibration, x = cnn(zeros), mnist("train", 400)[0], mnist("t10k", images)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = tp.convert(model, calibration)
    names = [node.name for node in network.having(Neuron)]
    report = tp.evaluate(model, network, x, steps)
    trains = [one.flatten(0, 1) for one in tp.simulate(network, x, steps, record=tp.Record(spikes=names)).spikes.values()]
    repeated = x.repeat(steps, 1, 1, 1)
    layers = inputs_of(playing(model, trains), repeated)
    ours = report.final.synaptic_operations * images
    rows = [
        row("Transpike", 1, count_work(network).static_macs * images, ours, ours, "image: once per sample, pixels of 0 too"),
        row("counted here, x != 0 over w != 0", 1, met(*layers[0]), sum(met(*one) for one in layers[1:]), ours, "each step"),
    ]
    versions = {name: installed(name) for name in ("sinabs", "neurobench", "spikingjelly")}
    whole, tall = (playing(model, trains, height) for height in (1.0, 0.37))
    dense = sum(met(layer, torch.ones_like(given)) for layer, given in layers[1:])
    tries: list[tuple[str, str, float, Callable[[], tuple[float, float]], str]] = [
        ("sinabs", "sinabs", 1, lambda: by_sinabs(whole, repeated), "sums of pixels; weights of 0 count"),
        ("neurobench", "NeuroBench", 1, lambda: by_neurobench(whole, repeated), "MACs: pixels that are not 0, each step"),
        ("spikingjelly", "SpikingJelly", 1, lambda: by_spikingjelly(whole, repeated), ""),
        ("neurobench", "NeuroBench", 0.37, lambda: by_neurobench(tall, repeated), "ACs become MACs"),
        ("spikingjelly", "SpikingJelly", 0.37, lambda: by_spikingjelly(tall, repeated), "spikes of that height are none to it"),
    ]
    for package, name, height, count, why in tries:
        if versions[package] is not None:
            rows.append(row(name, height, *count(), ours, why))
    if versions["sinabs"] is not None and zeros > 0:
        full = sum(met_with_zeros(layer, given) for layer, given in layers[1:])
        rows.append(row("counted here, weights of 0 too", 1, float("nan"), full, ours, "what sinabs and SpikingJelly count"))
    rows.append(row("all inputs were spikes", 1, float("nan"), dense, ours, ""))
    if versions["spikingjelly"] is not None and zeros == 0:
        rows += own_network(model, calibration, x, steps)
    return [{"weights at 0": f"{100 * zeros:g} %"} | one for one in rows], versions


def met_with_zeros(layer: nn.Module, x: Tensor) -> float:
    """As `met`, with weights of 0 counted too."""
    filled = type(layer)(**arguments(layer)).eval()
    return met(filled, x)


def arguments(layer: nn.Module) -> dict:
    """The settings of a layer, for one of the same size with weights that are all other than 0."""
    if isinstance(layer, nn.Linear):
        return {"in_features": layer.in_features, "out_features": layer.out_features}
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
    return {name: getattr(layer, name) for name in names}


def own_network(model: nn.Sequential, calibration: Tensor, x: Tensor, steps: int) -> list[dict]:
    """SpikingJelly's own conversion of the model: its counter, and what is not 0."""
    from spikingjelly.activation_based import functional

    network = converted_by_spikingjelly(model, calibration)
    layers = [one for _ in range(steps) for one in inputs_of(network, x)]
    first = layers[0][0]
    true = sum(met_with_zeros(*one) for one in layers if one[0] is not first)
    heights = sorted({round(float(v), 3) for layer, given in layers if layer is not first for v in given.unique() if v != 0})
    functional.reset_net(network)
    counted = sum(by_spikingjelly(network, x)[1] for _ in range(steps))
    words = f"its spikes have heights {', '.join(map(str, heights))}"
    return [
        row("SpikingJelly's own network, its counter", "", float("nan"), counted, true, words),
        row("the same, x != 0, weights of 0 too", "", float("nan"), true, true, ""),
    ]


def row(name: str, height: float | str, first: float, others: float, expected: float, why: str) -> dict:
    ratio = others / expected if expected else float("nan")
    line = {"counted by": name, "height of spikes": height, "first layer": "-" if math.isnan(first) else f"{first:,.0f}"}
    return line | {"from spikes": f"{others:,.0f}", "of the true count": f"{ratio:.4f}", "remarks": why}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--steps", type=int, default=16)
    given = parser.parse_args()
    found, versions = run(given.images, given.steps, 0.0)
    found += run(given.images, given.steps, 0.2)[0]
    for name in (name for name, one in versions.items() if one is None):
        print(f"Left out: {name} is not installed.")
    show(f"Synaptic operations, {given.images} images, {given.steps} steps, {versions}", found)
    keep("counters", {"images": given.images, "steps": given.steps, "versions": versions, "rows": found})
