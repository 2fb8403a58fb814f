"""Metrics against time steps: what is measured is what the metric says of the outputs, for any outputs and targets."""

from __future__ import annotations

import dataclasses
import functools

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import transpike as tp
from transpike.analysis import MEASURES, Measured
from transpike.analysis.metric import as_number
from transpike.answers import tells_classes
from transpike.cli import app
from transpike.errors import ArgumentError, DataError
from transpike.report import FIGURES, page

STEPS = 6


class Pyramid(nn.Module):
    """Two heads over two levels, one of which is doubled and added."""

    def __init__(self):
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(2, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1)
        self.classes, self.boxes = nn.Conv2d(4, 3, 3, padding=1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        fine = torch.relu(self.fine(x))
        coarse = torch.relu(self.coarse(fine))
        merged = torch.relu(fine + nn.functional.interpolate(coarse, scale_factor=2.0))
        return {"classes": [self.classes(merged), self.classes(coarse)], "boxes": (self.boxes(merged), self.boxes(coarse))}


def seeded(build, seed=0):
    torch.manual_seed(seed)
    return build().eval()


MODELS = {
    "classes": (lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), (4,)),
    "regression": (lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)), (4,)),
    "embedding": (lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 5)), (4,)),
    "map": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1)), (2, 6, 6)),
    "pyramid": (Pyramid, (2, 8, 8)),
}
TARGETS = {
    "classes": lambda: torch.randint(3, (20,)),
    "regression": lambda: torch.randn(20, 1),
    "embedding": lambda: torch.randn(20, 5),
    "map": lambda: torch.randint(3, (20, 6, 6)),
    "pyramid": lambda: torch.randn(20, 5, 5),  # a list of boxes, as a detector's targets
}


@functools.cache
def subject(kind):
    """Return a model, its network, inputs, targets, and the outputs of both by key."""
    build, shape = MODELS[kind]
    model = seeded(build)
    x, targets = torch.rand(20, *shape), TARGETS[kind]()
    network = tp.convert(model, torch.rand(100, *shape))
    outputs = tp.simulate(network, x, STEPS).outputs
    return model, network, x, targets, outputs


def literal(name, output, target):
    """Return a metric by its definition, from all samples at once."""
    if name == "accuracy":
        return float((output.argmax(1) == target).double().mean())
    if name == "iou":
        chosen = output.argmax(1)
        pairs = [((chosen == c) & (target == c), (chosen == c) | (target == c)) for c in range(output.shape[1])]
        shares = [float(both.sum()) / float(either.sum()) for both, either in pairs if either.any()]
        return sum(shares) / len(shares)
    gap, target = (output - target).double(), target.double()
    if name == "cosine":
        pairs = zip(output.double().flatten(1), target.flatten(1), strict=True)
        return float(sum(a @ b / (a.norm() * b.norm()) for a, b in pairs) / len(target))
    spread = (target - target.mean()).square().sum()
    return float({"mse": gap.square().mean(), "mae": gap.abs().mean(), "r2": 1 - gap.square().sum() / spread}[name])


@pytest.mark.parametrize("name", MEASURES)
def test_a_metric_by_name_is_its_definition_at_every_step(name):
    kind = "map" if name in ("accuracy", "iou") else "embedding"
    model, network, x, targets, outputs = subject(kind)
    report = tp.evaluate(model, network, (x, targets), STEPS, metric=name, metric_steps=range(1, STEPS + 1), block=7)
    (found,) = report.metrics
    assert found.steps == tuple(range(1, STEPS + 1))
    assert found.values == pytest.approx([literal(name, now, targets) for now in outputs], rel=1e-5, abs=1e-6)
    assert found.reference == pytest.approx(literal(name, model(x).detach(), targets), rel=1e-5, abs=1e-6)
    assert found.higher_is_better is (name not in ("mse", "mae"))


@pytest.mark.parametrize("kind", MODELS)
def test_a_function_and_an_object_see_every_output_once(kind):
    """A function is called on all samples together, an object with update and compute block by block; both with targets."""
    model, network, x, targets, outputs = subject(kind)
    several = isinstance(outputs, dict)
    first = next(iter(outputs)) if several else None

    def total(given, wanted):
        one = given[first] if several else given
        assert len(one) == len(wanted) == 20
        return one.double().sum() + wanted.double().sum()

    class Total:
        def __init__(self):
            self.value = 0.0

        def update(self, given, wanted):
            one = given[first] if several else given
            self.value += float(one.double().sum() + wanted.double().sum())

        def compute(self):
            return {"sum": self.value, "ignored": torch.zeros(3)}

    given = {"function": total, "object": Total(), "class": Total}
    report = tp.evaluate(model, network, (x, targets), STEPS, metric=given, block=6)
    found = {one.name: one for one in report.metrics}
    wanted = [
        float((outputs[first] if several else outputs)[t - 1].double().sum() + targets.double().sum()) for t in (1, 2, 4, 6)
    ]
    assert [one.name for one in report.metrics] == ["function", "sum", "sum"]
    for one in report.metrics:
        assert one.steps == (1, 2, 4, 6)
        assert one.values == pytest.approx(wanted, rel=1e-5)
    assert found["function"].higher_is_better is None


