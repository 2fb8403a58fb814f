"""Let a network listen before it answers: trials after which its neurons restart, corrected."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from transpike.calibration import Samples
from transpike.errors import ArgumentError, ConversionError, positive_whole
from transpike.network import Network, Node
from transpike.network.grammar import place
from transpike.network.turns import turns
from transpike.neurons import AccumulatedMaxPool, IntegrateAndFire, Integrator, Neuron, OffsetCalibrated, ResidualSilenced
from transpike.parts import Op


@dataclass(frozen=True)
class SilenceByResidual:
    """Run a trial of `tau` steps and silence the neurons whose residual potential says that they are not active.

    The answer is read from the steps after the trial: to T steps it adds tau. Acts on integrate-and-fire neurons with reset by
    subtraction: ConversionError for others. Source: Hao et al. 2023 (AAAI), SRP; see `neurons.ResidualSilenced`.
    """

    tau: int = 4
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __post_init__(self) -> None:
        positive_whole("tau", self.tau)

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - the trial runs on each input
        return restarting(network, "SRP", self.tau, 1, lambda node: ResidualSilenced(**fields(node), length=self.tau))


@dataclass(frozen=True)
class CalibrateOffsets:
    """Let each layer calibrate its offset spikes in a window of `rho` steps, one layer after the other.

    The answer is read from the steps after the last window: to T steps it adds rho for each layer, counted along the longest
    path, because a layer needs its inputs corrected. Acts on integrate-and-fire neurons with reset by subtraction:
    ConversionError for others. Source: Hao et al. 2023 (ICLR), COS; see `neurons.OffsetCalibrated`.
    """

    rho: int = 4
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __post_init__(self) -> None:
        positive_whole("rho", self.rho)

    def __call__(self, network: Network, samples: Samples) -> Network:  # noqa: ARG002 - the windows run on each input
        places = turns(network)
        depth = max(places.values(), default=0)

        def listening(node: Node) -> Neuron:
            return OffsetCalibrated(**fields(node), length=self.rho, windows=depth, layer=places[node.name])

        return restarting(network, "COS", self.rho, depth, listening)


def fields(node: Node) -> dict[str, Any]:
    """Return the fields of a node's op by name."""
    return {field.name: getattr(node.op, field.name) for field in dataclasses.fields(node.op)}


def restarting(network: Network, what: str, length: int, windows: int, listening: Callable[[Node], Neuron]) -> Network:
    """Return the network with restarts after each of `windows` windows, and the answer read from the steps after them."""
    restarts = tuple(length * window for window in range(1, windows + 1))

    def change(node: Node) -> Op:
        match node.op:
            case Neuron():
                check_plain(node, what)
                return listening(node)
            case AccumulatedMaxPool():
                return dataclasses.replace(node.op, restarts=restarts)
            case Integrator():
                return dataclasses.replace(node.op, delay=length * windows)
        return node.op

    return network.map_ops(change)


def check_plain(node: Node, what: str) -> None:
    """Raise unless a node's neurons are integrate-and-fire with reset by subtraction, the same at every step."""
    op = node.op
    if type(op) is not IntegrateAndFire:
        raise ConversionError(
            f"{what} reads the potential of integrate-and-fire neurons with reset by subtraction, but {place(node)} holds "
            f"{type(op).__name__} neurons. Put IntegrateAndFire there, or leave {what} out."
        )
    tables = [table for table in (op.height, op.bias) if table is not None and len(table) > 1]
    if tables or op.delay:
        raise ArgumentError(
            f"{what} replays the same steps in each window, but the neurons of {place(node)} differ from step to step. "
            f"Use corrections that are the same at every step, or leave {what} out."
        )
