"""Sampling error of input codes: 1/sqrt(N) for Poisson, 1/N for regular spikes, N the spikes of a value.

    python benchmarks/input_codings.py

Root mean square error of the decoded value over 10,000 uniform values in [0, 1], and of density coding: the mean of 16
Poisson runs, which has the error of one run that is 16 times as long.
"""

from __future__ import annotations

import torch

from tables import keep, show
from transpike.codings import Poisson, RateCode, Regular

STEPS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
VALUES = 10_000
RUNS = 16


def errors(code: RateCode, x: torch.Tensor) -> tuple[dict[int, float], dict[int, torch.Tensor], dict[int, float]]:
    """Return, by number of steps, the error, the decoded values, and the mean number of spikes."""
    state, total = code.start(x), torch.zeros_like(x)
    found, decoded, spikes = {}, {}, {}
    for t in range(1, max(STEPS) + 1):
        total += code.step(state, x)
        if t in STEPS:
            decoded[t] = total / t
            found[t] = float((decoded[t] - x).square().mean().sqrt())
            spikes[t] = float(state.count.mean())
    return found, decoded, spikes


def exponent(found: dict[int, float]) -> float:
    """Return the fitted exponent of the number of steps."""
    design = torch.tensor([[1.0, torch.log(torch.tensor(float(t)))] for t in STEPS])
    return float(torch.linalg.lstsq(design, torch.tensor(list(found.values())).log()[:, None]).solution[1])


if __name__ == "__main__":
    x = torch.rand(1, VALUES, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    regular, _, _ = errors(Regular(), x)
    poisson, first, spikes = errors(Poisson(), x)
    runs = [first] + [errors(Poisson(seed=seed), x)[1] for seed in range(1, RUNS)]
    density = {t: float((torch.stack([run[t] for run in runs]).mean(0) - x).square().mean().sqrt()) for t in STEPS}
    rows = [
        {
            "T": t,
            "spikes N": f"{spikes[t]:.1f}",
            "Poisson": f"{poisson[t]:.4f}",
            "times sqrt(N)": f"{poisson[t] * spikes[t] ** 0.5:.3f}",
            "regular": f"{regular[t]:.5f}",
            "times N": f"{regular[t] * spikes[t]:.3f}",
            f"density, {RUNS} runs": f"{density[t]:.4f}",
        }
        for t in STEPS
    ]
    fits = {"Poisson": poisson, "regular": regular, f"density, {RUNS} runs": density}
    rows.append({"T": "exponent", **{name: f"{exponent(found):.3f}" for name, found in fits.items()}})
    show("Root mean square error of a decoded value in [0, 1]", rows)
    keep("input_codings", {"rows": rows})
