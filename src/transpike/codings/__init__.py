"""The menu of input codings. Constant current needs no part: a static value is computed once and stays."""

from __future__ import annotations

from transpike.codings.poisson import Poisson
from transpike.parts import Stateful

CODINGS: tuple[type[Stateful], ...] = (Poisson,)

__all__ = ["CODINGS", "Poisson"]
