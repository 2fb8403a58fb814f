"""Train a prepared model: stochastic gradient descent that can stop after any epoch and go on bit for bit."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transpike.capture import count_inputs
from transpike.data import Batch, batches, check_labels
from transpike.errors import ArgumentError, DataError
from transpike.training.activation import Activation, Stepped, running
from transpike.training.checkpoint import Checkpoint
from transpike.training.distillation import distillation_loss
from transpike.training.regulariser import Penalties
from transpike.training.settings import Epoch, Settings, Step, Trained


def train(
    model: nn.Module,
    data: Any,
    settings: Settings,
    *,
    teacher: nn.Module | None = None,
    validation: Any = None,
    checkpoint: str | Path | None = None,
    progress: Callable[[Step], None] | None = None,
) -> Trained:
    """Return a trained copy of `model`, in evaluation mode; `model` itself is not changed.

    `data` are batches of inputs [batch, ...] and labels [batch] that can be read once per epoch and have a length: a
    DataLoader, or a list. The loss is the cross-entropy plus `settings.regulariser` times the penalties of all activations.
    With a `teacher`, such as the model before it was prepared, `settings.distillation` is the share of the loss that asks for
    its answers instead of the labels; it stays as it is.
    `validation` is read after each epoch, and decides nothing. With `checkpoint`, a folder, the run is kept after each epoch
    and goes on from there when called again, on a CPU to the same bits: random numbers are restored, and shuffling by torch
    with them.
    It runs on a GPU with bfloat16 autocast where PyTorch finds one, on the CPU otherwise (see `Settings.bfloat16`).
    `progress` is called after each batch. Raises ArgumentError, DataError or ArchiveError.

    >>> from transpike.training import QCFS, Settings
    >>> model = nn.Sequential(nn.Linear(2, 8), QCFS(levels=4), nn.Linear(8, 2))
    >>> x = torch.rand(64, 2)
    >>> result = train(model, [(x, (x[:, 0] > x[:, 1]).long())], Settings(epochs=2))
    >>> [epoch.epoch for epoch in result.history]
    [1, 2]
    """
    check_run(model, data, settings, checkpoint)
    check_teacher(teacher, settings)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trained = copy.deepcopy(model).to(device)
    kept = None if checkpoint is None else Checkpoint(Path(checkpoint), teacher)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        taught = None if teacher is None else copy.deepcopy(teacher).to(device).eval()
        run = Run(trained, optimiser_of(trained, settings), settings, device, progress, taught)
        history = () if kept is None else kept.load(trained, run.optimiser, settings)
        for epoch in range(len(history), settings.epochs):
            history = (*history, run.epoch(epoch, data, validation))
            if kept is not None:
                kept.save(trained, run.optimiser, settings, history)
    return Trained(trained.eval(), history)


def check_run(model: nn.Module, data: Any, settings: Settings, checkpoint: str | Path | None) -> None:
    """Raise ArgumentError or DataError for what cannot be trained, or could not go on as it began."""
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"A model must be a torch.nn.Module, not {type(model).__name__}.")
    if not isinstance(settings, Settings):
        raise ArgumentError(f"settings must be Settings(...), not {type(settings).__name__}.")
    check_activations(model, settings)
    if isinstance(data, Tensor | tuple) or not hasattr(data, "__len__") or not hasattr(data, "__iter__"):
        raise DataError("Training data must be batches with a length, such as a DataLoader or a list of (inputs, labels).")
    if len(data) == 0:
        raise DataError("The training data hold no batch.")
    if checkpoint is not None and getattr(data, "generator", None) is not None:
        raise ArgumentError(
            "The DataLoader shuffles with a generator of its own, which a checkpoint cannot restore: leave generator=None, and "
            "settings.seed decides the order."
        )


def check_activations(model: nn.Module, settings: Settings) -> None:
    """Raise ArgumentError unless the model has the activations that the settings need."""
    found = [module for module in model.modules() if isinstance(module, Activation)]
    others = sorted({type(module).__name__ for module in found if not isinstance(module, Stepped)})
    if settings.regulariser and not any(isinstance(module, Stepped) for module in found):
        raise ArgumentError("The regulariser acts on QCFS and SlipReLU, and the model has none: prepare it first.")
    if settings.time_steps and (others or not found):
        has = f"has {', '.join(others)}" if others else "has none: prepare it first"
        raise ArgumentError(f"time_steps runs QCFS and SlipReLU as neurons, and the model {has}.")


def check_teacher(teacher: nn.Module | None, settings: Settings) -> None:
    """Raise ArgumentError unless there is a teacher where the settings learn from one, and only there."""
    if teacher is None and settings.distillation:
        raise ArgumentError(f"distillation={settings.distillation:g} learns from a teacher: give train(..., teacher=model).")
    if teacher is not None and not settings.distillation:
        raise ArgumentError(
            "A teacher has no part in the loss with distillation=0: set Settings(distillation=0.9), or leave it out."
        )
    if teacher is not None and not isinstance(teacher, nn.Module):
        raise ArgumentError(f"A teacher must be a torch.nn.Module, not {type(teacher).__name__}.")


def optimiser_of(model: nn.Module, settings: Settings) -> torch.optim.SGD:
    """Return the optimiser: weights in one group, thresholds in another."""
    thresholds = [module.threshold for module in model.modules() if isinstance(module, Activation)]
    apart = {id(threshold) for threshold in thresholds}
    weights = [parameter for parameter in model.parameters() if id(parameter) not in apart]
    groups = [
        {"params": weights, "weight_decay": settings.weight_decay, "factor": 1.0},
        {"params": thresholds, "weight_decay": settings.threshold_decay, "factor": settings.threshold_rate},
    ]
    return torch.optim.SGD(
        [group for group in groups if group["params"]], lr=settings.learning_rate, momentum=settings.momentum
    )


@dataclass
class Run:
    """A model on its way."""

    model: nn.Module
    optimiser: torch.optim.SGD
    settings: Settings
    device: torch.device
    progress: Callable[[Step], None] | None
    teacher: nn.Module | None = None

    def epoch(self, number: int, data: Any, validation: Any) -> Epoch:
        """Train for one epoch (counted from 0) and return what it gave."""
        self.model.train()
        sums = torch.zeros(4, dtype=torch.float64)  # loss, penalty, right answers, samples
        for position, (inputs, labels) in enumerate(self.labelled(data, "training data")):
            self.set_rate((number + position / len(data)) / self.settings.epochs)
            loss, penalty, right = self.step(inputs, labels, number + 1, self.settings.steps_of(number * len(data) + position))
            sums += torch.tensor([loss * len(labels), penalty * len(labels), right, len(labels)], dtype=torch.float64)
            if self.progress is not None:
                self.progress(Step(number + 1, self.settings.epochs, position + 1, len(data), loss))
        if sums[3] == 0:
            raise DataError("The training data hold no sample.")
        loss, penalty, accuracy = (sums[:3] / sums[3]).tolist()
        return Epoch(number + 1, loss, penalty, accuracy, None if validation is None else self.accuracy(validation))

    def set_rate(self, done: float) -> None:
        """Set the learning rates for the fraction of the run that is over."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate_at(done) * group["factor"]

    def step(self, inputs: list[Tensor], labels: Tensor, epoch: int, time_steps: int | None) -> tuple[float, float, int]:
        """Take one step; return loss, penalty and the number of right answers."""
        self.optimiser.zero_grad(set_to_none=True)
        weight = self.settings.regulariser
        with self.autocast(), Penalties(self.model) if weight else nullcontext() as penalties:
            answers = self.answers(inputs, time_steps)
        check_labels(labels, answers.shape[1], 0)
        loss = self.loss(answers.float(), inputs, labels)
        penalty = torch.zeros(()) if penalties is None else penalties.total
        loss = loss if penalties is None else loss + weight * penalty
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ArgumentError(f"The loss became {value} in epoch {epoch}: lower learning_rate, or threshold_rate.")
        loss.backward()
        self.optimiser.step()
        return value, float(penalty.detach()), int((answers.argmax(1) == labels).sum())

    def loss(self, answers: Tensor, inputs: list[Tensor], labels: Tensor) -> Tensor:
        """Return the loss of the scores [batch, classes], without penalties."""
        loss = F.cross_entropy(answers, labels.long(), label_smoothing=self.settings.label_smoothing)
        if self.teacher is None:
            return loss
        with torch.no_grad(), self.autocast():
            taught = scores(self.teacher, inputs, "teacher")
        if taught.shape != answers.shape:
            raise ArgumentError(
                f"The teacher gives {tuple(taught.shape)}, the model {tuple(answers.shape)}: they must have the same classes."
            )
        share = self.settings.distillation
        return (1 - share) * loss + share * distillation_loss(answers, taught.float(), self.settings.temperature)

    @torch.no_grad()
    def accuracy(self, data: Any) -> float:
        """Return the share of right answers on `data`, in evaluation mode."""
        self.model.eval()
        right = seen = 0
        time_steps = max(self.settings.time_steps, default=None)
        for inputs, labels in self.labelled(data, "validation data"):
            with self.autocast():
                answers = self.answers(inputs, time_steps)
            right += int((answers.argmax(1) == check_labels(labels, answers.shape[1], seen)).sum())
            seen += len(labels)
        if not seen:
            raise DataError("The validation data hold no sample.")
        return right / seen

    def autocast(self) -> torch.autocast:
        """Return the context of a forward pass: bfloat16 as the settings have it, by default on a GPU only."""
        asked = self.settings.bfloat16
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda" if asked is None else asked)

    def answers(self, inputs: list[Tensor], time_steps: int | None) -> Tensor:
        """Return the scores [batch, classes], of neurons their mean over the time steps."""
        if time_steps is None:
            return scores(self.model, inputs, "model")
        with running(self.model, time_steps):
            at_each = scores(self.model, [torch.cat([x] * time_steps) for x in inputs], "model")
        return at_each.unflatten(0, (time_steps, -1)).mean(0)

    def labelled(self, data: Any, what: str) -> Iterator[tuple[list[Tensor], Tensor]]:
        """Yield inputs and labels on the device of the model."""
        for batch in batches(data, count_inputs(self.model), what):
            if len(batch):
                yield [tensor.to(self.device) for tensor in batch.inputs], self.labels(batch, what)

    def labels(self, batch: Batch, what: str) -> Tensor:
        """Return the labels of a batch."""
        if batch.labels is None:
            raise DataError(f"The {what} have no labels: give batches of (inputs, labels).")
        return batch.labels.to(self.device)


def scores(model: nn.Module, inputs: list[Tensor], what: str) -> Tensor:
    """Return the scores [batch, classes] of a model; raise ArgumentError if it gives anything else."""
    given = model(*inputs)
    if not isinstance(given, Tensor) or given.ndim != 2:  # noqa: PLR2004 - [batch, classes]
        found = f"shape {tuple(given.shape)}" if isinstance(given, Tensor) else type(given).__name__
        role = "trained" if what == "model" else "learned from"
        raise ArgumentError(f"The {what} must give scores [batch, classes] to be {role}, not {found}.")
    return given
