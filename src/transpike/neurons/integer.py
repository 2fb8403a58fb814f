"""Integrate-and-fire neurons as digital chips have them: potentials are whole numbers of so many bits."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from transpike.errors import ArgumentError
from transpike.neurons.base import Membrane
from transpike.neurons.integrate_and_fire import IntegrateAndFire

MOST_BITS = 24  # of whole numbers that float32 holds


@dataclass(frozen=True, eq=False)
class IntegerIntegrateAndFire(IntegrateAndFire):
    """Integrate-and-fire neurons whose potential is a whole number from -2^(bits-1) to 2^(bits-1) - 1.

    m[t] = limited(v[t-1] + I[t] + bias);  s[t] = 1 where m[t] >= threshold;  v[t] = m[t] - threshold s[t]. What leaves
    the range is limited once a step, after all that arrives in it has been added. Currents, bias and threshold are whole,
    and the potential starts from the whole number nearest to initial * threshold.
    Raises ArgumentError unless bits is a whole number from 2 to 24.
    """

    bits: int = 16

    def __post_init__(self) -> None:
        if isinstance(self.bits, bool) or not isinstance(self.bits, int) or not 2 <= self.bits <= MOST_BITS:  # noqa: PLR2004
            raise ArgumentError(f"Potentials must have 2 to {MOST_BITS} bits, not {self.bits!r}.")

    def start(self, x: Tensor, first_sample: int = 0) -> Membrane:
        state = super().start(x, first_sample)
        state.potential.round_()
        return state

    def first_potential(self) -> Tensor:
        return super().first_potential().round()

    def integrate(self, state: Membrane, x: Tensor) -> None:
        super().integrate(state, x)
        self.limit(state.potential, 2 ** (self.bits - 1))

    def limit(self, potential: Tensor, half: int) -> None:
        """Bring potentials back into -half ... half - 1, in place."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Saturating(IntegerIntegrateAndFire):
    """Integer neurons whose potential stays at the end of its range: m = clip(v + I, -2^(bits-1), 2^(bits-1) - 1)."""

    def limit(self, potential: Tensor, half: int) -> None:
        potential.clamp_(-half, half - 1)


@dataclass(frozen=True, eq=False)
class Wrapping(IntegerIntegrateAndFire):
    """Integer neurons whose potential leaves its range at one end and enters at the other, as two's complement does."""

    def limit(self, potential: Tensor, half: int) -> None:
        potential.add_(half).remainder_(2 * half).sub_(half)
