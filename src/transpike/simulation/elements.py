"""Run a spiking network over sequences that come element by element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from transpike.errors import ArgumentError
from transpike.network import Network
from transpike.network.elementwise import of_one_element
from transpike.network.loops import membership
from transpike.network.turns import sequential
from transpike.neurons import Windowed
from transpike.parts import Stateful
from transpike.simulation.sequential import FAR, run_windows
from transpike.simulation.stepper import Stepper


class Elements:
    """The state of a spiking network between two elements of a sequence, each of which takes a window of `time_steps`.

    `left` is what the last element left for the next, for each step of its window (one entry where layers take turns, since a
    message stands for a window): it has one size, however long the sequence.
    """

    def __init__(self, network: Network, time_steps: int) -> None:
        self.one = of_one_element(network)
        check_neurons(self.one.network, self.one.axes, self.one.sizes)
        self.inputs = self.one.inputs
        self.inside = frozenset(membership(network))
        self.time_steps = time_steps
        self.windowed = sequential(network)
        self.reset()

    def reset(self) -> None:
        """Forget all elements so far."""
        self.left: list[Mapping[str, Tensor]] = []
        self.spikes: dict[str, Tensor] = {}
        self.fed = 0

    @torch.inference_mode()
    def feed(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the decoded outputs by key, as for a sequence that ends with the element `inputs` [batch, ...].

        `spikes` then has how many spikes each neuron sent in the window of this element [batch, ...], by node.
        """
        placed = [self.placed(name, tensor) for name, tensor in zip(self.inputs, inputs, strict=True)]
        values, spikes = self.pass_windows(placed) if self.windowed else self.walk(placed)
        self.fed += 1
        self.spikes = {name: self.element(name, count) for name, count in spikes.items()}
        found = {key: self.element(name, values[key]) for key, name in self.one.network.outputs.items()}
        return {key: value.expand(len(inputs[0]), *value.shape[1:]) for key, value in found.items()}

    def element(self, name: str, value: Tensor) -> Tensor:
        """Return what a node has of the present element [batch, ...]: of a sequence, or of what a loop counts for each one."""
        axis = 0 if name in self.inside else self.one.axes.get(name)
        return value if axis is None else value.select(axis + 1, 0)

    def placed(self, name: str, tensor: Tensor) -> Tensor:
        """Return one element of an input as the sequence that the network takes; of lengths, what is left of them."""
        tensor = tensor.to(self.one.network.device)
        if name in self.one.lengths:
            return tensor - self.fed
        axis = self.one.axes.get(name)
        return tensor if axis is None else tensor.unsqueeze(axis + 1)

    def pass_windows(self, inputs: Sequence[Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return outputs and spikes where layers take turns."""
        before = self.left[0] if self.left else None
        windows = run_windows(self.one.network, inputs, self.time_steps, self.fed * FAR, before)
        self.left = [windows.left]
        answer = windows.after(range(self.time_steps, self.time_steps + 1))
        return answer, windows.spikes_by()

    def walk(self, inputs: Sequence[Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return outputs and spikes where all layers fire at every step: each step begins with the same step before."""
        stepper = Stepper(self.one.network, inputs, self.fed * FAR, begin_with=self.left[0] if self.left else None)
        left: list[Mapping[str, Tensor]] = []
        for step in range(self.time_steps):
            stepper.begin_with = self.left[step] if self.left else None
            answer = stepper.step()
            left.append({name: value.clone() for name, value in stepper.left.items()})
        self.left = left
        return answer, {name: state.count for name, state in stepper.states.items() if state.count is not None}


def check_neurons(network: Network, axes: Mapping[str, int], sizes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ArgumentError for neurons before or behind loops that are not the same for all elements of a sequence."""
    for name in axes:
        node = network.nodes[name]
        if not isinstance(node.op, Stateful):
            continue
        blanks = [torch.zeros((1, *sizes[source]), dtype=network.dtype, device=network.device) for source in node.inputs]
        try:
            fits = tuple(sent(node.op, blanks).shape[1:]) == sizes[name]
        except RuntimeError:
            fits = False
        if not fits:
            raise ArgumentError(
                f"The neurons of {name!r}, outside the recurrent layers, differ from element to element of the sequence, as "
                "thresholds per channel do there: convert with recipe population-quantile, few-spike or binary-value, or "
                "simulate whole sequences."
            )


def sent(op: Stateful, inputs: list[Tensor]) -> Tensor:
    """Return what an op with a state sends in its first step."""
    if isinstance(op, Windowed):
        return op.sent(inputs[0], op.own_window or 1)[1]
    return op.step(op.start(inputs[0]), *inputs)
