"""The table of recipes: name -> passes, citation, limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import Tensor

from transpike.codings import Poisson, RateCode
from transpike.errors import ArgumentError, choose
from transpike.neurons import (
    Burst,
    DifferenceNeuron,
    EvenFiring,
    Graded,
    IntegrateAndFire,
    Neuron,
    Refractory,
    ResetToZero,
    Ternary,
)
from transpike.parts import Method, Op
from transpike.passes import (
    MMSE,
    AccumulateMaxPool,
    ActivateBeforePool,
    CalibrateOffsets,
    ClampVoltage,
    CodeDifferentially,
    CompeteForMax,
    CorrectLayers,
    CountSpikes,
    DecodeOutputs,
    EncodeInputs,
    FoldBatchNorm,
    GateMaxPool,
    InsertDifferenceNeurons,
    InsertNeurons,
    InvertRateCurve,
    LeastSquares,
    MaxPoolForm,
    NormaliseOutputs,
    NormaliseWeights,
    Pass,
    Percentile,
    PoolBeforeActivation,
    PoolEachStep,
    SilenceByResidual,
    SplitClips,
    SplitSigned,
    UseTrainedThresholds,
)
from transpike.passes.corrections import (
    Correction,
    FitHeight,
    FitHeights,
    ForwardTemporalBias,
    MatchCurrent,
    MatchOutput,
    MatchPotential,
    RidgeWeights,
    SearchThreshold,
    ShiftDistribution,
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

        >>> RECIPES["srp"].with_pass(SilenceByResidual(tau=8)).name
        'srp, SilenceByResidual(tau=8)'
        """
        if type(changed) not in map(type, self.passes):
            raise ArgumentError(f"Recipe {self.name!r} has no pass {type(changed).__name__}.")
        passes = tuple(changed if type(step) is type(changed) else step for step in self.passes)
        return self.variant(repr(changed), passes)

    def poisson(self, seed: int = 0) -> Recipe:
        """Return this recipe with Poisson input instead of constant current."""
        return self.with_input(Poisson(seed=seed))

    def with_input(self, code: RateCode) -> Recipe:
        """Return this recipe with spikes of `code` (`Poisson()`, `Regular()`) as input instead of constant current."""
        return self.variant(f"{type(code).__name__} input", (*self.passes, EncodeInputs(code)))

    def with_output(self, *steps: CountSpikes | DecodeOutputs | NormaliseOutputs) -> Recipe:
        """Return this recipe with another way to read the answer, in order of the signal.

        `DecodeOutputs()` is the accumulated potential, `DecodeOutputs(FirstToMargin(2.0))` decides each sample as soon as a
        class leads; `CountSpikes()` before it lets the outputs fire; `NormaliseOutputs()` behind it is a softmax. Raises
        ArgumentError unless the steps come in this order and exactly one of them is a DecodeOutputs.
        """
        kinds = [type(step) for step in steps]
        if kinds.count(DecodeOutputs) != 1 or kinds != [kind for kind in OUTPUT_STEPS if kind in kinds]:
            raise ArgumentError("An output is CountSpikes (or not), DecodeOutputs, NormaliseOutputs (or not), in this order.")
        words = " and ".join(step.worded() for step in steps)
        return self.replaced(OUTPUT_STEPS, steps, f"output by {words}")

    def with_max_pool(self, form: MaxPoolForm) -> Recipe:
        """Return this recipe with another form of max-pool.

        `AccumulateMaxPool()` is exact in the limit; `PoolEachStep()`, `GateMaxPool()` and `CompeteForMax()` are the
        published ones that are not. Raises ArgumentError if the recipe has a max-pool of its own, or corrects the heights
        of the spikes that a winner-take-all circuit was fitted to.
        """
        if isinstance(form, CompeteForMax) and any(isinstance(step, CorrectLayers) for step in self.passes):
            raise ArgumentError(
                f"Recipe {self.name!r} changes the heights of spikes after its max-pools are made, so that a winner-take-all "
                "circuit would no longer fit them: take another form of max-pool, or another recipe."
            )
        changed = self.replaced(MAX_POOL_FORMS, (form,), form.worded())
        return dataclasses.replace(changed, passes=tuple(form.stands if isinstance(p, PLACES) else p for p in changed.passes))

    def replaced(self, kinds: tuple[type, ...], steps: tuple[Pass, ...], words: str) -> Recipe:
        """Return this recipe with `steps` in place of its first pass of one of `kinds`, and without the others."""
        places = [place for place, step in enumerate(self.passes) if isinstance(step, kinds)]
        if not places:
            raise ArgumentError(f"Recipe {self.name!r} has no step to change: it does not take {words}.")
        kept = [step for place, step in enumerate(self.passes) if place not in places]
        return self.variant(words, (*kept[: places[0]], *steps, *kept[places[0] :]))

    def with_percentile(self, percent: float) -> Recipe:
        """Return this recipe with another percentile in its threshold rule; 100 takes the maximum.

        Raises ArgumentError if the recipe sets its thresholds by another rule.
        """
        for place, step in enumerate(self.passes):
            if isinstance(step, InsertNeurons) and isinstance(step.threshold, Percentile):
                changed = dataclasses.replace(step, threshold=dataclasses.replace(step.threshold, percent=percent))
                return self.variant(f"percentile {percent:g}", (*self.passes[:place], changed, *self.passes[place + 1 :]))
        raise ArgumentError(f"Recipe {self.name!r} does not set its thresholds by a percentile.")


