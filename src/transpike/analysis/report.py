"""The report of an evaluation: plain values, the same in Python, in JSON and on the page."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transpike.analysis.card import Card, card_from
from transpike.analysis.diagnosis import Diagnosis, diagnosis_from
from transpike.analysis.energy import Energy
from transpike.analysis.metric import Measured
from transpike.errors import ArchiveError
from transpike.files import read_json, write_text
from transpike.parts import Finding, Method

FORMAT = 1
SPIKING_LEVELS = {
    "spiking": "spikes alone between the first weights and the answer",
    "hybrid": "spikes between functions of numbers, which act on means up to now or on single steps",
    "differential": "graded spikes before all weights, functions of decoded values in between, which send changes",
    "few-spike": "functions of one value are fitted neurons, products add where two spikes meet; the rest acts on values",
}


@dataclass(frozen=True)
class Layer:
    """One layer of neurons. Fractions are of neurons (silent) or of neurons times samples (saturated, clipped).

    In a recurrent layer a sample has as many values as its sequence has elements: `spikes_per_neuron` is over all of them.
    """

    name: str
    origin: str
    neurons: int
    spikes_per_neuron: float
    error: float  # relative root mean square error of the decoded activation against the ANN's
    silent: float  # neurons that never fired
    saturated: float  # neurons that fired at every step
    clipped: float  # ANN activations above the threshold
    rates: tuple[float, ...]  # share of neurons times samples per bin of the firing rate, from 0 to 1
    thresholds: tuple[float, float, float]  # least, median, greatest
    synaptic_operations: float  # per sample
    elements: int = 1  # of a sequence, in a recurrent layer


@dataclass(frozen=True)
class Checkpoint:
    """Where things stand after some time steps; per sample."""

    time_steps: int
    accuracy: float | None
    spikes: float
    spikes_per_neuron: float
    synaptic_operations: float
    energy: tuple[Energy, ...]
    graded_operations: float = 0.0  # of the synaptic operations those of spikes with more than one bit


@dataclass(frozen=True)
class Shares:
    """What the operations of a run are, as fractions that add up to 1."""

    binary: float  # accumulates at spikes of one bit
    graded: float  # shifts or multiplications, and accumulates, at spikes of several bits
    analogue: float  # multiply-accumulates, and values of functions


@dataclass(frozen=True)
class Raster:
    """The spikes of some neurons of a layer on one sample: `times[i]` are the steps at which neuron i fired."""

    node: str
    neurons: tuple[int, ...]
    times: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Exits:
    """What early exit promised and did; per sample. A sample that never exits has the latency of the whole run."""

    margin: float | None  # the calibrated lead; None where nothing could be promised and no sample exits
    loss: float  # promised: the most decisions, as a fraction, that differ from those after `time_steps`
    confidence: float  # of the promise
    calibrated: int  # samples that calibrated the margin
    time_steps: int  # that the promise is for
    mean_steps: float
    steps_99: int  # at most this many steps for 99 % of the samples
    exited: float  # share of samples that were decided before the last step
    changed: float  # share of samples that decided otherwise than after the last step
    accuracy: float | None
    spikes_per_neuron: float
    synaptic_operations: float
    energy: tuple[Energy, ...]


@dataclass(frozen=True)
class Turns:
    """How the layers of a sequential network take turns.

    An answer takes `windows` windows of `steps` time steps; a new sample can enter after every `interval` of them. `held`
    connections that skip layers keep what was sent for `waits` windows altogether. If biases come as spikes, `biases` more
    neurons fire once each.
    """

    windows: int
    steps: int
    held: int
    waits: int
    biases: int
    interval: int = 1

    @property
    def latency(self) -> int:
        """The steps from the first spike to the answer."""
        return self.windows * self.steps


@dataclass(frozen=True)
class Report:
    """What the conversion of a network cost. Accuracies are fractions; lists over time start after step 1."""

    title: str
    method: Method
    input: str  # how the samples enter: a constant current, or random spikes
    time_steps: int
    samples: int
    accuracy: tuple[float, ...] | None
    reference_accuracy: float | None
    agreement: tuple[float, ...] | None  # with the ANN's own predictions
    output_error: tuple[float, ...]  # relative root mean square error against the ANN's output; of several, in the mean square
    latency: dict[str, int | None]  # steps from which accuracy stays at this share of the ANN's
    neurons: int
    spikes_per_neuron: float
    ann_macs: int
    ann_connections: int
    static_macs: int
    current_macs: int
    checkpoints: tuple[Checkpoint, ...]
    layers: tuple[Layer, ...]
    rasters: tuple[Raster, ...]
    findings: tuple[Finding, ...]
    version: str
    diagnosis: Diagnosis | None = None  # where the loss comes from, if that was asked for
    exits: Exits | None = None  # of a network whose samples end early; all else is of the whole run
    turns: Turns | None = None  # of a sequential network, whose time steps are those of one window
    members: int = 1  # the most neurons that stand for one value together
    level: str = (
        "spiking"  # or "hybrid", "differential", "few-spike", by how functions of signals are computed; see `SPIKING_LEVELS`
    )
    functions: int = 0  # nodes that compute a function of signals at every step
    function_values: int = 0  # how many values that gives per step
    card: Card | None = None  # energy under several models; reports of older versions have none
    metrics: tuple[Measured, ...] = ()  # what else was measured against time
    output_errors: dict[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)  # of each output, where several
    places: int = 1  # labels of a sample: of a map of labels the accuracy is the share of its places
    own_window: bool = False  # whether the code has a window of its own, so that only another conversion changes the steps

    @property
    def final(self) -> Checkpoint:
        """The state after the last step."""
        return self.checkpoints[-1]

    @property
    def loss(self) -> float | None:
        """ANN minus SNN accuracy after the last step, as a fraction."""
        if self.accuracy is None or self.reference_accuracy is None:
            return None
        return self.reference_accuracy - self.accuracy[-1]

    @property
    def shares(self) -> Shares:
        """What the operations are by the last step; values of functions count as one each."""
        graded = self.final.graded_operations
        analogue = self.static_macs + (self.current_macs + self.function_values) * self.time_steps
        parts = (self.final.synaptic_operations - graded, graded, float(analogue))
        return Shares(*(part / (sum(parts) or 1.0) for part in parts))

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=1)

    def save(self, path: str | Path) -> None:
        """Write the report as JSON, whole or not at all."""
        write_text(Path(path), self.to_json())

    @staticmethod
    def load(path: str | Path) -> Report:
        """Read a report; raises ArchiveError if the file is damaged or of a newer version."""
        values = read_json(Path(path), "report")
        if values.get("format", 0) > FORMAT:
            raise ArchiveError(f"{path} was written by a newer Transpike: update it with pip install -U transpike.")
        try:
            return complete(from_values({key: value for key, value in values.items() if key != "format"}))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise ArchiveError(f"{path} is not a complete report ({error}): evaluate again.") from error


def complete(report: Report) -> Report:
    """Return `report` if everything that a page shows is there, else raise ValueError naming what is not."""
    numbers = {"time_steps": report.time_steps, "samples": report.samples, "spikes_per_neuron": report.spikes_per_neuron}
    wrong = [name for name, value in numbers.items() if not isinstance(value, int | float)]
    wrong += [name for name in ("title", "input", "version", "level") if not isinstance(getattr(report, name), str)]
    if not report.checkpoints or not all(point.energy for point in report.checkpoints):
        wrong.append("checkpoints")
    for name in ("accuracy", "agreement", "output_error"):
        curve = getattr(report, name)
        if curve is not None and (len(curve) != report.time_steps or not all(isinstance(v, int | float) for v in curve)):
            wrong.append(name)
    wrong += [one.name for one in report.metrics if not (isinstance(one.name, str) and len(one.steps) == len(one.values) > 0)]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} missing or of the wrong kind")
    return report


def from_values(values: dict[str, Any]) -> Report:
    """Build a report from the values of its JSON."""

    def frozen(value: Any) -> Any:
        return tuple(frozen(item) for item in value) if isinstance(value, list) else value

    def checkpoint(value: dict[str, Any]) -> Checkpoint:
        return Checkpoint(**{**value, "energy": energies_from(value)})

    def record(kind: type, value: dict[str, Any]) -> Any:
        return kind(**{key: frozen(item) for key, item in value.items()})

    plain = {key: frozen(value) for key, value in values.items()}
    plain["checkpoints"] = tuple(checkpoint(value) for value in values["checkpoints"])
    plain["layers"] = tuple(record(Layer, value) for value in values["layers"])
    plain["rasters"] = tuple(record(Raster, value) for value in values["rasters"])
    plain["method"] = Method(**values["method"])
    plain["findings"] = tuple(Finding(**value) for value in values["findings"])
    if plain.get("diagnosis") is not None:
        plain["diagnosis"] = diagnosis_from(values["diagnosis"])
    plain["metrics"] = tuple(record(Measured, value) for value in values.get("metrics", ()))
    plain["output_errors"] = {key: frozen(value) for key, value in values.get("output_errors", {}).items()}
    if plain.get("card") is not None:
        plain["card"] = card_from(values["card"])
    if plain.get("turns") is not None:
        plain["turns"] = Turns(**values["turns"])
    if plain.get("exits") is not None:
        plain["exits"] = Exits(**{**values["exits"], "energy": energies_from(values["exits"])})
    return Report(**plain)


def energies_from(values: dict[str, Any]) -> tuple[Energy, ...]:
    """Return the energies among the values of a checkpoint or of an early exit."""
    return tuple(Energy(**energy) for energy in values["energy"])
