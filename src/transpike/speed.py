"""How fast this machine simulates a network on each engine, and which one is taken."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from transpike.conversion import convert
from transpike.data import Batch
from transpike.demo import DigitNet
from transpike.errors import TranspikeWarning, positive_whole
from transpike.network import Network, forward
from transpike.network.turns import steps_for
from transpike.preparation import Scaling
from transpike.simulation.engines import ENGINES, Engine, Task, engine_for
from transpike.simulation.engines.event import builds, kernels_of
from transpike.sources import load_data

STEPS = 32  # to simulate where neither the user nor the code says how many


@dataclass(frozen=True)
class Pace:
    """The pace of one engine: milliseconds per sample, and how many passes of the ANN that is; or why it cannot run."""

    engine: str
    milliseconds: float | None
    passes: float | None
    refusal: str | None


@dataclass(frozen=True)
class KernelChoice:
    """Which kernel the event engine took for a stage, and the share of its neurons that fire in a step."""

    stage: str
    kernel: str
    rate: float | None


@dataclass(frozen=True)
class Comparison:
    """All engines on one network: which is picked, how fast each is, and what the kernels are.

    `builds` are those of the event engine that this processor runs, the fastest first.
    """

    network: str
    batch: int
    time_steps: int
    threads: int
    ann_milliseconds: float
    picked: str
    paces: tuple[Pace, ...]
    builds: tuple[str, ...]
    kernels: tuple[KernelChoice, ...]

    def to_json(self) -> dict[str, object]:
        """Return the comparison as plain values."""
        return asdict(self)

    def reason(self) -> str:
        """Say why the picked engine is picked."""
        others = [pace for pace in self.paces if pace.passes is not None and pace.engine != self.picked]
        own = next(pace for pace in self.paces if pace.engine == self.picked)
        refused = next(
            (f"{pace.engine}: {pace.refusal}" for pace in self.paces if pace.engine == "event" and pace.refusal), None
        )
        if refused is not None:
            return f"The event engine does not run this network ({refused.removeprefix('event: ')})."
        if not others or own.passes is None:
            return "It is the only engine for this network."
        best = min(pace.passes for pace in others if pace.passes is not None)
        return f"It comes first in the order of engines, and takes {best / own.passes:.1f} times less than the next best here."


def demo_case() -> tuple[Network, Tensor]:
    """Return the demo's network, untrained, in exact arithmetic, and digits for it."""
    digits = load_data("digits", "train", None, Scaling((), ())).inputs[0]
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore", TranspikeWarning)
        torch.manual_seed(0)
        return convert(DigitNet().eval(), digits[:500], exact=True), digits


def compare(
    network: Network, inputs: Tensor, time_steps: int | None = None, *, repetitions: int = 5, name: str = ""
) -> Comparison:
    """Measure every engine on `network` and return the medians.

    `inputs` [batch, ...] are run `repetitions` times on each engine, in turns; once before, unmeasured.
    Without `time_steps` they run for the window of the code, or 32 steps. Raises ArgumentError.
    """
    steps = steps_for(network, time_steps, STEPS)
    positive_whole("repetitions", repetitions)
    task = Task(network, steps)
    refusals = {engine.name: engine.refusal(task) for engine in ENGINES}
    runners = {engine.name: engine.prepare(task) for engine in ENGINES if refusals[engine.name] is None}
    analogue, batch = network.analogue(), Batch((inputs,))
    ways: dict[str, Callable[[], object]] = {"": lambda: forward(analogue, [inputs])}
    ways |= {engine: lambda runner=runner: runner.run(batch) for engine, runner in runners.items()}  # type: ignore[misc]
    times = medians(ways, repetitions)
    per_sample = {engine: 1e3 * seconds / len(inputs) for engine, seconds in times.items()}
    paces = [pace(engine, per_sample, refusals[engine.name]) for engine in ENGINES]
    kernels = [KernelChoice(*choice) for choice in kernels_of(runners["event"], batch)] if "event" in runners else []
    return Comparison(
        name,
        len(inputs),
        steps,
        torch.get_num_threads(),
        per_sample[""],
        engine_for(task).name,
        tuple(paces),
        tuple(builds()),
        tuple(kernels),
    )


def pace(engine: Engine, per_sample: dict[str, float], refusal: str | None) -> Pace:
    """Return the pace of an engine."""
    own = per_sample.get(engine.name)
    return Pace(engine.name, own, None if own is None else own / per_sample[""], refusal)


def medians(ways: dict[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Return the median seconds of several ways, run in turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repetitions + 1):
        for name, call in ways.items():
            started = time.perf_counter()
            call()
            if turn:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}
