"""Write docs/neurons.md and its pictures: from what the models say of themselves.

python benchmarks/neuron_page.py
"""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

from transpike.files import write_text
from transpike.neurons.models import MODELS, Model
from transpike.report import draw_course, draw_strong_then_weak, draw_three_pulses, save_figure

DOCS = Path(__file__).parent.parent / "docs"
PICTURES = "pictures/neurons"
OPENING = """# Neuron models

Twelve published models of neurons, each as its equation with units and parameters, in `tp.neurons.models`. They are for
looking and comparing: conversion uses the neurons of `tp.neurons`, of which `LeakyIntegrateAndFire` has the physics of `LIF`.

```python
import torch
from transpike.neurons.models import HodgkinHuxley, RungeKutta4, Step, step_errors

axon = HodgkinHuxley(temperature=10.0)  # a frozen dataclass: its fields are its parameters
course = axon.solve(Step(5.0, 45.0, 10.0), 60.0)  # adaptive, order 8, spikes located: course.spikes, course["V"], course["m"]
steps = axon.run(torch.rand(6000, 32, 8), 0.01, RungeKutta4())  # [time, batch, ...] in fixed steps: steps["V"], steps.fired
errors = step_errors(axon, Step(5.0, 45.0, 10.0), 60.0, (0.04, 0.02, 0.01))  # what the length of the step costs
```

Currents are `Step`, `Ramp`, `Pulses` and their sums. Fixed steps are `Euler()`, `RungeKutta4()`, or `Exact()` where a model
is linear between spikes. On the command line `transpike neuron` lists the models and
`transpike neuron lif --current 300 --dt 1,0.5,0.25 --out lif.svg` tries one. Pictures show current, potential and spikes
under the example of each model; where a linear model only notes that there is a spike, a line above its threshold stands for
it.

This page is written by `python benchmarks/neuron_page.py` from the models themselves.
"""
CLOSING = """## Side by side

Under a strong current and then a weak one, as in figure 2.4 of the thesis: the leak decides what a weak current can do.

![Hodgkin-Huxley, LIF and IF under a strong and a weak current]({pictures}/strong-then-weak.svg)

Three spikes in, 3 ms or 1 ms apart, as in figure 2.5: without a leak both make the neuron fire, with one only those that come
together. The ANN's sum knows no difference.

![LIF and IF under three pulses]({pictures}/three-pulses.svg)

## What the time step costs

One network of leaky neurons, the same 400 ms in steps of 4 ms to 1/16 ms: figures and command are in [results](results.md).
What a clock costs is mostly that spikes wait for the ends of steps: an exact leak alone helps nothing, and does a little
worse than Euler's method, which rises too fast and so makes up for part of the wait. `PreciseLeaky`, which the recipe `lif`
uses, puts spikes where they belong within the step, and errs four to fifteen times less.

![Error of a network's answer against the time step]({pictures}/discretisation.svg)
"""


def section(name: str, kind: type[Model]) -> str:
    """Return what there is to say of one model."""
    blocks = inspect.getdoc(kind).split("\n\n")
    variables = ", ".join(f"{key}" + ("" if unit == "1" else f" ({unit})") for key, unit in kind.variables.items())
    rows = [
        f"| `{entry.name}` | {entry.default:g} | {entry.metadata['unit']} | {entry.metadata['meaning']} |"
        for entry in dataclasses.fields(kind)
    ]
    table = "\n".join(["| parameter | value | unit | |", "| --- | --- | --- | --- |", *rows])
    units = [f"Variables: {variables}. Time: {plain(kind.time_unit)}; current: {plain(kind.current_unit)}."]
    picture = f"![{kind.title} under its example]({PICTURES}/{name}.svg)"
    return "\n\n".join(
        [f"## {kind.title}", f"`{kind.__name__}`, `transpike neuron {name}`", *map(fenced, blocks), *units, table, picture]
    )


def fenced(block: str) -> str:
    """Return a block of a docstring, as code if it is equations or an example."""
    lines = block.splitlines()
    if lines[0].startswith(">>>"):
        return f"```python\n{block}\n```"
    return f"```\n{block}\n```" if all(" = " in line or " <- " in line for line in lines) else block


def plain(unit: str) -> str:
    """Return a unit, or that there is none."""
    return "without unit" if unit == "1" else unit


def page() -> str:
    """Return the whole page."""
    sections = [section(name, kind) for name, kind in MODELS.items()]
    return "\n".join([OPENING, "\n\n".join(sections), "", CLOSING.format(pictures=PICTURES)])


if __name__ == "__main__":
    write_text(DOCS / "neurons.md", page())
    for name, kind in MODELS.items():
        save_figure(draw_course(kind().solve(kind.example, kind.duration)), DOCS / PICTURES / f"{name}.svg")
    save_figure(draw_strong_then_weak(), DOCS / PICTURES / "strong-then-weak.svg")
    save_figure(draw_three_pulses(), DOCS / PICTURES / "three-pulses.svg")
    print(f"Written: {DOCS / 'neurons.md'} and {DOCS / PICTURES}")
