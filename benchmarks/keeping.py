"""What the trained networks with time or recurrence share: accuracy, the check of their export, kept weights, conversion."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

import transpike as tp
from tables import show
from transpike.files import read_tensors, write_tensors

CALIBRATION = 500  # training samples, without their labels
RECIPES = ("few-spike", "population-quantile", "population-normal")
Data = tuple[Tensor, Tensor]
Model = TypeVar("Model", bound=nn.Module)


def accuracy(model: nn.Module, data: Data, batch: int = 500) -> float:
    """Say what percentage of the samples the model classifies as labelled."""
    samples, labels = data
    model.eval()
    with torch.inference_mode():
        answers = torch.cat([model(part).argmax(1) for part in samples.split(batch)])
    return 100 * float((answers == labels).float().mean())


def exported(model: nn.Module, samples: Tensor) -> dict[str, int]:
    """Export the model with an open batch axis and count its operators; the answers must be the model's for other batches."""
    axes = ({0: torch.export.Dim("batch")},)
    warnings.filterwarnings("ignore", "The tensor attributes .*_flat_weights")
    program = torch.export.export(model.eval(), (samples[:2],), dynamic_shapes=axes, strict=False)
    for batch in (1, 7):
        torch.testing.assert_close(program.module()(samples[:batch]), model(samples[:batch]))
    counts: dict[str, int] = {}
    for node in program.graph.nodes:
        if node.op == "call_function":
            counts[str(node.target)] = counts.get(str(node.target), 0) + 1
    return counts


def layers_of(model: nn.Module) -> list[str]:
    """Name the layers of a model and their sizes."""
    return [f"{name}: {module}" for name, module in model.named_modules() if name and not list(module.children())]


def weights_in(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def kept(path: Path, model: Model, make: Callable[[], nn.Module], *, anew: bool = False) -> Model:
    """Load the model's weights from a file; where there is none, make them and keep them."""
    if anew or not path.exists():
        write_tensors(path, make().state_dict())
    model.load_state_dict(read_tensors(path, "weights"))
    return model.eval()


def recipe_of(text: str) -> tp.Recipe:
    """Read `recipe` or `recipe:number`: the steps of its window, or the neurons of a population."""
    name, _, number = text.partition(":")
    recipe = tp.recipes[name]
    if not number:
        return recipe
    return recipe.with_population(int(number)) if name.startswith("population") else recipe.with_window(int(number))


def conversions(title: str, model: nn.Module, training: Data, test: Data, recipes: Sequence[str] = RECIPES) -> list[dict]:
    """Convert with each recipe, calibrated on training samples, and say what that costs on the test samples."""
    rows = []
    for name in recipes:
        started = time.perf_counter()
        report = tp.evaluate(model, tp.convert(model, training[0][:CALIBRATION], recipe_of(name)), test)
        assert report.accuracy is not None
        assert report.reference_accuracy is not None
        assert report.agreement is not None
        assert report.turns is not None
        rows.append(
            {
                "recipe": name,
                "ANN %": f"{100 * report.reference_accuracy:.2f}",
                "SNN %": f"{100 * report.accuracy[-1]:.2f}",
                "loss, points": f"{100 * (report.reference_accuracy - report.accuracy[-1]):.2f}",
                "same decisions %": f"{100 * report.agreement[-1]:.2f}",
                "neurons": report.neurons,
                "spikes per neuron": f"{report.spikes_per_neuron:.2f}",
                "windows x steps": f"{report.turns.windows} x {report.turns.steps}",
                "seconds": round(time.perf_counter() - started, 1),
            }
        )
        print(rows[-1], flush=True)
    show(f"{title}, {len(test[0])} test samples, {len(training[0][:CALIBRATION])} training samples calibrate", rows)
    return rows
