"""The table from ATen operators to ops: one row per operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transpike import ops
from transpike.capture.call import Call
from transpike.capture.readers import activations, arithmetic, pooling, recurrence, shape, weights
from transpike.errors import CaptureError

READERS: dict[str, Callable[[Call], Any]] = {
    "conv1d": weights.convolution,
    "conv2d": weights.convolution,
    "conv3d": weights.convolution,
    "conv_transpose1d": weights.transposed,
    "conv_transpose2d": weights.transposed,
    "conv_transpose3d": weights.transposed,
    "linear": weights.linear,
    "matmul": weights.matmul,
    "mm": weights.matmul,
    "addmm": weights.addmm,
    "batch_norm": lambda call: weights.batch_norm(call)[0],
    "_native_batch_norm_legit_no_training": weights.batch_norm,
    "_native_batch_norm_legit": weights.batch_norm,
    "_native_batch_norm_legit_functional": weights.batch_norm,
    "native_batch_norm": weights.batch_norm,
    "add": arithmetic.added,
    "sub": lambda call: arithmetic.added(call, -1.0),
    "rsub": arithmetic.reverse_subtracted,
    "mul": arithmetic.multiplied,
    "div": arithmetic.divided,
    "neg": arithmetic.negated,
    "relu": lambda call: call.emit(ops.Relu(), call.arguments["self"]),
    "relu6": lambda call: call.emit(ops.Clip(0.0, 6.0), call.arguments["self"]),
    "hardtanh": activations.clipped,
    "clamp": activations.clipped,
    "clamp_min": activations.clipped,
    "clamp_max": activations.clipped,
    "clip": activations.clipped,
    "leaky_relu": activations.leaky,
    "prelu": activations.prelu,
    "_prelu_kernel": activations.prelu,
    "qcfs": activations.qcfs,
    "slip_relu": activations.slip_relu,
    "clamped": activations.clamped,
    "sigmoid": lambda call: call.emit(ops.Sigmoid(), call.arguments["self"]),
    "tanh": lambda call: call.emit(ops.Tanh(), call.arguments["self"]),
    "normal_curve": activations.normal_curve,
    "softmax": activations.softmax,
    "_softmax": activations.softmax,
    "log_softmax": lambda call: activations.softmax(call, logarithm=True),
    "_log_softmax": lambda call: activations.softmax(call, logarithm=True),
    "recurrent": recurrence.layers,
    **dict.fromkeys((f"{kind}_cell" for kind in recurrence.KINDS), recurrence.cell),
    "embedding": recurrence.embedding,
    "one_hot": recurrence.one_hot,
    "avg_pool1d": pooling.average_pool,
    "avg_pool2d": pooling.average_pool,
    "avg_pool3d": pooling.average_pool,
    "max_pool1d": pooling.max_pool,
    "max_pool2d": pooling.max_pool,
    "max_pool3d": pooling.max_pool,
    "max_pool1d_with_indices": pooling.max_pool_with_indices,
    "max_pool2d_with_indices": pooling.max_pool_with_indices,
    "max_pool3d_with_indices": pooling.max_pool_with_indices,
    "adaptive_avg_pool1d": pooling.adaptive_average_pool,
    "adaptive_avg_pool2d": pooling.adaptive_average_pool,
    "adaptive_avg_pool3d": pooling.adaptive_average_pool,
    "_adaptive_avg_pool2d": pooling.adaptive_average_pool,
    "_adaptive_avg_pool3d": pooling.adaptive_average_pool,
    "adaptive_max_pool1d": pooling.adaptive_max_pool,
    "adaptive_max_pool2d": pooling.adaptive_max_pool,
    "adaptive_max_pool3d": pooling.adaptive_max_pool,
    "mean": pooling.mean,
    "sum": lambda call: pooling.mean(call, total=True),
    "view": shape.reshaped,
    "_unsafe_view": shape.reshaped,
    "reshape": shape.reshaped,
    "flatten": shape.reshaped,
    "unflatten": shape.reshaped,
    "squeeze": shape.reshaped,
    "unsqueeze": shape.reshaped,
    "permute": shape.permuted,
    "transpose": shape.transposed_axes,
    "slice": shape.sliced,
    "narrow": shape.sliced_range,
    "select": shape.selected,
    "unbind": shape.unbound,
    "copy": shape.overwritten,
    "slice_scatter": shape.slice_written,
    "zeros_like": lambda call: shape.filled(call, 0.0),
    "new_zeros": lambda call: shape.filled(call, 0.0),
    "ones_like": lambda call: shape.filled(call, 1.0),
    "new_ones": lambda call: shape.filled(call, 1.0),
    "full_like": lambda call: shape.filled(call, call.fill_value),
    "new_full": lambda call: shape.filled(call, call.fill_value),
    "fill": lambda call: shape.filled(call, call.value),
    "cat": shape.concatenated,
    "concat": shape.concatenated,
    "stack": shape.stacked,
    "split": shape.split,
    "split_with_sizes": shape.split,
    "chunk": shape.chunk,
    "pad": shape.padded,
    "constant_pad_nd": shape.padded,
    "expand": shape.expanded,
    "upsample_nearest1d": shape.upsampled,
    "upsample_nearest2d": shape.upsampled,
    "upsample_nearest3d": shape.upsampled,
    "upsample_linear1d": shape.upsampled,
    "upsample_bilinear2d": shape.upsampled,
    "upsample_trilinear3d": shape.upsampled,
    "dropout": arithmetic.passed_on,
    "feature_dropout": arithmetic.passed_on,
    "alpha_dropout": arithmetic.passed_on,
    "feature_alpha_dropout": arithmetic.passed_on,
    "clone": arithmetic.passed_on,
    "contiguous": arithmetic.passed_on,
    "alias": arithmetic.passed_on,
    "detach": arithmetic.passed_on,
    "lift_fresh_copy": arithmetic.passed_on,
    "to": arithmetic.cast,
    "_to_copy": arithmetic.cast,
    "type_as": arithmetic.cast,
}


# Operators that act alike wherever the batch is, if what they read all has it in the same place.
INDIFFERENT = frozenset(
    (
        *("linear", "relu", "relu6", "hardtanh", "clamp", "leaky_relu", "sigmoid", "tanh", "normal_curve", "add", "sub", "mul"),
        *("neg", "dropout", "clone", "contiguous", "alias", "detach", "_to_copy", "embedding", "one_hot"),
    )
)
TURNING = frozenset(("permute", "transpose", "slice", "select", "recurrent"))  # those that know where it is


def unreadable(call: Call) -> CaptureError:
    """Return the refusal of an operator that has no row."""
    return call.refusal(
        "it has no row in the table of operators",
        ADVICE.get(call.operator, "Replace it by supported ones, or train with ReLU-like activations."),
    )


SMOOTH = "Smooth activations have no spiking rule under rate coding: replace it by ReLU, ReLU6 or LeakyReLU and fine-tune."
ADVICE = {
    **dict.fromkeys(("gelu", "silu", "hardswish", "hardsigmoid", "mish", "elu", "selu", "celu", "softplus"), SMOOTH),
    **dict.fromkeys(
        ("layer_norm", "native_layer_norm", "group_norm", "native_group_norm", "instance_norm"),
        "Normalisation by the sample's own statistics is no linear op: train with batch norm instead.",
    ),
    **dict.fromkeys(recurrence.KINDS, "Call the layer as a module: torch.nn.LSTM, GRU or RNN."),
    **dict.fromkeys(
        ("scaled_dot_product_attention", "bmm"),
        "Networks of convolutions, linear and recurrent layers can be converted.",
    ),
}
