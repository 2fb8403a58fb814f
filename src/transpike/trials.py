"""What `transpike neuron` does, as functions of plain values: a neuron under a current, and the cost of fixed steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transpike.errors import choose
from transpike.neurons.models import MODELS, Course, Model, StepError, orders, read_current, step_errors
from transpike.report import draw_course, draw_step_errors, save_figure


@dataclass(frozen=True, eq=False)
class Trial:
    """A neuron's course under a current, and what steps of fixed length make of it, if any were asked for."""

    name: str
    model: Model
    course: Course
    errors: tuple[StepError, ...] = ()

    @property
    def orders(self) -> dict[str, tuple[float | None, float | None]]:
        """The orders with which the errors of each method fall: of the shown variable, and of the times of spikes."""
        return orders(self.course, self.errors)

    def to_json(self) -> dict[str, Any]:
        """Return plain values: times in the model's unit."""
        course, model = self.course, self.model
        return {
            "model": self.name,
            "citation": model.citation,
            "parameters": dataclasses.asdict(model),
            "time_unit": model.time_unit,
            "duration": course.duration,
            "spikes": course.spikes.tolist(),
            "rate": course.rate,
            "shown": model.shown,
            "unit": model.variables[model.shown],
            "rest": float(course.voltage[0]),
            "peak": float(course.voltage.max()),
            "lowest": float(course.voltage.min()),
            "steps": [{key: getattr(each, key) for key in ("method", "dt", "error", "spikes", "late")} for each in self.errors],
            "orders": {name: {"error": both[0], "late": both[1]} for name, both in self.orders.items()},
        }

    def draw(self, out: str | Path) -> None:
        """Write the figure of the course, or of the errors if there are any, as SVG or PNG."""
        save_figure(draw_step_errors(self.course, self.errors) if self.errors else draw_course(self.course), out)


def try_neuron(
    name: str,
    current: str | None = None,
    duration: float | None = None,
    parameters: Mapping[str, float] | None = None,
    dts: Sequence[float] = (),
) -> Trial:
    """Return the course of a model by name under a current in words (default: its example), and errors in steps of `dts`.

    Raises ArgumentError for names of models or parameters that there are not, and for whatever the model refuses.

    >>> len(try_neuron("lif", "300", 60.0, {"refractory": 0.0}).course.spikes)
    2
    """
    kind = MODELS[choose("neuron model", name, MODELS)]
    known = [field.name for field in dataclasses.fields(kind)]
    model = kind(**{choose("parameter", key, known): value for key, value in (parameters or {}).items()})
    given = model.example if current is None else read_current(current)
    lasting = model.duration if duration is None else duration
    if not dts:
        return Trial(name, model, model.solve(given, lasting))
    return Trial(name, model, *step_errors(model, given, lasting, dts))
