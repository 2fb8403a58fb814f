"""Programs of few-spike neurons that share a range: each reads the digits of its part, its heights by least squares."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from transpike.passes.few_spike_fit import Span, least_squares

GRID = 20_001  # points on which the bends of a function are looked for, closer together near 0
POINTS = 512  # of each part of the range, at which its program is fitted
LARGEST = 512.0  # times the least value of a factor that another may be
FLAT = 2.0**-4  # of the smallest step that the slots tell apart: how much a function may change where it counts as constant

Function = Callable[[Tensor], Tensor]
Programs = tuple[Tensor, Tensor, Tensor]  # bounds [ranges], widths [ranges], heights [ranges, steps]


def gated(function: Function, span: Span, steps: int, ranges: int, relative: bool = False) -> tuple[Programs, float, float]:
    """Return the programs for the range low ... high, in float64, their root mean square error, and their largest.

    Where the function is constant at either end of the range, as a sigmoid is, one neuron stands for all of it, with one spike
    or, where it vanishes, none. The other parts are smaller where it is steep or bends. With `relative` its logarithm is what
    counts, as for reciprocals, which are factors, and errors are those of the ratio; where such a function exceeds its least
    value by more than LARGEST times, it counts as constant.

    >>> import torch
    >>> programs, error, largest = gated(torch.sigmoid, (-50.0, 50.0), 8, 16)
    >>> error < 0.002, largest < 0.01
    (True, True)
    """
    with torch.inference_mode(mode=False), torch.no_grad():
        x = spaced(*span)
        y = function(x)
        if relative:
            x = x[y.abs() <= LARGEST * y.abs().min()]
            y = function(x)
        tolerance = FLAT * 2.0 ** (1 - steps) / ranges * float(y.abs().min() if relative else y.abs().max())
        whole = bent(y, tolerance)
        below, above = (ranges > 1 and flat for flat in (whole.start > 0, whole.stop < len(x)))
        inner, ends = x[whole], (float(y[0]), float(y[-1]))
        edges = divided(inner, y[whole], max(1, ranges - below - above), relative)
        low, width = edges[:-1], edges[1:] - edges[:-1]
        heights, error, largest = fitted_parts(function, low, width, steps, relative)
        if below:
            low, width = torch.cat([low[:1] - 1, low]), torch.cat([torch.ones_like(width[:1]), width])
            heights = torch.cat([constant(ends[0], tolerance, heights), heights])
        if above:
            low, width = torch.cat([low, edges[-1:]]), torch.cat([width, torch.ones_like(width[:1])])
            heights = torch.cat([heights, constant(ends[1], tolerance, heights)])
        return (low, width, heights), error, max(largest, tolerance)


def fitted_parts(function: Function, low: Tensor, width: Tensor, steps: int, relative: bool) -> tuple[Tensor, float, float]:
    """Return the heights [ranges, steps] of least squared error for each part, and the errors of all: mean square and largest.

    The largest is where the digits change, as of any function that rises or falls between two such places.
    """
    places = low[:, None] + width[:, None] * (torch.arange(POINTS, dtype=low.dtype) + 0.5) / POINTS
    digits, wanted = spikes(POINTS, steps), function(places)
    scale = wanted.abs().clamp(min=1e-30) if relative else torch.ones_like(wanted)
    heights = least_squares(digits / scale[..., None], wanted / scale)
    error = ((heights[:, None, :] * digits).sum(-1) - wanted) / scale
    cells = min(2 ** (steps - 1), POINTS)
    edges = function(low[:, None] + width[:, None] * torch.arange(cells + 1, dtype=low.dtype) / cells)
    sent = (heights[:, None, :] * spikes(cells, steps)).sum(-1)
    ends = [(sent - end).abs() / (end.abs() if relative else 1) for end in (edges[:, :-1], edges[:, 1:])]
    rms = float((error.square().mean(1) * (width / width.sum())).sum().sqrt())
    return heights, rms, max(float(end.max()) for end in ends)


def constant(value: float, tolerance: float, like: Tensor) -> Tensor:
    """Return the heights [1, steps] of a neuron that stands for a constant: one spike, or none where it vanishes."""
    heights = torch.zeros_like(like[:1])
    heights[0, 0] = value if abs(value) > tolerance else 0.0
    return heights


def spaced(low: float, high: float) -> Tensor:
    """Return points from low to high, closer together near 0, so that ranges of any size are looked at finely."""
    ends = torch.tensor([low, high], dtype=torch.float64).asinh()
    inner = torch.linspace(float(ends[0]), float(ends[1]), GRID, dtype=torch.float64).sinh()
    inner[0], inner[-1] = low, high
    return inner


def bent(y: Tensor, tolerance: float) -> slice:
    """Return the points but for those at both ends where values stay within `tolerance` of the outermost."""
    moved_from_low = ((y - y[0]).abs() > tolerance).nonzero()
    moved_from_high = ((y - y[-1]).abs() > tolerance).nonzero()
    if not len(moved_from_low):
        return slice(0, len(y))
    return slice(max(0, int(moved_from_low[0]) - 1), min(len(y), int(moved_from_high[-1]) + 2))


def divided(x: Tensor, y: Tensor, parts: int, relative: bool) -> Tensor:
    """Return the edges [parts + 1] of parts of a range in which a function rises and bends by equal amounts."""
    slope = torch.gradient(y, spacing=(x,))[0]
    bend = torch.gradient(slope, spacing=(x,))[0].abs()
    size = y.abs().clamp(min=1e-30) if relative else torch.ones_like(y)
    steps = x[1:] - x[:-1]
    measures = [amount[:-1] * steps for amount in (slope.abs() / size, (bend / size).sqrt(), torch.ones_like(y))]
    shares = [amount / amount.sum().clamp(min=1e-30) for amount in measures]
    path = torch.cat([torch.zeros(1, dtype=x.dtype), (shares[0] + shares[1] + 0.1 * shares[2]).cumsum(0)])
    wanted = path[-1] * torch.arange(1, parts, dtype=x.dtype) / parts
    inner = x[torch.searchsorted(path, wanted).clamp(1, len(x) - 2)]
    return torch.cat([x[:1], inner, x[-1:]])


def spikes(points: int, steps: int) -> Tensor:
    """Return the spikes [points, steps] for inputs spread evenly over a part of the range: 1, and the digits of the place."""
    places = (torch.arange(points, dtype=torch.float64) + 0.5) / points
    numbers = (places * 2 ** (steps - 1)).long()[:, None]
    digits = (numbers >> torch.arange(steps - 2, -1, -1)) % 2
    return torch.cat([torch.ones(points, 1, dtype=torch.float64), digits.double()], 1)
