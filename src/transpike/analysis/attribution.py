"""Split the error of each layer by its causes, and find what each layer costs the answer, block by block."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from transpike.analysis.counterfactual import (
    check_means,
    clipped,
    encoded,
    encoders,
    evenly,
    heard,
    measured,
    quantised,
    without,
)
from transpike.analysis.reference import Expected
from transpike.analysis.tally import Tally, alike
from transpike.network import Network, Node, forward
from transpike.network.grammar import decoded
from transpike.neurons import Neuron
from transpike.parts import Stateful
from transpike.simulation import Block
from transpike.simulation.stepper import channels_last, laid_out

STAGES = ("ANN", "clipped", "quantised", "SNN")


def split(neuron: Neuron, current: Tensor, sent: Tensor, activation: Tensor, time_steps: int) -> dict[str, Tensor]:
    """Return the four parts of the error of a layer, which add up to `sent` - `activation`, each [batch, ...].

    With z the mean `current` that a neuron got in the run, h the activation that it replaces, c its ceiling, q(z) what it
    sends on average if its current is z at every step:

    clipping = min(h(z), c) - h(z);  quantisation = q(z) - min(h(z), c);  unevenness = sent - q(z);
    inherited = h(z) - activation, where `activation` is the ANN's.

    The first three are what the layer adds itself. A bias of the neuron, a height other than its threshold and a delay are
    part of q. What corrected weights change is inherited: it is in z. Source: the three errors are those of Bu et al. 2022;
    taking them at z, not at the ANN's, is this project's.

    >>> from transpike.neurons import IntegrateAndFire
    >>> from transpike.ops import Relu
    >>> neuron = IntegrateAndFire(torch.tensor(1.0), torch.tensor(0.5), Relu())
    >>> z, sent, a = torch.tensor([1.3]), torch.tensor([0.75]), torch.tensor([1.5])
    >>> {cause: round(float(part), 2) for cause, part in split(neuron, z, sent, a, 4).items()}
    {'clipping': -0.3, 'quantisation': 0.0, 'unevenness': -0.25, 'inherited': -0.2}
    """
    ideal = neuron.analogue()(current)
    within = torch.minimum(ideal, neuron.ceiling())
    even = evenly(neuron, current, time_steps)
    return {
        "clipping": within - ideal,
        "quantisation": even - within,
        "unevenness": sent - even,
        "inherited": ideal - activation,
    }


@dataclass(frozen=True)
class Walk:
    """Values of some nodes of one pass, the decoded answer of all outputs [batch, values], and the outputs."""

    values: dict[str, Tensor]
    answer: Tensor
    outputs: Mapping[str, Tensor]


@dataclass(frozen=True)
class Examiner:
    """Finds the causes of the loss of one network in the blocks of a run; it keeps nothing between them."""

    network: Network
    time_steps: int

    @cached_property
    def prepared(self) -> Network:
        """The network as the simulation lays it out, so that equal sums are equal to the last bit."""
        return laid_out(self.network)

    @cached_property
    def ends(self) -> list[str]:
        """The nodes where the outputs are decoded."""
        return decoders(self.prepared)

    @torch.inference_mode()
    def add(self, tally: Tally, block: Block, expected: Expected) -> None:
        """Add the causes of error in one block, whose samples the ANN answers as `expected`, to `tally`."""
        inputs = [channels_last(tensor.to(self.network.device)) for tensor in block.batch.inputs]
        nodes = self.prepared.nodes
        means = {name: total / heard(nodes[name].op, self.time_steps) for name, total in block.sums.items()}
        means |= self.encoded(inputs, tally.samples)
        check_means(self.prepared, means)
        right = self.walk(self.prepared.analogue(), inputs, means, self.corrections(tally))
        halfway = (clipped(self.prepared), quantised(self.prepared, self.time_steps))
        end = {key: value[-1] for key, value in block.outputs.items()}
        stages = (expected.outputs, *(self.walk(network, inputs).outputs for network in halfway), end)
        for stage, outputs in zip(STAGES, stages, strict=True):
            add_stage(tally, f"stage.{stage}", outputs, expected)
        errors = self.add_causes(tally, inputs, means, right.values)
        self.add_costs(tally, inputs, means, errors, right, classes=expected.classes)

    def encoded(self, inputs: Sequence[Tensor], first_sample: int) -> dict[str, Tensor]:
        """Return what encoders of the input sent on average: they are repeatable, so they are stepped again."""
        found: dict[str, Tensor] = {}
        nodes = [self.prepared.nodes[name] for name in encoders(self.prepared)]
        if not nodes:
            return found
        static = self.walk(self.prepared.analogue(), inputs, {node.inputs[0] for node in nodes}).values
        for node in nodes:
            assert isinstance(node.op, Stateful)
            found[node.name] = encoded(node.op, static[node.inputs[0]], self.time_steps, first_sample)
        return found

    def corrections(self, tally: Tally) -> Callable[[str, Tensor], None]:
        """Return what watches a pass of the ANN and adds the differences that corrected weights make by themselves."""
        readers: dict[str, list[Node]] = {}
        for node in self.prepared.nodes.values():
            if not isinstance(node.op, Stateful) and node.op.analogue() is not node.op:
                readers.setdefault(node.inputs[0], []).append(node)

        def watch(source: str, value: Tensor) -> None:
            for node in readers.get(source, ()):
                tally.add(f"cause.{node.name}.own", squares(node.op(value) - node.op.analogue()(value)))

        return watch

    def walk(
        self,
        network: Network,
        inputs: Sequence[Tensor],
        wanted: Collection[str] = (),
        watch: Callable[[str, Tensor], None] | None = None,
    ) -> Walk:
        """Pass through an analogue network and keep the values of the `wanted` nodes; `watch` sees every value."""
        values: dict[str, Tensor] = {}
        answers: dict[str, Tensor] = {}

        def observe(name: str, value: Tensor) -> None:
            if name in wanted:
                values[name] = value
            if name in self.ends:
                answers[name] = value.reshape(len(value), -1)
            if watch is not None:
                watch(name, value)

        outputs = forward(network, inputs, observe)
        return Walk(values, torch.cat([answers[name] for name in self.ends], 1), outputs)

    def add_causes(
        self, tally: Tally, inputs: Sequence[Tensor], means: Mapping[str, Tensor], activations: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Add the parts of each layer's error; return the errors that nodes add themselves. Empties `activations`."""
        readers: dict[str, list[str]] = {}
        for name in means:
            readers.setdefault(self.prepared.nodes[name].inputs[0], []).append(name)
        errors: dict[str, Tensor] = {}

        def observe(source: str, current: Tensor) -> None:
            for name in readers.get(source, ()):
                op, activation = self.prepared.nodes[name].op, activations.pop(name)
                assert isinstance(op, Stateful)
                sent = means[name].reshape(activation.shape)  # each element of a sequence as a sample
                own = sent - op.analogue()(current)
                errors[name] = own.reshape(means[name].shape)
                tally.add(f"cause.{name}.own", squares(own))
                if isinstance(op, Neuron):
                    add_layer(tally, name, split(op, current, sent, activation, self.time_steps), activation)
                    tally.add(f"cause.{name}.error", squares(sent - activation))

        forward(measured(self.prepared, means), inputs, observe)
        return errors

    def add_costs(
        self,
        tally: Tally,
        inputs: Sequence[Tensor],
        means: Mapping[str, Tensor],
        errors: Mapping[str, Tensor],
        right: Walk,
        *,
        classes: bool,
    ) -> None:
        """Add how the answer changes if one layer after the other adds no error: for each the part of a pass behind it."""
        run = self.walk(measured(self.prepared, means), inputs)
        add_likeness(tally, "run", run, right, classes=classes)
        tally.add("run.power", squares(right.answer))
        for node in self.prepared.having(Neuron):
            mended = self.walk(without(self.prepared, node.name, means, errors), inputs)
            add_likeness(tally, f"cause.{node.name}.mended", mended, right, classes=classes)
            tally.add(f"cause.{node.name}.moved", squares(mended.answer - run.answer))


