"""The ANN that a spiking network is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transpike.data import check_labels
from transpike.errors import DataError
from transpike.network import Network, forward
from transpike.recordings import as_constant
from transpike.simulation import Block


@dataclass(frozen=True)
class Reference:
    """The model that was converted, or, if it is None, the network's own analogue."""

    network: Network
    model: nn.Module | None

    def of(self, part: Block, first_sample: int) -> tuple[Tensor, Tensor | None]:
        """Return the ANN's first output for the samples of a block, and their labels, checked, where there are some.

        Raises DataError for labels that do not fit; `first_sample` is the block's place, for the message.
        """
        expected = self.output([tensor.to(self.network.device) for tensor in part.batch.inputs]).cpu()
        labels = part.batch.labels
        if labels is None:
            return expected, None
        if expected.ndim != 2:  # noqa: PLR2004 - [batch, classes]
            raise DataError(f"Labels need an output [batch, classes], but the model gives {tuple(expected.shape)}.")
        return expected, check_labels(labels, expected.shape[1], first_sample)

    @torch.inference_mode()
    def output(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the first output of the ANN."""
        if self.model is None:
            return next(iter(forward(self.network.analogue(), inputs).values()))
        leaves, _ = torch.utils._pytree.tree_flatten(self.model(*as_constant(self.network, inputs)))  # noqa: SLF001 - the order of capture
        answer: Tensor = next(leaf for leaf in leaves if isinstance(leaf, Tensor))
        return answer
