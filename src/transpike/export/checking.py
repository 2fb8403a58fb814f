"""Run what was written, and compare its spikes with those of the network that it was written from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.export.stages import Form
from transpike.network import Network, shapes
from transpike.network.edit import pruned
from transpike.parts import Stateful
from transpike.simulation import Record, simulate
from transpike.simulation.stepper import Stepper


@dataclass(frozen=True)
class Played:
    """Spikes [time, batch, ...] of the nodes of a network, and its answer after the last step."""

    spikes: Mapping[str, Tensor]
    answer: Tensor


def play(network: Network, stimulus: Tensor, names: Sequence[str]) -> Played:
    """Run a network step by step on a stimulus [time, batch, ...] and keep the spikes of the nodes in `names`."""
    stepper = Stepper(network, (stimulus[0],), live=True)
    trains: dict[str, list[Tensor]] = {name: [] for name in names}
    for frame in stimulus:
        answer = next(iter(stepper.step((frame,)).values()))
        for name, train in trains.items():
            train.append((stepper.sent[name] != 0).cpu())
    return Played({name: torch.stack(train) for name, train in trains.items()}, answer.clone())


def stimulus_of(form: Form, samples: Tensor, time_steps: int) -> Tensor:
    """Return what enters a written network for samples [batch, ...]: [time, batch, ...].

    The value that enters is constant, or the spikes that encode the samples; the start channel, if there is one, is 1 at
    the first step.
    """
    ready = form.prepared
    whole = pruned(Network(ready.whole.nodes, {"entrance": ready.entrance}))
    stepper = Stepper(whole, (samples,))
    if isinstance(whole.nodes[ready.entrance].op, Stateful):
        frames = torch.stack([stepper.step()["entrance"].clone() for _ in range(time_steps)])
    else:
        frames = stepper.static[ready.entrance].expand(time_steps, *samples.shape[:1], *shapes(whole)[ready.entrance])
    if not form.start:
        return frames.contiguous()
    start = torch.zeros_like(frames[:, :, :1])
    start[0] = 1
    return torch.cat([frames, start], 2)


@dataclass(frozen=True)
class Comparison:
    """How many spikes the given network sent, and how many of its spike slots differ in what was written."""

    spikes: int
    differing: int
    trains: int
    differing_trains: int


def compared(given: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> Comparison:
    """Compare spike trains [time, batch, ...] by node."""
    spikes = differing = trains = differing_trains = 0
    for name, expected in given.items():
        wrong = expected != found[name]
        spikes += int(expected.sum())
        differing += int(wrong.sum())
        trains += wrong[0].numel()
        differing_trains += int(wrong.any(0).sum())
    return Comparison(spikes, differing, trains, differing_trains)


def expected(network: Network, form: Form, samples: Tensor, time_steps: int) -> dict[str, Tensor]:
    """Return the spikes [time, batch, ...] of the given network by node."""
    names = list(form.places)
    return dict(simulate(network, samples, time_steps, record=Record(spikes=names)).spikes)


def placed(form: Form, trains: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the spikes of what was written under the names of the given network."""
    return {name: place.of(trains, tuple(like[name].shape[2:])) for name, place in form.places.items()}
