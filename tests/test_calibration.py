"""The streaming histogram: near to exact quantiles, whatever the order, the batches and the size of the values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from helpers import subject
from transpike.calibration import Histogram, histograms
from transpike.calibration.covariance import covariances
from transpike.calibration.histogram import BINS
from transpike.capture import capture
from transpike.data import Batch
from transpike.errors import ArgumentError, DataError
from transpike.network import forward
from transpike.ops import Convolution
from transpike.passes import Percentile

FRACTIONS = (0.01, 0.5, 0.9, 0.999, 1.0)
seeds = st.integers(0, 10_000)
scales = st.sampled_from([1e-44, 1e-30, 1e-6, 0.37, 1.0, 3e4, 1e30, 3e38])


def drawn(seed, channels, count, scale=1.0, zeros=0.3):
    """Return values [channels, count] in float32: a part 0, the rest over several orders of magnitude below `scale`."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(channels, count, dtype=torch.float64, generator=generator) ** 3
    values *= torch.rand(channels, count, generator=generator) >= zeros
    return (values * scale).float()


def histogram_of(*parts):
    histogram = Histogram(len(parts[0]))
    for part in parts:
        histogram.add(part)
    return histogram


def assert_equal(a, b):
    for name in ("counts", "zeros", "maximum", "exponent"):
        assert torch.equal(getattr(a, name), getattr(b, name)), name


def smallest_not_exceeded(values, fraction):
    """Return the smallest value that at least `fraction` of the values do not exceed, per channel."""
    ordered = np.sort(values.double().numpy(), axis=1)
    return ordered[:, max(math.ceil(fraction * values.shape[1]), 1) - 1]


@given(seeds, st.integers(1, 400), scales)
def test_quantiles_are_exact_to_one_bin(seed, count, scale):
    values = drawn(seed, 3, count, scale)
    histogram = histogram_of(values)
    for fraction in FRACTIONS:
        error = np.abs(histogram.quantile(fraction).numpy() - smallest_not_exceeded(values, fraction))
        assert (error <= histogram.width.numpy()).all()


@given(seeds, scales.filter(lambda scale: scale > 1e-29))
def test_a_bin_is_at_most_a_thousandth_of_the_maximum(seed, scale):
    histogram = histogram_of(drawn(seed, 4, 100, scale, zeros=0.0))
    assert (histogram.width <= histogram.maximum / (BINS // 2)).all()
    assert (histogram.width * BINS >= histogram.maximum).all()


@given(seeds, st.integers(1, 30), st.randoms(use_true_random=False))
def test_order_and_batches_do_not_matter(seed, size, random):
    """Not even for a channel that is silent in some batches, or whose values span 60 orders of magnitude."""
    values = torch.cat([drawn(seed, 3, 60, scale) for scale in (1e-6, 1.0, 1e30)] + [torch.zeros(3, 20)], 1)
    values[2] *= 1e-32
    pieces = list(values[:, torch.randperm(200)].split(size, 1))
    random.shuffle(pieces)
    assert_equal(histogram_of(*pieces), histogram_of(values))


def test_a_silent_batch_does_not_coarsen_a_small_channel():
    small = drawn(3, 1, 500, 1e-5)
    histogram = histogram_of(torch.zeros(1, 10), small, torch.zeros(1, 10))
    assert (histogram.width <= histogram.maximum / (BINS // 2)).all()


@given(seeds)
def test_merged_is_the_histogram_of_everything(seed):
    values = torch.stack([drawn(seed, 1, 80, scale)[0] for scale in (1.0, 1e-6, 0.0, 1e30, 0.2)])
    histogram = histogram_of(values)
    kept = histogram_of(values)
    assert_equal(histogram.merged(), histogram_of(values.reshape(1, -1)))
    assert_equal(histogram, kept)


def test_values_below_zero_count_as_zero():
    values = drawn(1, 2, 50)
    assert_equal(histogram_of(values - 0.1), histogram_of((values - 0.1).clamp(min=0)))


def test_the_maximum_is_exact():
    values = drawn(5, 3, 77, 1e4)
    assert torch.equal(histogram_of(values).quantile(1.0), values.double().amax(1))


@pytest.mark.parametrize("value", [1.0, 2.0, 0.5, 2.0**-40, 2.0**100, 1e-45, 3.4e38])
def test_one_value_is_its_own_quantile(value):
    histogram = histogram_of(torch.full((1, 9), value))
    for fraction in FRACTIONS:
        assert histogram.quantile(fraction).item() <= histogram.maximum.item()
        assert abs(histogram.quantile(fraction).item() - histogram.maximum.item()) <= histogram.width.item()


def test_a_channel_of_zeros_has_quantile_zero():
    assert histogram_of(torch.zeros(2, 10)).quantile(0.999).tolist() == [0.0, 0.0]


def test_percentile_of_a_rare_channel_is_its_maximum():
    values = torch.zeros(2, 10_000)
    values[0, 17] = 0.25
    assert Percentile(99.9)(histogram_of(values)).tolist() == [0.25, 0.0]


def test_layerwise_percentile_is_that_of_all_channels():
    values = torch.stack([torch.linspace(0, 1, 1000), torch.linspace(0, 3, 1000)])
    whole = Percentile(50, layerwise=True)(histogram_of(values))
    assert whole.shape == (1,)
    assert abs(whole.item() - 0.75) < 3 / 1000 + 4 / BINS


@pytest.mark.parametrize("percent", [0, -1, 100.1, math.nan])
def test_impossible_percentiles_are_refused(percent):
    with pytest.raises(ArgumentError, match="percent must be above 0 and at most 100"):
        Percentile(percent)


def test_nodes_are_observed_along_their_channel_axis():
    _, inputs, network = subject("tokens")
    found, seen = histograms(network, {"relu": 2}, [Batch((inputs[0][:20],)), Batch((inputs[0][20:],))])
    values = {}
    forward(network, inputs, values.__setitem__)
    assert seen == 32
    assert torch.equal(found["relu"].maximum, values["relu"].amax((0, 1)))


def test_values_that_overflow_are_refused():
    _, inputs, network = subject("mlp", torch.float32)
    with pytest.raises(DataError, match="Node '1' overflows on the calibration samples"):
        histograms(network, {"1": 1}, [Batch((inputs[0] * 3e38,))])


def test_covariances_of_patches_are_in_the_order_of_the_weights():
    """Mean and covariance of what `unfold` makes of the input, from two batches."""
    torch.manual_seed(0)
    x = torch.randn(10, 2, 5, 6).double()
    network = capture(nn.Conv2d(2, 3, (3, 2), padding=1).double().eval(), (x,))
    name = next(node.name for node in network.having(Convolution))
    found = covariances(network, {name: network.nodes[name].inputs[0]}, [Batch((part,)) for part in x.split(5)])[name]
    rows = nn.functional.unfold(x, (3, 2), padding=1).mT.flatten(0, 1)
    torch.testing.assert_close(found.mean, rows.mean(0))
    torch.testing.assert_close(found.matrix, rows.T.cov(correction=0))