def test_a_metric_of_torchmetrics_is_taken_as_it_is():
    torchmetrics = pytest.importorskip("torchmetrics")
    model, network, x, targets, _ = subject("map")
    theirs = torchmetrics.classification.MulticlassJaccardIndex(num_classes=3)
    report = tp.evaluate(model, network, (x, targets), STEPS, metric={"theirs": theirs, "iou": "iou"}, block=9)
    ours, given = report.metrics[1], report.metrics[0]
    assert given.values == pytest.approx(ours.values, abs=1e-6)
    assert given.higher_is_better
    assert not theirs.update_called  # what the user gave stays fresh


@pytest.mark.parametrize("kind", MODELS)
def test_reports_assume_no_classes(kind, tmp_path):
    """Accuracy and agreement where labels are classes, an error of each output, a page, and the same report from disk."""
    model, network, x, targets, outputs = subject(kind)
    metric = (lambda given, wanted: float(given["boxes.0"].mean())) if kind == "pyramid" else None
    report = tp.evaluate(model, network, (x, targets), STEPS, metric=metric, diagnose=True)
    classes = kind in ("classes", "map")
    assert (report.accuracy is not None, report.agreement is not None) == (classes, classes)
    if classes:
        assert report.accuracy == pytest.approx([literal("accuracy", now, targets) for now in outputs], abs=1e-6)
        assert report.places == targets[0].numel()
    named = {"regression": ["mse"], "embedding": ["mse"], "pyramid": ["<lambda>"]}
    assert [one.name for one in report.metrics] == named.get(kind, [])
    answers = outputs if kind == "pyramid" else {"output": outputs}
    wanted = dict(zip(answers, torch.utils._pytree.tree_leaves(model(x)), strict=True))
    errors = {key: ((answers[key][-1] - wanted[key]).norm() / wanted[key].norm()).item() for key in answers}
    combined = (sum(e**2 for e in errors.values()) / len(errors)) ** 0.5
    assert report.output_error[-1] == pytest.approx(combined, rel=1e-4)
    assert {key: curve[-1] for key, curve in report.output_errors.items()} == pytest.approx(errors if len(errors) > 1 else {})
    assert report.diagnosis.stages[-1].output_error == pytest.approx(combined, rel=1e-4)
    report.save(tmp_path / "report.json")
    assert tp.Report.load(tmp_path / "report.json") == report
    text = page(report)
    assert "Metrics over time" in text or not report.metrics
    for drawing in FIGURES.values():
        if drawing.applies(report):
            drawing.draw(report)


def test_the_picture_of_metrics_draws_the_values_and_names_them():
    model, network, x, targets, _ = subject("regression")
    report = tp.evaluate(model, network, (x, targets), STEPS, metric="mse")
    report = dataclasses.replace(report, metrics=(*report.metrics, Measured("mAP", (2, 6), (0.5, float("nan")), 0.6)))
    figure = FIGURES["metrics_over_time"].draw(report)
    first, second = figure.axes
    assert (first.get_ylabel(), second.get_ylabel()) == ("mse", "mAP")
    assert tuple(first.lines[0].get_ydata()) == report.metrics[0].values
    assert tuple(first.lines[1].get_ydata()) == (report.metrics[0].reference,) * 2


def test_what_targets_say_of_outputs():
    maps, scores, one = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3), torch.zeros(2, 1)
    labels, values = torch.zeros(2, dtype=torch.long), torch.zeros(2, 3)
    assert [tells_classes(scores), tells_classes(maps), tells_classes(one)] == [True, False, False]
    assert [tells_classes(scores, labels), tells_classes(scores, values)] == [True, False]
    assert tells_classes(maps, torch.zeros(2, 4, 4, dtype=torch.int32))
    assert not tells_classes(maps, torch.zeros(2, 4, dtype=torch.long))
    assert not tells_classes(maps, labels)


