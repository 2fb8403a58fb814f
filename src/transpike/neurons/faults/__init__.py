"""Neurons whose spikes do not arrive as they should, and what happens to them on the way."""

from __future__ import annotations

from transpike.neurons.faults.base import Fault, Link
from transpike.neurons.faults.broken import Broken
from transpike.neurons.faults.late import Late
from transpike.neurons.faults.limited import Limited
from transpike.neurons.faults.lost import Lost
from transpike.neurons.faults.making import with_fault
from transpike.neurons.faults.stepped import Faulty
from transpike.neurons.faults.windowed import FaultyWindow
from transpike.neurons.faults.wrapped import FaultyNeuron

FAULTS: tuple[type[Fault], ...] = (Broken, Lost, Late, Limited)
FAULTY: tuple[type[FaultyNeuron], ...] = (Faulty, FaultyWindow)

__all__ = [
    "FAULTS",
    "FAULTY",
    "Broken",
    "Fault",
    "Faulty",
    "FaultyNeuron",
    "FaultyWindow",
    "Late",
    "Limited",
    "Link",
    "Lost",
    "with_fault",
]
