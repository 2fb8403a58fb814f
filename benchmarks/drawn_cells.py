"""One LSTM with many draws of its populations side by side: the same answers as one network after another, much sooner.

Three things save work: draws are rows of one batch; what the input weights give is looked up by word; and the words with which
reviews are padded in front are read once for all of them. `run_windows` is the definition; see `agrees_with`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.network import Network
from transpike.neurons import Population
from transpike.parts import Op
from transpike.simulation.sequential import run_windows

GATES = ("input_gate", "forget_gate", "candidate", "output_gate")  # rows of the weights, a quarter each
ALL = (*GATES, "cell_output")


class Populations:
    """Populations [draws, cells, ...] of one gate or state, with what their spikes stand for."""

    def __init__(self, ops: Sequence[Population], cells: int) -> None:
        self.ops = ops

        def stacked(found: list[Tensor | None]) -> Tensor | None:
            each = [one.expand(cells, one.shape[-1]) for one in found if one is not None]
            return torch.stack(each) if each else None

        self.thresholds = stacked([op.thresholds for op in ops])
        self.below = stacked([op.inhibitory for op in ops])
        self.tables = stacked([op.table for op in ops])

    def __call__(self, current: Tensor) -> Tensor:
        """Return what the populations answer to a current [draws, cells, reviews]."""
        first = self.ops[0]
        current = torch.addcmul(first.shift, current, first.gain).contiguous()
        excited = torch.searchsorted(self.thresholds, current, right=True)
        if self.tables is not None:
            return self.tables.gather(-1, excited)
        value = first.base + excited * first.excitation
        if self.below is None:
            return value
        return value - torch.searchsorted(self.below, -current, right=True) * first.inhibition


@dataclass(frozen=True)
class Reviews:
    """Reviews sorted by length, the longest first; `active[t]` of them have begun by word t."""

    ids: Tensor
    order: Tensor
    active: list[int]

    @classmethod
    def of(cls, ids: Tensor) -> Reviews:
        """Sort reviews [n, words] that are padded in front; the first row is nothing but padding."""
        start = (ids != 0).int().cumsum(1).eq(0).sum(1)
        order = start.argsort(stable=True)
        blank = torch.zeros_like(ids[:1])
        counts = [1 + int((start <= word).sum()) for word in range(ids.shape[1])]
        return cls(torch.cat([blank, ids[order]]), order, counts)


def weights_of(network: Network) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return what each word adds [ids, 4 cells], the recurrent weights and bias, the weights and bias of the answer."""
    words, given = network.nodes["embedding"].op.table, network.nodes["cell.input"].op
    hidden, readout = network.nodes["cell.hidden"].op, network.nodes["readout"].op
    return given(words), hidden.weight, hidden.bias, readout.weight, readout.bias


@torch.inference_mode()
def answers(networks: Sequence[Network], ids: Tensor) -> Tensor:
    """Return the class of each review under each network [networks, reviews]; they differ in nothing but thresholds."""
    words, recurrent, bias, read, offset = weights_of(networks[0])
    cells = recurrent.shape[1]
    parts = {part: answered([network.nodes[f"cell.{part}"].op for network in networks], cells) for part in ALL}
    reviews = Reviews.of(ids)
    h = torch.zeros(len(networks), cells, len(reviews.ids))
    c = torch.zeros_like(h)
    begun = 1
    for word, active in enumerate(reviews.active):
        if active > begun:
            for state in (h, c):
                state[:, :, begun:active] = state[:, :, :1]
            begun = active
        current = recurrent @ h[:, :, :active] + words[reviews.ids[:active, word]].T.contiguous()
        if bias is not None:
            current += bias[:, None]
        step(parts, current, h[:, :, :active], c[:, :, :active])
    logits = read @ h + offset[:, None]
    found = torch.empty(len(networks), len(ids), dtype=torch.int64)
    found[:, reviews.order] = logits.argmax(1)[:, 1:]
    return found


def answered(ops: Sequence[Op], cells: int) -> Op | Populations:
    """Return what a gate or state computes in all networks."""
    if not isinstance(ops[0], Population):
        return ops[0].analogue() if hasattr(ops[0], "analogue") else ops[0]
    return Populations([op for op in ops if isinstance(op, Population)], cells)


def step(parts: Mapping[str, Op | Populations], current: Tensor, h: Tensor, c: Tensor) -> None:
    """Change the states [draws, cells, reviews] for one word."""
    cells = h.shape[1]
    keeps, gives, wants, shows = (
        parts[part](current[:, i * cells : (i + 1) * cells])
        for i, part in ((1, "forget_gate"), (0, "input_gate"), (2, "candidate"), (3, "output_gate"))
    )
    c.mul_(keeps).addcmul_(gives, wants)
    torch.mul(shows, parts["cell_output"](c), out=h)


@torch.inference_mode()
def agrees_with(network: Network, ids: Tensor) -> float:
    """Return the share of reviews that `run_windows` decides as `answers` does, for a test of the latter."""
    found = [next(iter(run_windows(network, [part], 1).outputs().values()))[-1] for part in ids.split(250)]
    return float((torch.cat(found).argmax(1) == answers([network], ids)[0]).float().mean())
