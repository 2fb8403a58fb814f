"""What neurons with a fault share: they are those inside but for what becomes of their spikes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from torch import Tensor

from transpike.neurons.base import Neuron
from transpike.neurons.faults.base import Fault


@dataclass(frozen=True, eq=False)
class FaultyNeuron(Neuron):
    """Neurons `inner` whose spikes a fault changes on their way; threshold, height and bias are those of the neurons inside.

    What is drawn follows from `seed`, the place of the neurons in their network, `line`, and the place of the sample in the
    run, so that a run can be repeated in any blocks. Spikes are counted as they arrive.
    """

    inner: Neuron | None = None
    fault: Fault | None = None
    seed: int = 0
    line: int = 0

    @property
    def inside(self) -> Neuron:
        """The neurons that send the spikes, which may have another fault."""
        assert self.inner is not None
        return self.inner

    @property
    def root(self) -> Neuron:
        """The neurons without any fault."""
        return self.inside.root if isinstance(self.inside, FaultyNeuron) else self.inside

    @property
    def happens(self) -> Fault:
        """The fault."""
        assert self.fault is not None
        return self.fault

    @property
    def copies(self) -> int:  # type: ignore[override]
        """How many tensors of the size of a layer it holds at worst."""
        return self.inside.copies + self.happens.copies + 2

    @property
    def most(self) -> float:  # type: ignore[override]
        """How many thresholds at most it sends per step, on average."""
        return self.inside.most

    @property
    def least(self) -> float:  # type: ignore[override]
        """Below 0 for neurons that can take spikes back."""
        return self.inside.least

    @property
    def at_once(self) -> int:
        """How many spikes a neuron may send in one step."""
        return self.inside.at_once

    @property
    def bits_per_spike(self) -> int:
        return self.inside.bits_per_spike

    @property
    def members(self) -> int:
        return self.inside.members

    @property
    def own_window(self) -> int | None:
        return self.inside.own_window

    @property
    def accumulates(self) -> int:
        return self.inside.accumulates

    def tells_apart(self, time_steps: int) -> int:
        return self.inside.tells_apart(time_steps)

    def loudest(self, step: int) -> Tensor:
        return self.inside.loudest(step)

    def restarts(self, step: int) -> bool:
        return self.inside.restarts(step)

    def ceiling(self) -> Tensor:
        return self.inside.ceiling()

    def reach(self, time_steps: int) -> Tensor:
        return self.inside.reach(time_steps)

    def counted(self, time_steps: int) -> int:
        return self.inside.counted(time_steps)

    def listens(self) -> slice:
        return self.inside.listens()


def common_fields(op: Neuron) -> dict[str, object]:
    """Return what every kind of neuron has of a kind."""
    return {field.name: getattr(op, field.name) for field in dataclasses.fields(Neuron)}
