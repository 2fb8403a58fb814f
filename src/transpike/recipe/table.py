"""The table of recipes: name -> passes, citation, limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from transpike.errors import choose
from transpike.neurons import (
    Burst,
    DifferenceFunction,
    DifferenceNeuron,
    Graded,
    IntegrateAndFire,
    MeanFunction,
    Neuron,
    Refractory,
    ResetToZero,
    Ternary,
)
from transpike.ops import RECTIFIERS, Identity
from transpike.parts import Method
from transpike.passes import (
    AccumulateMaxPool,
    ActOnValues,
    CalibrateOffsets,
    ClampVoltage,
    CodeDifferentially,
    ComputeOnce,
    DecodeOutputs,
    EncodeCurrents,
    FitScales,
    FoldBatchNorm,
    InsertDifferenceNeurons,
    InsertNeurons,
    InvertRateCurve,
    LeastSquares,
    NormaliseWeights,
    Pass,
    Percentile,
    PoolBeforeActivation,
    SendActivations,
    SilenceByResidual,
    SplitClips,
    SplitSigned,
    UseTrainedThresholds,
)
from transpike.recipe.base import LIMITS, STRUCTURE, Recipe
from transpike.recipe.calibrated import CORRECTED
from transpike.recipe.populations import POPULATIONS
from transpike.recipe.temporal import TEMPORAL

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
            *TEMPORAL,
            *POPULATIONS,
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
                    "hybrid",
                    "Rate coding between functions of values: activations send spikes; norms, attention and gates act on means "
                    "up to now",
                    "Huang et al. 2024 (expectation compensation); hybrid networks of a thesis, its section 4.4",
                    limits="norms, attention and gates stay analogue",
                ),
                (
                    FoldBatchNorm(),
                    SplitSigned(),
                    SendActivations(),
                    PoolBeforeActivation(),
                    ActOnValues(MeanFunction),
                    DecodeOutputs(),
                    InsertNeurons(Percentile(99.5, active=True), initial=0.5),
                    AccumulateMaxPool(),
                    ComputeOnce(),
                ),
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
                    "differential",
                    "Differential coding of any network: functions act on decoded values and send changes, graded spikes of 31 "
                    "sizes and either sign before all weights, whose scale follows what is left to say",
                    "Huang et al. 2025 (differential coding, multi-threshold neurons, differential graded units); sizes with a "
                    "mantissa and scales per step: this project",
                    bits_per_spike=6,
                    limits="no recurrent layers",
                ),
                (
                    FoldBatchNorm(),
                    SplitSigned(),
                    PoolBeforeActivation(),
                    ActOnValues(DifferenceFunction),
                    DecodeOutputs(),
                    SplitClips(),
                    EncodeCurrents(),
                    InsertNeurons(
                        LeastSquares(levels=7, mantissa=2),
                        0.0,
                        partial(DifferenceNeuron, levels=7, mantissa=2),
                        kinds=(*RECTIFIERS, Identity),
                    ),
                    CodeDifferentially(),
                    FitScales(),
                ),
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
