"""Leaky neurons in place of activations, driven through the inverse of their rate curve."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from transpike.neurons import LeakyCell, LeakyIntegrateAndFire, PreciseLeaky, fitted_drive
from transpike.parts import Op


@dataclass(frozen=True)
class InvertRateCurve:
    """Make leaky neurons that fire at a / a_max * largest_rate for an activation a, by inverting their rate curve.

    The inverse is fitted by an affine function of the activation, see `neurons.fitted_drive`, because only that is right
    for currents that swing in time: with this cell the rate is wrong by at most 2.1 % of the largest rate under a
    constant current. `kind` says how they are integrated. To be given to `InsertNeurons(neuron=...)`.
    """

    cell: LeakyCell = field(default_factory=lambda: LeakyCell(refractory=0.0))
    time_step: float = 1e-3
    largest_rate: float = 1000.0
    kind: type[LeakyIntegrateAndFire] = PreciseLeaky

    def __call__(self, threshold: Tensor, initial: Tensor, activation: Op) -> LeakyIntegrateAndFire:
        drive = fitted_drive(self.cell, self.largest_rate)
        return self.kind(
            threshold,
            initial,
            activation,
            cell=self.cell,
            time_step=self.time_step,
            offset=drive.offset,
            slope=drive.slope,
            largest_rate=self.largest_rate,
        )
