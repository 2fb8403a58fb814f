"""A diagnosis: where the loss of a conversion comes from, as plain values, the same in Python, in JSON and on the page."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transpike.errors import ArchiveError
from transpike.files import read_json, write_text
from transpike.parts import Finding

FORMAT = 1
OWN = ("clipping", "quantisation", "unevenness")
CAUSES = (*OWN, "inherited")


@dataclass(frozen=True)
class Part:
    """One part of the error of a layer, over all its neurons and samples: mean of its squares, and its mean with sign."""

    mean_square: float
    mean: float


@dataclass(frozen=True)
class LayerLoss:
    """The error of one layer by cause, and what the layer costs the answer.

    The parts add up to the error for every neuron and sample, and so do their means; their squares do not, since parts may
    cancel each other. All values are in units of the activation.
    """

    name: str
    origin: str
    neurons: int
    power: float  # mean square of the ANN's activation
    error: float  # mean square of sent minus the ANN's activation
    own: float  # mean square of clipping + quantisation + unevenness: what the layer adds itself
    clipping: Part
    quantisation: Part
    unevenness: Part
    inherited: Part
    bound: float  # on the root mean square of the error, by the product of norms
    cost: float  # share of the answer's squared error that goes if this layer alone adds no error
    recovered: float | None  # share of samples that then agree with the ANN, minus the share that did
    growth: float  # length of the change of the answer over that of the error that the layer adds
    growth_bound: float  # the same by the product of norms

    @property
    def relative_error(self) -> float:
        """Root mean square error over that of the activation; 1 if the ANN is silent and the SNN is not."""
        return relative(self.error, self.power)

    @property
    def relative_bound(self) -> float:
        """The bound on `relative_error`."""
        return relative(self.bound**2, self.power)

    def share(self, cause: str) -> float:
        """Return the share of one cause in the sum of the mean squares of all four; 0 if there is no error."""
        total = sum(getattr(self, each).mean_square for each in CAUSES)
        part: Part = getattr(self, cause)
        return part.mean_square / total if total else 0.0

    @property
    def leading(self) -> str:
        """The largest of the causes that the layer adds itself."""
        return max(OWN, key=lambda cause: getattr(self, cause).mean_square)


@dataclass(frozen=True)
class Stage:
    """A network on the way from ANN to SNN: activations clipped, quantised as well, and as spikes."""

    name: str
    accuracy: float | None
    agreement: float | None  # with the ANN's own predictions
    output_error: float  # relative root mean square error against the ANN's output


@dataclass(frozen=True)
class Norm:
    """The most by which a weighted op can lengthen a difference."""

    name: str
    origin: str
    value: float


@dataclass(frozen=True)
class Diagnosis:
    """Where the loss of a conversion comes from; see `diagnose`. Accuracies are fractions.

    `answer_error` is the root mean square over samples of the length of the decoded answer's error, relative to that of
    the answer; `answer_bound` bounds it by the product of norms.
    """

    time_steps: int
    samples: int
    stages: tuple[Stage, ...]
    layers: tuple[LayerLoss, ...]
    norms: tuple[Norm, ...]
    answer_error: float
    answer_bound: float
    findings: tuple[Finding, ...]

    def share(self, cause: str, layers: tuple[str, ...] | None = None) -> float:
        """Return the share of a cause in `layers` (default: all) in the error that all layers of the network add themselves.

        Errors are mean squares relative to those of the layer's activation, so that layers can be compared; a layer that
        is silent in the ANN has no such scale and is left out. `cause` is clipping, quantisation or unevenness.
        """
        chosen = [layer for layer in self.layers if layers is None or layer.name in layers]
        total = sum(scaled(layer, each) for layer in self.layers for each in OWN)
        return sum(scaled(layer, cause) for layer in chosen) / total if total else 0.0

    @property
    def costliest(self) -> tuple[LayerLoss, ...]:
        """The layers by what they cost the answer, the dearest first."""
        return tuple(sorted(self.layers, key=lambda layer: -layer.cost))

    def to_json(self) -> str:
        """Return the diagnosis as JSON text."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=1)

    def save(self, path: str | Path) -> None:
        """Write the diagnosis as JSON, whole or not at all."""
        write_text(Path(path), self.to_json())

    @staticmethod
    def load(path: str | Path) -> Diagnosis:
        """Read a diagnosis; raises ArchiveError if the file is damaged or of a newer version."""
        values = read_json(Path(path), "diagnosis")
        if values.get("format", 0) > FORMAT:
            raise ArchiveError(f"{path} was written by a newer Transpike: update it with pip install -U transpike.")
        try:
            return diagnosis_from({key: value for key, value in values.items() if key != "format"})
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise ArchiveError(f"{path} is not a complete diagnosis ({error}): diagnose again.") from error


def relative(error: float, power: float) -> float:
    """Return the root of a ratio of mean squares; 1 if there is an error where nothing was to be sent."""
    return math.sqrt(error / power) if power > 0 else float(error > 0)


def scaled(layer: LayerLoss, cause: str) -> float:
    """Return the mean square of a part relative to that of the layer's activation."""
    part: Part = getattr(layer, cause)
    return part.mean_square / layer.power if layer.power else 0.0


def diagnosis_from(values: dict[str, Any]) -> Diagnosis:
    """Build a diagnosis from the values of its JSON; raise ValueError, TypeError or KeyError if something is missing."""
    layers = tuple(LayerLoss(**{**layer, **{c: Part(**layer[c]) for c in CAUSES}}) for layer in values["layers"])
    found = Diagnosis(
        **{
            **values,
            "layers": layers,
            "stages": tuple(Stage(**stage) for stage in values["stages"]),
            "norms": tuple(Norm(**norm) for norm in values["norms"]),
            "findings": tuple(Finding(**finding) for finding in values["findings"]),
        }
    )
    numbers = [found.answer_error, found.answer_bound, *(layer.cost for layer in layers)]
    if not all(isinstance(number, int | float) for number in (found.time_steps, found.samples, *numbers)) or not found.stages:
        raise ValueError("numbers or stages are missing")
    return found
