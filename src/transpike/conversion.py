"""Convert a trained model into a spiking network: the main path."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.export import ExportedProgram

from transpike.calibration import Samples, Watch, unwatched
from transpike.capture import capture, check_model, count_inputs
from transpike.choice import AUTO, automatic
from transpike.data import Batch, batches, checked, known_length
from transpike.errors import ArgumentError, DataError, TranspikeWarning, positive_whole
from transpike.network import Network
from transpike.network.grammar import check_spiking, trait
from transpike.neurons import FunctionOfSignals, Integrator, Neuron
from transpike.parts import Finding, Method, Trait
from transpike.passes import Pass, SnapToGrid, apply
from transpike.recipe import Recipe, find_recipe

Run = Callable[[Iterable[Pass], Network, Samples], Network]


@dataclass(frozen=True)
class CalibrationSamples:
    """Calibration samples that can be read as often as passes need, checked each time; `watch` sees each reading."""

    samples: Any
    inputs: int
    network: Network
    watch: Watch = unwatched

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches."""
        advance = self.watch("Reading calibration samples", known_length(self.samples))
        for batch in self.checked():
            yield batch
            advance(len(batch))

    def checked(self) -> Iterator[Batch]:
        """Return the batches, each checked as it comes."""
        return checked(batches(self.samples, self.inputs, "calibration samples"), self.network.inputs, "calibration samples")


def convert(
    model: nn.Module | ExportedProgram,
    samples: Any,
    recipe: str | Recipe = "rate",
    *,
    time_steps: int | None = None,
    graded: bool = False,
    exact: bool = False,
    watch: Watch = unwatched,
) -> Network:
    """Return the spiking network of a trained `model`: a module, a program of torch.export, or a model of Keras on PyTorch.

    `samples` calibrate the thresholds: a tensor [n, ...], a tuple of inputs, or an iterable of batches such as a DataLoader;
    labels in it are ignored. Of models whose inputs all have defaults the first is one, and what masks it, in its shape and
    of 0 and 1 alone; a `Batch` says which tensors are inputs. `time_steps` is what the network will run for: some recipes
    need it; codes with a window of their own do not. Recipe "auto" takes the one that comes closest to the ANN within these
    steps, among those with binary spikes unless `graded`; see `transpike.choice`. With `exact` all sums of the network are
    exact, so that it sends the same spikes on every engine, batch size and device (see `passes.SnapToGrid`). `watch(what,
    total)` is called whenever samples are read (`total` is None where nobody knows how many) or layers corrected, and returns
    what is called with how many more are done. Nothing is trained and the model is not changed. Raises ArgumentError,
    DataError, CaptureError or ConversionError with the reason; warns if there are few samples.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> network = convert(model, torch.rand(64, 4))
    >>> network.nodes["1"].op.threshold.shape
    torch.Size([8])
    """
    if time_steps is not None:
        positive_whole("time_steps", time_steps)
    model = check_model(model)
    if recipe == AUTO:
        given = Samples(time_steps=time_steps).steps_for('recipe="auto"')
        candidates = Candidates(model, given, exact, watch)
        return automatic(candidates, model, samples, count_inputs(model, samples), given, graded=graded)
    network = capture(model, first_inputs(samples, count_inputs(model, samples)))
    return converted(network, samples, find_recipe(recipe), time_steps, exact, watch, apply)


def converted(
    network: Network, samples: Any, recipe: Recipe, time_steps: int | None, exact: bool, watch: Watch, run: Run
) -> Network:
    """Return the spiking network of a captured one; `run` applies the passes."""
    stream = CalibrationSamples(samples, len(network.inputs), network, watch)
    passes = (*recipe.passes, SnapToGrid()) if exact else recipe.passes
    network = run(passes, network, Samples(stream, steps_of(recipe, time_steps), watch))
    network = dataclasses.replace(network, findings=(*network.findings, *without_neurons(network)))
    for finding in network.findings:
        if finding.severity == "warning":
            warnings.warn(f"{finding.message} {finding.advice}", TranspikeWarning, stacklevel=3)
    return check_spiking(dataclasses.replace(network, method=measured(recipe.method, network)))


class Candidates:
    """Convert a model with one recipe after another; what recipes begin with alike is done once for the same samples."""

    def __init__(self, model: nn.Module, time_steps: int, exact: bool, watch: Watch) -> None:
        self.model = model
        self.settings = (time_steps, exact, watch)
        self.captured: Network | None = None
        self.samples: Any = None
        self.done: list[tuple[tuple[Pass, ...], Network]] = []  # passes on these samples, and what they gave

    def __call__(self, samples: Any, recipe: Recipe) -> Network:
        """Convert; what the samples give reason to warn of is said once, of the network that is kept."""
        if self.captured is None:
            self.captured = capture(self.model, first_inputs(samples, count_inputs(self.model, samples)))
        if samples is not self.samples:
            self.samples, self.done = samples, []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TranspikeWarning)
            return converted(self.captured, samples, recipe, *self.settings, self.run)

    def run(self, passes: Iterable[Pass], network: Network, samples: Samples) -> Network:
        """Apply `passes`, beginning with the longest part of them that is done."""
        every = tuple(passes)
        alike = [(done, found) for done, found in self.done if done == every[: len(done)]]
        done, network = max(alike, key=lambda one: len(one[0]), default=((), network))
        for number in range(len(done), len(every)):
            network = apply(every[number : number + 1], network, samples)
            self.done.append((every[: number + 1], network))
        return network


def without_neurons(network: Network) -> Iterator[Finding]:
    """Say so if nothing in a network spikes although its ANN is no linear map: it would only compute the ANN as read-out."""
    if network.having(Neuron, FunctionOfSignals):
        return
    bent = [node for node in network.nodes.values() if trait(node.op) in (Trait.ACTIVATION, Trait.COUPLED)]
    inside = [node for node in bent if network.users[node.name]]
    if inside:
        kinds = ", ".join(sorted({type(node.op).__name__ for node in inside}))
        yield Finding(
            "no-neurons",
            f"Nothing in this network spikes: what bends its signals ({kinds}) acts on the decoded answer, as a read-out does.",
            "Take recipe differential or hybrid, which have rules for functions of signals.",
            node=inside[0].name,
            severity="warning",
        )


def steps_of(recipe: Recipe, time_steps: int | None) -> int | None:
    """Return the steps that a network is fitted to: those given, or the window of a code with one of its own."""
    if recipe.window is not None and time_steps not in {None, recipe.window}:
        raise ArgumentError(
            f"The code of recipe {recipe.name!r} has a window of {recipe.window} steps, not {time_steps}: leave "
            f"time_steps out, "
            f"or take the recipe with_window({time_steps})."
        )
    return recipe.window or time_steps


def measured(method: Method, network: Network) -> Method:
    """Return the method with what its network says of bits per spike and of steps before the answer."""
    bits = [node.op.bits_per_spike for node in network.nodes.values() if isinstance(node.op, Neuron)]
    delays = [node.op.delay for node in network.nodes.values() if isinstance(node.op, Integrator)]
    return dataclasses.replace(method, bits_per_spike=max(bits, default=1), extra_steps=max(delays, default=0))


def first_inputs(samples: Any, inputs: int) -> tuple[Any, ...]:
    """Return the inputs of the first batch that is not empty."""
    for batch in batches(samples, inputs, "calibration samples"):
        if len(batch):
            return batch.inputs
    raise DataError("The calibration samples are empty: give at least one, better a few hundred.")
