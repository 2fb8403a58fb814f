"""Turn the sums of an evaluation into a report."""

from __future__ import annotations

import math
import statistics
from importlib.metadata import version

from transpike.analysis.budgets import Activity, energy_card
from transpike.analysis.card import Card
from transpike.analysis.diagnosis import relative
from transpike.analysis.operations import Work
from transpike.analysis.report import Checkpoint, Layer, Raster, Report, Turns
from transpike.analysis.tally import Tally, checkpoints
from transpike.codings import InputCode
from transpike.network import Network, Node
from transpike.network.turns import held, round_trips_of, sequential, turns, window
from transpike.neurons import Announcement, DifferenceFunction, FunctionOfSignals, GatedFewSpike, Neuron, SpikeProduct
from transpike.ops import Convolution, Linear, TransposedConvolution
from transpike.parts import Method, Op

SHARES = (0.99, 0.999)
BIASED = (Linear, Convolution, TransposedConvolution)
SENDING = (Neuron, Announcement)  # what spikes


def summarise(network: Network, work: Work, tally: Tally, time_steps: int, title: str, rasters: tuple[Raster, ...]) -> Report:
    """Return the report of a finished tally, without findings of its own yet."""
    layers = tuple(layer(node, tally, time_steps) for node in network.having(Neuron))
    neurons = sum(one.neurons for one in layers)
    correct, errors = curve(tally, "correct"), output_errors(network, tally)
    accurate = None if correct is None else float(tally.mean("reference.correct"))
    points = tuple(checkpoint(network, work, tally, step, correct, neurons) for step in checkpoints(time_steps))
    return Report(
        title=title or "network",
        method=network.method or Method("unnamed passes", "", ""),
        input=entrance(network),
        time_steps=time_steps,
        samples=tally.samples,
        accuracy=correct,
        reference_accuracy=accurate,
        agreement=curve(tally, "agreement"),
        output_error=tuple(math.sqrt(statistics.fmean(e * e for e in step)) for step in zip(*errors.values(), strict=True)),
        output_errors=errors if len(errors) > 1 else {},
        latency=latencies(correct, accurate),
        neurons=neurons,
        spikes_per_neuron=points[-1].spikes_per_neuron,
        ann_macs=work.ann_macs,
        ann_connections=work.ann_connections,
        static_macs=work.static_macs,
        current_macs=work.current_macs,
        checkpoints=points,
        layers=layers,
        rasters=rasters,
        findings=network.findings,
        turns=taking_turns(network, time_steps),
        members=max((node.op.members for node in network.having(Neuron)), default=1),  # type: ignore[attr-defined]
        level=spiking_level(network),
        functions=len(work.functions),
        function_values=work.function_values,
        places=max(1, round(float(tally.mean("places")))) if "places" in tally.sums else 1,
        own_window=window(network) is not None,
        card=card(network, work, tally, time_steps, neurons),
        version=version("transpike"),
    )


def spiking_level(network: Network) -> str:
    """Return which of SPIKING_LEVELS a network has."""
    if network.having(DifferenceFunction):
        return "differential"
    if network.having(SpikeProduct, GatedFewSpike):
        return "few-spike"
    return "hybrid" if network.having(FunctionOfSignals) or not network.having(Neuron) else "spiking"


def card(network: Network, work: Work, tally: Tally, time_steps: int, neurons: int) -> Card:
    """Return the energy card of a finished tally."""
    steps = checkpoints(time_steps)
    found = tuple(activity(network, work, tally, step) for step in steps)
    waits = taking_turns(network, time_steps)
    return energy_card(network, work, found, neurons, 1 if waits is None else waits.windows)


def activity(network: Network, work: Work, tally: Tally, step: int) -> Activity:
    """Return what each node did until a step, per sample."""
    names = [name for name in work.causes if f"{step}.operations.{name}" in tally.sums]
    operations = {name: float(tally.mean(f"{step}.operations.{name}")) for name in names}
    spikes = {name: float(tally.mean(f"{step}.spikes.{name}")) for name in names if name in work.fan_out}
    firing = {node.name for node in network.having(*SENDING)}
    accumulates = {name: count * accumulates_of(network.nodes[name].op) for name, count in operations.items()}
    return Activity(step, operations, accumulates, spikes, sum(count for name, count in spikes.items() if name in firing))