OUTPUT_STEPS = (CountSpikes, DecodeOutputs, NormaliseOutputs)
MAX_POOL_FORMS = (AccumulateMaxPool, PoolEachStep, GateMaxPool, CompeteForMax)
PLACES = (PoolBeforeActivation, ActivateBeforePool)
STRUCTURE: tuple[Pass, ...] = (FoldBatchNorm(), SplitSigned(), PoolBeforeActivation(), DecodeOutputs())
# Potential from 0 and thresholds moved into the weights, as first published; only the rule differs.
PUBLISHED = {
    "diehl": (
        Percentile(100, layerwise=True),
        "Weights normalised by the largest activation of each layer, threshold 1, potential from 0",
        "Diehl et al. 2015; Rueckauer et al. 2017 (reset by subtraction); Hu et al. 2018 (residual blocks)",
    ),
    "rueckauer": (
        Percentile(99.9, layerwise=True),
        "Weights normalised by the 99.9th percentile of each layer, threshold 1, potential from 0",
        "Rueckauer et al. 2017 (robust normalisation); Hu et al. 2018 (residual blocks)",
    ),
    "kim": (
        Percentile(99.9),
        "Weights normalised by the 99.9th percentile of each channel, threshold 1, potential from 0",
        "Kim et al. 2020 (Spiking-YOLO, channel-wise normalisation); Hu et al. 2018 (residual blocks)",
    ),
}
LIMITS = "ReLU-like activations; softmax and sigmoid at the output only"


def corrected(
    name: str,
    title: str,
    citation: str,
    *corrections: Correction,
    neuron: Callable[[Tensor, Tensor, Op], Neuron] = IntegrateAndFire,
    schedule: str = "concurrent",
) -> Recipe:
    """Return a recipe that fits thresholds to the number of time steps and then corrects layer by layer."""
    insert = InsertNeurons(MMSE(), initial=0.5, neuron=neuron)
    passes = (*STRUCTURE, insert, AccumulateMaxPool(), *([CorrectLayers(corrections)] if corrections else []))
    return Recipe(Method(name, title, citation, schedule=schedule, limits=LIMITS), passes)


