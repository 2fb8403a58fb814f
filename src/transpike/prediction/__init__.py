"""What a spiking network will answer, estimated from a few passes before it is simulated."""

from __future__ import annotations

from transpike.prediction.estimates import Estimate, Prediction
from transpike.prediction.estimation import predict
from transpike.prediction.leaps import leap_answers, leap_ends

__all__ = ["Estimate", "Prediction", "leap_answers", "leap_ends", "predict"]
