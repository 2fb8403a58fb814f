"""What a recipe is: a method in words, and its passes in order."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from transpike.errors import ArgumentError
from transpike.parts import Method
from transpike.passes import (
    DecodeOutputs,
    EncodeAsPoisson,
    FoldBatchNorm,
    InsertNeurons,
    Pass,
    Percentile,
    PoolBeforeActivation,
    SplitSigned,
)


@dataclass(frozen=True)
class Recipe:
    """How to convert: a method in words, and its passes in order."""

    method: Method
    passes: tuple[Pass, ...]

    @property
    def name(self) -> str:
        """The name of the method."""
        return self.method.name

    def variant(self, words: str, passes: tuple[Pass, ...]) -> Recipe:
        """Return a recipe with other passes, whose name and title say so."""
        method = dataclasses.replace(self.method, name=f"{self.name}, {words}", title=f"{self.method.title}; {words}")
        return Recipe(method, passes)

    def with_pass(self, changed: Pass) -> Recipe:
        """Return this recipe with `changed` in place of its pass of the same kind; raises ArgumentError if it has none.

        >>> from transpike import recipes
        >>> recipes["srp"].with_pass(SilenceByResidual(tau=8)).name
        'srp, SilenceByResidual(tau=8)'
        """
        if type(changed) not in map(type, self.passes):
            raise ArgumentError(f"Recipe {self.name!r} has no pass {type(changed).__name__}.")
        passes = tuple(changed if type(step) is type(changed) else step for step in self.passes)
        return self.variant(repr(changed), passes)

    def poisson(self, seed: int = 0) -> Recipe:
        """Return this recipe with Poisson input instead of constant current."""
        return self.variant("Poisson input", (*self.passes, EncodeAsPoisson(seed)))

    def with_percentile(self, percent: float) -> Recipe:
        """Return this recipe with another percentile in its threshold rule; 100 takes the maximum.

        Raises ArgumentError if the recipe sets its thresholds by another rule.
        """
        for place, step in enumerate(self.passes):
            if isinstance(step, InsertNeurons) and isinstance(step.threshold, Percentile):
                changed = dataclasses.replace(step, threshold=dataclasses.replace(step.threshold, percent=percent))
                return self.variant(f"percentile {percent:g}", (*self.passes[:place], changed, *self.passes[place + 1 :]))
        raise ArgumentError(f"Recipe {self.name!r} does not set its thresholds by a percentile.")


STRUCTURE: tuple[Pass, ...] = (FoldBatchNorm(), SplitSigned(), PoolBeforeActivation(), DecodeOutputs())
LIMITS = "ReLU-like activations; softmax and sigmoid at the output only"
