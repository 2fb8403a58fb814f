"""The closed vocabulary of analogue ops, and the one table that states the trait of each."""

from __future__ import annotations

from transpike.ops.activation import (
    Clamped,
    Clip,
    LeakyRelu,
    NormalCurve,
    Qcfs,
    Relu,
    Rescaled,
    Sigmoid,
    SlipRelu,
    Softmax,
    Tanh,
    ceiling,
)
from transpike.ops.arithmetic import Add, Constant, Identity, Input, Multiply, OnGrid
from transpike.ops.linear import Affine, BatchNorm, Convolution, Linear, TransposedConvolution
from transpike.ops.lookup import Embedding, Number, OneHot
from transpike.ops.pooling import AdaptiveAveragePool, AdaptiveMaxPool, AveragePool, MaxPool, Mean
from transpike.ops.recurrence import Choose, Collect, Element, Previous, Within
from transpike.ops.shape import Concatenate, Expand, Pad, Permute, Reshape, Slice, Upsample
from transpike.parts import Op, Trait

TRAITS: dict[type[Op], Trait] = {
    Input: Trait.STATIC,
    Constant: Trait.STATIC,
    Identity: Trait.LINEAR,
    OnGrid: Trait.LINEAR,  # up to half a step of the grid
    Linear: Trait.LINEAR,
    Convolution: Trait.LINEAR,
    TransposedConvolution: Trait.LINEAR,
    BatchNorm: Trait.LINEAR,
    Affine: Trait.LINEAR,
    Add: Trait.LINEAR,
    AveragePool: Trait.LINEAR,
    AdaptiveAveragePool: Trait.LINEAR,
    Mean: Trait.LINEAR,
    Reshape: Trait.LINEAR,
    Permute: Trait.LINEAR,
    Slice: Trait.LINEAR,
    Concatenate: Trait.LINEAR,
    Pad: Trait.LINEAR,
    Expand: Trait.LINEAR,
    Upsample: Trait.LINEAR,
    Element: Trait.LINEAR,
    Previous: Trait.LINEAR,
    Collect: Trait.LINEAR,
    Choose: Trait.LINEAR,
    Embedding: Trait.DISCRETE,
    Number: Trait.DISCRETE,
    OneHot: Trait.DISCRETE,
    Within: Trait.DISCRETE,
    Relu: Trait.ACTIVATION,
    Clip: Trait.ACTIVATION,
    LeakyRelu: Trait.ACTIVATION,
    Rescaled: Trait.ACTIVATION,
    Qcfs: Trait.ACTIVATION,
    SlipRelu: Trait.ACTIVATION,
    Clamped: Trait.ACTIVATION,
    Sigmoid: Trait.ACTIVATION,
    Tanh: Trait.ACTIVATION,
    NormalCurve: Trait.ACTIVATION,
    MaxPool: Trait.COUPLED,
    AdaptiveMaxPool: Trait.COUPLED,
    Softmax: Trait.COUPLED,
    Multiply: Trait.COUPLED,
}

PRODUCTS: dict[type[Op], tuple[int, ...]] = {Multiply: (0, 1)}  # linear in these inputs, the others held
QUANTISED = (Qcfs, SlipRelu, Clamped)  # trained with a threshold of their own; they jump from level to level
RECTIFIERS = (Relu, Clip, *QUANTISED)  # non-negative and monotone, if a clip starts at 0: what neurons can be
DENSE = (Linear, Convolution, TransposedConvolution)  # each output is a sum over many inputs, with a product for each
WEIGHTED = (Linear, Convolution, TransposedConvolution, Affine)

__all__ = [
    "DENSE",
    "PRODUCTS",
    "QUANTISED",
    "RECTIFIERS",
    "TRAITS",
    "WEIGHTED",
    "AdaptiveAveragePool",
    "AdaptiveMaxPool",
    "Add",
    "Affine",
    "AveragePool",
    "BatchNorm",
    "Choose",
    "Clamped",
    "Clip",
    "Collect",
    "Concatenate",
    "Constant",
    "Convolution",
    "Element",
    "Embedding",
    "Expand",
    "Identity",
    "Input",
    "LeakyRelu",
    "Linear",
    "MaxPool",
    "Mean",
    "Multiply",
    "NormalCurve",
    "Number",
    "OnGrid",
    "OneHot",
    "Pad",
    "Permute",
    "Previous",
    "Qcfs",
    "Relu",
    "Rescaled",
    "Reshape",
    "Sigmoid",
    "Slice",
    "SlipRelu",
    "Softmax",
    "Tanh",
    "TransposedConvolution",
    "Upsample",
    "Within",
    "ceiling",
]
