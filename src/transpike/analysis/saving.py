"""Say plainly whether a spiking network saves energy, once memory is counted."""

from __future__ import annotations

from collections.abc import Iterator

from transpike.analysis.card import Card, worded_ratio
from transpike.analysis.operations import Work
from transpike.analysis.report import Report
from transpike.analysis.traffic import Estimate
from transpike.parts import Finding


def saving(report: Report, work: Work) -> Iterator[Finding]:  # noqa: ARG001 - one signature for all finders
    """Yield the verdict of the energy card against ANNs of whole numbers."""
    card = report.card
    if card is None or card.memory.ratio("matched") is None:
        return
    yield Finding(
        "energy-card",
        f"{verdict(card)} With memory counted it needs {against(card, 'matched')} than the ANN of {card.final.bits} bits, "
        f"which tells as many values apart, and {against(card, 'int8')} than the ANN of 8 bits.",
        f"{break_even(card)} These are models of 45 nm without idle power: a measurement on the chip decides.",
        severity="note" if cheaper(card) else "warning",
    )


def verdict(card: Card) -> str:
    """Return whether the network saves energy, in a sentence that says what it depends on."""
    ratios = [ratio for name in ("matched", "int8") if (ratio := card.memory.ratio(name)) is not None]
    if all(ratio.high < 1 for ratio in ratios):
        return "The spiking network saves energy, whatever the assumptions."
    if all(ratio.low >= 1 for ratio in ratios):
        return "The spiking network does NOT save energy against a quantised ANN, whatever the assumptions."
    if all(ratio.value < 1 for ratio in ratios):
        return "The spiking network saves energy by the published count, not by the worst."
    return "Whether the spiking network saves energy depends on the ANN that it is compared with and on how both use memory."


def cheaper(card: Card) -> bool:
    """Whether the network saves energy by the published count against each quantised ANN."""
    ratios = (card.memory.ratio(name) for name in ("matched", "int8"))
    return all(ratio is not None and ratio.value < 1 for ratio in ratios)


def against(card: Card, other: str) -> str:
    """Return the energy with memory over that of an ANN, in words with its range."""
    ratio = card.memory.ratio(other)
    return "an unknown amount" if ratio is None else f"{worded_ratio(ratio.value)} energy ({spread(ratio)})"


def spread(ratio: Estimate) -> str:
    """Return the range of a ratio in words.

    >>> spread(Estimate(0.5, 2.0, 20.0))
    '0.5 to 20 times'
    """
    return f"{ratio.low:.2g} to {ratio.high:.2g} times"


def break_even(card: Card) -> str:
    """Return at how many spikes per neuron the network would need as much as the quantised ANN."""
    point = card.final
    if point.break_even is None:
        return "It would need more than that ANN even without a spike: the first layer and the neurons alone cost as much."
    return (
        f"Break-even with that ANN is at {point.break_even:.2g} spikes per neuron, this run has {point.spikes_per_neuron:.2g}: "
        "fewer steps, sparser activations or another code bring it down."
    )
