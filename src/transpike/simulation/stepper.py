"""Walk a spiking network through time, one step at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from transpike.network import Network
from transpike.network.value import last_uses
from transpike.ops import Input
from transpike.parts import State, Stateful, rows_of


def temporal_nodes(network: Network, changing_inputs: bool = False) -> set[str]:
    """Return the nodes whose value changes from step to step: whatever follows an op that keeps state.

    The rest is static, the same at each step. With `changing_inputs` the inputs are temporal as well.
    """
    temporal: set[str] = set()
    for name, node in network.nodes.items():
        changing = isinstance(node.op, Stateful) or (changing_inputs and isinstance(node.op, Input))
        if changing or any(source in temporal for source in node.inputs):
            temporal.add(name)
    return temporal


def nodes_of_samples(network: Network) -> set[str]:
    """Return the nodes whose value has an entry for each sample: whatever follows an input; the rest are constants."""
    found: set[str] = set()
    for name, node in network.nodes.items():
        if isinstance(node.op, Input) or any(source in found for source in node.inputs):
            found.add(name)
    return found


def laid_out(network: Network) -> Network:
    """Return the network with the weights of 2-d convolutions channels-last, which is faster on CPUs."""

    def change(tensor: Tensor) -> Tensor:
        image = tensor.ndim == 4 and tensor.is_floating_point()  # noqa: PLR2004 - [out, in, height, width]
        return tensor.contiguous(memory_format=torch.channels_last) if image else tensor

    return network.map_ops(lambda node: node.op.map_tensors(change))


class Stepper:
    """The state of a spiking network for one block of samples between two time steps.

    Values that do not change over time are computed once; `step` computes the others. A network with constant inputs
    is stepped by `step()` alone; live data are fed by `step(inputs)`.
    """

    def __init__(self, network: Network, inputs: Sequence[Tensor], first_sample: int = 0, *, live: bool = False) -> None:
        self.network = network
        self.first_sample = first_sample
        self.states: dict[str, State] = {}
        self.sent: dict[str, Tensor] = {}
        temporal = temporal_nodes(network, changing_inputs=live)
        self.order = [name for name in network.nodes if name in temporal]
        self.frees = {
            user: [value for value in values if value in temporal and not isinstance(network.nodes[value].op, Stateful)]
            for user, values in last_uses(network, self.order).items()
        }
        self.inputs = dict(zip(network.inputs, map(channels_last, inputs), strict=True))
        self.static: dict[str, Tensor] = {}
        for name in network.nodes:
            if name not in temporal:
                self.static[name] = self.inputs[name] if name in self.inputs else self.compute(name, self.static)

    def compute(self, name: str, values: dict[str, Tensor]) -> Tensor:
        """Return the value of one node at this step."""
        node = self.network.nodes[name]
        if isinstance(node.op, Input):
            return self.inputs[name]
        sources = [values[source] for source in node.inputs]
        if not isinstance(node.op, Stateful):
            return node.op(*sources)
        if name not in self.states:
            self.states[name] = node.op.start(sources[0], self.first_sample)
        return node.op.step(self.states[name], *sources)

    @torch.inference_mode()
    def step(self, inputs: Sequence[Tensor] | None = None) -> dict[str, Tensor]:
        """Advance by one time step and return the decoded outputs so far, by output key, each [batch, ...]."""
        if inputs is not None:
            self.inputs = dict(zip(self.network.inputs, map(channels_last, inputs), strict=True))
        values = dict(self.static)
        for name in self.order:
            values[name] = self.compute(name, values)
            for done in self.frees.get(name, ()):
                del values[done]
        self.sent = values
        return {key: values[name] for key, name in self.network.outputs.items()}

    @torch.inference_mode()
    def keep(self, rows: Tensor) -> None:
        """Go on with the samples at `rows` [kept] of the batch only."""
        batch = len(next(iter(self.inputs.values())))
        for state in self.states.values():
            state.keep(rows, batch)
        cut = nodes_of_samples(self.network)
        self.inputs = {name: rows_of(value, rows) for name, value in self.inputs.items()}
        self.static = {name: rows_of(value, rows) if name in cut else value for name, value in self.static.items()}


def channels_last(x: Tensor) -> Tensor:
    """Lay images out channels-last."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x.contiguous()  # noqa: PLR2004
