"""What the energy card is made of: budgets at each checkpoint, costs on chips, and counts under NeuroBench's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transpike.analysis.card import Budget, Card, CardPoint, ChipCost
from transpike.analysis.operations import Work
from transpike.analysis.traffic import FLOAT32, INT8, SPIKING, Estimate, Plan, Precision, dense, matched, plan, spiking
from transpike.chips import Chip, chip_names, find_chip
from transpike.network import Network
from transpike.network.grammar import Carried
from transpike.neurons import FirstSpikeTime, Neuron

EXACT = 255  # levels of 8 bits
ARITHMETIC = (
    "Multiply-accumulates and accumulates at 45 nm (Horowitz 2014): float32 4.6 and 0.9 pJ, 8 bits 0.23 and 0.03 pJ. The first "
    "layer is charged as multiply-accumulates once per sample, a graded spike of n bits as n accumulates."
)
MEMORY = (
    "Arithmetic of 8 bits, and each access to weights, potentials, queues of spikes and addresses, by the size of each layer's "
    "own memory (Lemaire et al. 2022, Horowitz 2014). The range: neurons updated by events or at every step; an ANN that reads "
    "each weight once or for every product."
)


@dataclass(frozen=True)
class Activity:
    """What a run did until some step, per sample: operations, accumulates and spikes of each node."""

    time_steps: int
    operations: Mapping[str, float]
    accumulates: Mapping[str, float]
    spikes: Mapping[str, float]
    fired: float  # spikes of neurons

    @property
    def total(self) -> float:
        """All synaptic operations."""
        return sum(self.operations.values())


def energy_card(network: Network, work: Work, activities: tuple[Activity, ...], neurons: int, windows: int) -> Card:
    """Return the energy card of a run from its activity at each checkpoint; layers take turns in `windows` windows."""
    found = plan(network)
    last = activities[-1]
    points = tuple(point(found, work, one, neurons, matched(levels(network, one.time_steps))) for one in activities)
    sending = [chip for chip in map(find_chip, chip_names()) if priced(chip)]
    chips = tuple(on_chip(chip, last, neurons, windows) for chip in sending)
    rate = last.fired / max(1, neurons * last.time_steps)
    return Card(points, chips, metrics(network, found, work, last, neurons), rate)


def levels(network: Network, time_steps: int) -> int:
    """Return how many values above 0 the neurons of a network tell apart at most; spikes at any time count as 8 bits."""
    found = [node.op for node in network.having(Neuron) if isinstance(node.op, Neuron)]
    return max((EXACT if isinstance(op, FirstSpikeTime) else op.tells_apart(time_steps) for op in found), default=time_steps)


def point(found: Plan, work: Work, activity: Activity, neurons: int, precision: Precision) -> CardPoint:
    """Return the budgets at one checkpoint, against a quantised ANN of some precision."""
    budgets = (
        Budget("arithmetic, float32", ARITHMETIC, arithmetic(work, activity, FLOAT32), exact(work, FLOAT32), None, None),
        Budget(
            "arithmetic, 8 bits",
            ARITHMETIC,
            arithmetic(work, activity, SPIKING),
            exact(work, FLOAT32),
            exact(work, INT8),
            exact(work, precision),
        ),
        with_memory(found, activity, precision),
    )
    synapses = sum(one.connections for one in found.synapses if one.reads is Carried.SPIKES)
    per_synapse = activity.total / synapses if synapses else 0.0
    spikes = activity.fired / max(1, neurons)
    silent = spiking(found, {}, {}, {}, activity.time_steps).value
    return CardPoint(
        activity.time_steps, spikes, per_synapse, precision.values, budgets, break_even(budgets[-1], silent, spikes)
    )


def break_even(budget: Budget, silent: float, spikes: float) -> float | None:
    """Return the spikes per neuron at which E(spikes) = E(0) + (E - E(0)) spikes / those of the run meets the quantised ANN."""
    assert budget.matched is not None
    left, variable = budget.matched.value - silent, budget.snn.value - silent
    return left / variable * spikes if left > 0 and variable > 0 else None


def with_memory(found: Plan, activity: Activity, precision: Precision) -> Budget:
    """Return the budget with memory."""
    ann = [one for one in found.synapses if one.in_ann]
    snn = spiking(found, activity.operations, activity.accumulates, activity.spikes, activity.time_steps)
    return Budget("with memory", MEMORY, snn, dense(ann, FLOAT32), dense(ann, INT8), dense(ann, precision))


def arithmetic(work: Work, activity: Activity, precision: Precision) -> Estimate:
    """Return the arithmetic of a spiking network: E = mac MACs + ac ACs; at worst the first layer is computed at each step.

    A value of a function of signals counts as one MAC.
    """
    acs = precision.ac * sum(activity.accumulates.values())
    still = work.static_macs + work.ann_functions - work.function_values
    once = precision.mac * (still + (work.current_macs + work.function_values) * activity.time_steps) + acs
    more = precision.mac * still * (activity.time_steps - 1)
    return Estimate(once, once, once + more) * 1e-6


def exact(work: Work, precision: Precision) -> Estimate:
    """Return the arithmetic of the ANN: E = mac MACs, without padding and zero weights; a value of a function is one."""
    return Estimate(1, 1, 1) * (precision.mac * (work.ann_connections + work.ann_functions) * 1e-6)


def priced(chip: Chip) -> bool:
    """Whether an energy of synaptic operations is published."""
    return bool({"synaptic_operation", "synaptic_operation_total"} & set(chip.quantities))


def on_chip(chip: Chip, activity: Activity, neurons: int, windows: int) -> ChipCost:
    """Return the energy on a chip: E = SOP e_sop + T N e_update + spikes e_spike + idle power x latency, what is published.

    An energy of the whole chip over its synaptic operations contains the rest. Whether the network fits is another question.
    """
    total = chip.quantities.get("synaptic_operation_total")
    steps = activity.time_steps * windows
    step, idle = chip.get("step"), chip.get("idle_power")
    latency = None if step is None else steps * step * 1e-3
    terms = [("synaptic operations", activity.total, total or chip.quantities["synaptic_operation"])]
    if total is None:
        rest = (("neuron updates", neurons * steps, "neuron_update"), ("spikes", activity.fired, "spike"))
        terms += [(name, count, chip.quantities[key]) for name, count, key in rest if key in chip.quantities]
    low, value, high = (
        sum(count * pick for (_, count, _), pick in zip(terms, picks, strict=True)) * 1e-6
        for picks in zip(*((one.spread[0], one.number, one.spread[1]) for *_, one in terms), strict=True)
    )
    waiting = idle * latency if total is None and idle is not None and latency is not None else 0.0  # mW ms are microjoule
    energy = Estimate(low, value, high) + Estimate(1, 1, 1) * waiting
    words = ", ".join([name for name, *_ in terms] + ["idle power"] * (waiting > 0))
    said = f"{words}, the whole chip" if total is not None else words
    return ChipCost(chip.name, chip.title, energy, said, terms[0][2].confidence, latency)


def metrics(network: Network, found: Plan, work: Work, activity: Activity, neurons: int) -> dict[str, float]:
    """Return counts per sample under the names of NeuroBench (Yik et al. 2025), whole runs being one execution of the model.

    Inputs of the first layer count as different from 0, and each neuron as updated at each step: both are upper bounds.
    """
    tensors = [tensor for node in network.nodes.values() for _, tensor in node.op.tensors()]
    stored = [op.weight for op in (network.nodes[one.name].op for one in found.synapses)]  # type: ignore[attr-defined]
    weights = sum(one.numel() for one in stored)
    steps = activity.time_steps
    graded = {name for name, count in activity.accumulates.items() if count > activity.operations[name]}
    analogue = work.static_macs + work.current_macs * steps + sum(activity.operations[name] for name in graded)
    return {
        "footprint": float(sum(one.numel() * one.element_size() for one in tensors)),
        "parameter_count": float(weights),
        "connection_sparsity": 1 - sum(float((one != 0).sum()) for one in stored) / max(1, weights),
        "activation_sparsity": 1 - activity.fired / max(1, neurons * steps),
        "effective_macs": float(analogue),
        "effective_acs": sum(count for name, count in activity.operations.items() if name not in graded),
        "dense": float(work.ann_macs * steps),
        "membrane_updates": float(neurons * steps),
    }
