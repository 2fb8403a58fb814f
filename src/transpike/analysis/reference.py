"""The ANN that a spiking network is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transpike.answers import tells_classes
from transpike.data import Batch, check_labels
from transpike.errors import DataError
from transpike.network import Network, forward, shapes
from transpike.recordings import as_constant
from transpike.simulation import Block

NO_LABEL = -1


@dataclass(frozen=True)
class Expected:
    """What the ANN answers to a block of samples, by output, and the labels of the first output [batch, ...], if any.

    `classes` says whether the first output has one score per class, in axis 1.
    """

    outputs: dict[str, Tensor]
    labels: Tensor | None
    classes: bool

    @property
    def first(self) -> Tensor:
        """The first output."""
        return next(iter(self.outputs.values()))


@dataclass(frozen=True)
class Reference:
    """The model that was converted, or, if it is None, the network's own analogue.

    With `measured`, metrics read what came beside the samples, so that it need not be labels.
    """

    network: Network
    model: nn.Module | None
    measured: bool = False

    def of(self, part: Block, first_sample: int) -> Expected:
        """Return what the ANN answers to the samples of a block, and their labels, checked, where there are some.

        Raises DataError for labels that do not fit; `first_sample` is the block's place, for the message.
        """
        inputs = [tensor.to(self.network.device) for tensor in part.batch.inputs]
        outputs = {key: value.cpu() for key, value in self.outputs(inputs).items()}
        first, targets = next(iter(outputs.values())), part.batch.labels
        if targets is None:
            return Expected(outputs, None, tells_classes(first))
        if tells_classes(first, targets):
            if self.measured:
                return Expected(outputs, known(targets, first.shape[1]), classes=True)
            return Expected(outputs, check_labels(targets, first.shape[1], first_sample, first.shape[2:]), classes=True)
        if not self.measured and not values_like(targets, first):
            refuse(first, targets, first_sample)
        return Expected(outputs, None, classes=False)

    def output(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the first output of the ANN."""
        return next(iter(self.outputs(inputs).values()))

    @torch.inference_mode()
    def outputs(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return all outputs of the ANN by the keys that they have in the network."""
        if self.model is None:
            return dict(forward(self.network.analogue(), inputs))
        leaves, _ = torch.utils._pytree.tree_flatten(self.model(*as_constant(self.network, inputs)))  # noqa: SLF001 - the order of capture
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        return dict(zip(self.network.outputs, tensors, strict=True))


def regresses(network: Network, first: Batch) -> bool:
    """Say whether what comes beside the samples of a batch are values of the shape of the first output."""
    shape = shapes(network)[next(iter(network.outputs.values()))]
    targets = first.labels
    return targets is not None and targets.is_floating_point() and tuple(targets.shape[1:]) == shape


def known(labels: Tensor, classes: int) -> Tensor:
    """Return labels, with NO_LABEL for numbers outside the classes, such as the 255 of segmentation: metrics know of them."""
    return labels.long().where((labels >= 0) & (labels < classes), NO_LABEL)


def values_like(targets: Tensor, output: Tensor) -> bool:
    """Say whether targets are values of the shape of an output, as of a regression."""
    return targets.is_floating_point() and targets.shape == output.shape


def refuse(output: Tensor, targets: Tensor, first_sample: int) -> None:
    """Raise DataError for what came beside samples and is neither labels nor values of an output."""
    if output.ndim == 2 and output.shape[1] > 1:  # noqa: PLR2004 - [batch, classes]
        check_labels(targets, output.shape[1], first_sample)
    found = f"{str(targets.dtype).removeprefix('torch.')} of shape {tuple(targets.shape)}"
    raise DataError(
        f"The first output has shape {tuple(output.shape)}, but what came beside the samples is {found}: neither one whole "
        "number for each sample and place (classes in axis 1 of the output), nor floats of the output's shape. Give a metric "
        "that reads it: evaluate(..., metric=...)."
    )
