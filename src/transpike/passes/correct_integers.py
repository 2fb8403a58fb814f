"""Correct an integer network layer by layer, for the spikes that its rounded layers send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transpike.calibration import Samples
from transpike.network import Network
from transpike.parts import Op
from transpike.passes.correct_layers import CorrectLayers
from transpike.passes.corrections import MatchOutput, RoundAgain, RoundNeurons, SearchThreshold
from transpike.passes.integers import FitIntegers, check_sums
from transpike.passes.whole_sums import shared_sums


@dataclass(frozen=True)
class CorrectIntegers:
    """Correct a network in the whole numbers of `form` for what really reaches each layer, from the input on.

    Weights are fitted and rounded anew (`RoundAgain`), first potentials are searched, thresholds too where each channel may
    have its own, and a bias makes up for the mean output; all stay whole and within their bits. Needs the number of time
    steps. Raises ConversionError if sums could then leave what float32 holds exactly.
    """

    form: FitIntegers
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:
        search = SearchThreshold(free_height=False)
        if self.form.scope == "layer":
            search = SearchThreshold(free_height=False, factors=(1.0,), fine=())
        steps = (RoundAgain(2 ** (self.form.weight_bits - 1) - 1), search, RoundNeurons(), MatchOutput(), RoundNeurons())
        corrected = CorrectLayers(steps)(network, samples)
        for group in shared_sums(corrected):
            check_sums(corrected, group)
        return corrected
