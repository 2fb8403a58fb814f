"""Spikes as the solution of a mixed-integer problem. Thesis, section 3.1.3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from transpike.codings.signals.base import Properties, SpikeTrains, positive
from transpike.codings.signals.filters import BSA, HSA, OUTPUT, FilterCode, convolved, gamma_kernel, not_negative


@dataclass(frozen=True, eq=False)
class Solution:
    """What the optimiser found: `objective` and a proven lower `limit` of it for each line [...], and the spike trains."""

    trains: SpikeTrains
    objective: Tensor
    limit: Tensor

    @property
    def gap(self) -> Tensor:
        """Return the largest share of the objective by which a better solution could be better [...]: 0 where optimal."""
        return ((self.objective - self.limit) / self.objective.clamp(min=1e-12)).clamp(min=0)


@dataclass(frozen=True, kw_only=True)
class GAGamma(FilterCode):
    """Write a waveform in [0, 1] as the spikes that an optimiser finds: little error, few spikes, for a gamma kernel.

    minimise  sum_t e[t] + `price` * sum_t s[t]  over s[t] in {0, 1} and e[t] >= |x[t] - sum_k kernel[k] s[t - k]|:
    a mixed-integer linear problem, line by line, that HiGHS solves (`scipy.optimize.milp`) to within `gap` of the optimum or
    for `time_limit` seconds. The best of its solution and those of `HSA` and `BSA` (threshold `price`, and 0.9 of the kernel's
    sum) is taken, so that it is never worse than these. No bound for single steps is known beforehand; `solve` says how far
    from the optimum it stopped. Spikes are repeatable where the solver ends before its time limit. Waveform [time, ...] <->
    spikes [time, ...]. Raises ArgumentError for values out of [0, 1] and signals shorter than the kernel. Source: Sengupta,
    Scott and Kasabov 2015, who pose encoding as a mixed-integer problem with prior knowledge in a gamma kernel; the linear
    objective is ours.

    >>> code = GAGamma(kernel=(0.5, 0.25), price=0.01)
    >>> found = code.solve(torch.tensor([0.5, 0.25, 0.5, 0.75, 0.25]))
    >>> found.trains.spikes.tolist(), round(found.objective.item(), 3), round(found.gap.item(), 3)
    ([1, 0, 1, 1, 0], 0.03, 0.0)
    """

    properties: ClassVar[Properties] = Properties(
        family="filter and optimiser",
        stimulus="waveform",
        inverts=True,
        guarantee="",
        for_conversion=False,
        why=OUTPUT,
        citation="Sengupta, Scott and Kasabov 2015; thesis, section 3.1.3",
    )

    kernel: tuple[float, ...] = gamma_kernel(12)
    price: float = 0.02
    time_limit: float = 10.0
    gap: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative("price", self.price)
        positive("time_limit", self.time_limit)
        not_negative("gap", self.gap)

    def encode(self, signal: Tensor) -> SpikeTrains:
        return self.solve(signal).trains

    def solve(self, signal: Tensor) -> Solution:
        """Return the spikes of `signal` [time, ...], what they cost, and the least that any spikes can cost."""
        values = self.waveform(signal)
        found = [self.optimum(line.numpy()) for line in values.reshape(len(values), -1).unbind(1)]
        optimum = torch.stack([spikes for spikes, _ in found], 1).reshape(values.shape)
        limit = torch.tensor([least for _, least in found], dtype=torch.float64).reshape(values.shape[1:])
        best, cost = optimum, self.cost(optimum, values)
        for rule in self.rules():
            other = rule.encode(values).spikes.double()
            price = self.cost(other, values)
            best, cost = torch.where(price < cost, other, best), torch.minimum(price, cost)
        return Solution(SpikeTrains(best.to(torch.int8), self.dt), cost, torch.minimum(limit, cost))

    def rules(self) -> tuple[FilterCode, ...]:
        """Return the rules that the solution is never worse than: the strict, the greedy and the usual one."""
        usual = 0.9 * sum(self.kernel)
        return (HSA(kernel=self.kernel), *(BSA(kernel=self.kernel, threshold=t) for t in (self.price, usual)))

    def cost(self, spikes: Tensor, signal: Tensor) -> Tensor:
        """Return the objective of `spikes` [time, ...] for `signal` [time, ...]: float64 [...]."""
        return (signal - convolved(spikes, self.kernel)).abs().sum(0) + self.price * spikes.sum(0)

    def optimum(self, line: np.ndarray[Any, Any]) -> tuple[Tensor, float]:
        """Return what the solver finds for one line [time]: spikes, all silent if its time was too short, and the limit."""
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import bmat, diags, eye

        steps = len(line)
        filtering = diags(self.kernel, [-k for k in range(len(self.kernel))], shape=(steps, steps))
        errors = eye(steps)
        result = milp(
            np.concatenate([np.full(steps, self.price), np.ones(steps)]),
            integrality=np.concatenate([np.ones(steps), np.zeros(steps)]),
            bounds=Bounds(0, np.concatenate([np.ones(steps), np.full(steps, np.inf)])),
            constraints=LinearConstraint(
                bmat([[filtering, -errors], [-filtering, -errors]], format="csc"), ub=np.concatenate([line, -line])
            ),
            options={"time_limit": float(self.time_limit), "mip_rel_gap": float(self.gap)},
        )
        spikes = np.zeros(steps) if result.x is None else result.x[:steps].round()
        limit = result.mip_dual_bound
        return torch.from_numpy(spikes), max(float(limit), 0.0) if limit is not None and np.isfinite(limit) else 0.0
