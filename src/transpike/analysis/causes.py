"""Find where the loss of a conversion comes from."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn
from torch.export import ExportedProgram

from transpike.analysis.advice import advice
from transpike.analysis.attribution import STAGES, Examiner
from transpike.analysis.diagnosis import CAUSES, Diagnosis, LayerLoss, Norm, Part, Stage, relative
from transpike.analysis.growth import answer_bound, bounds, length, norms
from transpike.analysis.reference import Reference
from transpike.analysis.remedies import remedies
from transpike.analysis.tally import Tally
from transpike.capture import check_model
from transpike.data import batches, checked
from transpike.exits import without_exit
from transpike.network import Network, Node
from transpike.network.grammar import check_spiking
from transpike.network.turns import sequential, steps_for, window
from transpike.neurons import Neuron
from transpike.ops import WEIGHTED
from transpike.simulation import blocks


def diagnose(
    model: nn.Module | ExportedProgram | None,
    network: Network,
    samples: Any,
    time_steps: int | None = None,
    *,
    memory: int | None = None,
    block: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Diagnosis:
    """Simulate `network` on `samples` for `time_steps` steps and return where its loss comes from.

    Codes with a window of their own need no `time_steps`.
    For every neuron and sample, sent - a = clipping + quantisation + unevenness + inherited: with z the mean current that
    the neuron got in the run, h the activation, c its ceiling (the threshold, if a spike is worth that), q(z) what it sends
    on average for a current that is z at every step, floor(z T / threshold + initial) threshold / T within 0 and c for
    integrate-and-fire neurons, and a the ANN's activation,

    clipping = min(h(z), c) - h(z);  quantisation = q(z) - min(h(z), c);  unevenness = sent - q(z);  inherited = h(z) - a.

    What a layer costs is measured on the answer: the layers are run once more as ANN layers, each adding the error that it
    added in the run (clipping + quantisation + unevenness), which gives the run's answer; and then, for each layer, without
    its error. `cost` is the share of the answer's squared error that goes. Shares do not add up to 1, and a layer whose
    error cancels another's has a negative one. That takes part of a pass per layer.

    Errors are also followed against their bound, the product of the norms of the ops that they pass, see
    `analysis.growth.bounds`. `model` and `samples` are as in `evaluate`; layers are compared with the network's own
    analogue; samples run to the end, early exit or not. Raises ArgumentError, DataError, and ConversionError for an op
    whose mean no sum gives.
    Source: the three errors Bu et al. 2022; the bound is the textbook one.

    >>> import torch
    >>> from transpike import convert
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> found = diagnose(model, convert(model, torch.rand(64, 4)), torch.rand(40, 4), time_steps=8)
    >>> found.layers[0].unevenness.mean_square, found.layers[0].inherited.mean_square
    (0.0, 0.0)
    """
    network = without_exit(check_spiking(network))
    steps = steps_for(network, time_steps)
    if model is not None:
        model = check_model(model)
    examiner, reference, tally = Examiner(network, steps), Reference(network, model), Tally()
    stream = checked(batches(samples, len(network.inputs), "samples"), network.inputs, "samples")
    for part in blocks(network, stream, steps, memory=memory, block=block):
        examiner.add(tally, part, reference.of(part, tally.samples))
        tally.samples += len(part)
        if progress is not None:
            progress(len(part))
    return diagnosis(examiner, tally)


def diagnosis(examiner: Examiner, tally: Tally) -> Diagnosis:
    """Return the diagnosis of a finished tally."""
    network, samples = examiner.network, tally.samples
    lengthened = norms(network)
    added = {name: length(tally[f"cause.{name}.own"], samples) for name in network.nodes if f"cause.{name}.own" in tally.sums}
    reached = bounds(network, lengthened, added)
    answer = length(tally["run.power"], samples)
    error = length(tally["run.error"], samples)
    found = Diagnosis(
        time_steps=examiner.time_steps,
        samples=samples,
        stages=tuple(stage(name, network, tally) for name in STAGES),
        layers=tuple(layer(node, examiner, tally, lengthened, reached) for node in network.having(Neuron)),
        norms=tuple(Norm(n.name, n.origin, lengthened[n.name]) for n in network.having(*WEIGHTED) if n.name in lengthened),
        answer_error=relative(error**2, answer**2),
        answer_bound=relative(answer_bound(reached, examiner.ends) ** 2, answer**2),
        findings=(),
    )
    own = window(network) is not None
    members = max((node.op.members for node in network.having(Neuron)), default=1)  # type: ignore[attr-defined]
    words = advice(in_turns=sequential(network), own_window=own, steps=examiner.time_steps, members=members)
    return dataclasses.replace(found, findings=remedies(found, words.causes))


def stage(name: str, network: Network, tally: Tally) -> Stage:
    """Return one network on the way from ANN to SNN."""
    key = f"stage.{name}"
    errors = [relative(float(tally[f"{key}.error.{out}"]), float(tally[f"{key}.power.{out}"])) for out in network.outputs]
    error = math.sqrt(statistics.fmean(each * each for each in errors))
    return Stage(name, fraction(tally, f"{key}.correct"), fraction(tally, f"{key}.agreement"), error)


def fraction(tally: Tally, name: str) -> float | None:
    """Return a count as a fraction of the samples, or None if it was not counted."""
    return float(tally.mean(name)) if name in tally.sums else None


def layer(
    node: Node, examiner: Examiner, tally: Tally, lengthened: Mapping[str, float], reached: Mapping[str, float]
) -> LayerLoss:
    """Return the error of one layer by cause, its cost, and its growth."""
    key = f"cause.{node.name}"
    count = max(1.0, float(tally[f"{key}.count"]))
    neurons = round(count / max(1, tally.samples))
    before, after = float(tally["run.error"]), float(tally[f"{key}.mended.error"])
    agreed, agreeing = fraction(tally, "run.agreement"), fraction(tally, f"{key}.mended.agreement")
    own = float(tally[f"{key}.own"])
    alone = bounds(examiner.network, lengthened, {node.name: 1.0})
    parts = {c: Part(float(tally[f"{key}.{c}.square"]) / count, float(tally[f"{key}.{c}.sum"]) / count) for c in CAUSES}
    return LayerLoss(
        name=node.name,
        origin=node.origin,
        neurons=neurons,
        power=float(tally[f"{key}.power"]) / count,
        error=float(tally[f"{key}.error"]) / count,
        own=own / count,
        **parts,
        bound=reached[node.name] / neurons**0.5,
        cost=(before - after) / before if before else 0.0,
        recovered=None if agreed is None or agreeing is None else agreeing - agreed,
        growth=(float(tally[f"{key}.moved"]) / own) ** 0.5 if own else 0.0,
        growth_bound=answer_bound(alone, examiner.ends),
    )
