"""Any metric of the answer against time steps: what may be given, and what a report keeps of it."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from transpike.analysis.measures import MEASURES
from transpike.analysis.tally import checkpoints
from transpike.errors import ArgumentError, DataError, choose

Outputs = Tensor | dict[str, Tensor]


@runtime_checkable
class Metric(Protocol):
    """What gathers answers block by block and gives a number in the end; a `torchmetrics.Metric` is one.

    `outputs` is a tensor [batch, ...], or of a network with several outputs a dict from key to tensor; `targets` is what came
    beside the samples. `compute` returns one number, or a mapping from names to numbers. `higher_is_better`, if there is
    one, says which way is up.
    """

    def update(self, outputs: Any, targets: Any, /) -> None:
        """Take in the answers to some samples."""
        ...

    def compute(self) -> Any:
        """Return the value over all samples so far."""
        ...


class Gathered:
    """A function (outputs, targets) -> number as a metric: it is called once, on all samples together."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        self.function = function
        self.higher_is_better = getattr(function, "higher_is_better", None)
        self.outputs: list[Outputs] = []
        self.targets: list[Tensor] = []

    def update(self, outputs: Outputs, targets: Tensor) -> None:
        self.outputs.append(outputs.clone() if isinstance(outputs, Tensor) else {k: v.clone() for k, v in outputs.items()})
        self.targets.append(targets)  # outputs are cut from those of all steps, which would stay in memory with them

    def compute(self) -> Any:
        return self.function(joined(self.outputs), torch.cat(self.targets))


def joined(parts: Sequence[Outputs]) -> Outputs:
    """Return the outputs for consecutive blocks of samples as one."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(parts)  # type: ignore[arg-type]
    return {key: torch.cat([part[key] for part in parts]) for key in first}  # type: ignore[index]


@dataclass(frozen=True)
class Measured:
    """A metric against time: `values[i]` is that after `steps[i]` time steps, `reference` that of the ANN."""

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]
    reference: float
    higher_is_better: bool | None = None

    @property
    def loss(self) -> float | None:
        """By how much the last value is worse than the ANN's; None where nobody said which way is up."""
        if self.higher_is_better is None:
            return None
        gain = self.values[-1] - self.reference
        return -gain if self.higher_is_better else gain

    def after(self, step: int) -> float | None:
        """Return the value after a number of steps, if it was taken there."""
        return dict(zip(self.steps, self.values, strict=True)).get(step)


def named_metrics(metric: Any) -> dict[str, Metric]:
    """Return the metrics that were asked for by name: a name of `MEASURES`, a metric, a function, or a mapping of these.

    Raises ArgumentError for anything else.
    """
    if metric is None:
        return {}
    if isinstance(metric, Mapping):
        return {str(name): as_metric(one, str(name)) for name, one in metric.items()}
    if isinstance(metric, str):
        return {metric: as_metric(metric, metric)}
    name = getattr(metric, "name", None) or getattr(metric, "__name__", None) or type(metric).__name__
    return {str(name): as_metric(metric, str(name))}


def as_metric(given: Any, name: str) -> Metric:
    """Return one metric, fresh."""
    if isinstance(given, str):
        return MEASURES[choose("metric", given, MEASURES)]()
    made = given() if inspect.isclass(given) else given
    if isinstance(made, Metric):
        return copy.deepcopy(made)
    if callable(made):
        return Gathered(made)
    raise ArgumentError(
        f"Metric {name!r} is a {type(given).__name__}: give one of {', '.join(MEASURES)}, a function of (outputs, targets), or "
        "an object with update(outputs, targets) and compute(), such as a torchmetrics.Metric."
    )


def checked_steps(wanted: Sequence[int] | None, time_steps: int) -> tuple[int, ...]:
    """Return the steps after which metrics are taken, in order; raise ArgumentError for one outside the run."""
    steps = sorted(set(checkpoints(time_steps) if wanted is None else wanted))
    if wrong := [step for step in steps if isinstance(step, bool) or not 1 <= step <= time_steps]:
        raise ArgumentError(f"metric_steps must lie within the run of 1 to {time_steps} steps, not at {wrong[0]}.")
    if not steps:
        raise ArgumentError("metric_steps is empty: leave it out for powers of 2 and the last step.")
    return tuple(steps)


class Meters:
    """Copies of each metric, for each of some steps and for the ANN; they see a run block by block."""

    def __init__(self, metrics: Mapping[str, Metric], steps: Sequence[int]) -> None:
        self.steps = tuple(steps)
        self.metrics = metrics
        self.over_time = {name: [copy.deepcopy(one) for _ in self.steps] for name, one in metrics.items()}
        self.ann = {name: copy.deepcopy(one) for name, one in metrics.items()}

    def add(self, outputs: Mapping[str, Tensor], reference: Mapping[str, Tensor], targets: Tensor | None, first: int) -> None:
        """Show a block to every metric: outputs [time, batch, ...] by key, those of the ANN, and the targets [batch, ...]."""
        if not self.metrics:
            return
        if targets is None:
            raise DataError(
                f"Metric {next(iter(self.metrics))!r} needs targets: give (inputs, targets), or batches of such pairs; "
                "without them evaluate reports the error of the output."
            )
        for name in self.metrics:
            update(name, self.ann[name], plain(reference), targets, first)
            for step, meter in zip(self.steps, self.over_time[name], strict=True):
                update(name, meter, plain({key: value[step - 1] for key, value in outputs.items()}), targets, first)

    def summary(self) -> tuple[Measured, ...]:
        """Return each metric over all samples."""
        return tuple(found for name in self.metrics for found in self.measured(name))

    def measured(self, name: str) -> Iterator[Measured]:
        """Yield what one metric says, several if it computes a mapping."""
        reference = numbers(name, self.ann[name].compute())
        rows = [numbers(name, meter.compute()) for meter in self.over_time[name]]
        higher = getattr(self.metrics[name], "higher_is_better", None)
        for key, value in reference.items():
            yield Measured(key, self.steps, tuple(row[key] for row in rows), value, higher)


def plain(outputs: Mapping[str, Tensor]) -> Outputs:
    """Return one output as a tensor, several as a dict."""
    return next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs)


def update(name: str, metric: Metric, outputs: Outputs, targets: Tensor, first: int) -> None:
    """Show some samples to a metric; raise DataError if it cannot read them."""
    try:
        metric.update(outputs, targets)
    except Exception as error:
        shown = {"output": outputs} if isinstance(outputs, Tensor) else outputs
        shapes = ", ".join(f"{key} {tuple(value.shape)}" for key, value in shown.items())
        raise DataError(
            f"Metric {name!r} cannot compare {shapes} with targets {tuple(targets.shape)} (samples from {first} on): "
            f"{str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}"
        ) from error


def numbers(name: str, value: Any) -> dict[str, float]:
    """Return what a metric computed as numbers by name; of a mapping those entries that are single numbers."""
    if isinstance(value, Mapping):
        found = {str(key): as_number(one) for key, one in value.items()}
        kept = {key: one for key, one in found.items() if one is not None}
    else:
        single = as_number(value)
        kept = {} if single is None else {name: single}
    if not kept:
        raise ArgumentError(
            f"Metric {name!r} computes a {type(value).__name__}, which is no single number: let it return one, such as a mean "
            "over classes, or a dict from names to numbers."
        )
    return kept


def as_number(value: Any) -> float | None:
    """Return a value as a float if it is a single number."""
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        return None
