"""Train models whose activations spiking neurons can take over as they are (QCFS, SlipReLU, ClampedReLU)."""

from __future__ import annotations

from transpike.training.activation import QCFS, Activation, ClampedReLU, SlipReLU
from transpike.training.loop import train
from transpike.training.preparation import prepare
from transpike.training.regulariser import Penalties, quantisation_penalty
from transpike.training.settings import Epoch, Settings, Step, Trained

__all__ = [
    "QCFS",
    "Activation",
    "ClampedReLU",
    "Epoch",
    "Penalties",
    "Settings",
    "SlipReLU",
    "Step",
    "Trained",
    "prepare",
    "quantisation_penalty",
    "train",
]
