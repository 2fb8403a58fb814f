"""Early exit: end the simulation of a sample once its decision is safe, by a margin with a promise that holds."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from transpike.data import batches, checked
from transpike.errors import ArgumentError, TranspikeWarning, positive_whole
from transpike.network import Network, Node
from transpike.network.edit import with_op
from transpike.network.grammar import check_spiking, place
from transpike.network.turns import sequential
from transpike.neurons import EarlyExit, Integrator
from transpike.ops import Sigmoid, Softmax
from transpike.parts import Decoder, Finding
from transpike.passes.decode_outputs import check_classes
from transpike.simulation import Record, blocks

KIND = "early-exit"
SLACK = 2**-12  # by which a margin is raised: other engines may round sums of floats otherwise
CALIBRATION = "calibration samples"


def early_exit(
    network: Network,
    samples: Any,
    time_steps: int,
    *,
    loss: float = 0.001,
    confidence: float = 0.95,
    memory: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Network:
    """Return the network with a decoder that ends each sample as soon as its first class leads by a calibrated margin.

    V[t] is the sum of the outputs up to step t. A sample exits at the first t at which the largest V leads the second by
    the margin, and decides for that class. Its critical margin c is the largest lead with which it exits, at some margin,
    for another class than the one after `time_steps`: no margin above c changes its decision. Of n samples [n, ...] (labels
    are ignored) the margin is the least one above all but k values of c, where k is the largest number with
    P[Binomial(n, loss) <= k] <= 1 - confidence. Then, with at least this confidence over the draw of the calibration samples,
    a share of at most `loss` of all samples from the same source decide otherwise than after `time_steps`. Accuracy changes
    by no more than that share. The bound is exact for any distribution and needs no grid of margins. The margin is then raised
    by 0.02 %, beyond what engines may differ by in rounding sums of floats.

    If n is too small for any k, nothing can be promised: the margin is infinite, no sample exits early, and a finding, which
    is warned of, says how many samples it takes (2,995 for loss 0.001 at 0.95). Raises ArgumentError, DataError, and
    ConversionError for an answer that is not one value for each of several classes. Sources: the one-sided tolerance limit of
    Wilks 1941, applied to an early decision; the lead of the sum because the error of a rate-coded sum does not grow with t.

    >>> from transpike import convert, simulate
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> network = early_exit(convert(model, torch.rand(64, 4)), torch.rand(100, 4), time_steps=32, loss=0.1)
    >>> simulate(network, torch.rand(5, 4), time_steps=32).decided["2.decoded"].shape
    torch.Size([5])
    """
    positive_whole("time_steps", time_steps)
    fraction("loss", loss)
    fraction("confidence", confidence)
    critical = simulated_margins(network, samples, time_steps, memory=memory, progress=progress)
    hastened, finding = with_exit(network, critical, time_steps, loss, confidence)
    if finding.severity == "warning":
        warnings.warn(f"{finding.message} {finding.advice}", TranspikeWarning, stacklevel=2)
    return hastened


def simulated_margins(
    network: Network,
    samples: Any,
    time_steps: int,
    *,
    memory: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Tensor:
    """Return the critical margin of each sample [n], found by simulating it for all steps; see `early_exit`."""
    full = without_exit(network)
    node = one_decoder(full)
    stream = checked(batches(samples, len(full.inputs), CALIBRATION), full.inputs, CALIBRATION)
    found: list[Tensor] = []
    refuse_values(samples, len(full.inputs))
    decoded = node.name in full.outputs.values()  # else a softmax follows, behind which the sums cannot be seen
    record = Record() if decoded else Record(potentials=(node.name,))  # which not all engines keep
    for part in blocks(full, stream, time_steps, record=record, memory=memory):
        answers = next(iter(part.outputs.values()))
        sums = accumulated(node, answers) if decoded else part.potentials[node.name]
        found.append(critical_margins(leads(node, sums), answers.argmax(2)))
        if progress is not None:
            progress(len(part))
    return torch.cat(found)


def refuse_values(samples: Any, inputs: int) -> None:
    """Raise ArgumentError if floats come beside the samples: the network then answers with values, not with a choice."""
    labels = next((batch.labels for batch in batches(samples, inputs, CALIBRATION) if len(batch)), None)
    if labels is not None and labels.is_floating_point():
        raise ArgumentError(
            "Early exit ends a sample once one class leads, but the floats beside these samples say that the network answers "
            "with values, as in a regression, where nothing leads: run all time steps, or fewer for every sample."
        )


def with_exit(network: Network, critical: Tensor, time_steps: int, loss: float, confidence: float) -> tuple[Network, Finding]:
    """Return the network with the margin that critical margins [n] allow, and what is promised of it."""
    full = without_exit(network)
    node = one_decoder(full)
    assert isinstance(node.op, Integrator)
    margin = least_margin(critical, loss, confidence) * (1 + SLACK)
    rule = EarlyExit(
        margin, delay=node.op.delay, time_steps=time_steps, loss=loss, confidence=confidence, samples=len(critical)
    )
    finding = worded(rule, int((critical >= margin).sum()))
    return dataclasses.replace(with_op(full, node.name, rule), findings=(*full.findings, finding)), finding


def fraction(name: str, value: object) -> None:
    """Raise ArgumentError unless `value` lies between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ArgumentError(f"{name} must lie between 0 and 1, such as 0.001 for 0.1 points, not {value!r}.")


