"""Energy per operation, with its source; a model is a row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EnergyModel:
    """Energy of a multiply-accumulate and of an accumulate in picojoule."""

    name: str
    mac: float
    ac: float
    assumptions: str


ENERGY_MODELS: tuple[EnergyModel, ...] = (
    EnergyModel(
        "45 nm CMOS, float32",
        4.6,
        0.9,
        "Arithmetic only (Horowitz, ISSCC 2014, 0.9 V): 4.6 pJ per multiply-accumulate, 0.9 pJ per accumulate, of which a "
        "graded spike of n bits costs n at each connection. The first layer is computed once per sample as "
        "multiply-accumulates and its current kept. A value of a function of signals (norm, "
        "softmax, gate) counts as one, in the ANN too. Memory traffic, neuron updates and idle power are left out, which "
        "flatters spiking networks; hardware differs.",
    ),
)


@dataclass(frozen=True)
class Energy:
    """Energy per sample in microjoule under one model."""

    model: str
    assumptions: str
    ann: float
    snn: float
    snn_recomputed: float  # with the constant first layer computed anew at each step

    @property
    def ratio(self) -> float:
        """SNN over ANN: below 1 the SNN needs less."""
        return self.snn / self.ann if self.ann else float("nan")


def energies(ann_macs: float, static_macs: float, current_macs: float, acs: float, time_steps: float) -> tuple[Energy, ...]:
    """Return the energy under each model from operations per sample: E = mac * MACs + ac * ACs, in microjoule."""
    return tuple(
        Energy(
            model.name,
            model.assumptions,
            model.mac * ann_macs * 1e-6,
            (model.mac * (static_macs + current_macs * time_steps) + model.ac * acs) * 1e-6,
            (model.mac * (static_macs + current_macs) * time_steps + model.ac * acs) * 1e-6,
        )
        for model in ENERGY_MODELS
    )
