"""The SNN's error against the ANN falls as 1/T: ten families of networks, T = 16 to 1,024.

    python benchmarks/error_over_time.py

The networks are those of `tests/zoo` (random weights, float64); thresholds are the maxima of the samples, so that nothing is
clipped, and the error is the largest difference of any output over all samples, times T: constant if the law holds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import transpike as tp
from tables import keep, show
from transpike.network import forward

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from zoo import ZOO

STEPS = (16, 32, 64, 128, 256, 512, 1024)


def errors(name: str) -> dict:
    model, samples = ZOO[name]()
    inputs = tuple(x.double() for x in (samples if isinstance(samples, tuple) else (samples,)))
    network = tp.convert(model.double(), inputs, tp.recipes["rate"].with_percentile(100))
    expected = next(iter(forward(network.analogue(), inputs).values()))
    outputs = tp.simulate(network, inputs, STEPS[-1]).outputs
    scale = float(expected.abs().max())
    found = {t: float((outputs[t - 1] - expected).abs().max()) / scale for t in STEPS}
    slope = torch.tensor([[1.0, torch.log(torch.tensor(float(t)))] for t in STEPS])
    logs = torch.tensor([found[t] for t in STEPS]).log()[:, None]
    exponent = float(torch.linalg.lstsq(slope, logs).solution[1])
    times = {f"T={t}": f"{found[t] * t:.2f}" for t in STEPS}
    return {"network": name, **times, "error at 1024": f"{found[1024]:.1e}", "exponent": f"{exponent:.2f}"}


if __name__ == "__main__":
    rows = [errors(name) for name in ZOO]
    show("Relative error times T (constant: the error falls as 1/T), and the fitted exponent of T", rows)
    keep("error_over_time", {"rows": rows})
