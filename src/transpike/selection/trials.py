"""What a search tried and what it chose: plain values, the same in Python and in JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transpike.chips import find_chip
from transpike.errors import ArchiveError, ArgumentError, positive_whole
from transpike.files import read_json, write_text
from transpike.recipe import Recipe, find_recipe

FORMAT = 3
ROUNDING = 1e-9  # so that 0.3 ms are three steps of 0.1 ms


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a spiking network may cost: steps until the answer, spikes per neuron, bits per spike, energy over the ANN's.

    One bit per spike admits binary spikes only. None sets no limit. `max_hz` limits the firing rate in spikes per second:
    the mean over the neurons of the layer that fires most, while it sends, with time steps of `step_ms` milliseconds.
    With `chip` a network has to fit that chip as well (see `transpike.fit`). Raises ArgumentError for values that are not
    positive, and for an unknown chip.
    """

    time_steps: int
    spikes_per_neuron: float | None = None
    bits_per_spike: int = 1
    energy: float | None = None
    max_hz: float | None = None
    step_ms: float | None = None
    chip: str | None = None

    def __post_init__(self) -> None:
        positive_whole("time_steps", self.time_steps)
        positive_whole("bits_per_spike", self.bits_per_spike)
        for name in ("spikes_per_neuron", "energy", "max_hz"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ArgumentError(f"The limit {name} must be above 0, not {value}.")
        if self.step_ms is not None:
            positive_finite("step_ms", self.step_ms)
        if self.max_hz is not None and self.step_ms is None:
            raise ArgumentError("The limit max_hz needs the duration of a time step: give step_ms as well, such as step_ms=1.")
        if self.chip is not None:
            find_chip(self.chip)

    @classmethod
    def of(cls, chip: str, time_steps: int, **others: Any) -> Limits:
        """Return the limits of a chip, by name or YAML file: bits of a spike, the duration of a step, and that networks fit.

        Whether a network fits covers fan-in, kinds of neurons, max-pools and cores; it is found before a trial is simulated.
        `others` are further limits, which come before those of the chip. Raises as `transpike.fit`.

        >>> Limits.of("truenorth", 16).step_ms, Limits.of("loihi-2", 16).bits_per_spike
        (1.0, 32)
        """
        known = find_chip(chip)
        step = known.get("step")
        own: dict[str, Any] = {
            "bits_per_spike": known.whole("spike_bits") or 1,
            "step_ms": None if step is None else step / 1000,
        }
        return cls(time_steps=time_steps, chip=chip, **(own | others))

    @classmethod
    def timed(cls, latency_ms: float, max_hz: float | None = None, *, step_ms: float = 1.0, **others: Any) -> Limits:
        """Return limits in physical units: an answer within `latency_ms`, with time steps of `step_ms` milliseconds.

        Steps before the answer and the windows of layers that take turns are part of the latency. `others` are further
        limits. Raises ArgumentError, also if not even one step fits.

        >>> Limits.timed(50, max_hz=100, step_ms=0.5).time_steps
        100
        """
        for name, value in (("latency_ms", latency_ms), ("step_ms", step_ms)):
            positive_finite(name, value)
        steps = math.floor(latency_ms / step_ms * (1 + ROUNDING))
        if steps < 1:
            raise ArgumentError(
                f"No time step of {step_ms:g} ms fits into latency_ms={latency_ms:g}: allow more, or take shorter steps."
            )
        return cls(time_steps=steps, max_hz=max_hz, step_ms=step_ms, **others)

    def milliseconds(self, trial: Trial) -> float:
        """Return after how many milliseconds a trial answers. Raises ArgumentError if steps have no duration."""
        return trial.latency * self.duration()

    def hertz(self, trial: Trial) -> float:
        """Return how often a neuron of the busiest layer fires per second. Raises ArgumentError if steps have no duration."""
        return 1000 * trial.busiest / self.duration()

    def duration(self) -> float:
        """Return the milliseconds of a time step."""
        if self.step_ms is None:
            raise ArgumentError("Time steps have no duration in these limits: give step_ms, such as step_ms=1.")
        return self.step_ms

    def excess(self, trial: Trial) -> float:
        """Return by how much a trial exceeds the limits, as a share of them; 0 if it keeps them all."""
        pairs: tuple[tuple[float, float | None], ...] = (
            (trial.latency, self.time_steps),
            (trial.bits_per_spike, self.bits_per_spike),
            (trial.spikes_per_neuron, self.spikes_per_neuron),
            (trial.energy, self.energy),
            (0.0 if self.max_hz is None else self.hertz(trial), self.max_hz),
        )
        return sum(max(0.0, value / limit - 1) for value, limit in pairs if limit is not None)


def positive_finite(name: str, value: float) -> None:
    """Raise ArgumentError unless a duration is above 0 and finite."""
    if not 0 < value < math.inf:
        raise ArgumentError(f"{name} must be a number of milliseconds above 0, not {value}.")


@dataclass(frozen=True)
class Trial:
    """One conversion, measured on the held-out samples.

    `divergence` is the mean Kullback-Leibler divergence of the SNN's softmax from the ANN's in nats, of outputs that are no
    classes their relative squared error; `agreement` how often both give the same answer, None where nothing is chosen,
    `accuracy` known only where the samples had labels. `energy` is the SNN's over the
    ANN's. Where layers take turns, the time steps are those of one of so many `windows`. `busiest` counts spikes per neuron
    and time step in the layer that fires most; where layers take turns, in the window in which it sends.
    """

    recipe: str
    percentile: float | None
    time_steps: int
    divergence: float
    agreement: float | None
    accuracy: float | None
    spikes_per_neuron: float
    bits_per_spike: int
    energy: float
    windows: int = 1
    busiest: float = 0.0  # searches of format 1 did not measure it

    @property
    def latency(self) -> int:
        """The time steps until the answer."""
        return self.windows * self.time_steps

    def costs(self) -> tuple[float, float, float]:
        """Return what is to be small: divergence, latency, spikes per neuron."""
        return self.divergence, self.latency, self.spikes_per_neuron

    def chosen_recipe(self) -> Recipe:
        """Return the recipe, to convert with; a window that was found on the samples stays as it was measured."""
        recipe = find_recipe(self.recipe)
        if recipe.has_window and recipe.window is None:
            recipe = recipe.with_window(self.time_steps)
        return recipe if self.percentile is None else recipe.with_percentile(self.percentile)


def pareto_front(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Return the trials that no other beats: none is at least as good in all costs and better in one.

    They come in order of latency, then of spikes; equal ones once.
    """
    front: dict[tuple[float, float, float], Trial] = {}
    for trial in trials:
        mine = trial.costs()
        beaten = any(
            theirs != mine and all(a <= b for a, b in zip(theirs, mine, strict=True))
            for theirs in (other.costs() for other in trials)
        )
        if not beaten:
            front.setdefault(mine, trial)
    return tuple(sorted(front.values(), key=lambda trial: (trial.latency, trial.spikes_per_neuron)))


@dataclass(frozen=True)
class Selection:
    """The outcome of a search: every trial, those within the limits that no other beats, and what was refused and why.

    `fitted` and `held_out` count the samples that calibrated and that judged. Test data took no part.
    """

    limits: Limits
    fitted: int
    held_out: int
    seed: int
    trials: tuple[Trial, ...]
    refusals: tuple[str, ...]

    @property
    def within(self) -> tuple[Trial, ...]:
        """The trials that keep the limits."""
        return tuple(trial for trial in self.trials if self.limits.excess(trial) == 0)

    @property
    def front(self) -> tuple[Trial, ...]:
        """The trials within the limits that no other beats in divergence, latency and spikes."""
        return pareto_front(self.within)

    @property
    def best(self) -> Trial | None:
        """The trial within the limits that is nearest to the ANN, the soonest of equals; None if none keeps the limits."""
        return min(self.front, key=Trial.costs, default=None)

    def to_json(self) -> str:
        """Return the selection as JSON text, with what follows from it: `front` and `best`."""
        derived = {"front": [dataclasses.asdict(one) for one in self.front]}
        best = None if self.best is None else dataclasses.asdict(self.best)
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self), **derived, "best": best}, indent=1)

    def save(self, path: str | Path) -> None:
        """Write the selection as JSON, whole or not at all."""
        write_text(Path(path), self.to_json())

    @staticmethod
    def load(path: str | Path) -> Selection:
        """Read a selection; raises ArchiveError if the file is damaged or of a newer version."""
        values = read_json(Path(path), "selection")
        if not isinstance(values.get("format"), int) or values["format"] > FORMAT:
            raise ArchiveError(f"{path} is no selection that this version reads: update with pip install -U transpike.")
        try:
            trials = tuple(Trial(**one) for one in values["trials"])
            plain = {name: values[name] for name in ("fitted", "held_out", "seed")}
            return Selection(Limits(**values["limits"]), **plain, trials=trials, refusals=tuple(values["refusals"]))
        except (TypeError, KeyError, AttributeError) as error:
            raise ArchiveError(f"{path} is not a complete selection ({error}): search again.") from error
