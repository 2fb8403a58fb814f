"""Train models whose activations neurons can take over as they are: QCFS, SlipReLU, ClampedReLU; curves of populations."""

from __future__ import annotations

from transpike.training.activation import QCFS, Activation, ClampedReLU, SlipReLU
from transpike.training.distillation import distillation_loss
from transpike.training.loop import train
from transpike.training.normal import NormalCurve, NormalGRU, NormalLSTM, NormalRNN, prepare_populations
from transpike.training.preparation import prepare
from transpike.training.regulariser import Penalties, quantisation_penalty
from transpike.training.settings import Epoch, Settings, Step, Trained

__all__ = [
    "QCFS",
    "Activation",
    "ClampedReLU",
    "Epoch",
    "NormalCurve",
    "NormalGRU",
    "NormalLSTM",
    "NormalRNN",
    "Penalties",
    "Settings",
    "SlipReLU",
    "Step",
    "Trained",
    "distillation_loss",
    "prepare",
    "prepare_populations",
    "quantisation_penalty",
    "train",
]
