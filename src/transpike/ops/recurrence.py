"""Ops at the borders of a loop over the elements of a sequence; what lies between them sees one element at a time.

A sequence is [batch, elements, ...]. The nodes between `Element` and `Collect` are those of one element, and `Previous` holds
what a node of the loop had at the element before. `Network.previous` says which node that is; see `network.loops`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from transpike.parts import Op


@dataclass(frozen=True, eq=False)
class Element(Op):
    """One element of a sequence [batch, elements, ...], each in its turn; from the last to the first if `backwards`."""

    loop: str
    backwards: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        return x[:, -1] if self.backwards else x[:, 0]


@dataclass(frozen=True, eq=False)
class Previous(Op):
    """What a node of the loop had at the element before; at the first element the input."""

    loop: str

    def __call__(self, initial: Tensor) -> Tensor:
        return initial


@dataclass(frozen=True, eq=False)
class Collect(Op):
    """The values of a node of the loop at all elements, side by side: [batch, elements, ...]."""

    loop: str

    def __call__(self, x: Tensor) -> Tensor:
        return x


@dataclass(frozen=True, eq=False)
class Choose(Op):
    """y = a where mask > 0, else b; what keeps a state as it is behind the end of a shorter sequence."""

    def __call__(self, mask: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return torch.where(mask > 0, a, b)


@dataclass(frozen=True, eq=False)
class Within(Op):
    """1 for the first `n` elements of a sequence and 0 for the rest: lengths n [batch] -> [batch, elements, 1]."""

    elements: int

    def __call__(self, lengths: Tensor) -> Tensor:
        places = torch.arange(self.elements, device=lengths.device)
        return (places < lengths[:, None]).to(torch.get_default_dtype())[..., None]
