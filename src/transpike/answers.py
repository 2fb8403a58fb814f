"""What outputs say, a choice among classes or values, and how far one answer is from another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor

from transpike.errors import DataError


def tells_classes(output: Tensor, labels: Tensor | None = None) -> bool:
    """Say whether an output [batch, classes, ...] has one score per class, as far as it and its labels tell.

    It does where labels are whole numbers, one per sample and place: [batch, ...]. Without labels an output [batch, values]
    of at least two values is taken for scores, and maps [batch, channels, ...] for values.

    >>> import torch
    >>> maps, scores = torch.zeros(2, 3, 8, 8), torch.zeros(2, 3)
    >>> tells_classes(maps), tells_classes(maps, torch.zeros(2, 8, 8, dtype=torch.long))
    (False, True)
    >>> tells_classes(scores), tells_classes(scores, torch.zeros(2, 3))
    (True, False)
    """
    if output.ndim < 2 or output.shape[1] < 2:  # noqa: PLR2004 - nothing to choose from
        return False
    if labels is None:
        return output.ndim == 2  # noqa: PLR2004 - [batch, classes]
    return whole(labels) and labels.shape[1:] == output.shape[2:]


def whole(labels: Tensor) -> bool:
    """Say whether labels are whole numbers."""
    return not labels.is_floating_point() and not labels.is_complex()


def first_of(outputs: Tensor | Mapping[str, Tensor]) -> Tensor:
    """Return the only or the first output."""
    return outputs if isinstance(outputs, Tensor) else next(iter(outputs.values()))


def divergence(scores: Tensor, reference: Tensor) -> float:
    """Return the mean over samples of KL(softmax(reference) || softmax(scores)) in nats, for scores [samples, classes].

    Raises DataError for outputs of another shape.

    >>> import torch
    >>> divergence(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 3.0]]))
    0.0
    """
    if scores.ndim != 2 or scores.shape != reference.shape:  # noqa: PLR2004 - [samples, classes]
        raise DataError(
            f"Only answers [samples, classes] can be compared by their divergence, but the model gives {tuple(scores.shape)}."
        )
    logs = F.log_softmax(scores.detach().double(), 1), F.log_softmax(reference.detach().double(), 1)
    return max(0.0, float(F.kl_div(*logs, reduction="batchmean", log_target=True)))


def relative_error(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """Return the relative squared error of several outputs, each in its own units: mean of |found - wanted|^2 / |wanted|^2.

    >>> import torch
    >>> relative_error([torch.tensor([3.0]), torch.tensor([8.0])], [torch.tensor([2.0]), torch.tensor([8.0])])
    0.125
    """
    pairs = [(a.detach().double(), b.detach().double()) for a, b in zip(found, wanted, strict=True)]
    ratios = [float((a - b).square().sum() / b.square().sum().clamp(min=1e-30)) for a, b in pairs]
    return sum(ratios) / len(ratios)


def distance(found: Sequence[Tensor], wanted: Sequence[Tensor], labels: Tensor | None = None) -> float:
    """Return how far the outputs of a network are from those of its ANN, over all samples; see `criterion`."""
    if criterion(wanted, labels) == DIVERGENCE:
        return divergence(found[0], wanted[0])
    return relative_error(found, wanted)


DIVERGENCE, ERROR = "divergence", "relative squared error"


def criterion(wanted: Sequence[Tensor], labels: Tensor | None = None) -> str:
    """Return by what two networks are compared: one output of class scores by DIVERGENCE, all others by ERROR."""
    scores = len(wanted) == 1 and wanted[0].ndim == 2 and tells_classes(wanted[0], labels)  # noqa: PLR2004
    return DIVERGENCE if scores else ERROR
