"""The energy card as plain values: what a spiking network needs under several models, against its ANN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transpike.analysis.traffic import Estimate

RATE_LIMIT = 0.064  # spikes per neuron and step: Yan, Bai and Wong 2024, T from 5 to 10, against a quantised ANN
SPIKES_LIMIT = 1.72  # spikes per neuron: Davidson and Furber 2021
EQUAL, MANY = 1.05, 10  # nearer to 1 is called equal; from here on decimals say nothing
SYNAPSE_LIMITS = (0.15, 1.38)  # spikes per synapse: Dampfhoffer et al. 2023, integrate-and-fire, by the ANN's own memory


@dataclass(frozen=True)
class Budget:
    """Energy per sample under one model; `matched` is the quantised ANN of as many bits as the time steps tell apart.

    None where a model has no such ANN: float32 arithmetic is compared with float32 arithmetic only.
    """

    model: str
    assumptions: str
    snn: Estimate
    float32: Estimate | None
    int8: Estimate | None
    matched: Estimate | None

    def ratio(self, other: str) -> Estimate | None:
        """Return SNN over an ANN ("float32", "int8", "matched"), from best to worst; None where there is no such ANN."""
        ann: Estimate | None = getattr(self, other)
        if ann is None or ann.low <= 0:
            return None
        return Estimate(self.snn.low / ann.high, self.snn.value / ann.value, self.snn.high / ann.low)


@dataclass(frozen=True)
class ChipCost:
    """Energy per sample on a chip in microjoule, from published energies of operations, and milliseconds if a step has some.

    `counts` says what was added up.
    """

    chip: str
    title: str
    energy: Estimate
    counts: str
    confidence: str
    latency_ms: float | None


@dataclass(frozen=True)
class CardPoint:
    """The budgets after some time steps: arithmetic of float32, of 8 bits, and with memory.

    `bits` are those of the quantised ANN. `break_even` is how many spikes per neuron would need as much energy with memory as
    that ANN does; None where it needs more even without a spike.
    """

    time_steps: int
    spikes_per_neuron: float
    spikes_per_synapse: float
    bits: int
    budgets: tuple[Budget, ...]
    break_even: float | None


@dataclass(frozen=True)
class Card:
    """The energy card of a run: budgets over time, chips after the last step, and counts under NeuroBench's names.

    Per sample. `rate` is spikes per neuron and step.
    """

    points: tuple[CardPoint, ...]
    chips: tuple[ChipCost, ...]
    neurobench: Mapping[str, float]
    rate: float

    @property
    def final(self) -> CardPoint:
        """The budgets after the last step."""
        return self.points[-1]

    @property
    def memory(self) -> Budget:
        """The budget with memory after the last step."""
        return self.final.budgets[-1]


def card_from(values: Mapping[str, Any]) -> Card:
    """Return a card from the values of its JSON."""

    def estimate(one: Mapping[str, float] | None) -> Estimate | None:
        return None if one is None else Estimate(**one)

    def budget(one: Mapping[str, Any]) -> Budget:
        energies = {name: estimate(one[name]) for name in ("snn", "float32", "int8", "matched")}
        return Budget(one["model"], one["assumptions"], **energies)  # type: ignore[arg-type]

    points = tuple(CardPoint(**{**one, "budgets": tuple(budget(each) for each in one["budgets"])}) for one in values["points"])
    chips = tuple(ChipCost(**{**one, "energy": Estimate(**one["energy"])}) for one in values["chips"])
    return Card(points, chips, dict(values["neurobench"]), values["rate"])


def worded_ratio(ratio: float) -> str:
    """Word an energy over another as so many times less or more.

    >>> worded_ratio(0.25), worded_ratio(12.3), worded_ratio(1.02)
    ('4.0 times less', '12 times MORE', 'about as much')
    """
    if not 0 < ratio < math.inf:
        return "nothing" if ratio == 0 else "an unknown amount"
    factor = max(ratio, 1 / ratio)
    if factor < EQUAL:
        return "about as much"
    return f"{factor:.{1 if factor < MANY else 0}f} times {'less' if ratio < 1 else 'MORE'}"
