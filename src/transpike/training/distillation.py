"""Learning from a teacher: the loss that asks a model for the answers of another one."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def distillation_loss(answers: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Return temperature^2 KL(softmax(taught / temperature) || softmax(answers / temperature)), the mean over the batch.

    Scores [batch, classes] of the model and of its teacher. A temperature above 1 lets scores count that are far below the
    largest; its square keeps the gradients of the size of those of a cross-entropy. Source: Hinton et al. 2015
    (Distilling the knowledge in a neural network, section 2).

    >>> import torch
    >>> scores = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    >>> float(distillation_loss(scores, scores, temperature=4.0))
    0.0
    """
    soft = F.log_softmax(answers / temperature, 1)
    return temperature**2 * F.kl_div(soft, F.log_softmax(taught / temperature, 1), reduction="batchmean", log_target=True)