REFUSED = {
    "unknown": (ArgumentError, "Metric 'mes' is unknown. Did you mean 'mse'", {"metric": "mes"}),
    "no metric": (ArgumentError, "Metric 'int' is a int: give one of accuracy, iou", {"metric": 3}),
    "two numbers": (ArgumentError, "which is no single number", {"metric": lambda a, b: torch.zeros(2)}),
    "wrong targets": (DataError, r"Metric 'iou' cannot compare output \(20, 1\) with targets \(20, 1\)", {"metric": "iou"}),
    "late": (ArgumentError, "metric_steps must lie within the run of 1 to 6 steps, not at 7", {"metric_steps": (2, 7)}),
    "never": (ArgumentError, "metric_steps is empty", {"metric_steps": ()}),
    "resumed": (ArgumentError, r"metric \(mse\) cannot go on where it stopped", {"resume": True}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_measured_is_refused_in_words(case, tmp_path):
    model, network, x, targets, _ = subject("regression")
    error, words, options = REFUSED[case]
    with pytest.raises(error, match=words):
        tp.evaluate(model, network, (x, targets), STEPS, folder=tmp_path, **options)


def test_labels_that_only_a_metric_knows_are_left_out_of_the_accuracy():
    """255 stands for pixels without a label in sets for segmentation; without a metric it is out of range."""
    model, network, x, targets, outputs = subject("map")
    ignored = targets.clone()
    ignored[:, :, :2] = 255
    report = tp.evaluate(model, network, (x, ignored), STEPS, metric=lambda given, wanted: float((wanted == 255).sum()))
    assert report.metrics[0].values == (240.0,) * 4
    shares = [(now.argmax(1) == targets)[:, :, 2:].double().mean() for now in outputs]
    assert report.accuracy == pytest.approx([float(share) for share in shares])


def test_targets_that_nothing_reads_and_metrics_without_targets_are_refused():
    model, network, x, _, _ = subject("map")
    with pytest.raises(DataError, match=r"float32 of shape \(20, 5, 5\): neither one whole number .* Give a metric"):
        tp.evaluate(model, network, (x, torch.randn(20, 5, 5)), STEPS)
    with pytest.raises(DataError, match="Metric 'mse' needs targets"):
        tp.evaluate(model, network, x, STEPS, metric="mse")
    with pytest.raises(DataError, match="Label 3 of sample 1 is out of range"):
        tp.evaluate(model, network, (x, torch.zeros(20, 6, 6).long().index_fill(0, torch.tensor([1]), 3)), STEPS)


def test_what_needs_classes_says_so_of_a_regression():
    _, network, x, targets, _ = subject("embedding")
    with pytest.raises(ArgumentError, match="Early exit ends a sample once one class leads"):
        tp.early_exit(network, (x, targets), STEPS)
    with pytest.raises(DataError, match="what came beside the samples are values, as of a regression"):
        tp.predict(network, (x, targets), STEPS)
    with pytest.raises(
        DataError, match=r"Only answers \[batch, classes\] can be predicted, but the model gives \(20, 3, 6, 6\)"
    ):
        tp.predict(*subject("map")[1:3], STEPS)
    with pytest.raises(DataError, match="this model chooses among none"):
        tp.percentile_by_noise(*(subject("map")[n] for n in (0, 2)), STEPS, percentiles=(99,), count=4)


@pytest.mark.parametrize("kind", ["embedding", "map", "pyramid"])
def test_auto_chooses_by_the_error_of_all_outputs_where_they_are_no_classes(kind):
    build, shape = MODELS[kind]
    model = seeded(build)
    samples = (torch.rand(60, *shape), torch.randn(60, 5)) if kind == "embedding" else torch.rand(60, *shape)
    network = tp.convert(model, samples, "auto", time_steps=4)
    (reason,) = [one for one in network.findings if one.kind == "chosen-recipe"]
    assert "4 steps: relative squared error" in reason.message


def test_the_command_line_measures_by_name_and_by_a_file(tmp_path):
    import numpy as np

    (tmp_path / "mine.py").write_text(
        "import torch\nfrom torch import nn\n"
        "def model():\n    torch.manual_seed(0)\n    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))\n"
        "def worst(outputs, targets):\n    return (outputs - targets).abs().max()\n"
        "class Count:\n    def __init__(self): self.n = 0\n"
        "    def update(self, outputs, targets): self.n += len(targets)\n    def compute(self): return self.n\n"
    )
    np.savez(tmp_path / "data.npz", inputs=torch.rand(60, 4).numpy(), targets=torch.rand(60, 1).numpy())
    data, out = ["--data", str(tmp_path / "data.npz")], str(tmp_path / "out")
    runner = CliRunner()
    assert runner.invoke(app, ["convert", f"{tmp_path}/mine.py:model", *data, "--out", out]).exit_code == 0
    own = [f"{tmp_path}/mine.py:worst", f"{tmp_path}/mine.py:Count"]
    command = ["evaluate", out, *data, "--time-steps", "4", *(word for one in ("mae", *own) for word in ("--metric", one))]
    result = runner.invoke(app, command)
    assert result.exit_code == 0, result.output
    report = tp.Report.load(tmp_path / "out" / "report.json")
    assert [one.name for one in report.metrics] == ["mae", "worst", "Count"]
    assert report.metrics[2].values == (60.0,) * 3
    assert "mae" in result.output
    assert runner.invoke(app, ["evaluate", out, *data, "--metric", "mape"]).exit_code != 0


def test_single_numbers_of_any_kind():
    assert [as_number(value) for value in (1, True, torch.tensor([2.0]), torch.zeros(2), "x", None)] == [
        1,
        1,
        2,
        None,
        None,
        None,
    ]
