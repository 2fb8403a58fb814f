"""What stands before and behind the decoder of the outputs: neurons whose spikes are counted, and a softmax."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from transpike.calibration import Samples, histograms
from transpike.network import Network, Node, shapes
from transpike.network.edit import rebuilt
from transpike.neurons import IntegrateAndFire
from transpike.ops import Clip, Relu, Softmax
from transpike.parts import Decoder, Op
from transpike.passes.decode_outputs import behind, undecoded
from transpike.passes.split_signed import number, two_sided


@dataclass(frozen=True)
class CountSpikes:
    """Let the outputs fire, so that the answer is their spike count: two neurons for each class, one for either sign.

    y = ReLU(y) - ReLU(-y), exactly; both become integrate-and-fire neurons that start from half the threshold. All of an
    output share one threshold, the largest |y| of the samples, so that counts compare: the answer after T steps is
    threshold/T * (spikes - spikes of the opposite neuron), a multiple of threshold/T. An output that is a ReLU already
    fires without this. Stands before `DecodeOutputs`. Source: Diehl et al. 2015 (class = most spikes).
    """

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:
        names, after = undecoded(network)
        signed = {name for name in names if not isinstance(network.nodes[name].op, Relu | Clip)}

        def chain(node: Node) -> list[Node]:
            source = dataclasses.replace(node, name=f"{node.name}.fired", inputs=(node.name,))
            return two_sided(network, source, Relu(), Relu(), number(network, -1.0))

        network = behind(network, signed, after, chain)
        rank = {name: len(shape) for name, shape in shapes(network).items()}
        pairs = {name: [f"{name}.fired.positive", f"{name}.fired.negative"] for name in signed}
        axes = {one: rank[one] for pair in pairs.values() for one in pair}
        found, _ = histograms(network.analogue(), axes, samples)
        fires: dict[str, Op] = {}
        for pair in pairs.values():
            peak = max(float(found[one].maximum.max()) for one in pair)
            neuron = IntegrateAndFire(number(network, peak or 1.0), number(network, 0.5), Relu())
            fires |= dict.fromkeys(pair, neuron.map_tensors(lambda tensor: tensor.to(network.device)))
        return network.map_ops(lambda node: fires.get(node.name, node.op))

    def worded(self) -> str:
        """Say what is decoded."""
        return "spike count"


@dataclass(frozen=True)
class NormaliseOutputs:
    """Put a softmax over the classes behind the decoder of each output that does not end in one.

    The network then answers with probabilities; its analogue does too, and is what a report should compare it with
    (`evaluate(None, ...)`) where the model gives logits.
    """

    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - needs no samples
        ends = [node for node in network.having(Decoder) if node.name in network.outputs.values()]
        added = {end.name: Node(f"{end.name}.softmax", Softmax(axis=1), (end.name,), end.origin) for end in ends}
        return rebuilt(network, [*network.nodes.values(), *added.values()], {name: node.name for name, node in added.items()})

    def worded(self) -> str:
        """Say what is answered."""
        return "softmax"