def exit_of(network: Network) -> EarlyExit | None:
    """Return the decoder that ends samples early, if there is one."""
    found = [node.op for node in network.having(EarlyExit) if isinstance(node.op, EarlyExit)]
    return found[0] if found else None


def without_exit(network: Network) -> Network:
    """Return the network that runs every sample to the end."""
    if exit_of(network) is None:
        return network
    kept = tuple(finding for finding in network.findings if finding.kind != KIND)
    plain = network.map_ops(lambda n: Integrator(delay=n.op.delay) if isinstance(n.op, EarlyExit) else n.op)
    return dataclasses.replace(plain, findings=kept)


def one_decoder(network: Network) -> Node:
    """Return the node that decodes the classes of a network, or raise for one whose samples cannot end early."""
    check_spiking(network)
    if sequential(network):
        raise ArgumentError(
            "Samples of a sequential network cannot exit early: its last layer sends in the last window only. Take a recipe of "
            "the concurrent schedule."
        )
    decoders = network.having(Decoder)
    if len(decoders) != 1 or len(network.outputs) != 1:
        raise ArgumentError(
            f"Early exit needs one output with one decoder, but this network has {len(network.outputs)} and {len(decoders)}: "
            "convert the part of the model that decides."
        )
    (node,) = decoders
    if type(node.op) is not Integrator:
        raise ArgumentError(
            f"{type(node.op).__name__} {place(node)} does not read the accumulated potential, whose lead early exit is "
            "calibrated on: convert the model with that output, and without a margin."
        )
    check_classes(network, {node.name})
    (target,) = network.outputs.values()
    behind = network.nodes[target]
    if behind is not node and not (isinstance(behind.op, Softmax | Sigmoid) and behind.inputs == (node.name,)):
        raise ArgumentError(
            f"{type(behind.op).__name__} {place(behind)} acts on the decoded classes, so that the leading one need not be the "
            "answer: convert the model without it."
        )
    return node


def accumulated(node: Node, answers: Tensor) -> Tensor:
    """Return the potentials [time, batch, classes] behind the running means that a decoder answers with."""
    assert isinstance(node.op, Integrator)
    steps = torch.arange(1, len(answers) + 1, dtype=answers.dtype) - node.op.delay
    return answers * steps.clamp(min=1)[:, None, None]


def leads(node: Node, potentials: Tensor) -> Tensor:
    """Return by how much the first class leads at each step [time, batch], of potentials [time, batch, classes]."""
    first, second = potentials.topk(2, dim=2).values.unbind(2)
    lead = first - second
    assert isinstance(node.op, Integrator)
    lead[: node.op.delay] = -torch.inf  # nothing is decided before the delay is over
    return lead


