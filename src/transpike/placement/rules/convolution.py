"""Placement on cores that are each one convolution with its neurons and a sum-pool, as on Speck and DYNAP-CNN."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from transpike.chips import Chip
from transpike.network import Node
from transpike.ops import AdaptiveAveragePool, AveragePool, Convolution, Linear, Mean
from transpike.parts import Finding
from transpike.placement.layers import Demand, Layer, image
from transpike.placement.result import Place, Placed
from transpike.placement.rules.base import Rule, obstacle
from transpike.placement.windows import PLANE, two

MEMORIES = ("kernel entries", "neuron entries", "bias entries")
Sides = tuple[int, ...]


@dataclass(frozen=True)
class Core:
    """What one layer asks of a core: a convolution of `kernel` from `channels` to `maps` of `sides`, then a sum-pool."""

    layer: Layer
    channels: int
    maps: int
    kernel: Sides
    stride: Sides
    padding: Sides
    read: Sides  # height and width of what is read
    sides: Sides
    biased: bool

    @property
    def takes(self) -> dict[str, int]:
        """The entries of memory: c 2^(ceil(log2 kx ky) + ceil(log2 f)), f 2^(ceil(log2 fx) + ceil(log2 fy)), and f biases.

        Source: sinabs 3, `DynapcnnLayer.memory_summary`; all addresses are bits of a whole number.
        """
        kernel = self.channels * 2 ** (bits(math.prod(self.kernel)) + bits(self.maps))
        neuron = self.maps * 2 ** (bits(self.sides[0]) + bits(self.sides[1]))
        return dict(zip(MEMORIES, (kernel, neuron, self.maps if self.biased else 0), strict=True))


def bits(count: int) -> int:
    """Return the bits that tell so many things apart: ceil(log2(count)).

    >>> [bits(n) for n in (1, 2, 9, 16, 17)]
    [0, 1, 4, 4, 5]
    """
    return (count - 1).bit_length()


def place(demand: Demand, chip: Chip) -> Placed:
    """Match layers with cores whose memories hold them; each layer is one core.

    Source: documentation of sinabs (overview, available network architectures) and its `get_valid_mapping`.
    """
    cores: list[Core] = []
    obstacles: list[Finding] = []
    for layer in demand.layers:
        core, finding = as_core(demand, layer)
        cores += [core] if core else []
        obstacles += [finding] if finding else list(shape_findings(core, chip)) if core else []
    obstacles += fan_findings(demand, chip)
    offers = [chip.several(name.replace(" ", "_")) or () for name in MEMORIES]
    rooms = list(zip(*offers, strict=True))
    matched, missing = matching(cores, rooms)
    places = tuple(
        Place(
            core.layer.name,
            core.layer.node.origin,
            core.layer.neurons,
            core.layer.fan_in,
            1,
            (matched[core.layer.name],) if core.layer.name in matched else (),
            core.takes,
            "" if core.layer.name in matched else "no core left",
        )
        for core in cores
    )
    return Placed(places, (*obstacles, *unplaced(missing, cores, rooms, chip)))


def as_core(demand: Demand, layer: Layer) -> tuple[Core | None, Finding | None]:
    """Return a layer as one core, or why it is none."""
    weighted = {node.name: node for path in layer.paths for node in path.weighted}
    if len(weighted) != 1 or any(len(path.weighted) != 1 for path in layer.paths):
        kinds = ", ".join(weighted) or "none"
        return None, obstacle(
            "joins",
            layer,
            f"needs exactly one convolution or linear layer between it and the neurons before ({kinds} found).",
            "A core adds up spikes before its one convolution, not currents behind several: carry a skip connection through "
            "the convolutions as further channels (relays), or leave it out.",
        )
    (node,) = weighted.values()
    source = image(demand.sizes[node.inputs[0]])
    if isinstance(node.op, Linear):
        source = unflattened(demand, layer, node)
        return Core(layer, source[0], len(node.op.weight), source[1:], (1, 1), (0, 0), source[1:], (1, 1), has_bias(node)), None
    if not isinstance(node.op, Convolution) or len(node.op.stride) > PLANE:
        kind = f"{type(node.op).__name__} of weights {tuple(node.op.weight.shape)}"  # type: ignore[attr-defined]
        return None, obstacle(
            "operator", layer, f"is reached over a {kind}, which no core has.", "Take a convolution of images instead."
        )
    op, shape = node.op, image(demand.sizes[node.name])
    kernel, stride, padding = two(op.weight.shape[2:]), two(op.stride), two(op.padding)
    spread = tuple((k - 1) * d + 1 for k, d in zip(kernel, two(op.dilation), strict=True))
    return Core(layer, source[0], shape[0], spread, stride, padding, source[1:], shape[1:], has_bias(node)), None


def has_bias(node: Node) -> bool:
    """Whether a node adds a bias."""
    return getattr(node.op, "bias", None) is not None


def unflattened(demand: Demand, layer: Layer, node: Node) -> tuple[int, int, int]:
    """Return the image that a linear layer reads: the last one before it was flattened."""
    for path in layer.paths:
        before = path.nodes[: [one.name for one in path.nodes].index(node.name)]
        shapes = [demand.sizes[path.sender], *(demand.sizes[one.name] for one in before)]
        images = [image(shape) for shape in shapes if math.prod(shape) == node.op.weight.shape[1]]  # type: ignore[attr-defined]
        if images:
            return images[0]
    return image(demand.sizes[node.inputs[0]])


def shape_findings(core: Core, chip: Chip) -> Iterator[Finding]:
    """Yield which shapes of a layer a core does not have."""
    layer = core.layer
    limits = (
        ("input-size", max(core.read), chip.whole("input_side"), "reads maps of side {}", "Pool the input first."),
        (
            "map-size",
            max(core.sides),
            chip.whole("map_side"),
            "has maps of side {}",
            "Take a larger stride, or pool before it.",
        ),
        ("channels", max(core.channels, core.maps), chip.whole("channels"), "has {} channels", "Take fewer channels."),
        (
            "kernel",
            max(core.kernel),
            chip.whole("kernel_side"),
            "has kernels of side {}",
            "Take smaller kernels, or pool first.",
        ),
        ("padding", max(core.padding), chip.whole("padding"), "is padded by {}", "Pad less."),
    )
    for kind, value, most, said, advice in limits:
        if most is not None and value > most:
            yield obstacle(kind, layer, f"{said.format(value)}, a core at most {most}.", advice)
    allowed = chip.several("strides")
    if allowed is not None and not set(core.stride) <= set(allowed):
        yield obstacle("stride", layer, f"has strides {core.stride}, a core has {allowed}.", "Take one of those.")
    if core.kernel[0] != core.kernel[1]:
        yield obstacle("kernel", layer, f"has a kernel of {core.kernel}; cores have square ones.", "Fill it up with zeros.")


def fan_findings(demand: Demand, chip: Chip) -> Iterator[Finding]:
    """Yield which pools no core has, and which layers send to more cores than one can."""
    pools, most = chip.several("pools"), chip.whole("destinations")
    for layer in demand.layers:
        readers = demand.readers(layer.name)
        if most is not None and len(readers) > most:
            said = f"sends to {len(readers)} layers, a core to at most {most}."
            yield obstacle("destinations", layer, said, "Let fewer layers read it, or repeat it.")
        for path in layer.paths:
            widths = [width for node in path.nodes for width in pool_of(demand, node)]
            if pools is not None and widths and not set(widths) <= set(pools):
                said = f"is reached over a pool of {' x '.join(map(str, widths))}, cores have {pools}."
                yield obstacle("pool", layer, said, "Take pools of one of these widths, with as large a stride.")


def pool_of(demand: Demand, node: Node) -> Sides:
    """Return the widths of an average pool, which is a sum-pool with its quotient in the next weights; none for other ops."""
    op = node.op
    if isinstance(op, AveragePool) and op.kernel == op.stride and not any(op.padding):
        return two(op.kernel)
    if isinstance(op, AveragePool):
        return (0, 0)  # windows that overlap or are padded: no width fits
    if isinstance(op, AdaptiveAveragePool | Mean):
        before, after = (image(demand.sizes[name])[1:] for name in (node.inputs[0], node.name))
        return tuple(a // b if a % b == 0 else 0 for a, b in zip(before, after, strict=True))
    return ()


def matching(cores: list[Core], rooms: list[tuple[int, ...]]) -> tuple[dict[str, int], list[Core]]:
    """Return which core each layer gets, as many as can be placed together, and the layers left over."""
    if not cores or not rooms:
        return {}, list(cores)
    holds = np.array([[holds_it(core, room) for room in rooms] for core in cores])
    found = maximum_bipartite_matching(csr_matrix(holds), perm_type="column")
    placed = {core.layer.name: int(number) for core, number in zip(cores, found, strict=True) if number >= 0}
    return placed, [core for core in cores if core.layer.name not in placed]


def holds_it(core: Core, room: tuple[int, ...]) -> bool:
    """Whether the memories of a core hold a layer."""
    return all(wanted <= most for wanted, most in zip(core.takes.values(), room, strict=True))


def unplaced(missing: list[Core], cores: list[Core], rooms: list[tuple[int, ...]], chip: Chip) -> Iterator[Finding]:
    """Yield why layers found no core: none is large enough, or those that are have others."""
    for core in missing:
        fitting = [number for number, room in enumerate(rooms) if holds_it(core, room)]
        wants = ", ".join(f"{count:,} {name}" for name, count in core.takes.items())
        if not fitting:
            most = "; ".join(f"{k:,} and {n:,}" for k, n in dict.fromkeys(room[:2] for room in rooms))
            said = f"needs {wants}; the cores of {chip.title} have (kernel and neuron entries) {most}."
            yield obstacle("memory", core.layer, said, shrinking(core, rooms))
        else:
            said = (
                f"needs {wants}: only cores {fitting} hold it, and these are taken ({len(cores)} layers, {len(rooms)} cores)."
            )
            yield obstacle("cores", core.layer, said, "Take fewer layers, or fewer channels here or in those layers.")


def shrinking(core: Core, rooms: list[tuple[int, ...]]) -> str:
    """Return what makes a layer smaller where it has to be."""
    kernel, neuron, _ = core.takes.values()
    least, most = (tuple(pick(column) for column in zip(*rooms, strict=True)) for pick in (min, max))
    parts = []
    if neuron > most[1] or (kernel <= most[0] and neuron > least[1]):
        parts.append("a larger stride or a pool before it (fewer neurons)")
    if kernel > most[0] or (neuron <= most[1] and kernel > least[0]):
        parts.append("fewer channels or a smaller kernel (fewer weights)")
    return f"Take {' and '.join(parts)}; sizes are rounded up to powers of two, so stay at or below one."


CONVOLUTION_CORES = Rule(
    place,
    ("kernel_entries", "neuron_entries", "bias_entries"),
    "https://sinabs.readthedocs.io docs/speck/overview.md",
    frozenset({"neurons", "synapses", "fan_in", "fan_out"}),
)
