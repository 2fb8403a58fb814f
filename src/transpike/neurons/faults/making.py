"""Give neurons a fault."""

from __future__ import annotations

from transpike.neurons.base import Neuron
from transpike.neurons.faults.base import Fault
from transpike.neurons.faults.stepped import Faulty
from transpike.neurons.faults.windowed import FaultyWindow
from transpike.neurons.faults.wrapped import FaultyNeuron, common_fields
from transpike.neurons.windowed import Windowed


def with_fault(op: Neuron, fault: Fault, seed: int, line: int) -> FaultyNeuron:
    """Return neurons with a fault; their kind follows from whether they take turns."""
    kind = FaultyWindow if isinstance(op, Windowed) else Faulty
    return kind(**common_fields(op), inner=op, fault=fault, seed=seed, line=line)  # type: ignore[arg-type]
