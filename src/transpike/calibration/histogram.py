"""A streaming histogram per channel: any number of samples, constant memory, any range of values."""

from __future__ import annotations

import torch
from torch import Tensor

BINS = 2048
NEURON_BINS = 128  # where every neuron has a histogram of its own: half a kilobyte each
SMALLEST = -100  # exponent of the narrowest range: far below any activation, and its bins are not denormal


class Histogram:
    """Counts of non-negative values per channel in equal bins over [0, range], where each range is a power of two.

    A channel whose values outgrow its range merges pairs of bins until they fit, so the result does not depend on the
    order or the batching of the values. Quantiles are exact to one bin: at most 1/1024 of the channel's maximum, or 2 / `bins`.
    """

    def __init__(self, channels: int, bins: int = BINS, dtype: torch.dtype = torch.int64) -> None:
        self.bins = bins
        self.counts = torch.zeros(channels, bins, dtype=dtype)
        self.zeros = torch.zeros(channels, dtype=torch.int64)
        self.maximum = torch.zeros(channels, dtype=torch.float64)
        self.exponent = torch.full((channels,), SMALLEST, dtype=torch.int64)

    @classmethod
    def of_neurons(cls, neurons: int) -> Histogram:
        """Return a coarse histogram for each of many rows: 512 bytes a row, quantiles exact to 1/64 of the maximum."""
        return cls(neurons, NEURON_BINS, torch.int32)

    def add(self, values: Tensor) -> None:
        """Count `values` [channels, n]; what is below 0 counts as 0."""
        values = values.detach().to("cpu").clamp(min=0)
        peak = values.amax(1).double()
        self.maximum = torch.maximum(self.maximum, peak)
        exponent = torch.frexp(peak).exponent.long()
        self.grow(torch.where(peak > 0, exponent, SMALLEST).clamp(min=SMALLEST))
        bins = (values / self.width.to(values.dtype)[:, None]).clamp_(max=self.bins - 1).long()
        bins += self.bins * torch.arange(len(values))[:, None]
        counts = torch.bincount(bins.flatten(), minlength=self.counts.numel()).view_as(self.counts).to(self.counts.dtype)
        zeros = (values == 0).sum(1)
        counts[:, 0] -= zeros
        self.zeros += zeros
        self.counts += counts

    @property
    def width(self) -> Tensor:
        """The width of a bin of each channel, in float64."""
        return torch.ldexp(torch.ones_like(self.maximum), self.exponent - (self.bins.bit_length() - 1))

    @property
    def centres(self) -> Tensor:
        """The middle of each bin of each channel, in float64; the maximum where that is less."""
        middles = (torch.arange(self.bins, dtype=torch.float64) + 0.5) * self.width[:, None]
        return torch.minimum(middles, self.maximum[:, None])

    @property
    def silent(self) -> Tensor:
        """Which channels never were above 0."""
        return self.maximum <= 0

    def grow(self, exponent: Tensor) -> None:
        """Double each channel's range until it reaches 2**exponent."""
        empty = self.counts.sum(1) == 0
        self.exponent = torch.where(empty & (exponent > self.exponent), exponent, self.exponent)
        while (small := self.exponent < exponent).any():
            merged = self.counts[small].view(-1, self.bins // 2, 2).sum(2).to(self.counts.dtype)
            self.counts[small] = torch.cat([merged, torch.zeros_like(merged)], 1)
            self.exponent = self.exponent + small

    def merged(self) -> Histogram:
        """Return one histogram of all channels together."""
        whole = Histogram(1, self.bins)
        for channel in range(len(self.counts)):
            one = Histogram(1, self.bins)
            one.counts, one.exponent = self.counts[channel : channel + 1].clone(), self.exponent[channel : channel + 1]
            target = torch.maximum(whole.exponent, one.exponent)
            whole.grow(target)
            one.grow(target)
            whole.exponent, whole.counts = target, whole.counts + one.counts
        whole.zeros, whole.maximum = self.zeros.sum()[None], self.maximum.max()[None]
        return whole

    def quantile(self, fraction: float, *, active: bool = False) -> Tensor:
        """Return, per channel in float64, the value that `fraction` of all values, or of the active ones, do not exceed.

        Active values are those above 0. Values are taken as spread evenly inside a bin. `fraction` 1 gives the exact maximum.
        """
        if fraction >= 1:
            return self.maximum
        zeros = torch.zeros_like(self.zeros) if active else self.zeros
        cumulative = zeros[:, None] + self.counts.cumsum(1)
        target = fraction * cumulative[:, -1:].double()
        index = (cumulative < target).sum(1, keepdim=True).clamp(max=self.bins - 1)
        inside = self.counts.gather(1, index).clamp(min=1)
        missing = cumulative.gather(1, index) - target
        position = index + 1 - missing / inside
        values = torch.where(target[:, 0] <= zeros, 0.0, position[:, 0] * self.width)
        return torch.minimum(values, self.maximum)
