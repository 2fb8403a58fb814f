"""What each form of max-pool costs: a small VGG with batch norm and max-pool, trained on MNIST.

    python benchmarks/max_pool.py [--images 1000] [--train 20000] [--epochs 2]

Accuracy at T = 4 ... 64 under the recipe `rate`, and the error of the answer at T = 512 relative to its size on 64 images:
what is left when quantisation is gone. Trains for a minute or two. Needs TRANSPIKE_DATA.
"""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
from torch import nn

import transpike as tp
from datasets import mnist
from models import small_vgg
from tables import keep, show
from transpike.network import forward
from transpike.passes import AccumulateMaxPool, CompeteForMax, GateMaxPool, MaxPoolForm, PoolEachStep

STEPS = (4, 8, 16, 32, 64)
LIMIT = 512
FORMS: tuple[MaxPoolForm, ...] = (
    AccumulateMaxPool(),
    PoolEachStep(),
    GateMaxPool(),
    CompeteForMax(),
    CompeteForMax(rest=1.0),
    CompeteForMax(inhibition=4.0, rest=4.0),
)


def trained(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, epochs: int) -> nn.Module:
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    steps = epochs * (len(images) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
    for _ in range(epochs):
        for part in torch.randperm(len(images)).split(128)[: len(images) // 128]:
            optimiser.zero_grad()
            F.cross_entropy(model(images[part]), labels[part]).backward()
            optimiser.step()
            schedule.step()
    return model.eval()


def row(model: nn.Module, form: MaxPoolForm, calibration: torch.Tensor, test: tuple[torch.Tensor, torch.Tensor]) -> dict:
    network = tp.convert(model, calibration, tp.recipes["rate"].with_max_pool(form))
    report = tp.evaluate(model, network, test, max(STEPS))
    few = test[0][:64]
    wanted = next(iter(forward(network.analogue(), [few]).values()))
    answer = tp.simulate(network, few, LIMIT).outputs[-1]
    error = float((answer - wanted).square().mean().sqrt() / wanted.square().mean().sqrt())
    accuracies = {f"T={t}": f"{100 * report.accuracy[t - 1]:.1f}" for t in STEPS}
    last = report.checkpoints[-1]
    return {
        "form": form.worded(),
        **accuracies,
        f"error at {LIMIT}": f"{error:.4f}",
        "spikes/neuron": f"{last.spikes_per_neuron:.2f}",
        "Msynop": f"{last.synaptic_operations / 1e6:.2f}",
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--train", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=2)
    chosen = parser.parse_args()
    images, labels = mnist("train", chosen.train)
    torch.manual_seed(0)
    model = trained(small_vgg(), images, labels, chosen.epochs)
    test = mnist("t10k", chosen.images)
    with torch.inference_mode():
        ann = float((model(test[0]).argmax(1) == test[1]).float().mean())
    rows = []
    for form in FORMS:
        rows.append(row(model, form, images[:1000], test))
        show(f"Forms of max-pool, {chosen.images} test images of MNIST, ANN {100 * ann:.1f} %", rows)
    keep("max_pool", {"ann": ann, "rows": rows})
