"""What Brian2 makes of the neuron models: run by neuron_models.py, in an environment that has Brian2 and nothing of ours.

    python benchmarks/brian_models.py TASKS.json TRACES.npz

A task is a model's name, the current of each step, the length of the steps, the state to start from, and what to record.
Equations are written here anew, in Brian2's language, from the publications. Where a spike runs away faster than a step can
follow, they hold from the peak on, as ours do: else the inner stages of the step overflow.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import brian2
import numpy as np

brian2.prefs.codegen.target = "numpy"


@dataclass(frozen=True)
class Text:
    """A model in Brian2's language, its time in ms: all other numbers without units."""

    equations: str
    threshold: str = ""
    reset: str = ""
    pause: float = 0.0


HODGKIN_HUXLEY = """
dV/dt = (I - g_Na * m**3 * h * (V - E_Na) - g_K * n**4 * (V - E_K) - g_L * (V - E_L)) / C / ms : 1
dm/dt = (a_m * (1 - m) - b_m * m) / ms : 1
dh/dt = (0.07 * exp(-(V + 65) / 20) * (1 - h) - 1 / (1 + exp(-(V + 35) / 10)) * h) / ms : 1
dn/dt = (0.1 / exprel(-(V + 55) / 10) * (1 - n) - 0.125 * exp(-(V + 65) / 80) * n) / ms : 1
a_m = 1 / exprel(-(V + 40) / 10) : 1
b_m = 4 * exp(-(V + 65) / 18) : 1
"""
MORRIS_LECAR = """
dV/dt = (I - 4.4 * 0.5 * (1 + tanh((V + 1.2) / 18)) * (V - 120) - 8 * w * (V + 84) - 2 * (V + 60)) / 20 / ms : 1
dw/dt = 0.04 * cosh((V - 2) / 60) * (0.5 * (1 + tanh((V - 2) / 30)) - w) / ms : 1
"""
HINDMARSH_ROSE = """
dx/dt = (y - x**3 + 3 * x**2 - z + I) / ms : 1
dy/dt = (1 - 5 * x**2 - y) / ms : 1
dz/dt = 0.005 * (4 * (x + 1.6) - z) / ms : 1
"""
MIHALAS_NIEBUR = """
dV/dt = (I + I1 + I2 - 0.05 * (V + 70)) / ms : 1
dtheta/dt = (0.005 * (V + 70) - 0.01 * (theta + 50)) / ms : 1
dI1/dt = -0.2 * I1 / ms : 1
dI2/dt = -0.02 * I2 / ms : 1
"""
ADEX = """
dV/dt = (-30 * (c + 70.6) + 30 * 2 * exp(clip((c + 50.4) / 2, -1000, 20)) - w + I) / 281 / ms : 1
dw/dt = (4 * (c + 70.6) - w) / 144 / ms : 1
c = clip(V, -1000, 20) : 1
"""
TEXTS = {
    "hodgkin-huxley": Text(HODGKIN_HUXLEY, "V > 0"),
    "morris-lecar": Text(MORRIS_LECAR, "V > 0"),
    "fitzhugh-nagumo": Text("dv/dt = (v - v**3 / 3 - w + I) / ms : 1\ndw/dt = 0.08 * (v + 0.7 - 0.8 * w) / ms : 1", "v > 1"),
    "hindmarsh-rose": Text(HINDMARSH_ROSE, "x > 1"),
    "izhikevich": Text(
        "dv/dt = (0.04 * v**2 + 5 * v + 140 - u + I) / ms : 1\ndu/dt = 0.02 * (0.2 * v - u) / ms : 1",
        "v >= 30",
        "v = -65; u += 8",
    ),
    "mihalas-niebur": Text(MIHALAS_NIEBUR, "V >= theta", "I1 = 10; I2 = I2 - 0.6; V = -70; theta = clip(theta, -60, 1000)"),
    "quartic": Text(
        "dv/dt = (c**4 + 2 * c - w + I) / ms : 1\ndw/dt = (1.5 * c - w) / ms : 1\nc = clip(v, -1000, 10) : 1",
        "v >= 10",
        "v = -1; w += 0.5",
    ),
    "if": Text("dV/dt = I / 200 / ms : 1", "V >= -50", "V = -70"),
    "lif": Text("dV/dt = (I - 10 * (V + 70)) / 200 / ms : 1 (unless refractory)", "V >= -50", "V = -70", 2.0),
    "qif": Text("dV/dt = (0.7 * (V + 60) * (V + 40) + I) / 100 / ms : 1", "V >= 35", "V = -50"),
    "adex": Text(ADEX, "V >= 20", "V = -70.6; w += 80.5"),
    "resonate-and-fire": Text("dx/dt = (-x - 10 * y + I) / ms : 1\ndy/dt = (10 * x - y) / ms : 1", "y >= 1", "x = 0; y = 1"),
}
AXON = {"g_Na": 120, "E_Na": 50, "g_K": 36, "E_K": -77, "g_L": 0.3, "E_L": -54.387, "C": 1}


def traced(task: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return when a neuron spikes, by the end of the step, and what is recorded, at the start of each step."""
    text, step = TEXTS[task["model"]], task["dt"] * brian2.ms
    pause = text.pause * brian2.ms + (step if text.pause else 0 * brian2.ms)  # Brian2 counts it from the start of the step
    group = brian2.NeuronGroup(
        1,
        text.equations + "\nI : 1",
        threshold=text.threshold,
        reset=text.reset,
        refractory=pause if text.reset else text.threshold,  # a spike by itself counts once
        method="rk4",
        dt=step,
        namespace={"feed": brian2.TimedArray(np.array(task["currents"]), dt=step), **AXON},
    )
    for variable, value in task["start"].items():
        setattr(group, variable, value)
    feeding = group.run_regularly("I = feed(t)", dt=step, when="start")
    spikes = brian2.SpikeMonitor(group)
    trace = brian2.StateMonitor(group, task["shown"], record=True, dt=step)
    brian2.Network(group, feeding, spikes, trace).run(len(task["currents"]) * step)
    return np.array(spikes.t / brian2.ms) + task["dt"], np.array(getattr(trace, task["shown"])[0])


if __name__ == "__main__":
    tasks = json.loads(Path(sys.argv[1]).read_text())
    found = {}
    for task in tasks:
        found[f"{task['model']} spikes"], found[f"{task['model']} trace"] = traced(task)
    np.savez(sys.argv[2], version=np.array(brian2.__version__), **found)