CORRECTED = (
    corrected("mmse", "Thresholds of least squared error for the given time steps", "Li et al. 2021 (ICML)"),
    corrected(
        "light", "mmse, and a bias per channel for the mean output", "Li et al. 2021 (ICML), light pipeline", MatchOutput()
    ),
    corrected(
        "potential", "mmse, and an initial potential per neuron", "Li et al. 2021 (ICML), advanced pipeline", MatchPotential()
    ),
    corrected("ftbc", "mmse, and a bias per channel and step", "Wu et al. 2024 (ECCV)", ForwardTemporalBias()),
    corrected(
        "sbg",
        "Search threshold and initial potential per channel, bias, gain: weights untouched",
        "this project",
        MatchCurrent(),
        SearchThreshold(),
        FitHeight(),
    ),
    corrected(
        "ls",
        "Least-squares weights for the spikes that arrive, searched thresholds",
        "this project",
        RidgeWeights(),
        SearchThreshold(free_height=False),
    ),
    corrected(
        "ls-tg",
        "Least-squares weights, searched thresholds, and a gain per step and channel: a table for one T",
        "this project",
        RidgeWeights(),
        SearchThreshold(),
        FitHeights(),
    ),
    corrected(
        "ternary-sbg",
        "sbg with signed spikes, which are taken back when the potential falls to 0",
        "this project, on the signed neuron with memory of Wang et al. 2022 (IJCAI)",
        MatchCurrent(),
        SearchThreshold(),
        FitHeight(),
        neuron=Ternary,
    ),
    corrected(
        "graded-mmse",
        "One graded spike of four bits per step",
        "H-MT neuron (AAAI 2026), thresholds of least squared error",
        neuron=Graded,
    ),
    corrected(
        "parallel",
        "Sequential schedule with shifts of input and height",
        "parallel conversion (ICML 2025), training-free form",
        ShiftDistribution(),
        neuron=EvenFiring,
        schedule="sequential",
    ),
    corrected(
        "sequential",
        "Sequential schedule with least-squares weights and a gain per channel",
        "this project, on the schedule of parallel conversion (ICML 2025)",
        RidgeWeights(),
        FitHeight(),
        neuron=EvenFiring,
        schedule="sequential",
    ),
)
NeuronOf = Callable[[Any, Any, Any], Neuron]