def decoders(network: Network) -> list[str]:
    """Return the first decoded nodes that the outputs depend on: there the spiking part ends."""
    after, needed = decoded(network), set(network.outputs.values())
    ends = []
    for name in reversed(list(network.nodes)):
        sources = after.intersection(network.nodes[name].inputs)
        if name in needed and name in after:
            needed |= sources
            ends += [] if sources else [name]
    return ends[::-1]


def squares(tensor: Tensor) -> Tensor:
    """Return the sum of squares."""
    return tensor.double().square().sum()


def add_stage(tally: Tally, name: str, outputs: Mapping[str, Tensor], expected: Expected) -> None:
    """Add how far outputs [batch, ...] are from those of the ANN, and how often classes, and the labels, agree."""
    for key, reference in expected.outputs.items():
        tally.add(f"{name}.error.{key}", squares(outputs[key].cpu() - reference))
        tally.add(f"{name}.power.{key}", squares(reference))
    if not expected.classes:
        return
    answers = next(iter(outputs.values())).cpu().argmax(1)
    tally.add(f"{name}.agreement", alike(answers, expected.first.argmax(1)))
    if expected.labels is not None:
        tally.add(f"{name}.correct", alike(answers, expected.labels))


def add_likeness(tally: Tally, name: str, found: Walk, right: Walk, *, classes: bool) -> None:
    """Add how far a decoded answer is from the ANN's, and how often both choose the same classes."""
    tally.add(f"{name}.error", squares(found.answer - right.answer))
    if classes:
        ours, theirs = (next(iter(walk.outputs.values())).argmax(1) for walk in (found, right))
        tally.add(f"{name}.agreement", alike(ours, theirs))


def add_layer(tally: Tally, name: str, parts: Mapping[str, Tensor], activation: Tensor) -> None:
    """Add the squares and sums of the parts of a layer's error, and the squares of what they are compared with."""
    for cause, part in parts.items():
        tally.add(f"cause.{name}.{cause}.square", squares(part))
        tally.add(f"cause.{name}.{cause}.sum", part.double().sum())
    tally.add(f"cause.{name}.power", squares(activation))
    tally.add(f"cause.{name}.count", activation.numel())
