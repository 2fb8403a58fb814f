"""Text written by a spiking network, word by word."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from transpike.errors import ArgumentError, DataError, positive_whole
from transpike.network import Network
from transpike.network.turns import steps_for
from transpike.simulation.engines import AUTO, Engine
from transpike.simulation.run import simulate


def generate(
    network: Network, prompts: Tensor, words: int, time_steps: int | None = None, *, engine: str | Engine = AUTO
) -> Tensor:
    """Return `prompts` [batch, length] followed by so many words, each the most likely one after T steps of the network.

    The network takes sequences of one length L, that of the samples it was converted with: shorter ones are filled up behind
    their end, which words before do not see if attention is causal, and of longer ones the last L words are taken. Each
    word costs a run over the whole sequence. Raises ArgumentError or DataError.

    >>> import torch
    >>> import transpike as tp
    >>> layers = (torch.nn.Embedding(9, 8), torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 9))
    >>> network = tp.convert(torch.nn.Sequential(*layers).eval(), torch.randint(9, (40, 6)), "differential")
    >>> tp.generate(network, torch.tensor([[1, 2], [3, 4]]), 5, 8).shape
    torch.Size([2, 7])
    """
    positive_whole("words", words)
    steps = steps_for(network, time_steps)
    if len(network.inputs) != 1:
        raise ArgumentError(f"Text is written from one input of words, but this network takes {', '.join(network.inputs)}.")
    (taken,) = network.inputs.values()
    if len(taken.shape) != 1 or getattr(torch, taken.dtype).is_floating_point:
        raise ArgumentError(
            f"Text is written from whole numbers [batch, length]; this network takes {taken.dtype} {taken.shape}."
        )
    if prompts.ndim != 2 or prompts.shape[1] == 0:  # noqa: PLR2004 - [batch, length]
        raise DataError(f"Prompts must be words [batch, length] of at least one word, not of shape {tuple(prompts.shape)}.")
    length = taken.shape[0]
    for _ in range(words):
        seen = prompts[:, -length:]
        filled = torch.zeros(len(seen), length, dtype=getattr(torch, taken.dtype))
        filled[:, : seen.shape[1]] = seen
        answer = next(iter(outputs(simulate(network, filled, steps, engine=engine).outputs)))
        prompts = torch.cat([prompts, answer[-1][:, seen.shape[1] - 1].argmax(-1, keepdim=True)], 1)
    return prompts


def outputs(found: Tensor | Mapping[str, Tensor]) -> list[Tensor]:
    """Return the outputs of a recording as a list."""
    return [found] if isinstance(found, Tensor) else list(found.values())