def taking_turns(network: Network, time_steps: int) -> Turns | None:
    """Return how the layers take turns, if they do."""
    if not sequential(network):
        return None
    waits = held(network)
    biases = sum(node.op.bias is not None for node in network.having(*BIASED))  # type: ignore[attr-defined]
    interval = 1 + max(round_trips_of(network).values(), default=0)  # a recurrent layer is busy until the last element
    return Turns(max(turns(network).values()), time_steps, len(waits), sum(waits.values()), biases, interval)


def entrance(network: Network) -> str:
    """Word how inputs enter the network."""
    codes = [node.op.worded() for node in network.having(InputCode) if isinstance(node.op, InputCode)]
    return codes[0] if codes else "constant current"


def output_errors(network: Network, tally: Tally) -> dict[str, tuple[float, ...]]:
    """Return the relative error of each output at each step."""
    powers = {key: float(tally[f"output.power.{key}"]) for key in network.outputs}
    return {key: tuple(relative(float(e), power) for e in tally[f"output.error.{key}"]) for key, power in powers.items()}


def curve(tally: Tally, name: str) -> tuple[float, ...] | None:
    """Return a count per step as fractions of the samples, or None if it was not counted."""
    return tuple(tally.mean(name).tolist()) if name in tally.sums else None


def latencies(accuracy: tuple[float, ...] | None, reference: float | None) -> dict[str, int | None]:
    """Return the first step from which accuracy stays at each share of the ANN's, or None if it never does."""
    if accuracy is None or reference is None:
        return {}
    found: dict[str, int | None] = {}
    for share in SHARES:
        below = [t for t, value in enumerate(accuracy, 1) if value < share * reference - 1e-12]
        first = below[-1] + 1 if below else 1
        found[f"{share:.1%}".replace(".0%", "%")] = first if first <= len(accuracy) else None
    return found


def layer(node: Node, tally: Tally, time_steps: int) -> Layer:
    """Return one layer of neurons in numbers."""
    name, op = node.name, node.op
    assert isinstance(op, Neuron)
    spikes = tally[f"{name}.spikes"]
    rates = tally[f"{name}.rates"]
    seen = max(1, int(rates.sum()))  # neurons times samples times elements of a sequence
    units = spikes.numel() * max(1, tally.samples)
    thresholds = op.threshold.double().flatten()
    return Layer(
        name=name,
        origin=node.origin,
        neurons=spikes.numel() * op.members,
        spikes_per_neuron=float(spikes.sum()) / (units * op.members),
        error=relative(float(tally[f"{name}.error"]), float(tally[f"{name}.power"])),
        silent=float((spikes == 0).double().mean()),
        saturated=float(tally[f"{name}.saturated"]) / seen,
        clipped=float(tally[f"{name}.clipped"]) / seen,
        rates=tuple((rates / seen).tolist()),
        thresholds=(float(thresholds.min()), float(thresholds.median()), float(thresholds.max())),
        synaptic_operations=float(tally.mean(f"{time_steps}.operations.{name}")),
        elements=seen // max(1, units),
    )


def checkpoint(
    network: Network, work: Work, tally: Tally, step: int, accuracy: tuple[float, ...] | None, neurons: int
) -> Checkpoint:
    """Return where things stand after `step` steps, per sample."""
    names = [name for name in work.causes if f"{step}.operations.{name}" in tally.sums]
    per_node = {name: float(tally.mean(f"{step}.operations.{name}")) for name in names}
    operations = sum(per_node.values())
    accumulates = sum(value * accumulates_of(network.nodes[name].op) for name, value in per_node.items())
    firing = {node.name for node in network.having(*SENDING)}
    spikes = sum(float(tally.mean(f"{step}.spikes.{name}")) for name in names if name in firing)
    return Checkpoint(
        step,
        None if accuracy is None else accuracy[step - 1],
        spikes,
        spikes / max(1, neurons),
        operations,
        work.energy(accumulates, step),
        sum(value for name, value in per_node.items() if name in work.graded),
    )


def accumulates_of(op: Op) -> int:
    """Return how many accumulates a spike of an op costs at each connection."""
    return op.accumulates if isinstance(op, Neuron) else 1
