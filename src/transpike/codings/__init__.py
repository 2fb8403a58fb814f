"""The menu of input codes. Constant current needs no part: a static value is computed once and stays."""

from __future__ import annotations

from transpike.codings.differential import BiasOnce, DifferenceInput
from transpike.codings.poisson import Poisson
from transpike.codings.rate import InputCode, RateCode
from transpike.codings.regular import Regular
from transpike.parts import Stateful

RATE_CODES: tuple[type[RateCode], ...] = (Poisson, Regular)
CODINGS: tuple[type[Stateful], ...] = (*RATE_CODES, DifferenceInput, BiasOnce)

__all__ = ["CODINGS", "RATE_CODES", "BiasOnce", "DifferenceInput", "InputCode", "Poisson", "RateCode", "Regular"]
