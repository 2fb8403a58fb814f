"""How to train, and what came of it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from torch import nn

from transpike.errors import ArgumentError, positive_whole


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Stochastic gradient descent with momentum and a cosine schedule, from `learning_rate` to 0 in `epochs`.

    Thresholds learn at `threshold_rate` times the learning rate and have a weight decay of their own: it makes them smaller,
    so that a few spikes are enough. `regulariser` is w_q, the weight of the penalty on activations between two levels
    (0: none). `distillation` is the share of the loss that asks for the answers of a teacher at `temperature` (see
    `distillation_loss`); the rest asks for the labels. With `time_steps` activations run as the neurons that they become, each
    batch for the next of these numbers of steps in turn, and learn from the spikes that they send (see `fired`): a step costs
    as much as a batch of time_steps * batch samples. Max-pools then act on the spikes of each step, unlike in the converted
    network: prepare the model with `average_pool`. `seed` sets torch's random numbers for the whole run. `bfloat16`
    computes layers in that precision, by autocast; None does so on a GPU only. Raises ArgumentError for values that cannot be
    meant.

    >>> Settings(epochs=4, learning_rate=0.1).rate_at(0.5)
    0.05
    """

    epochs: int = 10
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    threshold_rate: float = 1.0
    threshold_decay: float = 5e-4
    regulariser: float = 0.0
    label_smoothing: float = 0.0
    distillation: float = 0.0
    temperature: float = 4.0
    time_steps: tuple[int, ...] = ()
    seed: int = 0
    bfloat16: bool | None = None

    def __post_init__(self) -> None:
        positive_whole("epochs", self.epochs)
        for name in (field.name for field in dataclasses.fields(self) if field.type == "float"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise ArgumentError(f"{name} must be a number of at least 0, not {value!r}.")
        for name in ("momentum", "label_smoothing"):
            if getattr(self, name) >= 1:
                raise ArgumentError(f"{name} must be below 1, not {getattr(self, name)!r}.")
        if self.distillation > 1:
            raise ArgumentError(f"distillation must be a share from 0 to 1, not {self.distillation!r}.")
        if not self.temperature:
            raise ArgumentError("temperature must be above 0.")
        self.check_time_steps()
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ArgumentError(f"seed must be a whole number of at least 0, not {self.seed!r}.")

        if self.bfloat16 not in (True, False, None):
            raise ArgumentError(f"bfloat16 must be True, False or None, not {self.bfloat16!r}.")

    def check_time_steps(self) -> None:
        """Raise ArgumentError unless these are numbers of steps that neurons can run for."""
        if not isinstance(self.time_steps, tuple):
            raise ArgumentError(f"time_steps must be a tuple of whole numbers, such as (4, 8), not {self.time_steps!r}.")
        for steps in self.time_steps:
            positive_whole("time_steps", steps)
        if self.time_steps and self.regulariser:
            raise ArgumentError(
                "regulariser acts on activations, time_steps runs neurons instead: train with the one, then with the other."
            )

    def steps_of(self, batch: int) -> int | None:
        """Return the time steps of a batch of the run, counted from 0; None where activations are trained as they are.

        >>> [Settings(time_steps=(4, 8)).steps_of(batch) for batch in range(3)]
        [4, 8, 4]
        """
        return self.time_steps[batch % len(self.time_steps)] if self.time_steps else None

    def rate_at(self, done: float) -> float:
        """Return the learning rate when the fraction `done` of the run is over: rate (1 + cos(pi done)) / 2."""
        return self.learning_rate * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Step:
    """Where a run is, after one batch: epochs and batches count from 1."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave, averaged over its samples: loss (with penalty), penalty before its weight, share of right answers.

    `validation` is the share of right answers on the validation data after the epoch, None without such data; of neurons after
    the largest of `Settings.time_steps`.
    """

    epoch: int
    loss: float
    penalty: float
    accuracy: float
    validation: float | None = None


@dataclass(frozen=True)
class Trained:
    """A trained model in evaluation mode, and what each epoch gave."""

    model: nn.Module
    history: tuple[Epoch, ...]