def neuron_recipe(name: str, title: str, citation: str, neuron: NeuronOf, *after: Pass, initial: float = 0.5) -> Recipe:
    """Return the recipe that differs from `rate` in its neurons, and by passes `after` their insertion."""
    insert = InsertNeurons(Percentile(99.5, active=True), initial, neuron)
    return Recipe(Method(name, title, citation, limits=LIMITS), (*STRUCTURE, insert, AccumulateMaxPool(), *after))


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            Recipe(
                Method(
                    "rate",
                    "Rate coding: threshold per channel at the 99.5th percentile of its active values, potential from half",
                    "Rueckauer et al. 2017 (percentile, reset by subtraction, constant current); Kim et al. 2020 (channels); "
                    "Bu et al. 2022 (initial potential)",
                    limits=LIMITS,
                ),
                (*STRUCTURE, InsertNeurons(Percentile(99.5, active=True), initial=0.5), AccumulateMaxPool()),
            ),
            Recipe(
                Method(
                    "rate-basic",
                    "Textbook rate coding: one threshold per layer at the 99.9th percentile, potential from 0",
                    "Diehl et al. 2015; Rueckauer et al. 2017",
                    limits=LIMITS,
                ),
                (*STRUCTURE, InsertNeurons(Percentile(99.9, layerwise=True), initial=0.0), AccumulateMaxPool()),
            ),
            Recipe(
                Method(
                    "thesis-extended",
                    "Threshold per channel at the 99.99th percentile, potential from half, layer l clamped for l steps",
                    "Rueckauer et al. 2017 (clamping); Kim et al. 2020 (channels); as combined in a thesis, its section 4.2.2",
                    limits=LIMITS,
                ),
                (*STRUCTURE, InsertNeurons(Percentile(99.99), initial=0.5), AccumulateMaxPool(), ClampVoltage(1)),
            ),
            *(
                Recipe(
                    Method(name, title, citation, limits=LIMITS),
                    (*STRUCTURE, InsertNeurons(rule, initial=0.0), AccumulateMaxPool(), NormaliseWeights()),
                )
                for name, (rule, title, citation) in PUBLISHED.items()
            ),
            *CORRECTED,
            Recipe(
                Method(
                    "qcfs",
                    "Trained thresholds: QCFS or SlipReLU activations become neurons, potential from the trained shift",
                    "Bu et al. 2022; Jiang et al. 2023 (SlipReLU)",
                    limits="models prepared and trained with transpike.training; softmax and sigmoid at the output only",
                ),
                (*STRUCTURE, UseTrainedThresholds(), AccumulateMaxPool()),
            ),
            neuron_recipe(
                "reset-to-zero",
                "Rate coding with reset to zero, potential from 0: what exceeds the threshold is lost",
                "Diehl et al. 2015; Rueckauer et al. 2017, equation 4",
                ResetToZero,
                initial=0.0,
            ),
            neuron_recipe(
                "refractory",
                "Rate coding with a refractory period of one step: at most every other step a spike",
                "Rueckauer et al. 2017 (reset by subtraction); refractory limit as in biological neurons",
                Refractory,
            ),
            neuron_recipe(
                "lif",
                "Leaky integrate-and-fire neurons (200 pF, 10 nS, 20 mV to the threshold, steps of 1 ms) driven through the "
                "affine fit of their inverse rate curve",
                "Gerstner et al. 2014 (rate curve); Morrison et al. 2007 (spikes within the step)",
                InvertRateCurve(),
            ),
            neuron_recipe(
                "snm",
                "Signed neurons with memory: a spike sent too early is taken back from minus the threshold on",
                "Wang et al. 2022 (IJCAI)",
                partial(Ternary, retract=-1.0),
            ),
            neuron_recipe(
                "ternary",
                "Signed neurons with memory that take a spike back as soon as the potential is not positive",
                "this project; after Wang et al. 2022 (IJCAI)",
                Ternary,
            ),
            neuron_recipe(
                "burst",
                "Burst neurons: up to four binary spikes in one step",
                "Li and Zeng 2022 (IJCAI); group neurons (ICASSP 2024)",
                Burst,
            ),
            neuron_recipe(
                "graded",
                "Multi-threshold (H-MT) neurons: one spike of four bits per step",
                "H-MT neuron (AAAI 2026)",
                Graded,
            ),
            neuron_recipe(
                "srp",
                "Rate coding after a trial of tau = 4 steps that silences neurons by their residual potential, for QCFS models",
                "Hao et al. 2023 (AAAI, SRP)",
                IntegrateAndFire,
                SilenceByResidual(),
            ),
            neuron_recipe(
                "cos",
                "Rate coding after windows of rho = 4 steps in which one layer after the other calibrates its offset spikes",
                "Hao et al. 2023 (ICLR, COS)",
                IntegrateAndFire,
                CalibrateOffsets(),
            ),
            Recipe(
                Method(
                    "dcgs",
                    "Differential coding: graded spikes of 4 sizes and either sign that change the decoded rate; sizes per "
                    "channel with the least squared error of first spikes",
                    "Huang et al. 2025 (differential coding, multi-threshold neurons)",
                    bits_per_spike=3,
                    limits=LIMITS,
                ),
                (*STRUCTURE, SplitClips(), InsertNeurons(LeastSquares(), 0.0, DifferenceNeuron), CodeDifferentially()),
            ),
            Recipe(
                Method(
                    "dcgs-gaussian",
                    "Differential coding as published: sizes per channel from mean and variance, as for Gaussian values",
                    "Huang et al. 2025 (differential coding, multi-threshold neurons, threshold iteration)",
                    bits_per_spike=3,
                    limits=LIMITS,
                ),
                (*STRUCTURE, SplitClips(), InsertDifferenceNeurons(), CodeDifferentially()),
            ),
        )
    }
)


def find_recipe(recipe: str | Recipe) -> Recipe:
    """Return a recipe by name, or the recipe itself; raise ArgumentError with the nearest name otherwise."""
    return recipe if isinstance(recipe, Recipe) else RECIPES[choose("recipe", recipe, RECIPES)]
