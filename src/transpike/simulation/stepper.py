"""Walk a spiking network through time, one step at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from transpike.network import Network
from transpike.network.grammar import temporal_nodes
from transpike.network.loops import Loop, nodes_of, run_loop, schedule
from transpike.network.value import last_uses
from transpike.ops import Input
from transpike.parts import State, Stateful, rows_of


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


class ElementStates(State):
    """The states of an op in a loop, one for each element: a window of each element is a run of its own."""

    def __init__(self) -> None:
        self.each: dict[int, State] = {}

    def keep(self, rows: Tensor, batch: int) -> None:
        for state in self.each.values():
            state.keep(rows, batch)

    @property
    def count(self) -> Tensor | None:  # type: ignore[override]
        return self.beside([state.count for _, state in sorted(self.each.items())])

    @property
    def potential(self) -> Tensor | None:  # type: ignore[override]
        return self.beside([state.potential for _, state in sorted(self.each.items())])

    def transmitted(self) -> Tensor | None:
        return self.beside([state.transmitted() for _, state in sorted(self.each.items())])

    def beside(self, each: list[Tensor | None]) -> Tensor | None:
        """Return values [batch, ...] of each element as [batch, elements, ...], if there are any."""
        known = [value for value in each if value is not None]
        return torch.stack(known, 1) if known else None


class Stepper:
    """The state of a spiking network for one block of samples between two time steps.

    Values that do not change over time are computed once; `step` computes the others. A network with constant inputs
    is stepped by `step()` alone; live data are fed by `step(inputs)`. `begin_with` is what loops begin with at the
    next step, where earlier elements left something, and `left` what they left at the last one, by `Previous` node.
    """

    def __init__(
        self,
        network: Network,
        inputs: Sequence[Tensor],
        first_sample: int = 0,
        *,
        live: bool = False,
        begin_with: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.network = network
        self.first_sample = first_sample
        self.begin_with = begin_with
        self.left: dict[str, Tensor] = {}
        self.states: dict[str, State] = {}
        self.sent: dict[str, Tensor] = {}
        temporal = temporal_nodes(network, changing_inputs=live)
        self.order = schedule(network, temporal)
        self.frees = {
            user: [value for value in values if value in temporal and not isinstance(network.nodes[value].op, Stateful)]
            for user, values in last_uses(network, [name for item in self.order for name in nodes_of(item)]).items()
        }
        self.inputs = dict(zip(network.inputs, map(channels_last, inputs), strict=True))
        self.static: dict[str, Tensor] = {}
        for item in schedule(network, network.nodes.keys() - temporal):
            self.static |= self.computed(item, self.static)

    def computed(self, item: str | Loop, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the values at this step of a node, or of what is collected and sent in a loop."""
        if isinstance(item, str):
            return {item: self.compute(item, values)}
        sending = [name for name in item.nodes if isinstance(self.network.nodes[name].op, Stateful)]
        found, states = run_loop(self.network, item, values, self.compute_inside, sending, self.begin_with)
        self.left |= states
        return found

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

    def compute_inside(self, name: str, values: dict[str, Tensor], element: int) -> Tensor:
        """Return the value at this step of one node of a loop for one element, whose states are its own."""
        op = self.network.nodes[name].op
        sources = [values[source] for source in self.network.nodes[name].inputs]
        if not isinstance(op, Stateful):
            return op(*sources)
        states = self.states.setdefault(name, ElementStates())
        assert isinstance(states, ElementStates)
        if element not in states.each:
            states.each[element] = op.start(batched(sources), self.first_sample)
        return op.step(states.each[element], *sources)

    @torch.inference_mode()
    def step(self, inputs: Sequence[Tensor] | None = None) -> dict[str, Tensor]:
        """Advance by one time step and return the decoded outputs so far, by output key, each [batch, ...]."""
        if inputs is not None:
            self.inputs = dict(zip(self.network.inputs, map(channels_last, inputs), strict=True))
        values = dict(self.static)
        for item in self.order:
            values |= self.computed(item, values)
            for name in nodes_of(item):
                for done in self.frees.get(name, ()):
                    values.pop(done, None)
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


def batched(sources: list[Tensor]) -> Tensor:
    """Return the first of some values that broadcast along the batch [batch, ...], for all samples."""
    batch = max(len(value) for value in sources)
    return sources[0] if len(sources[0]) == batch else sources[0].expand(batch, *sources[0].shape[1:])


def channels_last(x: Tensor) -> Tensor:
    """Lay images out channels-last."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x.contiguous()  # noqa: PLR2004
