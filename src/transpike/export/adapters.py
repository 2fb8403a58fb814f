"""Networks of other frameworks, made from ours so that every spike is the same: what their own loaders of NIR get wrong.

sinabs lets a neuron send several spikes per step and stops its potential at -threshold; norse resets to 0; snnTorch leaks. Here
each gets neurons that add, fire at 1, and give back 1.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from transpike.errors import ExportError, MissingExtraError
from transpike.export.portable import Portable
from transpike.export.reading import load_nir
from transpike.network import Network
from transpike.neurons import IntegrateAndFire, Neuron, ResetToZero
from transpike.ops import AveragePool, Convolution, Input, Linear, Reshape
from transpike.parts import Decoder

BELOW = float(np.nextafter(np.float32(1), np.float32(0)))  # v > BELOW is v >= 1 in float32


def framework(module: str) -> Any:
    """Return a module of another framework, or raise MissingExtraError."""
    package = module.split(".", maxsplit=1)[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"The adapter for {package} needs the package {package} ({error}): pip install {package}, with your torch in a "
            "constraints file, since some of what it depends on replaces torch."
        ) from None


def chain_of(source: Network | str | Path, profile: Portable | None) -> Network:
    """Return the chain of a converted network, or that in a NIR file."""
    if isinstance(source, Network):
        return (profile or Portable()).form(source).network
    network = load_nir(source)
    for node in network.nodes.values():
        first = isinstance(node.op, Neuron) and bool(node.op.initial.any())
        if len(node.inputs) > 1 or any(len(users) > 1 for users in network.users.values()) or first:
            raise ExportError(f"{source} is no chain of layers from potential 0 ({node.name!r}): export it as Portable().")
    return network


def modules_of(network: Network, neurons: Callable[[Neuron], nn.Module]) -> list[nn.Module]:
    """Return the torch modules of a chain; `neurons` makes those that fire."""
    found: list[nn.Module] = []
    for node in network.nodes.values():
        op = node.op
        if isinstance(op, Input | Decoder):
            continue
        if isinstance(op, Convolution):
            found.append(convolution(op))
        elif isinstance(op, Linear):
            found.append(linear(op))
        elif isinstance(op, Reshape):
            found.append(nn.Flatten())
        elif isinstance(op, AveragePool):
            found.append(Pool(op))
        elif isinstance(op, IntegrateAndFire) and bool((op.threshold == 1).all()):
            found.append(neurons(op))
        else:
            raise ExportError(f"{type(op).__name__} {node.name!r} has no counterpart in the adapters: export it as Portable().")
    return found


class Pool(nn.Module):
    """A pool as a module."""

    def __init__(self, op: AveragePool) -> None:
        super().__init__()
        self.op = op

    def forward(self, x: Tensor) -> Tensor:
        """Return the sums or means over windows."""
        return self.op(x)


def convolution(op: Convolution) -> nn.Module:
    """Return a convolution as a module."""
    outputs, inputs = op.weight.shape[0], op.weight.shape[1] * op.groups
    sizes = (op.weight.shape[2:], op.stride, op.padding, op.dilation, op.groups)
    module = nn.Conv2d(inputs, outputs, *sizes, bias=op.bias is not None)  # type: ignore[arg-type]
    return filled(module, op.weight, op.bias)


def linear(op: Linear) -> nn.Module:
    """Return a fully connected layer as a module."""
    return filled(nn.Linear(op.weight.shape[1], op.weight.shape[0], bias=op.bias is not None), op.weight, op.bias)


def filled(module: nn.Module, weight: Tensor, bias: Tensor | None) -> nn.Module:
    """Return a module with these weights."""
    tensors = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    module.load_state_dict(tensors)
    return module.requires_grad_(requires_grad=False)


def to_sinabs(source: Network | str | Path, *, batch_size: int, profile: Portable | None = None) -> nn.Module:
    """Return a converted network, or the portable NIR file of one, as a sinabs network that sends the same spikes.

    It takes the stimulus of the export as [batch * time, ...] with time running faster, and gives the currents of the outputs
    alike. Needs the package sinabs; raises ExportError for what is no chain of layers.
    """
    layers = framework("sinabs.layers")
    activation = framework("sinabs.activation")

    def neurons(op: Neuron) -> nn.Module:
        reset = activation.MembraneReset() if isinstance(op, ResetToZero) else activation.MembraneSubtract(1.0)
        module: nn.Module = layers.IAFSqueeze(
            spike_threshold=torch.tensor(1.0), spike_fn=activation.SingleSpike, reset_fn=reset, batch_size=batch_size
        )
        return module

    return nn.Sequential(*modules_of(chain_of(source, profile), neurons))


def to_norse(source: Network | str | Path, *, profile: Portable | None = None) -> nn.Module:
    """Return a converted network, or the portable NIR file of one, as a norse network that sends the same spikes.

    It is called once per time step with (stimulus [batch, ...], state), None at first, and returns (currents, state). Needs
    the package norse; raises ExportError for what is no chain of layers.
    """
    norse = framework("norse.torch")
    iaf = framework("norse.torch.functional.iaf")
    parameters = iaf.IAFParameters(v_th=torch.tensor(BELOW))

    def subtracting(x: Tensor, state: Any, p: Any, dt: float) -> tuple[Tensor, Any]:  # noqa: ARG001 - norse's signature
        potential = state.v + x
        spikes = iaf.threshold(potential - p.v_th, p.method, p.alpha)
        return spikes, iaf.IAFFeedForwardState(v=potential - spikes)

    def neurons(op: Neuron) -> nn.Module:
        cell: nn.Module = norse.IAFCell(parameters)
        if not isinstance(op, ResetToZero):
            cell.activation = subtracting  # type: ignore[assignment]
        return cell

    module: nn.Module = norse.SequentialState(*modules_of(chain_of(source, profile), neurons))
    return module


def to_snntorch(source: Network | str | Path, *, profile: Portable | None = None) -> nn.Module:
    """Return a converted network, or the portable NIR file of one, as an snnTorch network that sends the same spikes.

    It is called once per time step with the stimulus [batch, ...] and returns the currents of the outputs; its neurons keep
    their potentials (`snntorch.utils.reset` forgets them). Needs the package snntorch; raises ExportError for what is no
    chain of layers.
    """
    snntorch = framework("snntorch")

    class Exact(snntorch.Leaky):  # type: ignore[name-defined]
        """A neuron of snnTorch that does not leak and gives back 1 at once: its own takes the threshold a step too late."""

        mem: Tensor

        def forward(self, input_: Tensor) -> Tensor:
            before = self.mem
            potential = input_ + before if before.shape == input_.shape else input_
            spikes: Tensor = self.fire(potential)
            self.mem = potential * (1 - spikes) if self.reset_mechanism == "zero" else potential - spikes
            return spikes

    def neurons(op: Neuron) -> nn.Module:
        reset = "zero" if isinstance(op, ResetToZero) else "subtract"
        module: nn.Module = Exact(beta=1.0, threshold=BELOW, init_hidden=True, reset_mechanism=reset)
        return module

    return nn.Sequential(*modules_of(chain_of(source, profile), neurons))
