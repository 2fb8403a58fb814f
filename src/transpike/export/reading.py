"""Turn a NIR file, ours or that of others, into a Network."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transpike.errors import ArchiveError, choose, require
from transpike.export.hdf5 import DamagedError, Graph, Record, read_graph, survived
from transpike.network import Network, Node, shapes
from transpike.neurons import Delayed, IntegrateAndFire, Integrator, LeakyIntegrateAndFire, Neuron, ResetToZero
from transpike.neurons.leaky_cell import LeakyCell
from transpike.ops import Add, Affine, AveragePool, Convolution, Input, Linear, Relu, Rescaled, Reshape
from transpike.parts import Finding, Op

RESETS: dict[str, type[Neuron]] = {"zero": ResetToZero, "subtract": IntegrateAndFire}
WHY_NOT = {
    "CubaLIF": "filters its input by a synapse of its own, and no neuron here does",
    "CubaLI": "is a leaky integrator behind a synapse, and no decoder here leaks",
    "LI": "is a leaky integrator, and no decoder here leaks",
    "I": "sends its potential at each step, and values between neurons are currents here",
    "Threshold": "fires without a state, and neurons here integrate",
    "NIRGraph": "is a graph within the graph (a recurrent one, most likely), for which there is no rule",
}


@dataclass(frozen=True)
class Reading:
    """How a file is read where it does not say: the reset of integrate-and-fire neurons, and the seconds of a step."""

    reset: str
    time_step: float


def load_nir(path: str | Path, *, reset: str = "zero", time_step: float = 1e-3) -> Network:
    """Read a NIR file as a spiking network, which can be simulated, drawn and saved here.

    NIR says that a spike resets to `v_reset`; many writers mean reset by subtraction, and some (we too) say so in the
    metadata of the neurons. Where the file is silent, `reset` decides: "zero" or "subtract". `time_step` is that of leaky
    neurons and delays, in seconds, since NIR has continuous time. Neurons fire where v > v_threshold. The answer is the
    running mean of what reaches an Output. Raises ArchiveError for damaged files and, with the name of the node and the
    reason, for nodes that cannot be said here.
    """
    how = Reading(choose("reset", reset, RESETS), time_step)
    require("h5py", "nir", "Reading NIR files")
    if Path(path).is_file():
        survived(Path(path))
    return loaded(Path(path), how)


def loaded(path: Path, how: Reading) -> Network:
    """Return the network in a file that does not crash the HDF5 library."""
    graph = read_graph(path)
    try:
        network = network_of(graph, how)
        shapes(network)  # whether sizes fit one another
    except DamagedError as error:
        raise ArchiveError(f"{path} cannot be read as NIR: {error}.") from None
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise ArchiveError(f"{path} is no network: {(str(error) or repr(error)).splitlines()[0]}") from None
    return network


def network_of(graph: Graph, how: Reading) -> Network:
    """Return the network of a graph."""
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for before, after in graph.edges:
        if before not in graph.nodes or after not in graph.nodes:
            raise DamagedError(f"an edge leads from {before!r} to {after!r}, of which one does not exist")
        sources[after].append(before)
    nodes: dict[str, Node] = {}
    outputs: dict[str, str] = {}
    for name in ordered(sources):
        record = graph.nodes[name]
        given = added(nodes, name, sources[name])
        if record.kind == "Output":
            outputs[name] = name
        if (record.kind == "Input") != (not given):
            raise DamagedError(f"{record.kind} {name!r} reads {len(sources[name])} nodes")
        ops = read_op(name, record, how)
        for index, op in enumerate(ops):
            own = name if index == len(ops) - 1 else f"{name}.scaled"
            nodes[own] = Node(own, op, given, name)
            given = (own,)
    if not outputs:
        raise DamagedError("it has no Output")
    keys = {"output": next(iter(outputs))} if len(outputs) == 1 else outputs
    return Network(nodes, keys, findings=tuple(notes(nodes)))


def notes(nodes: Mapping[str, Node]) -> Iterator[Finding]:
    """Say where a network that was read has no ANN to be compared with."""
    for node in nodes.values():
        if isinstance(node.op, LeakyIntegrateAndFire):
            yield Finding(
                "no-analogue",
                f"The leaky neurons {node.name!r} stand for no activation: the file says how they fire, not for what.",
                "Simulate this network; comparisons with its analogue, which has ReLUs there, say nothing.",
                node=node.name,
                severity="warning",
            )


def ordered(sources: Mapping[str, list[str]]) -> list[str]:
    """Return the nodes so that each comes after those that it reads, by name where there is a choice."""
    waiting = {name: len(given) for name, given in sources.items()}
    readers: dict[str, list[str]] = {name: [] for name in sources}
    for name, given in sources.items():
        for source in given:
            readers[source].append(name)
    ready = sorted(name for name, count in waiting.items() if not count)
    found: list[str] = []
    while ready:
        found.append(heapq.heappop(ready))
        for name in readers[found[-1]]:
            waiting[name] -= 1
            if not waiting[name]:
                heapq.heappush(ready, name)
    if len(found) < len(sources):
        left = sorted(set(sources) - set(found))
        raise DamagedError(f"{left[0]!r} is part of a loop or behind one, and loops of single steps have no form here")
    return found


def added(nodes: dict[str, Node], name: str, given: list[str]) -> tuple[str, ...]:
    """Return the one node that gives the sum of what arrives at a node."""
    total = given[:1]
    for index, source in enumerate(given[1:]):
        own = f"{name}.sum{index or ''}"
        nodes[own] = Node(own, Add(), (total[0], source), name)
        total = [own]
    return tuple(total)


def read_op(name: str, record: Record, how: Reading) -> list[Op]:
    """Return the ops of a node, one after the other."""
    read = READERS.get(record.kind)
    if read is None:
        reason = WHY_NOT.get(record.kind, "is no node of NIR that is known here")
        raise DamagedError(f"{record.kind} {name!r} {reason}")
    try:
        return read(record, how)
    except DamagedError as error:
        raise DamagedError(f"in {name!r}, {error}") from None


def tensor(record: Record, name: str, axes: int | None = None) -> Tensor:
    """Return a parameter as a tensor."""
    value = record.array(name)
    if axes is not None and value.ndim != axes:
        raise DamagedError(f"the {name} of {record.kind} has {value.ndim} axes, not {axes}")
    return torch.from_numpy(np.ascontiguousarray(value))


def read_input(record: Record, how: Reading) -> list[Op]:  # noqa: ARG001 - one signature for all
    """Return the input."""
    return [Input(tuple(int(size) for size in record.array("shape").ravel()))]


def read_output(record: Record, how: Reading) -> list[Op]:  # noqa: ARG001
    """Return the decoder of an output."""
    return [Integrator()]


def read_linear(record: Record, how: Reading) -> list[Op]:  # noqa: ARG001
    """Return a fully connected layer."""
    return [Linear(tensor(record, "weight", 2), tensor(record, "bias", 1) if record.kind == "Affine" else None)]


def read_scale(record: Record, how: Reading) -> list[Op]:  # noqa: ARG001
    """Return a factor for each value."""
    return [Affine(tensor(record, "scale"))]


def read_convolution(record: Record, how: Reading) -> list[Op]:  # noqa: ARG001
    """Return a convolution over one or two axes."""
    axes = 2 if record.kind == "Conv2d" else 1
    weight = tensor(record, "weight", axes + 2)
    dilation, groups = record.numbers("dilation", axes), record.numbers("groups", 1)[0]
    padding = record.values.get("padding")
    if isinstance(padding, str) and padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        if any(total % 2 for total in totals):
            raise DamagedError("'same' padding of an even kernel differs from side to side")
        sides = tuple(total // 2 for total in totals)
    else:
        sides = (0,) * axes if isinstance(padding, str) and padding == "valid" else record.numbers("padding", axes)
    return [Convolution(weight, tensor(record, "bias", 1), record.numbers("stride", axes), sides, dilation, groups)]


def read_pool(record: Record, how: Reading) -> list[Op]:  # noqa: ARG001
    """Return a mean or a sum over windows."""
    kernel, stride, padding = (record.numbers(name, 2) for name in ("kernel_size", "stride", "padding"))
    return [AveragePool(kernel, stride, padding, divisor=1 if record.kind == "SumPool2d" else None)]


def read_flatten(record: Record, how: Reading) -> list[Op]:  # noqa: ARG001
    """Return a flattening of some axes; the batch is none of them."""
    if record.values.get("input_type") is None:
        raise DamagedError("Flatten lacks its input_type")
    shape = [int(size) for size in record.array("input_type").ravel()]
    first, last = (int(record.array(name).ravel()[0]) % len(shape) for name in ("start_dim", "end_dim"))
    middle = int(np.prod(shape[first : last + 1]))
    return [Reshape((*shape[:first], middle, *shape[last + 1 :]))]


def read_delay(record: Record, how: Reading) -> list[Op]:
    """Return a delay of whole steps."""
    steps = uniform(record, "delay") / how.time_step
    if steps < 1 or abs(steps - round(steps)) > 1e-3:  # noqa: PLR2004 - of a step
        raise DamagedError(f"a delay of {steps:g} steps of {how.time_step:g} s is no whole number from 1: set time_step=")
    return [Delayed(round(steps))]


def uniform(record: Record, name: str) -> float:
    """Return a parameter that is the same for all neurons of a node."""
    value = record.array(name).ravel()
    if not len(value) or bool((value != value[0]).any()):
        raise DamagedError(f"the {name} of {record.kind} differs from neuron to neuron")
    return float(value[0])


def read_if(record: Record, how: Reading) -> list[Op]:
    """Return integrate-and-fire neurons: they fire above the threshold, that is at the next float32, and a spike is 1."""
    above = torch.from_numpy(np.nextafter(record.array("v_threshold"), np.float32(np.inf)))
    if bool((above <= 0).any()):
        raise DamagedError("a threshold of IF is not positive")
    if "v_reset" in record.values and bool(record.array("v_reset").any()):
        raise DamagedError("IF is reset to another potential than 0, which no neuron here does")
    kind = RESETS[choose("reset", record.facts.get("reset", how.reset), RESETS)]
    first = torch.from_numpy(np.asarray(record.facts.get("v_init", 0.0), np.float32)) / above
    plain = bool((above == 1).all())
    activation = Relu() if plain else Rescaled(Relu(), torch.ones_like(above), above)
    neurons = kind(above, first.expand_as(above).clone(), activation, None if plain else torch.ones_like(above)[None])
    return [*scaled(record), neurons]


def scaled(record: Record) -> list[Op]:
    """Return the factor r of a current, if it is not 1."""
    factor = tensor(record, "r")
    return [] if bool((factor == 1).all()) else [Affine(factor)]


def read_lif(record: Record, how: Reading) -> list[Op]:
    """Return leaky neurons from their resting potential, integrated exactly over each step; alike within a node."""
    tau, r, leak = (uniform(record, name) for name in ("tau", "r", "v_leak"))
    reset = uniform(record, "v_reset") if "v_reset" in record.values else 0.0
    if tau <= 0 or r <= 0:
        raise DamagedError("tau or r of LIF is not positive")
    cell = LeakyCell(tau / r, 1 / r, leak, uniform(record, "v_threshold"), reset, 0.0)
    one = torch.ones(record.array("v_threshold").shape)
    settings: dict[str, Any] = {"time_step": how.time_step, "slope": 1.0, "largest_rate": 1 / how.time_step}
    initial = torch.full_like(one, (leak - reset) / (cell.threshold - reset))
    return [LeakyIntegrateAndFire(one, initial, Relu(), cell=cell, **settings)]


READERS: dict[str, Callable[[Record, Reading], list[Op]]] = {
    "Input": read_input,
    "Output": read_output,
    "Affine": read_linear,
    "Linear": read_linear,
    "Scale": read_scale,
    "Conv1d": read_convolution,
    "Conv2d": read_convolution,
    "SumPool2d": read_pool,
    "AvgPool2d": read_pool,
    "Flatten": read_flatten,
    "Delay": read_delay,
    "IF": read_if,
    "LIF": read_lif,
}
