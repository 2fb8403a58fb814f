"""Networks that are driven by recorded spikes instead of constant inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from torch import Tensor

from transpike.codings import RateCode, Recorded
from transpike.errors import ArgumentError, positive_whole
from transpike.network import Network, Node
from transpike.network.edit import bypass, follow, with_op
from transpike.network.grammar import check_spiking
from transpike.network.turns import window


def play(network: Network, frames: int, step_ms: float | None = None) -> Network:
    """Return a spiking `network` whose inputs are recordings [batch, frames, ...], played one frame per time step.

    Convert with constant inputs first: the mean frame of each calibration sample. Values are numbers of spikes. The network
    answers as for the mean frame once spikes have averaged, and its first layer adds up only when a spike arrives. `step_ms`
    is the length of a frame in milliseconds. A network that plays already plays `frames` from now on. Raises ArgumentError
    if the inputs are spikes of another code, or if the window of a code that has one holds no whole number of recordings.

    >>> import torch
    >>> import transpike as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> events = torch.randint(2, (64, 20, 4)).float()
    >>> network = play(tp.convert(model, events.mean(1)), frames=20)
    >>> tp.simulate(network, events).outputs.shape
    torch.Size([20, 64, 3])
    """
    check_spiking(network)
    positive_whole("frames", frames)
    own = window(network)
    if own is not None and own % frames:
        raise ArgumentError(
            f"The code of this network has a window of {own} steps, into which {frames} frames do not fit a whole number of "
            f"times: cut recordings into {own} frames."
        )
    code = Recorded(frames, step_ms)
    network = unplayed(network)
    for name, op in network.inputs.items():
        for user in network.users[name]:
            kind = type(network.nodes[user].op)
            if issubclass(kind, RateCode):
                raise ArgumentError(
                    f"Input {name!r} is encoded as spikes already ({kind.__name__}): convert with constant input to play."
                )
        network = follow(network, name, Node(f"{name}.spikes", code, (name,), ""))
        network = with_op(network, name, dataclasses.replace(op, shape=(frames, *op.shape)))
    return network


def unplayed(network: Network) -> Network:
    """Return a network with constant inputs in place of recordings."""
    for node in network.having(Recorded):
        (source,) = node.inputs
        op = network.inputs[source]
        network = with_op(bypass(network, node.name), source, dataclasses.replace(op, shape=op.shape[1:]))
    return network


def recorded(network: Network) -> Recorded | None:
    """Return how a network plays recordings, if it does."""
    return next((node.op for node in network.having(Recorded) if isinstance(node.op, Recorded)), None)


def as_constant(network: Network, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return inputs as the ANN takes them: the mean frame where the network plays a recording."""
    played = {node.inputs[0] for node in network.having(Recorded)}
    return [x.mean(1) if name in played else x for name, x in zip(network.inputs, inputs, strict=True)]
