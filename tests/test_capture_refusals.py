"""What cannot be read is refused by name, with the place in the user's model and what to do about it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import transpike as tp
from transpike.capture import capture
from transpike.errors import ArgumentError, CaptureError, ConversionError, TranspikeError
from transpike.parts import Method

IMAGES = torch.rand(40, 3, 4, 4)
ROWS = torch.rand(40, 6)


class Body(nn.Module):
    """A model made of one function, between two linear layers."""

    def __init__(self, function):
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.function = function
        self.last = nn.Linear(6, 2)

    def forward(self, x):
        return self.last(self.function(self.first(x)))


class Head(nn.Module):
    """A module of the user's with something unreadable inside."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, x):
        return self.part(x)


def refusal(model, samples=ROWS, error=CaptureError):
    """Return the text with which the model is refused."""
    with pytest.raises(error) as caught:
        tp.convert(model.eval(), samples)
    assert isinstance(caught.value, TranspikeError)
    return str(caught.value)


def assert_tells(text, *parts):
    for part in parts:
        assert part in text


class Unknown(nn.Module):
    """An operator without a row."""

    def forward(self, x):
        return torch.lgamma(x)


def test_operator_without_a_row_names_the_module_and_the_line():
    model = nn.Sequential(nn.Linear(6, 4), Head(Unknown()), nn.Linear(4, 2))
    assert_tells(
        refusal(model),
        "Operator 'lgamma' in '1.part' of your model (test_capture_refusals.py, line ",
        ": `return torch.lgamma(x)`) cannot be captured: it has no row in the table of operators.",
        "Replace it by operators that have one.",
    )


@pytest.mark.parametrize("part", [nn.SiLU(), nn.GELU(), nn.ELU(), nn.Softplus(), nn.Hardswish(), nn.Mish(), nn.SELU()])
def test_smooth_activations_between_relus_are_refused_by_the_conversion(part):
    """Rate coding has no rule for them; the message says which recipe has."""
    kind = {"GELU": "Gelu", "SiLU": "Silu", "ELU": "Elu", "SELU": "Elu"}.get(type(part).__name__, type(part).__name__)
    model = nn.Sequential(nn.Linear(6, 6), part, nn.Linear(6, 2), nn.ReLU())
    assert_tells(
        refusal(model, error=ConversionError),
        f"{kind} '1' stands before Relu '3'",
        "recipe differential has rules for it",
    )


@pytest.mark.parametrize("part", [nn.GroupNorm(2, 6), nn.LayerNorm(6), nn.RMSNorm(6)])
def test_normalisers_between_relus_are_refused_by_the_conversion(part):
    model = nn.Sequential(nn.Linear(6, 6), part, nn.Linear(6, 2), nn.ReLU())
    assert_tells(
        refusal(model, error=ConversionError),
        f"{type(part).__name__} '1' stands before Relu '3'",
        "recipe differential has rules for it",
    )


@pytest.mark.parametrize(
    "function",
    [lambda x: x - x.mean(), lambda x: x - x.mean(0), lambda x: x - x.sum(0, keepdim=True), lambda x: F.softmax(x, 0)],
    ids=["mean", "mean-axis", "sum-axis", "softmax-axis"],
)
def test_mixing_samples_by_a_reduction_is_refused(function):
    assert_tells(refusal(Body(function)), "cannot be captured: it", "so that samples would depend on each other")


@pytest.mark.parametrize(
    ("function", "parts"),
    [
        (lambda x: x[1:], ["The model fixes the size of the batch or mixes its samples"]),
        (lambda x: x.flip(0), ["Operator 'flip'", "it acts along the batch", "samples would depend on each other"]),
        (
            lambda x: F.conv1d(x.T[None], torch.ones(1, 6, 1)).flatten(1).T.expand(-1, 6),
            [
                "Operator 'conv1d'",
                "it acts on a value of which axis 2 is the batch",
                "Bring the batch alone to axis 0 before it",
            ],
        ),
        (lambda x: torch.cat([x, x], 0)[: x.shape[0]], ["Operator 'cat'", "it acts along the batch"]),
        (lambda x: x.T.flatten().view(x.shape[0], 6), ["it mixes the batch with other axes"]),
        (lambda x: (x[None] + x[:, None]).mean(1), ["Operator 'add'", "its operands have the batch along different axes"]),
        (lambda x: x @ x.T @ x, ["Operator 'matmul'", "its operands have the batch along different axes"]),
        (lambda x: x / (x.shape[0] + 1), ["computes with the size of the batch."]),
    ],
    ids=["slice", "flip", "convolution", "cat", "view", "add", "matmul", "half"],
)
def test_mixing_samples_by_their_places_is_refused(function, parts):
    assert_tells(refusal(Body(function)), *parts)


def test_values_that_vary_along_the_batch_are_refused():
    """The position of a sample in its batch is folded like a constant; the comparison with the model finds it."""
    assert_tells(
        refusal(Body(lambda x: x + torch.arange(x.shape[0])[:, None])),
        "The captured network differs from the model by",
        "the model mixes the samples of a batch",
    )


