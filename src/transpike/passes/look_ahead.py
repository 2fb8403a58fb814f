"""Let each layer listen for some steps before it fires, and fire for what it expects."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from transpike.calibration import Samples
from transpike.errors import ArgumentError, ConversionError, positive_whole
from transpike.network import Network, Node
from transpike.network.edit import rebuilt
from transpike.network.grammar import place
from transpike.neurons import Delayed, IntegrateAndFire, Integrator, LookAhead, Neuron
from transpike.parts import Op


@dataclass(frozen=True)
class StaggerWindows:
    """Let each layer fire in a window that starts `ahead` steps after that of the layers it reads.

    Of T time steps, the window has W = T - ahead (L - 1), where L is the number of layers of neurons on the longest path;
    the answer is the mean over the last W steps. Connections that skip layers are delayed, so that what is joined belongs
    together. Acts on integrate-and-fire neurons with reset by subtraction: ConversionError for others. Raises ArgumentError
    if `ahead` is no whole number from 1, or if T leaves no window. See `neurons.LookAhead`. Source: this project.
    """

    ahead: int = 1
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __post_init__(self) -> None:
        positive_whole("ahead", self.ahead)

    def __call__(self, network: Network, samples: Samples) -> Network:
        steps = samples.steps_for("Looking ahead")
        due, starts = self.times(network)
        decoders = {node.name for node in network.having(Integrator)}
        longest = max(0, *(due[name] for name in decoders))
        if steps <= longest:
            raise ArgumentError(
                f"Looking ahead by {self.ahead} in each layer takes {longest} steps before the first answer, but the network "
                f"is converted for {steps}: give a larger time_steps=, or take a recipe that does not look ahead."
            )
        due |= dict.fromkeys(decoders, longest)
        nodes: list[Node] = []
        for node in network.nodes.values():
            lines = delay_lines(node, due[node.name], starts)
            op = self.laid_out(node, longest if node.name in decoders else starts[node.name], steps - longest, steps)
            inputs = tuple(lines[source].name if source in lines else source for source in node.inputs)
            nodes += [*lines.values(), dataclasses.replace(node, inputs=inputs, op=op)]
        return rebuilt(network, nodes)

    def times(self, network: Network) -> tuple[dict[str, int], dict[str, int]]:
        """Return after how many steps the input of each node is due, and its output starts; -1 for what is always the same."""
        due: dict[str, int] = {}
        starts: dict[str, int] = {}
        for name, node in network.nodes.items():
            due[name] = max((starts[source] for source in node.inputs), default=-1)
            spiking = isinstance(node.op, Neuron)
            starts[name] = due[name] if not spiking else due[name] + self.ahead if due[name] >= 0 else 0
        return due, starts

    def laid_out(self, node: Node, start: int, window: int, steps: int) -> Op:
        """Return the op of a node that starts to send, or to answer, after `start` steps."""
        if isinstance(node.op, Integrator):
            return dataclasses.replace(node.op, delay=start)
        if not isinstance(node.op, Neuron):
            return node.op
        if type(node.op) is not IntegrateAndFire or node.op.delay:
            raise ConversionError(
                f"Looking ahead is for integrate-and-fire neurons with reset by subtraction, but {place(node)} holds "
                f"{type(node.op).__name__} neurons, or clamped ones. Put IntegrateAndFire there, or do not look ahead."
            )
        fields = {field.name: getattr(node.op, field.name) for field in dataclasses.fields(node.op)}
        return LookAhead(**fields | {"delay": start}, ahead=min(self.ahead, start), window=window, last=steps)


def delay_lines(node: Node, due: int, starts: dict[str, int]) -> dict[str, Node]:
    """Return, for each input of a node that comes before it is due, the line that holds it back."""
    early = {source: due - starts[source] for source in node.inputs if 0 <= starts[source] < due}
    return {
        source: Node(f"{node.name}.delayed.{position}", Delayed(steps), (source,), node.origin)
        for position, (source, steps) in enumerate(early.items())
    }
