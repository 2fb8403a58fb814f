"""The recipes whose spikes tell a value by their time: layers take turns, or fire once and for all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from transpike.neurons import (
    BinaryPhase,
    CorrectiveFirstSpike,
    FirstSpike,
    FirstSpikeTime,
    GeometricPhase,
    Neuron,
    PatientFirstSpike,
    Phase,
    PulsePhase,
    SignedDigits,
    Windowed,
)
from transpike.parts import Method, Op
from transpike.passes import (
    MMSE,
    AccumulateMaxPool,
    AnnounceSpikes,
    CorrectLayers,
    DecodeOutputs,
    FewSpikeRelu,
    FitFewSpikes,
    FitWindow,
    FoldBatchNorm,
    HoldPulses,
    InsertNeurons,
    MultiplyMeans,
    Pass,
    Percentile,
    PoolBeforeActivation,
    SendBits,
    SplitSigned,
    UseTrainedThresholds,
    WithMargin,
)
from transpike.passes.corrections import FitHeight, MatchCurrent, RidgeWeights
from transpike.passes.thresholds import Threshold
from transpike.recipe.base import LIMITS, STRUCTURE, Recipe


def in_windows(
    name: str,
    title: str,
    citation: str,
    neuron: Callable[[Tensor, Tensor, Op], Neuron],
    threshold: Threshold = MMSE(),  # noqa: B008 - frozen
    *after: Pass,
    initial: float = 0.5,
) -> Recipe:
    """Return a recipe whose layers take turns: each listens for a window and sends in the next."""
    passes = (*STRUCTURE, InsertNeurons(threshold, initial, neuron), AccumulateMaxPool(), *after)
    return Recipe(Method(name, title, citation, schedule="sequential", limits=LIMITS), passes)


OSCILLATION = "Mueller et al. 2022 (neural oscillations), a thesis on conversion, section 6.2"


def first_spikes(name: str, title: str, citation: str, neuron: Callable[[Tensor, Tensor, Op], Neuron], *after: Pass) -> Recipe:
    """Return a recipe whose neurons fire as soon as they have collected enough, all layers at the same time."""
    insert = InsertNeurons(Percentile(100), 0.0, neuron)
    passes = (*STRUCTURE, insert, AccumulateMaxPool(), HoldPulses(), *after, FitWindow())
    return Recipe(Method(name, title, citation, limits=LIMITS), passes)


FITTED: dict[str, tuple[type[Windowed], str]] = {
    "phase": (Phase, "the neural oscillations of Mueller et al. 2022"),
    "phase-binary": (BinaryPhase, "the weighted spikes of Kim et al. 2018"),
    "signed-digit": (SignedDigits, "the non-adjacent form of Reitwiesner 1960"),
}

TEMPORAL = (
    first_spikes(
        "ttfs-base",
        "One spike per neuron as soon as its charge reaches the threshold, the largest value after 8 steps; runs for as "
        "long as suits the samples",
        "Rueckauer and Liu 2018 (TTFS base)",
        FirstSpike,
    ),
    Recipe(
        Method(
            "ttfs-clamped",
            "ttfs-base for models trained without small values, which would come late",
            "Rueckauer and Liu 2018 (TTFS clamped)",
            limits="models prepared and trained with transpike.training; softmax and sigmoid at the output only",
        ),
        (*STRUCTURE, UseTrainedThresholds(FirstSpike), AccumulateMaxPool(), HoldPulses(), FitWindow()),
    ),
    first_spikes(
        "ttfs-dynamic",
        "ttfs-base with thresholds that rise while inhibition is missing which neurons announce at half of their charge",
        "Rueckauer and Liu 2018 (TTFS with dynamic thresholds), inhibition alone and at half of the charge: this project",
        PatientFirstSpike,
        AnnounceSpikes(share=0.75, inhibitory=True, least=0.5),
    ),
    first_spikes(
        "ttfs-corrective",
        "ttfs-base with spikes that are taken back when the potential falls below the threshold again",
        "SNN Toolbox (Rueckauer et al.), spike code ttfs_corrective",
        CorrectiveFirstSpike,
    ),
    in_windows(
        "phase",
        "One spike per neuron, its phase of an oscillation of 31 steps is the value; spikes weaken through the window",
        f"{OSCILLATION}.2 (amplitude adaption)",
        Phase,
    ),
    in_windows(
        "phase-pulse",
        "phase with pulses that last to the end of the window instead of spikes that weaken",
        f"{OSCILLATION}.3 (pulse-duration adaption)",
        PulsePhase,
    ),
    *(
        in_windows(
            f"{name}-sbg",
            f"{name} with a bias and a gain fitted layer by layer, for deep networks: weights untouched",
            f"this project, on {source}",
            neuron,
            MMSE(),
            CorrectLayers((MatchCurrent(), FitHeight())),
        )
        for name, (neuron, source) in FITTED.items()
    ),
    in_windows(
        "phase-sparse",
        "phase with 63 steps that keeps its three smallest values to itself, with least-squares weights that make up for them",
        "this project, on the neural oscillations of Mueller et al. 2022",
        partial(Phase, levels=63, smallest=4),
        MMSE(),
        CorrectLayers((RidgeWeights(), FitHeight())),
    ),
    in_windows(
        "ttfs-exact",
        "One spike per neuron at a real time that is the value: the ANN itself, clipped at 1.5 times the largest activation",
        "Stanojevic et al. 2023 (exact mapping)",
        FirstSpikeTime,
        WithMargin(Percentile(100), 1.5),
    ),
    in_windows(
        "phase-binary",
        "Spikes are the five bits of a value",
        "Kim et al. 2018 (weighted spikes); Stoeckl and Maass 2021",
        BinaryPhase,
    ),
    in_windows(
        "signed-digit",
        "Spikes of either sign are the digits of a value of five bits in non-adjacent form",
        "Reitwiesner 1960 (non-adjacent form); as a spike code: this project",
        SignedDigits,
    ),
    Recipe(
        Method(
            "few-spike",
            "Few-spike neurons of eight slots: bits for ReLUs, programs fitted to other activations",
            "Stoeckl and Maass 2021",
            schedule="sequential",
            limits="pointwise activations; softmax at the output only",
        ),
        (
            FoldBatchNorm(),
            SplitSigned(),
            PoolBeforeActivation(),
            FitFewSpikes(8),
            MultiplyMeans(),
            DecodeOutputs(),
            InsertNeurons(MMSE(), 0.5, FewSpikeRelu(8)),
            AccumulateMaxPool(),
        ),
    ),
    Recipe(
        Method(
            "binary-value",
            "Spikes are the eight bits of any activation's value, which the neuron computes itself",
            "Kim et al. 2018 (weighted spikes); of any activation: this project",
            schedule="sequential",
            limits="pointwise activations, computed in the neurons; softmax at the output only",
        ),
        (SendBits(8), *STRUCTURE, AccumulateMaxPool()),
    ),
    in_windows(
        "base-b",
        "One spike per neuron, each of 24 slots worth 1.15 times the next",
        "SpikedAttention (NeurIPS 2024)",
        GeometricPhase,
        Percentile(99.9),
    ),
)
