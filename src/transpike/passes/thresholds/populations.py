"""Where the thresholds of a population stand: drawn, at the best places, or as a given hardware has them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import ndtr
from torch import Tensor

from transpike.errors import ArgumentError
from transpike.ops import NormalCurve, Sigmoid, Tanh
from transpike.parts import Op

REACH = 30.0  # beyond this a sigmoid is 0 or 1 to the last bit of float64
POINTS = 6001
HALVINGS = 80
S_SHAPED = (Sigmoid, Tanh, NormalCurve)
SITES = 7919  # more than any network has, so that draws for one site and seed are no other's


@dataclass(frozen=True)
class Site:
    """A place for populations: the activation, its units' shape, the range of their inputs, and samples of them [n]."""

    name: str
    activation: Op
    units: tuple[int, ...]
    low: float
    high: float
    inputs: Tensor


@dataclass(frozen=True)
class Placed:
    """Ascending thresholds [..., N], those of an inhibitory population if any, and what they stand for; see `Population`."""

    thresholds: Tensor
    base: float
    excitation: float
    inhibitory: Tensor | None = None
    inhibition: float = 0.0
    gain: float = 1.0
    shift: float = 0.0
    table: Tensor | None = None


class PopulationThresholds(Protocol):
    """A rule for the thresholds of populations, and for what their spikes are worth."""

    def place(self, site: Site, size: int, seed: int) -> Placed:
        """Return populations of `size` neurons; `seed` is one for each site."""
        ...

    def redrawn(self, seed: int) -> PopulationThresholds:
        """Return the rule with another seed; itself where nothing is drawn."""
        ...


@dataclass(frozen=True)
class QuantileThresholds:
    """Thresholds where the activation passes the middle between two levels: the best staircase of N equal steps.

    thresholds[k] = f^-1(low + (k - 1/2) (high - low) / N), k = 1 ... N, on the range of the samples: the error is at most
    (high - low) / 2N there, for any activation that does not fall. One that takes both signs gets an excitatory population
    for what lies above f(0) and an inhibitory one for what lies below, of N neurons each, unless not `paired`.
    """

    paired: bool = True

    def place(self, site: Site, size: int, seed: int) -> Placed:  # noqa: ARG002 - nothing is drawn
        low, middle, high = in_double(site.activation, torch.tensor([site.low, 0.0, site.high], dtype=torch.float64)).tolist()
        if not (self.paired and low < middle < high and low < 0):
            return Placed(staircase(site.activation, site.low, site.high, size), low, (high - low) / size)
        below = staircase(site.activation, 0.0, site.low, size)
        above = staircase(site.activation, 0.0, site.high, size)
        return Placed(above, middle, (high - middle) / size, -below, (middle - low) / size)

    def redrawn(self, seed: int) -> QuantileThresholds:  # noqa: ARG002 - nothing is drawn
        """Return the rule itself."""
        return self


@dataclass(frozen=True)
class NormalThresholds:
    """Thresholds drawn from a normal distribution, as mismatch in hardware gives them: E / N is about Phi(x / sigma).

    `sigma` is fitted to the activation by least squares if it is not given. Where the hardware has thresholds of another mean
    and deviation, the current of each population is made I' = I deviation / sigma + mean. The draws follow from `seed`; each
    unit has its own. Source: a thesis on conversion, section 5.2 and equations 5.2, 5.3. It gives sigma as 1.75 for sigmoid
    (1.7 below its figure 5.3) and 0.88 for tanh; least squares give 1.70 and 0.85. Activations of another shape, such as
    ReLUs, get the thresholds of `other`.
    """

    seed: int = 0
    sigma: float | None = None
    mean: float = 0.0
    deviation: float | None = None
    other: PopulationThresholds = QuantileThresholds()

    def place(self, site: Site, size: int, seed: int) -> Placed:
        if not isinstance(site.activation, S_SHAPED):
            return self.other.place(site, size, seed)
        sigma = fitted_deviation(site.activation) if self.sigma is None else self.sigma
        deviation = sigma if self.deviation is None else self.deviation
        low, high = ends(site.activation)
        generator = torch.Generator().manual_seed(self.seed * SITES + seed)
        drawn = torch.randn(*site.units, size, generator=generator, dtype=torch.float64)
        thresholds = (drawn * deviation).sort(-1).values
        paired = low < 0
        steps = size * (2 if paired else 1)
        return Placed(
            thresholds + self.mean,
            (low + high) / 2 if paired else low,
            (high - low) / steps,
            thresholds - self.mean if paired else None,
            (high - low) / steps,
            deviation / sigma,
            self.mean,
        )

    def redrawn(self, seed: int) -> NormalThresholds:
        """Return the rule with another seed."""
        return dataclasses.replace(self, seed=seed)


@dataclass(frozen=True)
class Hardware:
    """Thresholds as a chip has them: each off by a normal share `mismatch` of the range, and a share `dead` that never fires.

    Another `seed` is another chip.
    """

    mismatch: float = 0.1
    dead: float = 0.02
    seed: int = 0

    def realised(self, wanted: Tensor, seed: int) -> Tensor:
        """Return the thresholds that the chip has where `wanted` [..., N] were asked for, ascending; dead ones are infinite."""
        generator = torch.Generator().manual_seed(self.seed * SITES + seed)
        spread = self.mismatch * (wanted.amax(-1, keepdim=True) - wanted.amin(-1, keepdim=True)) / 2
        noise = torch.randn(wanted.shape, generator=generator, dtype=torch.float64)
        dead = torch.rand(wanted.shape, generator=generator, dtype=torch.float64) < self.dead
        return (wanted + spread * noise).masked_fill(dead, torch.inf).sort(-1).values


