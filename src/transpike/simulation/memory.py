"""How many samples to simulate at once, so that a memory budget holds."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from functools import cache, lru_cache

import psutil
import torch

from transpike.errors import ArgumentError
from transpike.network import Network, shapes
from transpike.network.grammar import temporal_nodes
from transpike.network.loops import elements
from transpike.network.value import last_uses
from transpike.parts import Stateful
from transpike.simulation.task import Runner

BLOCK = {"cpu": 32}  # on CPUs the working set of some dozens of samples stays in cache
LARGE_BLOCK = 256
LARGEST_FREED = 31 << 20


def default_budget(device: torch.device) -> int:
    """Return a quarter of the memory that is free on `device`, in bytes."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) // 4
    return free_memory(int(time.monotonic())) // 4


@lru_cache(maxsize=1)
def free_memory(second: int) -> int:  # noqa: ARG001 - short runs need not ask the system each time
    """Return the memory that is free, in bytes, as the system said within a second of the clock."""
    return int(psutil.virtual_memory().available)


def bytes_per_sample(network: Network, sizes: Mapping[str, int] | None = None) -> int:
    """Estimate the memory that simulating one sample needs: states, static values, and values alive within a step.

    `sizes` are those of the values of one sample by node, if they are known already.
    """
    sizes = sizes_of(network) if sizes is None else sizes
    temporal = temporal_nodes(network)
    item = network.dtype.itemsize
    state = 0
    for name, node in network.nodes.items():
        if isinstance(node.op, Stateful):
            state += node.op.copies * max(sizes[name], *(sizes[source] for source in node.inputs))
    static = sum(size for name, size in sizes.items() if name not in temporal)
    order = [name for name in network.nodes if name in temporal]
    frees, alive, peak = last_uses(network, order), 0, 0
    for name in order:
        alive += sizes[name]
        peak = max(peak, alive)
        alive -= sum(sizes[done] for done in frees.get(name, ()) if done in temporal)
    return item * (state + static + peak)


def sizes_of(network: Network) -> dict[str, int]:
    """Return the number of values of every node for one sample: in a loop, of all elements of its sequence."""
    sizes = shapes(network)
    times = elements(network, sizes)
    return {name: math.prod(shape) * times.get(name, 1) for name, shape in sizes.items()}


def block_on(device: torch.device) -> int:
    """Return how many samples at once a device makes good use of."""
    return BLOCK.get(device.type, LARGE_BLOCK)


def answer_bytes(network: Network, time_steps: int) -> int:
    """Return the bytes of the answers to one sample after each step, which a run keeps and then puts together."""
    sizes = shapes(network)
    return 2 * time_steps * network.dtype.itemsize * sum(math.prod(sizes[name]) for name in network.outputs.values())


def block_size(runner: Runner, device: torch.device, memory: int | None, block: int | None, kept: int = 0) -> int:
    """Return how many samples to simulate at once under a budget of `memory` bytes (default: a quarter of what is free).

    `kept` are the bytes that a run keeps of each sample beside what the runner needs. Raises ArgumentError if one sample
    alone needs more.
    """
    if block is not None:
        return block
    budget = default_budget(device) if memory is None else memory
    need = runner.bytes_per_sample() + kept
    if need > budget:
        raise ArgumentError(
            f"Simulating one sample needs about {need / 1e6:.1f} MB, but the memory budget is {budget / 1e6:.1f} MB: "
            "raise memory=."
        )
    return min(runner.largest_block, budget // need)


@cache
def keep_freed_memory() -> None:
    """Let the C library keep memory of the size of our values when it is freed.

    By default it returns blocks of some 100 KB to the system, which clears each page again at its next use. It learns
    from the largest block that was freed; no page of this one is ever touched. Once is enough.
    """
    torch.empty(LARGEST_FREED, dtype=torch.uint8)
