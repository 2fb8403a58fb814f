"""The engine for differential coding: what spikes stand for goes from layer to layer, instead of the spikes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from transpike.network.remembered import once
from transpike.simulation import decoded
from transpike.simulation.engines.layerwise import STRETCH, LayerwiseEngine
from transpike.simulation.task import Runner, Task


def all_steps_at_once() -> LayerwiseEngine:
    """Return the engine whose neurons take all steps of a stretch at once."""
    return LayerwiseEngine(tile=STRETCH)


@dataclass(frozen=True)
class DecodedEngine:
    """Compute a differentially coded network on decoded values: about a pass of the ANN per step, and its neurons.

    The neurons send the same spikes, up to rounding: potentials are differences of values here, and sums of currents elsewhere.
    Functions of signals need no encoding and decoding, and what never changes is computed once. Spike trains are not there,
    only how many spikes there were.
    """

    name: ClassVar[str] = "decoded"

    layers: LayerwiseEngine = dataclasses.field(default_factory=all_steps_at_once)

    def refusal(self, task: Task) -> str | None:
        if task.record.spikes:
            return "it sees what spikes stand for, not those of single steps"
        return once(task.network, "refusal of values", decoded.refusal) or self.layers.refusal(task)

    def prepare(self, task: Task) -> Runner:
        return self.layers.prepare(dataclasses.replace(task, network=once(task.network, "values", decoded.of_values)))
