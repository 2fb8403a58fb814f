"""The table from ONNX operators to what they compute: one row per operator.

A row takes the node and its values; `ROWS` act on tensors, `SIZES` on what is known without running the model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transpike.frontends.onnx.rows import pooling, shapes, weights
from transpike.frontends.onnx.rows.pointwise import POINTWISE
from transpike.frontends.onnx.rows.recurrent import LAYERS, Recurrent
from transpike.frontends.onnx.rows.sizes import SIZES, counted, filled

ROWS: dict[str, Callable[..., Any]] = {
    **POINTWISE,
    **shapes.SHAPES,
    **pooling.REDUCTIONS,
    "Conv": weights.conv,
    "ConvTranspose": weights.conv_transpose,
    "Gemm": weights.gemm,
    "MatMul": weights.matmul,
    "BatchNormalization": weights.batch_norm,
    "InstanceNormalization": weights.instance_norm,
    "LayerNormalization": weights.layer_norm,
    "RMSNormalization": weights.rms_norm,
    "GroupNormalization": weights.group_norm,
    "Einsum": weights.einsum,
    "AveragePool": pooling.average_pool,
    "MaxPool": pooling.max_pool,
    "GlobalAveragePool": pooling.whole_average,
    "GlobalMaxPool": pooling.whole_maximum,
    "CumSum": pooling.accumulated,
}
LEARNING_ROWS: dict[str, Callable[..., Any]] = {
    "Scaler": weights.scaler,
    "Normalizer": pooling.normalised,
    "LinearClassifier": weights.linear_scores,
    "LinearRegressor": weights.linear_scores,
    "ArrayFeatureExtractor": shapes.array_features,
}
RECURRENT = LAYERS

__all__ = ["LEARNING_ROWS", "RECURRENT", "ROWS", "SIZES", "Recurrent", "counted", "filled"]
