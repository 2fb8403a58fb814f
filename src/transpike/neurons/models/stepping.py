"""Neurons in batches through steps of one length, by a method that is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from transpike.errors import ArgumentError
from transpike.neurons.models.equations import Equations

Advance = Callable[[Tensor, Tensor], Tensor]


class Method(Protocol):
    """How a step is made; its error over a fixed time falls as dt^order where the course is smooth."""

    name: ClassVar[str]
    order: ClassVar[int]

    def prepared(self, equations: Equations, dt: float) -> Advance:
        """Return the function (state [variables, ...], current [...]) -> state after `dt` of that current."""
        ...


@dataclass(frozen=True)
class Euler:
    """x <- x + dt f(x, I): order 1."""

    name: ClassVar[str] = "Euler"
    order: ClassVar[int] = 1

    def prepared(self, equations: Equations, dt: float) -> Advance:
        return lambda state, current: state + dt * slope(equations, state, current)


@dataclass(frozen=True)
class RungeKutta4:
    """The classical method of Runge and Kutta: order 4, with four evaluations of f per step."""

    name: ClassVar[str] = "Runge-Kutta"
    order: ClassVar[int] = 4

    def prepared(self, equations: Equations, dt: float) -> Advance:
        def advance(state: Tensor, current: Tensor) -> Tensor:
            first = slope(equations, state, current)
            second = slope(equations, state + dt / 2 * first, current)
            third = slope(equations, state + dt / 2 * second, current)
            fourth = slope(equations, state + dt * third, current)
            return state + dt / 6 * (first + 2 * second + 2 * third + fourth)

        return advance


@dataclass(frozen=True)
class Exact:
    """x <- e^(A dt) x + (integral of e^(A s) over the step) (B I + c) for dx/dt = A x + B I + c: no error between spikes.

    Raises ArgumentError for models that are not linear. Source: Rotter and Diesmann 1999, Biological Cybernetics 81:381.
    """

    name: ClassVar[str] = "exact"
    order: ClassVar[int] = 0  # no error to fall

    def prepared(self, equations: Equations, dt: float) -> Advance:
        if not equations.linear:
            raise ArgumentError(f"{equations.title} is not linear: there is no exact step. Take RungeKutta4() or Euler().")
        from scipy.linalg import expm

        matrix, drive, constant = coefficients(equations)
        n = len(matrix)
        joined = torch.zeros(2 * n, 2 * n, dtype=torch.float64)
        joined[:n, :n], joined[:n, n:] = matrix * dt, dt * torch.eye(n, dtype=torch.float64)
        whole = torch.from_numpy(expm(joined.numpy()))  # torch's own errs by 1e-10 where the norm is near 0.05
        carried, gathered = whole[:n, :n], whole[:n, n:]
        from_current, from_constant = gathered @ drive, gathered @ constant

        def advance(state: Tensor, current: Tensor) -> Tensor:
            shape = (n,) + (1,) * current.dim()
            kept = torch.tensordot(carried.to(state), state, 1)
            return kept + from_current.to(state).view(shape) * current + from_constant.to(state).view(shape)

        return advance


METHODS: tuple[Method, ...] = (Euler(), RungeKutta4(), Exact())


def slope(equations: Equations, state: Tensor, current: Tensor) -> Tensor:
    """Return dx/dt [variables, ...]."""
    return torch.stack(torch.broadcast_tensors(*equations.derivative(state, current)))


def coefficients(equations: Equations) -> tuple[Tensor, Tensor, Tensor]:
    """Return A, B and c of a linear model, read off its derivative at the unit vectors."""

    def f(state: list[float], current: float) -> Tensor:
        return torch.tensor(equations.derivative(state, current), dtype=torch.float64)

    n = len(equations.variables)
    nothing = f([0.0] * n, 0.0)
    columns = [f([float(i == j) for j in range(n)], 0.0) - nothing for i in range(n)]
    return torch.stack(columns, 1), f([0.0] * n, 1.0) - nothing, nothing


@dataclass(frozen=True, eq=False)
class Cells:
    """Neurons between two steps: `variables` [variables, batch, ...] and for how many steps each is `resting` [batch, ...]."""

    variables: Tensor
    resting: Tensor


@dataclass(frozen=True, eq=False)
class Steps:
    """What neurons did in steps of `dt`: `states` [time + 1, variables, batch, ...] and which `fired` [time, batch, ...].

    The first state is that before the first step; a spike belongs to the end of its step.
    """

    equations: Equations
    dt: float
    states: Tensor
    fired: Tensor

    def __getitem__(self, name: str) -> Tensor:
        """Return one variable [time + 1, batch, ...]."""
        return self.states[:, list(self.equations.variables).index(name)]

    def spikes(self, *index: int) -> Tensor:
        """Return when a neuron of the batch spiked: the ends of those steps."""
        fired = self.fired
        for place in index:
            fired = fired[:, place]
        return (fired.nonzero()[:, 0] + 1).double() * self.dt


def started(equations: Equations, like: Tensor, state: Any = None) -> Cells:
    """Return neurons at a state (default: rest), one for each entry of `like` [batch, ...]."""
    given = torch.as_tensor(equations.rest() if state is None else state, dtype=like.dtype, device=like.device)
    if not len(given) == len(equations.variables):
        raise ArgumentError(f"A state of {equations.title} has a row for each of {', '.join(equations.variables)}.")
    rows = given.reshape(len(given), *((1,) * like.dim())) if given.dim() == 1 else given
    return Cells(rows.expand(len(given), *like.shape).clone(), torch.zeros(like.shape, dtype=torch.long, device=like.device))


def advanced(equations: Equations, cells: Cells, current: Tensor, advance: Advance, pause: int) -> tuple[Cells, Tensor]:
    """Return the neurons after a step, and which of them fired at its end."""
    before = cells.variables
    after = advance(before, current)
    if pause:
        after = torch.where(cells.resting > 0, before, after)
    fired = equations.excess(after) >= 0
    if not equations.resets:
        return Cells(after, cells.resting), fired & (equations.excess(before) < 0)
    if not fired.any():
        return Cells(after, (cells.resting - 1).clamp(min=0) if pause else cells.resting), fired
    fresh = torch.stack([torch.as_tensor(x).to(after).expand_as(fired) for x in equations.reset(after)])
    resting = (cells.resting - 1).clamp(min=0).masked_fill(fired, pause)
    return Cells(torch.where(fired, fresh, after), resting), fired


def run(equations: Equations, currents: Tensor, dt: float, method: Method, state: Any = None) -> Steps:
    """Return what neurons did under currents [time, batch, ...]; see `Model.run`."""
    require_step(dt)
    if not (isinstance(currents, Tensor) and currents.is_floating_point() and currents.dim() and len(currents)):
        raise ArgumentError("Currents are a floating-point tensor [time, batch, ...] with at least one step.")
    cells = started(equations, currents[0], state)
    advance, pause = method.prepared(equations, dt), round(equations.pause / dt)
    states, fired = [cells.variables], []
    for current in currents:
        cells, spikes = advanced(equations, cells, current, advance, pause)
        states.append(cells.variables)
        fired.append(spikes)
    if not torch.isfinite(cells.variables).all():
        step = next(k for k, each in enumerate(states) if not torch.isfinite(each).all())
        raise ArgumentError(
            f"{equations.title} ran away in step {step}: {dt:g} {equations.time_unit} are too long a step for "
            f"{method.name}. Take a shorter one."
        )
    return Steps(equations, dt, torch.stack(states), torch.stack(fired))


def require_step(dt: float) -> None:
    """Raise ArgumentError unless a step is above 0 and finite."""
    if not 0 < dt < float("inf"):
        raise ArgumentError(f"A step must be above 0 and finite, not {dt!r}.")
