"""How the input enters a spiking network. Constant current needs no part: a static value is computed once and stays."""

from __future__ import annotations

from transpike.codings.inputs.differential import BiasOnce, DifferenceInput
from transpike.codings.inputs.poisson import Poisson
from transpike.codings.inputs.rate import InputCode, RateCode
from transpike.codings.inputs.recorded import Recorded
from transpike.codings.inputs.regular import Regular
from transpike.parts import Stateful

RATE_CODES: tuple[type[RateCode], ...] = (Poisson, Regular)
CODINGS: tuple[type[Stateful], ...] = (*RATE_CODES, Recorded, DifferenceInput, BiasOnce)

__all__ = [
    "CODINGS",
    "RATE_CODES",
    "BiasOnce",
    "DifferenceInput",
    "InputCode",
    "Poisson",
    "RateCode",
    "Recorded",
    "Regular",
]
