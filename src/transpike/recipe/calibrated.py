"""The recipes that fit a network to its number of time steps and correct it layer by layer."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from transpike.neurons import (
    Burst,
    EvenFiring,
    Graded,
    IntegrateAndFire,
    Neuron,
    Ternary,
)
from transpike.parts import Method, Op
from transpike.passes import (
    MMSE,
    AccumulateMaxPool,
    CorrectLayers,
    InsertNeurons,
    Pass,
    StaggerWindows,
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
from transpike.recipe.base import LIMITS, STRUCTURE, Recipe


def corrected(
    name: str,
    title: str,
    citation: str,
    *corrections: Correction,
    neuron: Callable[[Tensor, Tensor, Op], Neuron] = IntegrateAndFire,
    schedule: str = "concurrent",
    shares: tuple[float, ...] = (),
    emphasis: float = 0.0,
    layout: tuple[Pass, ...] = (),
) -> Recipe:
    """Return a recipe that fits thresholds to the number of time steps and then corrects layer by layer."""
    insert = InsertNeurons(MMSE(), initial=0.5, neuron=neuron)
    passes = (
        *STRUCTURE,
        insert,
        AccumulateMaxPool(),
        *layout,
        *([CorrectLayers(corrections, shares, emphasis)] if corrections else []),
    )
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
        "look-ahead",
        "ls-tg with layers that listen one step before they fire, and fire for what they expect",
        "this project",
        RidgeWeights(),
        SearchThreshold(),
        FitHeights(),
        layout=(StaggerWindows(),),
    ),
    corrected(
        "burst-ls",
        "ls-tg with burst neurons: up to four binary spikes in one step",
        "this project, on burst spikes (Li and Zeng 2022, IJCAI)",
        RidgeWeights(),
        SearchThreshold(),
        FitHeights(),
        neuron=Burst,
    ),
    corrected(
        "any-time",
        "Least-squares weights and searched thresholds for every read-out from T/8 to T at once",
        "this project",
        RidgeWeights(),
        SearchThreshold(free_height=False),
        shares=(1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0),
        emphasis=1.0,  # errors fall with time: unweighted, the first read-out would decide alone
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
        "ternary-ls",
        "Least-squares weights, searched thresholds and a gain per channel, with signed spikes taken back at 0",
        "this project, on the signed neuron with memory of Wang et al. 2022 (IJCAI)",
        RidgeWeights(),
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
        "graded-ls",
        "graded-mmse with least-squares weights for the spikes that arrive",
        "this project, on the H-MT neuron (AAAI 2026)",
        RidgeWeights(),
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
