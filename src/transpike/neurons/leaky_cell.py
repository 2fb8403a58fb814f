"""The leaky cell in physical units: its rate curve, the time to its first spike, and the inverse, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.errors import ArgumentError
from transpike.parts import Op

FIT_POINTS = 1000


@dataclass(frozen=True, eq=False)
class LeakyCell(Op):
    """A cell with C dV/dt = -g (V - rest) + I that spikes at the threshold, then rests at the reset potential.

    Units: farad, siemens, volt, second, ampere. Called with constant currents [...] it gives firing rates in spikes per
    second: f(I) = 1 / (refractory + t_spike(I)), with t_spike(I) = tau ln((V_inf - reset) / (V_inf - threshold)),
    tau = C / g, V_inf = rest + I / g; 0 up to the rheobase g (threshold - rest). Raises ArgumentError for a cell that
    is not physical or fires without input. Source: Gerstner et al. 2014, Neuronal Dynamics, sections 1.3 and 5.3.

    >>> cell = LeakyCell()
    >>> cell.time_constant, round(cell.rheobase * 1e12)
    (0.02, 200)
    >>> cell(torch.tensor([150e-12, 300e-12, 1e-9])).round().tolist()
    [0.0, 42.0, 155.0]
    """

    capacitance: float = 200e-12
    conductance: float = 10e-9
    rest: float = -70e-3
    threshold: float = -50e-3
    reset: float = -70e-3
    refractory: float = 2e-3

    def __post_init__(self) -> None:
        problems = {
            "a capacitance and a conductance above 0": self.capacitance > 0 and self.conductance > 0,
            "a rest potential below the threshold": self.rest < self.threshold,
            "a reset potential below the threshold": self.reset < self.threshold,
            "a refractory period that is not negative": self.refractory >= 0,
        }
        missing = [need for need, met in problems.items() if not met]
        if missing:
            raise ArgumentError(f"A leaky cell needs {missing[0]}: {self!r}.")

    @property
    def time_constant(self) -> float:
        """The time constant tau = C / g of the membrane, in seconds."""
        return self.capacitance / self.conductance

    @property
    def rheobase(self) -> float:
        """The current g (threshold - rest) that the cell must exceed to fire at all, in ampere."""
        return self.conductance * (self.threshold - self.rest)

    @property
    def largest_rate(self) -> float:
        """The rate 1 / refractory that no current exceeds, in spikes per second."""
        return 1 / self.refractory if self.refractory else math.inf

    def target(self, current: Tensor) -> Tensor:
        """Return the potential V_inf = rest + I / g that the cell would settle at without a threshold."""
        return self.rest + current / self.conductance

    def time_to_spike(self, current: Tensor, start: Tensor | float) -> Tensor:
        """Return the seconds until the first spike from potential `start` under a constant current; inf if there is none."""
        above = self.target(current) - self.threshold
        missing = (self.threshold - torch.as_tensor(start, dtype=above.dtype, device=above.device)).clamp(min=0)
        times = self.time_constant * torch.log1p(missing / above.where(above > 0, 1.0))
        return times.where((above > 0) | (missing == 0), torch.inf)

    def __call__(self, current: Tensor) -> Tensor:
        return 1 / (self.refractory + self.time_to_spike(current, self.reset))

    def current(self, rate: Tensor) -> Tensor:
        """Return the constant current for firing rates [...]: the inverse of the rate curve; the rheobase at rate 0.

        I(f) = g (threshold - rest + (threshold - reset) / (exp((1/f - refractory) / tau) - 1)). Raises ArgumentError for
        rates below 0 or not below the largest.

        >>> cell = LeakyCell()
        >>> cell(cell.current(torch.tensor([20.0, 400.0]))).round(decimals=2).tolist()
        [20.0, 400.0]
        """
        if bool((rate < 0).any()) or float(rate.max()) >= self.largest_rate:
            raise ArgumentError(
                f"Rates must lie in 0 <= rate < {self.largest_rate:g} per second (1 / refractory period), "
                f"not {float(rate.min()):g} to {float(rate.max()):g}."
            )
        growth = torch.expm1((1 / rate - self.refractory) / self.time_constant)  # inf at rate 0
        return self.conductance * (self.threshold - self.rest + (self.threshold - self.reset) / growth)


@dataclass(frozen=True)
class Drive:
    """The current I(a) = offset + slope a, in ampere, that stands for an activation a as a fraction of the largest.

    `error` is the largest difference of the firing rate from a times the largest rate, as a fraction of the latter.
    """

    offset: float
    slope: float
    error: float


def fitted_drive(cell: LeakyCell, largest_rate: float) -> Drive:
    """Return the affine drive that fits the inverse of the rate curve on (0, largest_rate] by least squares in the current.

    The inverse itself may be applied only to a current that is constant in time: a current of spikes swings, and the mean
    of a function is not the function of the mean. Affine functions commute with the mean. For rates above 1 / tau the
    inverse is nearly affine: I(f) = C f (threshold - reset) + g ((threshold + reset) / 2 - rest), a constant that makes
    up for the mean leak. The offset stays at or below the rheobase, so that the activation 0 is silent; small
    activations are then too, which is the larger part of the error (about 1 / (2 tau largest_rate)). A refractory period
    bends the curve: with one of 2 ms and 400 spikes per second the error is 0.19.

    >>> drive = fitted_drive(LeakyCell(refractory=0), 1000.0)
    >>> round(drive.error, 3)
    0.021
    """
    share = torch.arange(1, FIT_POINTS + 1, dtype=torch.float64) / FIT_POINTS
    wanted = cell.current(share * largest_rate)
    table = torch.stack([torch.ones_like(share), share], 1)
    offset, slope = torch.linalg.lstsq(table, wanted[:, None]).solution[:, 0].tolist()
    if offset > cell.rheobase:
        offset, slope = cell.rheobase, float(share @ (wanted - cell.rheobase) / (share @ share))
    error = (cell(offset + slope * share) / largest_rate - share).abs().max()
    return Drive(offset, slope, float(error))
