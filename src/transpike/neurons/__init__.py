"""The menu of ops that keep state in time: neurons, decoders of the output, pooling in time."""

from __future__ import annotations

from transpike.neurons import models as models
from transpike.neurons.base import Membrane, Neuron
from transpike.neurons.binary_value import BinaryValue
from transpike.neurons.burst import Burst, Graded, SignedGraded
from transpike.neurons.delayed import Delayed
from transpike.neurons.differential import DifferenceDecoder, DifferenceMaxPool, DifferenceNeuron, first_spike
from transpike.neurons.digits import BinaryPhase, SignedDigits
from transpike.neurons.even import EvenFiring, sent_by
from transpike.neurons.faults import (
    FAULTS,
    FAULTY,
    Broken,
    Fault,
    Faulty,
    FaultyNeuron,
    FaultyWindow,
    Late,
    Limited,
    Lost,
    with_fault,
)
from transpike.neurons.few_spike import FewSpike
from transpike.neurons.first_spikes import Announcement, CorrectiveFirstSpike, FirstSpike, PatientFirstSpike, Pulse
from transpike.neurons.functions import FUNCTIONS, DifferenceFunction, FunctionOfSignals, MeanFunction, StepFunction
from transpike.neurons.gated_few_spike import GatedFewSpike
from transpike.neurons.geometric import GeometricPhase
from transpike.neurons.integer import IntegerIntegrateAndFire, Saturating, Wrapping
from transpike.neurons.integrate_and_fire import IntegrateAndFire
from transpike.neurons.integrator import Integrator
from transpike.neurons.leaky import EulerLeaky, LeakyIntegrateAndFire, PreciseLeaky
from transpike.neurons.leaky_cell import Drive, LeakyCell, fitted_drive
from transpike.neurons.look_ahead import LookAhead
from transpike.neurons.margin import EarlyExit, FirstToMargin
from transpike.neurons.max_pool import AccumulatedMaxPool, GatedMaxPool, StepMaxPool, TemporalMaxPool
from transpike.neurons.multi_threshold import MultiThreshold
from transpike.neurons.phase import FirstSpikeTime, Phase, PulsePhase, RampedPhase
from transpike.neurons.population import Population
from transpike.neurons.product import CountProduct, Levels, SpikeProduct
from transpike.neurons.refractory import Refractory
from transpike.neurons.reset_to_zero import ResetToZero
from transpike.neurons.restarting import OffsetCalibrated, ResidualSilenced
from transpike.neurons.ternary import Ternary
from transpike.neurons.windowed import Windowed
from transpike.neurons.winner_take_all import WinnerTakeAll
from transpike.parts import Decoder, Op, Stateful

SPIKING: tuple[type[Neuron], ...] = (
    IntegrateAndFire,
    ResetToZero,
    Refractory,
    LeakyIntegrateAndFire,
    PreciseLeaky,
    EulerLeaky,
    Ternary,
    Burst,
    Graded,
    SignedGraded,
    MultiThreshold,
    ResidualSilenced,
    OffsetCalibrated,
    LookAhead,
    Saturating,
    Wrapping,
)
FIRST_SPIKES: tuple[type[FirstSpike], ...] = (FirstSpike, CorrectiveFirstSpike, PatientFirstSpike)
WINDOWED: tuple[type[Windowed], ...] = (
    EvenFiring,
    Phase,
    PulsePhase,
    RampedPhase,
    FirstSpikeTime,
    BinaryPhase,
    SignedDigits,
    GeometricPhase,
    FewSpike,
    GatedFewSpike,
    Population,
    BinaryValue,
)
DIFFERENTIAL: tuple[type[Stateful], ...] = (DifferenceNeuron, DifferenceMaxPool, DifferenceDecoder, DifferenceFunction)
DECODERS: tuple[type[Decoder], ...] = (Integrator, FirstToMargin, EarlyExit)
MAX_POOLS: tuple[type[Stateful], ...] = (AccumulatedMaxPool, StepMaxPool, GatedMaxPool, WinnerTakeAll)
NEURONS: tuple[type[Stateful], ...] = (
    *SPIKING,
    *FIRST_SPIKES,
    *WINDOWED,
    *FAULTY,
    *DECODERS,
    *MAX_POOLS,
    *DIFFERENTIAL,
    MeanFunction,
    StepFunction,
    Delayed,
    Pulse,
    Announcement,
    CountProduct,
    SpikeProduct,
)
CELLS: tuple[type[Op], ...] = (LeakyCell, Levels, *FAULTS)  # what neurons are made of

__all__ = [
    "CELLS",
    "DECODERS",
    "DIFFERENTIAL",
    "FAULTS",
    "FAULTY",
    "FIRST_SPIKES",
    "FUNCTIONS",
    "MAX_POOLS",
    "NEURONS",
    "SPIKING",
    "WINDOWED",
    "AccumulatedMaxPool",
    "Announcement",
    "BinaryPhase",
    "BinaryValue",
    "Broken",
    "Burst",
    "CorrectiveFirstSpike",
    "CountProduct",
    "Delayed",
    "DifferenceDecoder",
    "DifferenceFunction",
    "DifferenceMaxPool",
    "DifferenceNeuron",
    "Drive",
    "EarlyExit",
    "EulerLeaky",
    "EvenFiring",
    "Fault",
    "Faulty",
    "FaultyNeuron",
    "FaultyWindow",
    "FewSpike",
    "FirstSpike",
    "FirstSpikeTime",
    "FirstToMargin",
    "FunctionOfSignals",
    "GatedFewSpike",
    "GatedMaxPool",
    "GeometricPhase",
    "Graded",
    "IntegerIntegrateAndFire",
    "IntegrateAndFire",
    "Integrator",
    "Late",
    "LeakyCell",
    "LeakyIntegrateAndFire",
    "Levels",
    "Limited",
    "LookAhead",
    "Lost",
    "MeanFunction",
    "Membrane",
    "MultiThreshold",
    "Neuron",
    "OffsetCalibrated",
    "PatientFirstSpike",
    "Phase",
    "Population",
    "PreciseLeaky",
    "Pulse",
    "PulsePhase",
    "RampedPhase",
    "Refractory",
    "ResetToZero",
    "ResidualSilenced",
    "Saturating",
    "SignedDigits",
    "SignedGraded",
    "SpikeProduct",
    "StepFunction",
    "StepMaxPool",
    "TemporalMaxPool",
    "Ternary",
    "Windowed",
    "WinnerTakeAll",
    "Wrapping",
    "first_spike",
    "fitted_drive",
    "sent_by",
    "with_fault",
]