@dataclass(frozen=True)
class CalibratedThresholds:
    """Whatever thresholds the hardware has, with a weight for each neuron that decodes them best.

    The weights are those of least squares on the inputs of the samples: with v[k] the value of k spikes,
    v[k] = (sum of f(x) over samples with k spikes + prior f(m)) / (their number + prior), m the middle of that interval.
    Without `calibrated` the weights stay as designed: what mismatch costs. `thresholds` are those measured on a chip [N] or
    [units, N], over which a gain and a shift then spread the inputs; else `hardware` is a drawn one, made from `design`.
    """

    design: PopulationThresholds = QuantileThresholds(paired=False)
    hardware: Hardware = Hardware()
    thresholds: Tensor | None = None
    calibrated: bool = True
    prior: float = 1.0

    def place(self, site: Site, size: int, seed: int) -> Placed:
        placed = self.design.place(site, size, seed)
        if self.thresholds is None:
            realised = self.hardware.realised(placed.thresholds.expand(*site.units, size), seed)
            placed = dataclasses.replace(placed, thresholds=realised)
        else:
            placed = self.fitted_to(site, placed, measured(self.thresholds, site, size))
        return dataclasses.replace(placed, table=self.table(site, placed)) if self.calibrated else placed

    def redrawn(self, seed: int) -> CalibratedThresholds:
        """Return the rule for another chip; itself where its thresholds were measured."""
        if self.thresholds is not None:
            return self
        return dataclasses.replace(
            self, design=self.design.redrawn(seed), hardware=dataclasses.replace(self.hardware, seed=seed)
        )

    def fitted_to(self, site: Site, placed: Placed, thresholds: Tensor) -> Placed:
        """Return given thresholds with the gain and shift that spread the inputs of the samples over them."""
        finite = thresholds[torch.isfinite(thresholds)]
        bottom, top = torch.quantile(finite[:: max(1, len(finite) // 2**20)], torch.tensor([0.01, 0.99]).double()).tolist()
        gain = (top - bottom) / (site.high - site.low)
        return dataclasses.replace(placed, thresholds=thresholds, gain=gain, shift=bottom - gain * site.low)

    def table(self, site: Site, placed: Placed) -> Tensor:
        """Return the value of each number of spikes [..., N + 1]."""
        x = site.inputs.double()
        values = in_double(site.activation, x)
        rows = placed.thresholds.reshape(-1, placed.thresholds.shape[-1])
        currents = x * placed.gain + placed.shift
        found = torch.stack([self.decoded(site, placed, row, currents, values) for row in rows])
        return found.reshape(*placed.thresholds.shape[:-1], -1)

    def decoded(self, site: Site, placed: Placed, row: Tensor, currents: Tensor, values: Tensor) -> Tensor:
        """Return the value of each number of spikes of one population."""
        count = torch.searchsorted(row, currents, right=True)
        size = len(row) + 1
        sums = torch.zeros(size, dtype=torch.float64).index_add_(0, count, values)
        seen = torch.bincount(count, minlength=size).double()
        low, high = (placed.gain * bound + placed.shift for bound in (site.low, site.high))
        edges = torch.cat([torch.tensor([low]).double(), row.clamp(low, high), torch.tensor([high]).double()])
        middles = ((edges[1:] + edges[:-1]) / 2 - placed.shift) / placed.gain
        return (sums + self.prior * in_double(site.activation, middles)) / (seen + self.prior)


def measured(thresholds: Tensor, site: Site, size: int) -> Tensor:
    """Return measured thresholds, ascending, if they are of the right number."""
    if thresholds.shape[-1] != size or thresholds.shape[:-1] not in {(), site.units}:
        raise ArgumentError(
            f"{site.name!r} has populations of {size} neurons for units {site.units}, but the thresholds given are "
            f"{tuple(thresholds.shape)}: give [{size}] or {[*site.units, size]}."
        )
    return thresholds.double().sort(-1).values


def in_double(activation: Op, x: Tensor) -> Tensor:
    """Return the activation in float64."""
    result: Tensor = activation.map_tensors(lambda tensor: tensor.double())(x.double())
    return result


def ends(activation: Op) -> tuple[float, float]:
    """Return the least and the greatest value of an S-shaped activation."""
    low, high = in_double(activation, torch.tensor([-1e6, 1e6], dtype=torch.float64)).tolist()
    return low, high


def fitted_deviation(activation: Op) -> float:
    """Return sigma for which Phi(x / sigma), between the ends of the activation, comes closest to it by least squares.

    >>> from transpike.ops import Sigmoid
    >>> round(fitted_deviation(Sigmoid()), 2)
    1.7
    """
    low, high = ends(activation)
    x = np.linspace(-REACH, REACH, POINTS)
    wanted = (in_double(activation, torch.from_numpy(x)).numpy() - low) / (high - low)
    return float(minimize_scalar(lambda s: ((ndtr(x / s) - wanted) ** 2).sum(), bounds=(0.05, 10.0), method="bounded").x)


def staircase(activation: Op, start: float, stop: float, size: int) -> Tensor:
    """Return where an activation on its way from `start` to `stop` passes the middles of `size` equal steps, in order."""
    first, last = in_double(activation, torch.tensor([start, stop], dtype=torch.float64)).tolist()
    levels = first + (last - first) * (np.arange(size) + 0.5) / size
    near, far = np.full_like(levels, start), np.full_like(levels, stop)
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        value = in_double(activation, torch.from_numpy(middle)).numpy()
        passed = value >= levels if stop > start else value <= levels
        far, near = np.where(passed, middle, far), np.where(passed, near, middle)
    return torch.from_numpy(far)
