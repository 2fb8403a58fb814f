"""Spikes and potentials of every neuron model against Brian2, which reads its equations from text.

    python benchmarks/neuron_models.py [--python PYTHON]

Brian2 makes steps of 0.01 ms (0.01 of the unit of time where there is none) with its fourth-order method and ends spikes
at the ends of steps. Compared are our fixed steps of the same length, and the adaptive solution. PYTHON is the interpreter
that has Brian2. For Python 3.11 its last version is 2.9, which needs numpy below 2.4, so an environment of its own:

    python -m venv brian && brian/bin/pip install brian2==2.9.0 "numpy<2.4"
    python benchmarks/neuron_models.py --python brian/bin/python
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tables import keep, show
from transpike.neurons.models import MODELS, Exact, Model, RungeKutta4, Step

CHANGED = {"mihalas-niebur": {"a": 0.005, "first_kick": 10.0, "second_kick": -0.6}}  # bursts: every rule is at work
CURRENTS = {
    "if": Step(20.0, 175.0, 257.0),  # else it is at the threshold just where steps end, and rounding decides
    "mihalas-niebur": Step(20.0, 180.0, 2.0),
    "resonate-and-fire": Step(0.5, 3.0, 9.9),
}
DT = 0.01


def case(name: str) -> tuple[Model, Step]:
    """Return a model and the current that it is tried under."""
    model = MODELS[name](**CHANGED.get(name, {}))
    return model, CURRENTS.get(name, model.example)


def task(name: str) -> dict:
    """Return what Brian2 has to know of a model."""
    model, current = case(name)
    return {
        "model": name,
        "dt": DT,
        "currents": current.sampled(model.duration, DT).tolist(),
        "start": dict(zip(model.variables, model.rest(), strict=True)),
        "shown": model.shown,
    }


def compared(name: str, times: np.ndarray, trace: np.ndarray) -> dict:
    """One row: how far Brian2 is from our fixed steps, and from the solution."""
    model, current = case(name)
    steps = model.run(current.sampled(model.duration, DT), DT, Exact() if model.linear else RungeKutta4())
    course = model.solve(current, model.duration)
    ours, own = steps.spikes().numpy(), steps[model.shown].numpy()[: len(trace)]
    same = len(times) == len(ours) == len(course.spikes)
    return {
        "model": name,
        "spikes": len(times),
        "ours": len(ours),
        "solution": len(course.spikes),
        "steps differ by": float(np.abs(own - trace).max()),
        "unit": model.variables[model.shown],
        "spikes differ by": float(np.abs(times - ours).max()) if same else None,
        "from solution by": float(np.abs(times - course.spikes).max()) if same else None,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tasks, traces = Path(folder) / "tasks.json", Path(folder) / "traces.npz"
        tasks.write_text(json.dumps([task(name) for name in MODELS]))
        program = Path(__file__).with_name("brian_models.py")
        subprocess.run([chosen.python, program, tasks, traces], check=True)
        with np.load(traces) as found:
            version = str(found["version"])
            rows = [compared(name, found[f"{name} spikes"], found[f"{name} trace"]) for name in MODELS]
    words = [{key: f"{value:.2g}" if isinstance(value, float) else value for key, value in row.items()} for row in rows]
    show(f"Brian2 {version} against fixed steps of {DT} and the solution: spikes of each, then largest differences", words)
    keep("neuron_models", {"dt": DT, "brian2": version, "rows": rows})
