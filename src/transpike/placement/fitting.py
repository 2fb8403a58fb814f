"""Say whether a spiking network fits a chip."""

from __future__ import annotations

from transpike.chips import Chip, find_chip
from transpike.errors import choose
from transpike.network import Network
from transpike.network.grammar import check_spiking
from transpike.parts import Finding
from transpike.placement.layers import demand
from transpike.placement.limits import WHOLE, abilities, caveats, each_neuron, whole_chip
from transpike.placement.result import Fit, Placed
from transpike.placement.rules import RULES, Rule
from transpike.placement.rules.base import total

EACH = ("fan_in", "fan_out", "spike_bits")


def fit(network: Network, chip: str | Chip) -> Fit:
    """Return whether a spiking `network` fits a `chip`, where its layers go, and what to change if it does not.

    `chip` is a name of the list in docs/chips.md, the path of a YAML file of your own, or a `Chip`. Limits that are not
    published are not checked, and listed. Weights are counted, not rounded. Raises ArgumentError for an unknown chip or a
    network that does not spike, ArchiveError and DataError for files that are wrong.

    >>> import torch
    >>> from transpike import convert
    >>> model = torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> fit(convert(model, torch.rand(64, 16)), "truenorth").verdict
    'Fits TrueNorth, on 2 of 4,096 cores, by all limits that are published.'
    """
    known, ready = find_chip(chip), check_spiking(network)
    if ready.previous:
        return recurrent(ready, known)
    wanted = demand(ready)
    rule = None if known.placement is None else RULES[choose("placement rule", known.placement, RULES)]
    missing = () if rule is None else tuple(name for name in rule.needs if name not in known.quantities)
    usable = rule if not missing else None
    placed = Placed() if usable is None else usable.place(wanted, known)
    handled = frozenset() if usable is None else usable.handles
    obstacles = (
        *abilities(wanted, known),
        *whole_chip(wanted, known, handled),
        *each_neuron(wanted, known, handled),
        *placed.obstacles,
    )
    checked, unpublished = limits(known, usable, missing)
    return Fit(
        known.name,
        known.title,
        sum(layer.neurons for layer in wanted.layers),
        sum(layer.synapses for layer in wanted.layers),
        placed.places,
        cores_of(placed),
        known.whole("cores"),
        placed.relays,
        obstacles,
        (*placed.notes, *relayed(placed), *caveats(wanted, known)),
        checked,
        unpublished,
    )


def cores_of(placed: Placed) -> int | None:
    """Return the cores in use, None where no rule says so or layers share the chip."""
    if not placed.places or any(one.cores is None for one in placed.places):
        return None
    return total(placed.places) + placed.relay_cores


def limits(chip: Chip, rule: Rule | None, missing: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which limits were compared and which could not be, in words; those that no chip of the kind has stay out."""
    names = [*(limit.quantity for limit in WHOLE if limit.quantity in {"neurons", "synapses"}), *EACH]
    own = [limit.quantity for limit in WHOLE if limit.quantity in chip.quantities]
    needs = list(rule.needs) if rule is not None else []
    checked = [name for name in dict.fromkeys([*names, *own, *needs]) if name in chip.quantities]
    handled = rule.handles if rule is not None else frozenset()
    unknown = [name for name in names if name not in chip.quantities and name not in handled]
    if chip.abilities is None:
        unknown.append("abilities of neurons")
    if chip.placement is None:
        unknown.append("a rule of placement")
    return tuple(map(shown, checked)), tuple(map(shown, [*unknown, *missing]))


def shown(name: str) -> str:
    """Return the name of a quantity in words."""
    return name.replace("_", " ")


def relayed(placed: Placed) -> tuple[Finding, ...]:
    """Return that neurons copy spikes to further cores, if they do."""
    if not placed.relays:
        return ()
    said = f"{placed.relays:,} relays on {placed.relay_cores:,} cores copy spikes to further cores, each one step later."
    return (Finding("relays", said, "Relays delay layers against each other: simulate them before you count on the accuracy."),)


def recurrent(network: Network, chip: Chip) -> Fit:
    """Return that loops have no rule of placement."""
    finding = Finding(
        "loops",
        f"The network has recurrent layers ({', '.join(list(network.previous)[:3])}), for which there is no rule of placement.",
        "Place a network without recurrent layers, or the elements of the sequence written out.",
        severity="warning",
    )
    return Fit(chip.name, chip.title, 0, 0, (), None, chip.whole("cores"), 0, (finding,), (), (), ())
