"""Run spiking networks on whole data sets, in blocks of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from transpike.data import Batch, batches, checked
from transpike.errors import ArgumentError, positive_whole
from transpike.network import Network
from transpike.network.grammar import check_spiking
from transpike.network.remembered import once
from transpike.network.turns import steps_for
from transpike.simulation.engines import AUTO, Engine, Task, engine_for
from transpike.simulation.memory import answer_bytes, block_size
from transpike.simulation.recording import Block, Record, Recording, Snapshots, joined


def simulate(
    network: Network,
    inputs: Any,
    time_steps: int | None = None,
    *,
    record: Record | None = None,
    memory: int | None = None,
    block: int | None = None,
    device: torch.device | str | None = None,
    engine: str | Engine = AUTO,
    progress: Callable[[int], None] | None = None,
) -> Recording:
    """Run `network` on `inputs` [batch, ...] (a tuple of several) for `time_steps` steps and return a Recording.

    Codes with a window of their own, such as phase coding, need no `time_steps`.
    `record` names the nodes whose traces to keep. Samples are simulated in blocks that fit `memory` bytes (default: a
    quarter of what is free), or of exactly `block` samples. `engine` names what computes it (see `transpike.engines`);
    "auto" takes the fastest that can. `progress` is called with the number of samples done. Raises
    ArgumentError or DataError. In float64 the spikes do not depend on the blocks; in float32 sums of another block size
    may differ in the last bit, and so a spike that is due within that bit of the threshold may come a step later. Samples of a
    network of `transpike.early_exit` end at their exits: `decided` in the recording has the steps, and nothing spikes later.

    >>> import torch
    >>> from transpike import convert
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> network = convert(model, torch.rand(64, 4))
    >>> simulate(network, torch.rand(5, 4), time_steps=16).outputs.shape
    torch.Size([16, 5, 3])
    """
    record = record or Record()
    once(network, "checked", lambda one: bool(check_spiking(one)))
    steps = steps_for(network, time_steps)
    stream = checked(batches(inputs, len(network.inputs), "inputs"), network.inputs, "inputs")
    parts = []
    for part in blocks(network, stream, steps, record=record, memory=memory, block=block, device=device, engine=engine):
        parts.append(part.condensed(record))
        if progress is not None:
            progress(len(part))
    return joined(parts, steps, record.counts)


def blocks(
    network: Network,
    stream: Iterator[Batch],
    time_steps: int,
    *,
    record: Record | None = None,
    memory: int | None = None,
    block: int | None = None,
    device: torch.device | str | None = None,
    engine: str | Engine = AUTO,
    snapshots: Snapshots | None = None,
    first_sample: int = 0,
) -> Iterator[Block]:
    """Yield the recordings of consecutive blocks of samples, with what `snapshots` measures on the way.

    How the stream was batched does not matter: samples are cut anew into blocks.
    """
    positive_whole("time_steps", time_steps)
    if block is not None:
        positive_whole("block", block)
    prepared = placed(network, device)
    task = Task(prepared, time_steps, (record or Record()).checked(prepared).with_trains(prepared), snapshots)
    runner = engine_for(task, engine).prepare(task)
    first = first_sample
    size = block_size(runner, prepared.device, memory, block, answer_bytes(prepared, time_steps))
    for batch in recut(stream, size):
        yield runner.run(batch, first)
        first += len(batch)


def placed(network: Network, device: torch.device | str | None) -> Network:
    """Return the network on `device`; raises ArgumentError if this machine or this build of PyTorch lacks it."""
    try:
        return network if device is None else network.to(device)
    except (AssertionError, RuntimeError) as error:
        raise ArgumentError(f"Device {str(device)!r} cannot be used: {str(error).splitlines()[0]}.") from error


def recut(stream: Iterator[Batch], size: int) -> Iterator[Batch]:
    """Yield a stream of batches in pieces of `size` samples, the last one perhaps smaller."""
    waiting: Batch | None = None
    for batch in stream:
        waiting = batch if waiting is None else waiting.followed_by(batch)
        while len(waiting) >= size:
            yield waiting[:size]
            waiting = waiting[size:]
    if waiting is not None and len(waiting):
        yield waiting
