"""Metrics known by name; each adds up sums, so that it does not depend on how samples come in blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from transpike.answers import first_of, tells_classes
from transpike.errors import DataError


class Sums:
    """Adds up sums of some quantities over the first output; a kind says which, and what follows from them."""

    higher_is_better: ClassVar[bool] = False

    def __init__(self) -> None:
        self.total = torch.zeros(0, dtype=torch.float64)

    def update(self, outputs: Any, targets: Tensor) -> None:
        """Add the samples of a block [batch, ...]."""
        found = self.sums(first_of(outputs).detach().cpu(), targets.detach().cpu())
        self.total = found if not len(self.total) else self.total + found

    def sums(self, output: Tensor, targets: Tensor) -> Tensor:
        """Return what adds up, as a vector of float64."""
        raise NotImplementedError

    def compute(self) -> float:
        """Return the metric over all samples so far."""
        raise NotImplementedError


class Accuracy(Sums):
    """Share of right classes: argmax over axis 1 of [batch, classes, ...] against labels [batch, ...]."""

    higher_is_better = True

    def sums(self, output: Tensor, targets: Tensor) -> Tensor:
        right = chosen(output, targets) == targets
        return torch.tensor([float(right.sum()), float(right.numel())], dtype=torch.float64)

    def compute(self) -> float:
        return float(self.total[0] / self.total[1])


class MeanIoU(Sums):
    """Mean over classes of |A and B| / |A or B|, A being where [batch, classes, ...] chooses a class and B its labels.

    Counted over all samples; a class that neither chooses nor labels is left out. Source: the intersection over union of
    Pascal VOC's segmentation task (Everingham et al. 2010).

    >>> metric = MeanIoU()
    >>> metric.update(torch.eye(2)[None], torch.tensor([[0, 0]]))  # chosen are classes 0, 1
    >>> metric.compute()  # (1/2 + 0/1) / 2
    0.25
    """

    higher_is_better = True

    def sums(self, output: Tensor, targets: Tensor) -> Tensor:
        classes = output.shape[1]
        answers = chosen(output, targets)
        if int(targets.max()) >= classes or int(targets.min()) < 0:
            raise DataError(f"labels reach from {int(targets.min())} to {int(targets.max())}, but there are {classes} classes.")
        pairs = torch.bincount((targets.long() * classes + answers).flatten(), minlength=classes**2)
        return pairs.double()

    def compute(self) -> float:
        classes = round(len(self.total) ** 0.5)
        table = self.total.reshape(classes, classes)
        both, either = table.diagonal(), table.sum(0) + table.sum(1) - table.diagonal()
        seen = either > 0
        return float((both[seen] / either[seen]).mean())


class MeanSquaredError(Sums):
    """Mean of (output - target)^2 over samples and values."""

    def sums(self, output: Tensor, targets: Tensor) -> Tensor:
        gaps = output.double() - aligned(targets, output)
        return torch.tensor([float(gaps.square().sum()), float(gaps.numel())], dtype=torch.float64)

    def compute(self) -> float:
        return float(self.total[0] / self.total[1])


class MeanAbsoluteError(MeanSquaredError):
    """Mean of |output - target| over samples and values."""

    def sums(self, output: Tensor, targets: Tensor) -> Tensor:
        gaps = output.double() - aligned(targets, output)
        return torch.tensor([float(gaps.abs().sum()), float(gaps.numel())], dtype=torch.float64)


class Determination(Sums):
    """R^2 = 1 - sum (target - output)^2 / sum (target - mean target)^2, over all samples and values."""

    higher_is_better = True

    def sums(self, output: Tensor, targets: Tensor) -> Tensor:
        wanted = aligned(targets, output)
        parts = ((output.double() - wanted).square(), wanted, wanted.square(), torch.ones_like(wanted))
        return torch.stack([part.sum() for part in parts])

    def compute(self) -> float:
        error, total, squares, count = self.total.tolist()
        return 1 - error / max(squares - total**2 / count, 1e-300)


class CosineSimilarity(Sums):
    """Mean over samples of the cosine of the angle between output and target, all values of a sample as one vector."""

    higher_is_better = True

    def sums(self, output: Tensor, targets: Tensor) -> Tensor:
        one, other = output.double().flatten(1), aligned(targets, output).flatten(1)
        cosines = torch.nn.functional.cosine_similarity(one, other, dim=1)
        return torch.tensor([float(cosines.sum()), float(len(cosines))], dtype=torch.float64)

    def compute(self) -> float:
        return float(self.total[0] / self.total[1])


def chosen(output: Tensor, labels: Tensor) -> Tensor:
    """Return the class with the largest score; raise DataError where labels are not one whole number per sample and place."""
    if not tells_classes(output, labels):
        raise DataError("it needs outputs [batch, classes, ...] and whole numbers [batch, ...].")
    return output.argmax(1)


def aligned(targets: Tensor, output: Tensor) -> Tensor:
    """Return targets in float64 in the shape of the output, if they have as many values; raise DataError otherwise."""
    if targets.numel() != output.numel() or len(targets) != len(output):
        raise DataError("it needs one target for each value of the output.")
    return targets.double().reshape(output.shape)


MEASURES: Mapping[str, Callable[[], Sums]] = MappingProxyType(
    {
        "accuracy": Accuracy,
        "iou": MeanIoU,
        "mse": MeanSquaredError,
        "mae": MeanAbsoluteError,
        "r2": Determination,
        "cosine": CosineSimilarity,
    }
)
