"""The scan as an operator of torch, with an implementation for each kind of device."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from transpike.simulation.scan import plain

SCHEMA = (
    "(Tensor current, Tensor? bias, Tensor threshold, Tensor height, Tensor(a!) potential, Tensor(b!) count, "
    "Tensor(c!)? net, Tensor(d!)? accumulated, Tensor(e!) sent, float retract, bool forgives_debt) -> ()"
)
MUTATED = ("potential", "count", "net", "accumulated", "sent")


@torch.library.custom_op("transpike::fire_scan", mutates_args=MUTATED, schema=SCHEMA)
def fire_scan(
    current: Tensor,
    bias: Tensor | None,
    threshold: Tensor,
    height: Tensor,
    potential: Tensor,
    count: Tensor,
    net: Tensor | None,
    accumulated: Tensor | None,
    sent: Tensor,
    retract: float,
    forgives_debt: bool,
) -> None:
    """Step neurons with reset by subtraction through all steps of `sent` [time, neurons], in place.

    m = potential + current[t] + bias[t];  n[t] = 1 where m >= threshold, else 0;  potential = m - threshold n[t];
    sent[t] = height[t] n[t]; `count` grows by |n[t]| and `accumulated` by sent[t]. With `net`, the sum of n, spikes are
    taken back as `Ternary` says: n[t] = -1 where m <= retract threshold and net > 0; with `forgives_debt` a potential
    below 0 becomes 0 where net is 0.

    All tensors are contiguous and of one dtype: `current` [time or 1, neurons], the states [neurons]; `bias` and `height`
    [time or 1, neurons of a sample] and `threshold` [neurons of a sample] repeat for each sample. Sums are taken in the
    order of `Neuron.step`, so that all implementations give the same bits.

    >>> v, n, sent = torch.zeros(2), torch.zeros(2), torch.empty(3, 2)
    >>> fire_scan(torch.tensor([[0.5, 1.0]]), None, torch.ones(2), torch.ones(1, 2), v, n, None, None, sent, 0.0, False)
    >>> sent.tolist(), v.tolist()
    ([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0]], [0.5, 0.0])
    """
    plain.scan(current, bias, threshold, height, potential, count, net, accumulated, sent, retract, forgives_debt)


@fire_scan.register_kernel("cpu")
def on_cpu(*given: object) -> None:
    """Run compiled loops."""
    implementation("cpu")(*given)


@fire_scan.register_kernel("cuda")
def on_cuda(*given: object) -> None:
    """Run the Triton kernel."""
    implementation("cuda")(*given)


@fire_scan.register_fake
def on_nothing(*given: object) -> None:
    """Return nothing: the operator makes no tensor."""


@cache
def implementation(device: str) -> Callable[..., None]:
    """Return the fastest scan on a kind of device whose compiler is installed; plain torch where none is."""
    try:
        if device == "cpu":
            from transpike.simulation.scan import compiled

            return compiled.scan
        if device == "cuda":
            from transpike.simulation.scan import kernel

            return kernel.scan
    except ImportError:
        pass
    return plain.scan