def critical_margins(lead: Tensor, answers: Tensor) -> Tensor:
    """Return, for leads and answers [time, batch], the largest margin at which each sample exits wrongly; 0 if there is none.

    A sample exits at a step for some margin if its lead is larger there than ever before, and for margins up to this lead.
    Wrong is what differs from the answer after the last step.
    """
    highest = torch.cat([torch.full_like(lead[:1], -torch.inf), lead.cummax(0).values[:-1]])
    wrong = (lead > highest) & (answers != answers[-1])
    return lead.where(wrong, 0.0).amax(0)


def least_margin(critical: Tensor, loss: float, confidence: float) -> float:
    """Return the least margin that keeps a promise, given critical margins [n]; infinity if there are too few of them."""
    changes = most_changes(len(critical), loss, confidence)
    if changes < 0:
        return math.inf
    largest = critical.sort(descending=True).values[changes]
    return float(torch.nextafter(largest, torch.full_like(largest, torch.inf)))


def most_changes(samples: int, loss: float, confidence: float) -> int:
    """Return the largest k with P[Binomial(samples, loss) <= k] <= 1 - confidence, or -1 if there is none.

    >>> most_changes(2995, 0.001, 0.95), most_changes(2994, 0.001, 0.95), most_changes(5000, 0.001, 0.95)
    (0, -1, 1)
    """
    total = 0.0
    for k in range(samples):
        total += probability(k, samples, loss)
        if total > 1 - confidence:
            return k - 1
    return samples - 1


def probability(k: int, samples: int, loss: float) -> float:
    """Return P[Binomial(samples, loss) = k]."""
    ways = math.lgamma(samples + 1) - math.lgamma(k + 1) - math.lgamma(samples - k + 1)
    return math.exp(ways + k * math.log(loss) + (samples - k) * math.log1p(-loss))


def samples_needed(loss: float, confidence: float) -> int:
    """Return the fewest calibration samples from which a loss can be promised: (1 - loss)^n <= 1 - confidence.

    >>> samples_needed(0.001, 0.95), samples_needed(0.01, 0.95)
    (2995, 299)
    """
    return math.ceil(math.log1p(-confidence) / math.log1p(-loss))


def smallest_loss(samples: int, confidence: float) -> float:
    """Return the smallest loss that so many calibration samples can promise: 1 - (1 - confidence)^(1/n)."""
    return -math.expm1(math.log1p(-confidence) / samples)


def broken(changed: int, samples: int, loss: float, confidence: float) -> bool:
    """Say whether so many changed decisions of other samples contradict a promised loss, with this confidence."""
    fewer = sum(probability(k, samples, loss) for k in range(changed))
    return 1 - fewer < 1 - confidence


def worded(rule: EarlyExit, changed: int) -> Finding:
    """Say what a calibrated margin promises, or why it cannot."""
    if math.isinf(rule.margin):
        return shortfall(rule.samples, rule.loss, rule.confidence)
    return Finding(
        KIND,
        f"A sample exits once its first class leads by {rule.margin:.4g} (sum of the outputs). Promised with "
        f"{100 * rule.confidence:g} % confidence: at most {100 * rule.loss:g} % of decisions differ from those after "
        f"{rule.time_steps} steps, so accuracy falls by at most {100 * rule.loss:g} points; {changed} of {rule.samples:,} "
        "calibration samples differ.",
        "The promise is for samples like those that calibrated it. Samples that the ANN was trained on may be decided more "
        "surely than new ones: if you can, calibrate on samples that it has not seen, which need no labels.",
    )


def shortfall(samples: int, loss: float, confidence: float) -> Finding:
    """Say that so many calibration samples cannot promise a loss, and what could."""
    least = math.ceil(1e4 * smallest_loss(samples, confidence)) / 100
    return Finding(
        KIND,
        f"A loss of at most {100 * loss:g} points at {100 * confidence:g} % confidence cannot be promised from {samples:,} "
        "calibration samples: no sample exits early.",
        f"Calibrate on at least {samples_needed(loss, confidence):,} samples (labels are not needed), or ask for {least:g} "
        "points, which these are enough for.",
        severity="warning",
    )