@pytest.mark.parametrize("statistics", [True, False])
def test_batch_norm_by_the_batch_is_refused(statistics):
    """Without running statistics; and with its layer kept in training mode by the model itself."""

    class Adapting(nn.BatchNorm1d):
        def forward(self, x):
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, training=True)

    assert_tells(
        refusal(Body(Adapting(6) if statistics else nn.BatchNorm1d(6, track_running_stats=False))),
        "it normalises with the statistics of the batch, so that samples would depend on each other.",
        "Use running statistics (track_running_stats=True) and model.eval().",
    )


def test_control_flow_by_values_is_refused():
    assert_tells(
        refusal(Body(lambda x: x.relu() if x.sum() > 0 else x)),
        "The model has control flow or shapes that depend on the values of the data",
        "Replace the condition by fixed code",
    )


def test_shapes_by_values_are_refused():
    assert_tells(
        refusal(Body(lambda x: x + x[:, : int(x.square().sum())].sum(1, keepdim=True))),
        "control flow or shapes that depend on the values of the data",
    )


def test_fixed_batch_size_is_refused():
    """A batch of 4 written into a view: torch.export finds that the batch can be nothing else."""
    assert_tells(
        refusal(Body(lambda x: x.view(4, 6))),
        "The model fixes the size of the batch or mixes its samples",
        "Look for a constant batch size in a view or reshape",
    )


def test_clamp_between_signals_is_refused():
    assert_tells(refusal(Body(lambda x: torch.clamp(x, max=x.mean(1, keepdim=True)))), "'clamp'", "its bounds must be numbers")


def test_comparisons_of_signals_are_refused():
    assert_tells(
        refusal(Body(lambda x: torch.where(x > 0.5, x, -x))),
        "Operator 'gt'",
        "it compares values that spikes stand for",
        "Write the condition as an activation, such as relu, clamp, threshold or maximum.",
    )


def test_casts_are_refused():
    assert_tells(refusal(Body(lambda x: x.double().relu().float())), "it casts torch.float32 to torch.float64")


def test_an_answer_that_ignores_the_input_is_refused():
    class Stubborn(nn.Module):
        def forward(self, x):
            return x.relu(), torch.ones(1, 3)

    assert_tells(refusal(Stubborn()), "Output '1' of the model does not depend on its input.")


def test_random_models_are_refused():
    """Dropout that stays active in evaluation mode."""
    text = refusal(Body(lambda x: x + torch.rand_like(x)))
    assert_tells(text, "Operator 'rand_like'", "no row in the table")


def test_training_mode_is_refused():
    model = nn.Sequential(nn.Linear(6, 4), nn.Dropout(), nn.Linear(4, 2))
    with pytest.raises(ArgumentError, match=r"The model is in training mode \(the model itself and 3 more\)") as caught:
        tp.convert(model, ROWS)
    assert_tells(str(caught.value), "call model.eval() first.")
    model.eval()[1].train()
    with pytest.raises(ArgumentError, match=r"The model is in training mode \(1 and 0 more\)"):
        tp.convert(model, ROWS)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value):
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4)).eval()
    with torch.no_grad():
        model[1].running_var[2] = value
    with pytest.raises(ArgumentError, match=r"'1.running_var' of the model has NaN or infinite values: load or train"):
        tp.convert(model, ROWS)


@pytest.mark.parametrize(
    "model", [lambda x: x, "resnet", {"weight": torch.ones(3)}, None], ids=["function", "text", "mapping", "nothing"]
)
def test_what_is_no_module_is_refused(model):
    kind = type(model).__name__
    with pytest.raises(
        ArgumentError, match=rf"A model must be a torch.nn.Module, a program of .* or a model of Keras, not {kind}\."
    ):
        tp.convert(model, ROWS)


def test_product_of_a_sigmoid_inside_is_refused_by_the_conversion():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate = nn.Sequential(nn.Linear(6, 6), nn.Sigmoid())
            self.last = nn.Linear(6, 2)

        def forward(self, x):
            return F.relu(self.last(x * self.gate(x)))

    assert_tells(
        refusal(Gated(), error=ConversionError),
        "Sigmoid 'gate.1' stands before Multiply 'mul'",
        "under rate coding Sigmoid has no spiking rule and may stand at the output only",
        "convert the part of the model before it",
    )


def test_sigmoid_in_the_middle_is_refused_by_the_conversion():
    model = nn.Sequential(nn.Linear(6, 4), nn.Sigmoid(), nn.Linear(4, 4), nn.ReLU())
    assert_tells(
        refusal(model, error=ConversionError),
        "Sigmoid '1' stands before Relu '3'",
        "Else replace it by a ReLU-like activation and fine-tune",
    )


def test_softmax_before_a_max_pool_is_refused_by_the_conversion():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Softmax(1), nn.MaxPool2d(2))
    assert_tells(refusal(model, IMAGES, ConversionError), "Softmax '1' stands before MaxPool '2'")


def test_recipe_without_a_rule_for_max_pool_is_refused():
    rate = tp.recipes["rate"]
    incomplete = tp.Recipe(Method("mine", "No rule for max-pool", "none"), rate.passes[:-1])
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.MaxPool2d(2)).eval()
    with pytest.raises(ConversionError, match="MaxPool '3' is a maximum that still acts on spikes one step at a time"):
        tp.convert(model, IMAGES, incomplete)


def test_capture_alone_refuses_alike():
    with pytest.raises(CaptureError, match="Operator 'lgamma' in '0' of your model"):
        capture(nn.Sequential(Unknown()).eval(), [ROWS])
