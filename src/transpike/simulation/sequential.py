"""The sequential schedule: each layer listens for a window of T steps and sends in the next.

What a layer sends depends on the sum of what it received alone, so that a window needs no steps: one pass through the network
gives all spike counts, and the spikes of any step follow from them. Only what follows the last neurons is computed step by
step, since the answer forms during the last window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.network import Network
from transpike.network.value import last_uses
from transpike.neurons import EvenFiring, sent_by
from transpike.ops import Input
from transpike.parts import Stateful
from transpike.simulation.stepper import channels_last


@dataclass(frozen=True)
class Windows:
    """One block of samples after all windows: the spikes of every neuron, and what the read-out needs."""

    network: Network
    counts: Mapping[str, Tensor]
    before: Mapping[str, Tensor]
    time_steps: int

    def spikes_by(self, step: int) -> dict[str, Tensor]:
        """Return how many spikes each neuron has sent by `step` of its window [batch, ...], by node."""
        return {name: sent_by(count, step, self.time_steps) for name, count in self.counts.items()}

    def transmitted(self) -> dict[str, Tensor]:
        """Return the sum of what each neuron sent."""
        return {name: count * self.neuron(name).value() for name, count in self.counts.items()}

    def neuron(self, name: str) -> EvenFiring:
        """Return the neurons of a node."""
        op = self.network.nodes[name].op
        assert isinstance(op, EvenFiring)
        return op

    def outputs(self) -> Iterator[dict[str, Tensor]]:
        """Yield the decoded answer after each step of the last window."""
        order = read_out(self.network)
        for step in range(1, self.time_steps + 1):
            values = dict(self.before)
            for name, count in self.counts.items():
                if name in values:
                    values[name] = sent_by(count, step, self.time_steps) * self.neuron(name).value() / step
            for name in order:
                values[name] = mean_value(self.network, name, values)
            yield {key: values[name] for key, name in self.network.outputs.items()}


def run_windows(network: Network, inputs: Sequence[Tensor], time_steps: int) -> Windows:
    """Run one block of samples [batch, ...] through all windows."""
    given = dict(zip(network.inputs, map(channels_last, inputs), strict=True))
    last = set(read_out(network))
    needed = {source for name in last for source in network.nodes[name].inputs} | set(network.outputs.values())
    order = [name for name in network.nodes if name not in last]
    frees = last_uses(network, order)
    values: dict[str, Tensor] = {}
    counts: dict[str, Tensor] = {}
    for name in order:
        op = network.nodes[name].op
        if isinstance(op, Input):
            values[name] = given[name]
        elif isinstance(op, EvenFiring):
            counts[name] = op.spikes_for(values[network.nodes[name].inputs[0]], time_steps)
            values[name] = counts[name] * (op.value() / time_steps)
        else:
            values[name] = mean_value(network, name, values)
        for done in frees.get(name, ()):
            if done not in needed:
                del values[done]
    return Windows(network, counts, values, time_steps)


def read_out(network: Network) -> list[str]:
    """Return the nodes that no neuron follows: what forms the answer during the last window."""
    followed: set[str] = set()
    for name in reversed(list(network.nodes)):
        node = network.nodes[name]
        if isinstance(node.op, EvenFiring) or name in followed:
            followed.update((name, *node.inputs))
    return [name for name in network.nodes if name not in followed]


def mean_value(network: Network, name: str, values: Mapping[str, Tensor]) -> Tensor:
    """Return the mean of a node over its window, given those of its inputs.

    The mean of accumulated maxima is the maximum of the means, and an integrator's is its input: every stateful op but the
    neurons does to means what its analogue does.
    """
    node = network.nodes[name]
    op = node.op.analogue() if isinstance(node.op, Stateful) else node.op
    result: Tensor = op(*[values[source] for source in node.inputs])
    return result


def even_trains(count: Tensor, time_steps: int) -> Tensor:
    """Return the spike trains [time, batch, ...] of neurons that send `count` spikes evenly over a window."""
    sent = torch.stack([sent_by(count, step, time_steps) for step in range(time_steps + 1)])
    return sent.diff(dim=0) != 0
