"""Run spiking networks: whole data sets in blocks, or live data step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from transpike.data import Batch, batches, check_input, checked
from transpike.errors import ArgumentError, positive_whole
from transpike.network import Network
from transpike.network.grammar import check_spiking, sequential
from transpike.simulation.memory import block_size
from transpike.simulation.recording import Block, Record, Recording, Snapshots, Tape, joined
from transpike.simulation.sequential import even_trains, run_windows
from transpike.simulation.stepper import Stepper, laid_out


def simulate(
    network: Network,
    inputs: Any,
    time_steps: int,
    *,
    record: Record | None = None,
    memory: int | None = None,
    block: int | None = None,
    device: torch.device | str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Recording:
    """Run `network` on `inputs` [batch, ...] (a tuple of several) for `time_steps` steps and return a Recording.

    `record` names the nodes whose traces to keep. Samples are simulated in blocks that fit `memory` bytes (default: a
    quarter of what is free), or of exactly `block` samples. `progress` is called with the number of samples done. Raises
    ArgumentError or DataError. In float64 the spikes do not depend on the blocks; in float32 sums of another block size
    may differ in the last bit, and so a spike that is due within that bit of the threshold may come a step later.

    >>> import torch
    >>> from transpike import convert
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> network = convert(model, torch.rand(64, 4))
    >>> simulate(network, torch.rand(5, 4), time_steps=16).outputs.shape
    torch.Size([16, 5, 3])
    """
    record = record or Record()
    check_spiking(network)
    stream = checked(batches(inputs, len(network.inputs), "inputs"), network.inputs, "inputs")
    parts = []
    for part in blocks(network, stream, time_steps, record=record, memory=memory, block=block, device=device):
        parts.append(part)
        if progress is not None:
            progress(len(part))
    return joined(parts, time_steps, record.counts)


def blocks(
    network: Network,
    stream: Iterator[Batch],
    time_steps: int,
    *,
    record: Record | None = None,
    memory: int | None = None,
    block: int | None = None,
    device: torch.device | str | None = None,
    snapshots: Snapshots | None = None,
    first_sample: int = 0,
) -> Iterator[Block]:
    """Yield the recordings of consecutive blocks of samples, with what `snapshots` measures on the way.

    How the stream was batched does not matter: samples are cut anew into blocks.
    """
    positive_whole("time_steps", time_steps)
    if block is not None:
        positive_whole("block", block)
    prepared = laid_out(placed(network, device))
    record = (record or Record()).checked(prepared)
    size = block_size(prepared, memory, block)
    first = first_sample
    for batch in recut(stream, size):
        yield run_block(prepared, batch, time_steps, record, first, snapshots)
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


@torch.inference_mode()
def run_block(
    network: Network, batch: Batch, time_steps: int, record: Record, first: int, snapshots: Snapshots | None
) -> Block:
    """Simulate one block of samples."""
    if sequential(network):
        return window_block(network, batch, time_steps, record, snapshots)
    stepper = Stepper(network, [tensor.to(network.device) for tensor in batch.inputs], first)
    tape = Tape(record)
    outputs: dict[str, Tensor] = {}
    kept: dict[int, Any] = {}
    for t in range(time_steps):
        for key, value in stepper.step().items():
            if t == 0:
                outputs[key] = torch.empty((time_steps, *value.shape), dtype=value.dtype)
            outputs[key][t] = value
        tape.note(stepper)
        if snapshots is not None and t + 1 in snapshots.steps:
            kept[t + 1] = snapshots.measure(spike_totals(stepper))
    stacked = {name: torch.stack(trace) for name, trace in tape.spikes.items()}
    potentials = {name: torch.stack(trace) for name, trace in tape.potentials.items()}
    sums = {name: sent for name, state in stepper.states.items() if (sent := state.transmitted()) is not None}
    decided = {name: state.decided.cpu() for name, state in stepper.states.items() if state.decided is not None}
    return Block(batch, outputs, spike_totals(stepper), sums, stacked, potentials, kept, decided)


def window_block(network: Network, batch: Batch, time_steps: int, record: Record, snapshots: Snapshots | None) -> Block:
    """Simulate one block of samples of a sequential network."""
    windows = run_windows(network, [tensor.to(network.device) for tensor in batch.inputs], time_steps)
    steps = list(windows.outputs())
    outputs = {key: torch.stack([step[key].expand(len(batch), *step[key].shape[1:]) for step in steps]) for key in steps[0]}
    kept = {step: snapshots.measure(windows.spikes_by(step)) for step in snapshots.steps} if snapshots else {}
    trains = {name: even_trains(windows.counts[name], time_steps).cpu() for name in record.spikes}
    return Block(batch, outputs, windows.counts, windows.transmitted(), trains, {}, kept, {})


def spike_totals(stepper: Stepper) -> dict[str, Tensor]:
    """Return the spikes of each neuron so far [batch, ...], by node."""
    return {name: state.count for name, state in stepper.states.items() if state.count is not None}


class Stream:
    """A spiking network fed step by step with live data.

    >>> import torch
    >>> from transpike import convert
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> live = Stream(convert(model, torch.rand(64, 4)))
    >>> for frame in torch.rand(10, 1, 4):
    ...     answer = live.step(frame)
    >>> answer.shape, live.steps
    (torch.Size([1, 3]), 10)
    """

    def __init__(self, network: Network) -> None:
        self.network = laid_out(check_spiking(network))
        if sequential(network):
            raise ArgumentError("A sequential network runs window by window, not step by step: use simulate instead.")
        self.stepper: Stepper | None = None
        self.steps = 0

    def step(self, *inputs: Tensor) -> Tensor | dict[str, Tensor]:
        """Feed one time step of input [batch, ...] and return the decoded output so far.

        The batch must stay the same until `reset`. Raises DataError for inputs that the network does not take.
        """
        if len(inputs) != len(self.network.inputs):
            raise ArgumentError(f"The network takes {len(self.network.inputs)} inputs per step, not {len(inputs)}.")
        for (name, op), tensor in zip(self.network.inputs.items(), inputs, strict=True):
            check_input(name, op, tensor, "input of this step", self.steps)
        if self.stepper is None:
            self.stepper = Stepper(self.network, inputs, live=True)
            self.batch = len(inputs[0])
        if len(inputs[0]) != self.batch:
            raise ArgumentError(f"This stream runs {self.batch} samples, not {len(inputs[0])}: reset() it first.")
        self.steps += 1
        outputs = {key: value.clone() for key, value in self.stepper.step(inputs).items()}
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def reset(self) -> None:
        """Forget everything: the next step is the first."""
        self.stepper, self.steps = None, 0
