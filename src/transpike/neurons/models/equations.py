"""The mathematics of a neuron model: its variables, what drives them, when it spikes and what a spike changes."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from transpike.errors import ArgumentError
from transpike.neurons.models.currents import Current

TOLERANCE = 1e-12


def parameter(default: float, unit: str, meaning: str, *, above: float = -math.inf, least: float = -math.inf) -> Any:
    """Return a field of a model with its published value, its unit, and the bounds within which it makes sense."""
    return field(default=default, metadata={"unit": unit, "meaning": meaning, "above": above, "least": least})


@dataclass(frozen=True, kw_only=True)
class Equations:
    """dx/dt = derivative(x, I), with a spike wherever excess(x) rises through 0, after which x becomes reset(x).

    A state is [variables, ...]: floats for one neuron, tensors for a batch. All models are affine in the current. Fields are
    parameters in the stated units; any of them outside its bounds raises ArgumentError.
    """

    title: ClassVar[str]
    citation: ClassVar[str]
    variables: ClassVar[dict[str, str]]  # name -> unit; a spike shows in the one that `shown` names
    shown: ClassVar[str] = "V"
    time_unit: ClassVar[str] = "ms"
    current_unit: ClassVar[str]
    example: ClassVar[Current]  # what shows its ways, for pictures
    duration: ClassVar[float]
    resets: ClassVar[bool] = False  # a rule ends its spikes; else the equations themselves do
    linear: ClassVar[bool] = False  # between spikes, so that a step can be made exactly

    def __post_init__(self) -> None:
        for entry in dataclasses.fields(self):
            value, above, least = getattr(self, entry.name), entry.metadata["above"], entry.metadata["least"]
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value > above and value >= least):
                bound = f" above {above:g}" if above > -math.inf else f" of at least {least:g}" if least > -math.inf else ""
                raise ArgumentError(f"{self.title}: {entry.name} must be a finite number{bound}, not {value!r}.")

    def derivative(self, state: Any, current: Any) -> tuple[Any, ...]:
        """Return dx/dt of each variable."""
        raise NotImplementedError

    def excess(self, state: Any) -> Any:
        """Return by how much the threshold is exceeded."""
        raise NotImplementedError

    def reset(self, state: Any) -> tuple[Any, ...]:
        """Return the state after a spike."""
        return tuple(state)

    def near_rest(self) -> tuple[float, ...]:
        """Return a state from which the search for rest starts."""
        raise NotImplementedError

    @property
    def pause(self) -> float:
        """How long the state stays as it is after a spike."""
        return 0.0

    def rest(self, current: float = 0.0) -> tuple[float, ...]:
        """Return the state at which nothing changes under a constant current, stable or not.

        Raises ArgumentError where there is none near the usual one. Found by Powell's hybrid method.
        """
        from scipy.optimize import root

        found = root(lambda x: self.derivative(x.tolist(), current), self.near_rest(), tol=TOLERANCE)
        if not np.abs(found.fun).max() < 1e-6 * max(1.0, float(np.abs(found.x).max())):
            raise ArgumentError(f"{self.title} has no rest near {self.near_rest()} under a current of {current:g}.")
        return tuple(float(value) for value in found.x)

    def kicked(self, state: Any, charge: float) -> tuple[Any, ...]:
        """Return the state after a charge that arrives at once: x + charge * d(dx/dt)/dI."""
        pushed, free = self.derivative(state, 1.0), self.derivative(state, 0.0)
        return tuple(x + charge * (p - f) for x, p, f in zip(state, pushed, free, strict=True))

    def require(self, met: bool, need: str) -> None:
        """Raise ArgumentError with what the parameters must fulfil together, unless they do."""
        if not met:
            raise ArgumentError(f"{self.title} needs {need}: {self!r}.")
