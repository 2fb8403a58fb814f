"""Which neurons the fused scan knows, and what tells them apart."""

from __future__ import annotations

from dataclasses import dataclass

from transpike.neurons import IntegrateAndFire, Ternary
from transpike.parts import Op


@dataclass(frozen=True)
class Rule:
    """How neurons fire: with `signed` spikes, taken back at a potential of `retract` thresholds, or with positive ones.

    `forgives_debt` as in `Ternary`.
    """

    signed: bool = False
    retract: float = 0.0
    forgives_debt: bool = False


def rule_of(op: Op) -> Rule | None:
    """Return the rule by which the scan steps an op, or None if the op has to step itself.

    Kinds that derive from these two and change a step are not these kinds.

    >>> from transpike.ops import Relu
    >>> rule_of(Relu()) is None
    True
    """
    if type(op) is IntegrateAndFire:
        return Rule()
    if type(op) is Ternary:
        return Rule(signed=True, retract=op.retract, forgives_debt=op.forgives_debt)
    return None
