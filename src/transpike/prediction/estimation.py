"""Predict the accuracy of a spiking network at each number of time steps before simulating it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from transpike.analysis.reference import Reference, values_like
from transpike.answers import tells_classes
from transpike.capture import check_model
from transpike.data import Batch, batches, check_labels, checked
from transpike.errors import ArgumentError, ConversionError, DataError, positive_whole
from transpike.exits import without_exit
from transpike.network import Network, forward
from transpike.network.grammar import check_spiking, differential
from transpike.network.turns import sequential, window
from transpike.parts import Finding
from transpike.prediction.answers import Answers, clipped, expected_shares
from transpike.prediction.bands import CLIPPED_BAND, CLIPPED_FROM, corrected_band, walk_band
from transpike.prediction.estimates import Estimate, Prediction
from transpike.prediction.leaps import leap_answers, leap_ends
from transpike.simulation.engines import Runner, Task, engine_for
from transpike.simulation.memory import block_size
from transpike.simulation.run import recut
from transpike.simulation.stepper import laid_out

MEANINGLESS = Finding(
    "clipped-estimate",
    "The estimate from clipping alone (ReLU1) says where accuracy goes as time steps grow; at few time steps it means "
    "nothing: at 16 or fewer it was measured 8 to 64 points too high, since it sees neither rounding nor uneven arrival.",
    "Read the estimates over time instead.",
)


def predict(
    network: Network,
    samples: Any,
    time_steps: int,
    model: nn.Module | ExportedProgram | None = None,
    *,
    simulated: int = 0,
    memory: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Prediction:
    """Estimate how a spiking `network` answers at 1, 2, 3, 4, 6, 8 ... `time_steps` steps, without simulating it.

    Three estimates. `clipped`: the ANN with every activation clipped at its neuron's ceiling (ReLU1), one pass; the limit
    of many steps and no use at few. `over_time`: a walk through time in leaps (`prediction.leaps`), two passes per
    doubling of the steps. `corrected`: the same after the first `simulated` samples (64 will do) were simulated in
    full, unlabelled, to learn what the walk misses. Each states its error as measured.

    `samples` are inputs with or without labels, as in `convert`: labels give accuracies, otherwise there is the agreement
    with the ANN. `model` is the ANN; None takes the network's own analogue. `progress` is called with the number of
    samples done. Early exit is left out. Raises ArgumentError, DataError, and ConversionError for codes whose answer no
    mean over time tells: those in windows, which `transpike.evaluate` answers in about one pass, first spikes, and
    differential coding.

    >>> import torch
    >>> from transpike import convert
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> prediction = predict(convert(model, torch.rand(64, 4)), torch.rand(50, 4), time_steps=32)
    >>> [estimate.time_steps for estimate in prediction.over_time]
    [1, 2, 3, 4, 6, 8, 11, 16, 23, 32]
    """
    positive_whole("time_steps", time_steps)
    network = without_exit(check_walkable(network))
    if model is not None:
        model = check_model(model)
    if simulated < 0:
        raise ArgumentError(f"simulated must be a number of samples of at least 0, not {simulated}.")
    ends = leap_ends(time_steps)
    answers = gathered(network, model, samples, ends, simulated, memory, progress)
    return summary(network, answers, ends)


def check_walkable(network: Network) -> Network:
    """Return `network` if the walk in leaps means something for it, else raise ConversionError with what to do instead."""
    if sequential(check_spiking(network)):
        raise ConversionError(
            "The layers of this network take turns, so one pass of each layer gives its exact answer and nothing is left to "
            "predict: evaluate the network (transpike.evaluate, or the command transpike evaluate), which takes no longer."
        )
    if window(network) is not None:
        raise ConversionError(
            "The walk in leaps takes the mean of what neurons send, but under a code by first spikes the time of a single "
            "spike is the value: evaluate the network (transpike.evaluate, or the command transpike evaluate)."
        )
    if differential(network):
        raise ConversionError(
            "The walk in leaps takes the mean of what neurons send, but under differential coding a spike changes the decoded "
            "rate: simulate this network instead."
        )
    return network


def gathered(
    network: Network,
    model: nn.Module | None,
    samples: Any,
    ends: Sequence[int],
    simulated: int,
    memory: int | None,
    progress: Callable[[int], None] | None,
) -> Answers:
    """Return the scores of every estimate on all samples."""
    prepared, ceiled = laid_out(network), clipped(network)
    task = Task(network, ends[-1])
    runner = engine_for(task).prepare(task)
    stream = checked(batches(samples, len(network.inputs), "samples"), network.inputs, "samples")
    parts: list[Answers] = []
    seen = 0
    for batch in recut(stream, block_size(runner, network.device, memory, None)):
        inputs = [tensor.to(network.device) for tensor in batch.inputs]
        ann = scores(Reference(network, model).output(inputs))
        parts.append(
            Answers(
                ann,
                scores(next(iter(forward(ceiled, inputs).values()))),
                {end: scores(value) for end, value in leap_answers(prepared, inputs, ends, seen).items()},
                simulated_scores(runner, batch[: max(0, simulated - seen)], ends, seen),
                None if batch.labels is None else classes_of(batch.labels, ann, seen),
            )
        )
        seen += len(batch)
        if progress is not None:
            progress(len(batch))
    return joined(parts)


def scores(output: Tensor) -> Tensor:
    """Return an output [batch, classes] in float32 on the CPU; raise DataError for outputs that are no classes."""
    if not tells_classes(output):
        raise DataError(
            f"Only answers [batch, classes] can be predicted, but the model gives {tuple(output.shape)}: evaluate it instead "
            "(transpike.evaluate), with a metric that suits it."
        )
    return output.float().cpu()


def classes_of(labels: Tensor, output: Tensor, seen: int) -> Tensor:
    """Return labels, checked; raise DataError where they are values instead."""
    if values_like(labels, output):
        raise DataError(
            "Predictions count classes, but what came beside the samples are values, as of a regression: evaluate the network "
            "instead (transpike.evaluate), which reports the error of its outputs over time."
        )
    return check_labels(labels, output.shape[1], seen)


def simulated_scores(runner: Runner, batch: Batch, ends: Sequence[int], first: int) -> dict[int, Tensor]:
    """Return the scores of the spiking network itself at the end of each leap; empty tensors if there are no samples."""
    if len(batch) == 0:
        return {}
    outputs = next(iter(runner.run(batch, first).outputs.values()))
    return {end: scores(outputs[end - 1]) for end in ends}


def joined(parts: Sequence[Answers]) -> Answers:
    """Return the answers to consecutive blocks as one."""

    def together(maps: Sequence[Mapping[int, Tensor]]) -> dict[int, Tensor]:
        filled = [one for one in maps if one]
        return {end: torch.cat([one[end] for one in filled]) for end in (filled[0] if filled else ())}

    labels = [part.labels for part in parts if part.labels is not None]
    return Answers(
        torch.cat([part.ann for part in parts]),
        torch.cat([part.clipped for part in parts]),
        together([part.walk for part in parts]),
        together([part.simulated for part in parts]),
        torch.cat(labels) if labels else None,
    )


def summary(network: Network, answers: Answers, ends: Sequence[int]) -> Prediction:
    """Return the prediction that answers give."""
    limit = Estimate(ends[-1], *answers.shares(answers.clipped), 1, CLIPPED_BAND if ends[-1] >= CLIPPED_FROM else None)
    walks = tuple(Estimate(end, *answers.shares(answers.walk[end]), k, walk_band(end)) for k, end in enumerate(ends, 1))
    simulated = len(next(iter(answers.simulated.values()), ()))
    corrected = tuple(
        Estimate(end, *expected_shares(answers, end), k, corrected_band(end))
        for k, end in enumerate(ends if simulated else (), 1)
    )
    return Prediction(
        method=network.method.name if network.method else "unnamed passes",
        samples=len(answers.ann),
        simulated=simulated,
        reference_accuracy=answers.shares(answers.ann)[1],
        clipped=limit,
        over_time=walks,
        corrected=corrected,
        findings=(MEANINGLESS,),
    )
