"""QCFS training: theorems of the conversion, gradients, the regulariser, runs that go on bit for bit."""

from __future__ import annotations

import copy
import dataclasses
import json
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from helpers import same_network
from transpike.errors import ArchiveError, ArgumentError, DataError
from transpike.network import forward
from transpike.neurons import IntegrateAndFire
from transpike.ops import Qcfs, SlipRelu
from transpike.training import (
    QCFS,
    Activation,
    ClampedReLU,
    Penalties,
    Settings,
    SlipReLU,
    distillation_loss,
    prepare,
    quantisation_penalty,
    train,
)

seeds = st.integers(0, 10_000)
DOUBLE = torch.float64


def literal_qcfs(z, threshold, levels, shift):
    """One value at a time, with nothing but the formula."""
    return threshold * min(max(math.floor(z * levels / threshold + shift) / levels, 0.0), 1.0)


def literal_slip(z, threshold, levels, slope, shift, offset):
    clipped = min(max(z + offset * threshold / levels, 0.0), threshold)
    return slope * clipped + (1 - slope) * literal_qcfs(z, threshold, levels, shift)


@given(seeds, st.integers(1, 40), st.sampled_from([0.0, 0.25, 0.5]), st.sampled_from([0.5, 1.0, 4.0]))
def test_ops_are_the_formulae(seed, levels, shift, threshold):
    x = 2 * threshold * torch.randn(50, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))
    lamb = torch.tensor(threshold, dtype=DOUBLE)
    plain = [literal_qcfs(z, threshold, levels, shift) for z in x.tolist()]
    slip = [literal_slip(z, threshold, levels, 0.3, shift, 0.25) for z in x.tolist()]
    torch.testing.assert_close(Qcfs(lamb, levels, shift)(x), torch.tensor(plain, dtype=DOUBLE), rtol=1e-14, atol=1e-15)
    found = SlipRelu(lamb, levels, 0.3, shift, 0.25)(x)
    torch.testing.assert_close(found, torch.tensor(slip, dtype=DOUBLE), rtol=1e-13, atol=1e-15)


def test_slip_relu_lies_between_qcfs_and_a_clip():
    x, lamb = torch.linspace(-1, 3, 101, dtype=DOUBLE), torch.tensor(2.0, dtype=DOUBLE)
    assert torch.equal(SlipRelu(lamb, 4, 0.0)(x), Qcfs(lamb, 4)(x))
    assert torch.equal(SlipRelu(lamb, 4, 1.0)(x), x.clamp(0, 2))


def fired(z, threshold, steps, initial):
    """Return the mean of what neurons send in `steps` steps of the constant current z."""
    neuron = IntegrateAndFire(torch.tensor(threshold, dtype=DOUBLE), torch.tensor(initial, dtype=DOUBLE), Qcfs(z, 1))
    state = neuron.start(z)
    return sum(neuron.step(state, z).clone() for _ in range(steps)) / steps


@given(st.lists(st.integers(-4096, 8192), min_size=1, max_size=20), st.integers(1, 33))
def test_theorem_1_same_levels_same_steps_no_error(numerators, levels):
    """T = L and shift 0: what neurons send on average is the activation, given the same constant input.

    Currents are multiples of 2^-10 and the threshold is a power of two, so that the sums are exact and no floor is in doubt;
    the mean is rounded once.
    """
    z = torch.tensor([numerators], dtype=DOUBLE) / 1024
    activation = Qcfs(torch.tensor(2.0, dtype=DOUBLE), levels, 0.0)
    torch.testing.assert_close(fired(z, 2.0, levels, 0.0), activation(z), rtol=1e-15, atol=0)


@pytest.mark.parametrize("steps", [1, 3, 4, 7, 16])
@pytest.mark.parametrize("levels", [1, 4, 6])
@pytest.mark.parametrize("slope", [0.0, 0.4])
def test_theorem_2_no_expected_error_for_any_steps_and_levels(steps, levels, slope):
    """Shift 1/2, z uniform over [0, threshold]: the mean of the error is 0.

    The grid holds the middles of n = 16 T L 3 equal cells. Every jump of both staircases lies between cells, where
    each sum over the grid is the integral; the ramp of SlipReLU is symmetric about its middle, so its sum is exact too.
    """
    cells = 48 * steps * levels
    z = (torch.arange(cells, dtype=DOUBLE)[None] + 0.5) * (2.0 / cells)
    activation = SlipRelu(torch.tensor(2.0, dtype=DOUBLE), levels, slope)
    error = fired(z, 2.0, steps, 0.5) - activation(z)
    assert error.abs().max() > 0.01 or (slope == 0 and steps == levels)
    assert abs(float(error.mean())) < 1e-12


class Floor(torch.autograd.Function):
    @staticmethod
    def forward(_, x):
        return x.floor()

    @staticmethod
    def backward(_, given):
        return given


def reference_gradients(z, threshold, levels, shift, slope, offset, weights):
    """Gradients by autograd where the formulae are written out and only the floor is straight through."""
    z, threshold = z.clone().requires_grad_(), threshold.clone().requires_grad_()
    place = z * levels / threshold + shift
    step = torch.where(
        place >= levels, threshold, torch.where(place > 0, threshold * Floor.apply(place) / levels, 0 * threshold)
    )
    ramp = z + offset / levels * threshold
    ramp = torch.where(ramp >= threshold, threshold, torch.where(ramp > 0, ramp, 0 * threshold))
    return torch.autograd.grad(((slope * ramp + (1 - slope) * step) * weights).sum(), (z, threshold))


@given(
    seeds, st.integers(1, 12), st.sampled_from([0.0, 0.3, 0.5]), st.sampled_from([0.0, 0.6, 1.0]), st.sampled_from([0.0, 0.5])
)
def test_gradients_are_straight_through(seed, levels, shift, slope, offset):
    generator = torch.Generator().manual_seed(seed)
    z, weights = torch.randn(2, 5, 20, dtype=DOUBLE, generator=generator).mul(2).unbind()
    activation = SlipReLU(levels, slope, 1.75, shift, offset).double()
    z.requires_grad_()
    got = torch.autograd.grad((activation(z) * weights).sum(), (z, activation.threshold))
    wanted = reference_gradients(z.detach(), activation.threshold.detach(), levels, shift, slope, offset, weights)
    torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-12)
    if slope == 0:
        plain = QCFS(levels, 1.75, shift).double()
        found = torch.autograd.grad((plain(z) * weights).sum(), (z, plain.threshold))
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


@given(seeds, st.sampled_from([0.0, 0.1, 0.4]), st.sampled_from([0.5, 2.0]))
def test_a_clamped_relu_sends_no_small_values_and_learns_as_a_clip(seed, floor, threshold):
    z = torch.randn(60, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    activation = ClampedReLU(floor, threshold).double()
    sent = activation(z)
    wanted = [min(x, threshold) if x >= floor * threshold else 0.0 for x in z.tolist()]
    torch.testing.assert_close(sent, torch.tensor(wanted, dtype=DOUBLE), rtol=1e-13, atol=1e-15)
    assert ((sent == 0) | (sent >= floor * threshold)).all()
    for_z, for_threshold = torch.autograd.grad(sent.sum(), (z, activation.threshold))
    assert torch.equal(for_z, ((z > 0) & (z < threshold)).to(DOUBLE))
    assert float(for_threshold) == int((z >= threshold).sum())


def test_gradients_by_hand():
    """L = 4, lambda = 2, shift 1/2: inside for -1/4 < z < 7/4, saturated above."""
    activation = QCFS(4, 2.0)
    z = torch.tensor([-0.3, -0.2, 0.6, 1.7, 1.8, 5.0], requires_grad=True)
    for_z, for_threshold = torch.autograd.grad(activation(z).sum(), (z, activation.threshold))
    assert for_z.tolist() == [0, 1, 1, 1, 0, 0]
    expected = (0 + 0.2) / 2 + (0.5 - 0.6) / 2 + (1.5 - 1.7) / 2 + 1 + 1
    assert float(for_threshold) == pytest.approx(expected, abs=1e-6)


def test_coarse_input_is_quantised_precisely():
    """Under autocast the current is bfloat16, whose steps of 1/16 near 10 would blur levels of 1/2; the threshold is not."""
    x = torch.linspace(0, 20, 200).bfloat16().requires_grad_()
    activation = QCFS(64, 16.0)
    result = activation(x)
    assert result.dtype == torch.bfloat16
    assert torch.equal(result, activation(x.detach().float()).bfloat16())
    for_x, for_threshold = torch.autograd.grad(result.float().sum(), (x, activation.threshold))
    assert (for_x.dtype, for_threshold.dtype) == (torch.bfloat16, torch.float32)


def test_a_step_under_autocast_is_close_to_one_in_full_precision():
    """bfloat16 has 8 bits: the loss is right to some 2^-8, and the gradient points the same way."""
    model = prepare(small_model().eval(), task()[0][0], QCFS(1024))
    x, y = task()[0]
    found = []
    for coarse in (False, True):
        twin = copy.deepcopy(model)
        with torch.autocast("cpu", torch.bfloat16, enabled=coarse), Penalties(twin) as penalties:
            answers = twin(x)
        loss = F.cross_entropy(answers.float(), y) + penalties.total
        loss.backward()
        assert all(parameter.grad.dtype == parameter.dtype for parameter in twin.parameters())
        found.append((float(loss.detach()), torch.cat([parameter.grad.flatten() for parameter in twin.parameters()])))
    (precise, ours), (coarse, theirs) = found
    assert coarse == pytest.approx(precise, rel=0.02)
    assert torch.cosine_similarity(ours, theirs, 0) > 0.9


def test_thresholds_stay_positive():
    activation = QCFS(4, 1.0)
    for value in (-2.0, 0.0, 2.0):
        with torch.no_grad():
            activation.threshold.fill_(value)
        assert activation.positive_threshold > 0
        assert torch.isfinite(activation(torch.randn(10))).all()


@given(seeds, st.integers(1, 10))
def test_the_penalty_pulls_to_the_nearest_level(seed, levels):
    """mean (clip(z) - q)^2 and 2 (z - q) / n inside, 0 outside; nothing reaches lambda."""
    activation = QCFS(levels, 1.5).double()
    z = torch.randn(4, 30, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed), requires_grad=True)
    penalty = quantisation_penalty(z, activation)
    clipped, level = z.detach().clamp(0, 1.5), activation(z).detach()
    torch.testing.assert_close(penalty.detach(), (clipped - level).square().mean(), rtol=1e-10, atol=1e-18)
    (gradient,) = torch.autograd.grad(penalty, z)
    torch.testing.assert_close(gradient, 2 * (clipped - level) / z.numel(), rtol=1e-9, atol=1e-15)
    assert gradient[(z < 0) | (z > 1.5)].abs().max() < 1e-15
    assert float(penalty.detach()) <= (1.5 / levels) ** 2 / 4


def test_the_penalty_needs_the_middle_of_a_level():
    with pytest.raises(ArgumentError, match=r"needs shift=0\.5, not 0"):
        quantisation_penalty(torch.zeros(3), QCFS(4, shift=0.0))


def small_model():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.1), nn.Flatten(),
        nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3),
    )  # fmt: skip


def task(batches=6):
    """Batches of small images whose class is the brightest of three rows."""
    generator = torch.Generator().manual_seed(2)
    images = [torch.rand(16, 1, 4, 4, generator=generator) for _ in range(batches)]
    return [(x, x[:, 0, :3].sum(2).argmax(1)) for x in images]


def ready(levels=4):
    return prepare(small_model(), task()[0][0], QCFS(levels))


class Shuffled:
    """Batches in an order that torch's random numbers decide, as a shuffling DataLoader's."""

    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return iter([self.batches[i] for i in torch.randperm(len(self.batches))])


SETTINGS = Settings(epochs=4, learning_rate=0.05, regulariser=0.1, label_smoothing=0.1, seed=5)


def same_state(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_training_learns_and_leaves_the_model_alone():
    model = ready()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    result = train(model, task(), Settings(epochs=30, learning_rate=0.1), validation=task())
    assert result.history[-1].loss < result.history[0].loss / 2
    assert result.history[-1].validation > 0.9
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module.training for module in result.model.modules())
    thresholds = [module.threshold for module in result.model.modules() if isinstance(module, Activation)]
    assert all(float(threshold.detach()) > 0 for threshold in thresholds)
    assert any(float(a.detach()) != float(before[n]) for n, a in result.model.named_parameters() if n.endswith("threshold"))


def test_the_regulariser_makes_the_penalty_small():
    penalties = []
    for weight in (1e-12, 30.0):
        result = train(ready(), task(), Settings(epochs=20, learning_rate=0.05, regulariser=weight))
        penalties.append(result.history[-1].penalty)
    assert penalties[1] < 0.75 * penalties[0]


def test_a_model_learns_from_a_teacher_what_labels_do_not_say():
    torch.manual_seed(1)
    teacher = train(small_model(), task(), Settings(epochs=30, learning_rate=0.1)).model
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    blind = [(x, torch.zeros_like(y)) for x, y in task()]
    taught = train(ready(), blind, Settings(epochs=30, learning_rate=0.05, distillation=1.0), teacher=teacher.train()).model
    inputs = torch.cat([x for x, _ in task(2)])
    assert (taught(inputs).argmax(1) == teacher.eval()(inputs).argmax(1)).double().mean() > 0.9
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_distillation_is_the_divergence_from_the_softened_teacher(temperature):
    answers, taught = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    p, q = (taught / temperature).softmax(1), (answers / temperature).softmax(1)
    expected = temperature**2 * (p * (p / q).log()).sum(1).mean()
    torch.testing.assert_close(distillation_loss(answers, taught, temperature), expected)


def test_a_run_with_a_teacher_goes_on_bit_for_bit_and_with_that_teacher_only(tmp_path):
    settings = dataclasses.replace(SETTINGS, distillation=0.5)
    teacher = small_model()
    whole = train(ready(), Shuffled(task()), settings, teacher=teacher)
    with pytest.raises(Stopped):
        train(ready(), Shuffled(task()), settings, teacher=teacher, checkpoint=tmp_path, progress=stop_in(3))
    other = small_model()
    with torch.no_grad():
        next(other.parameters()).add_(1)
    with pytest.raises(ArgumentError, match="holds a run with another teacher"):
        train(ready(), Shuffled(task()), settings, teacher=other, checkpoint=tmp_path)
    parts = train(ready(), Shuffled(task()), settings, teacher=teacher, checkpoint=tmp_path)
    assert parts.history == whole.history
    assert same_state(parts.model, whole.model)


def test_a_checkpoint_from_before_a_setting_existed_has_its_default(tmp_path):
    train(ready(), task(), Settings(epochs=1), checkpoint=tmp_path)
    index = tmp_path / "checkpoint.json"
    content = json.loads(index.read_text())
    del content["settings"]["distillation"], content["settings"]["temperature"], content["teacher_sha256"]
    index.write_text(json.dumps(content))
    steps = []
    train(ready(), task(), Settings(epochs=1), checkpoint=tmp_path, progress=steps.append)
    assert steps == []


@pytest.mark.parametrize(
    ("teacher", "share", "message"),
    [
        (None, 0.5, "give train"),
        (small_model(), 0.0, "no part in the loss"),
        ("resnet", 0.5, "must be a torch.nn.Module, not str"),
        (nn.Flatten(2), 0.5, "The teacher must give scores"),
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 4)), 0.5, "the same classes"),
    ],
    ids=["none", "idle", "no module", "no scores", "classes"],
)
def test_teachers_that_cannot_be_meant(teacher, share, message):
    with pytest.raises(ArgumentError, match=message):
        train(ready(), task(), Settings(epochs=1, distillation=share), teacher=teacher)


class Stopped(Exception):
    pass


def stop_in(epoch):
    def progress(step):
        if (step.epoch, step.batch) == (epoch, 3):
            raise Stopped

    return progress


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_run_goes_on_bit_for_bit(tmp_path, epoch):
    """Shuffling and dropout draw random numbers, momentum and batch norms have a past: all of it comes back."""
    whole = train(ready(), Shuffled(task()), SETTINGS, validation=task(2))
    with pytest.raises(Stopped):
        train(ready(), Shuffled(task()), SETTINGS, validation=task(2), checkpoint=tmp_path, progress=stop_in(epoch))
    torch.rand(7)  # whatever happens in between
    steps = []
    parts = train(ready(), Shuffled(task()), SETTINGS, validation=task(2), checkpoint=tmp_path, progress=steps.append)
    assert steps[0].epoch == epoch
    assert parts.history == whole.history
    assert same_state(parts.model, whole.model)
    assert len(list(tmp_path.glob("*.safetensors"))) == 1


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = train(ready(), task(), SETTINGS, checkpoint=tmp_path)
    steps = []
    again = train(ready(), task(), SETTINGS, checkpoint=tmp_path, progress=steps.append)
    assert steps == []
    assert same_state(first.model, again.model)


def test_random_numbers_outside_are_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    train(ready(), Shuffled(task()), Settings(epochs=1))
    torch.manual_seed(3)
    assert torch.equal(torch.rand(2), expected)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    train(ready(), task(), Settings(epochs=1), checkpoint=tmp_path)
    with pytest.raises(ArgumentError, match=r"holds a run with epochs=1, not 2: a run goes on with its own settings only"):
        train(ready(), task(), Settings(epochs=2), checkpoint=tmp_path)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    train(ready(), task(), Settings(epochs=1), checkpoint=tmp_path)
    with pytest.raises(ArchiveError, match=r"holds a run of another model: '1\.weight' is missing in one"):
        train(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), task(), Settings(epochs=1), checkpoint=tmp_path)


@pytest.mark.parametrize("change", ["truncate", "edit", "newer"])
def test_a_damaged_checkpoint_is_refused(tmp_path, change):
    train(ready(), task(), Settings(epochs=1), checkpoint=tmp_path)
    (tensors,) = tmp_path.glob("*.safetensors")
    index = tmp_path / "checkpoint.json"
    if change == "truncate":
        tensors.write_bytes(tensors.read_bytes()[:-4])
    else:
        content = json.loads(index.read_text())
        content.update({"format": 99} if change == "newer" else {"history": [{"epoch": 1}]})
        index.write_text(json.dumps(content))
    with pytest.raises(ArchiveError, match=r"truncated or edited|damaged|newer"):
        train(ready(), task(), Settings(epochs=1), checkpoint=tmp_path)


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        ([], Settings(), "The training data hold no batch."),
        (iter([]), Settings(), "must be batches with a length"),
        (task()[0], Settings(), "must be batches with a length"),
        ([task()[0][0]], Settings(), "have no labels"),
        ([(x, y + 1) for x, y in task()], Settings(), "Label 3 of sample"),
        (task(), Settings(learning_rate=1e30), "The loss became nan in epoch 1: lower learning_rate"),
    ],
    ids=["empty", "one-shot", "one tensor", "unlabelled", "labels", "diverges"],
)
def test_runs_that_cannot_be_meant(data, settings, message):
    with pytest.raises((ArgumentError, DataError), match=message):
        train(ready(), data, settings)


def test_a_loader_with_a_generator_of_its_own_cannot_be_resumed(tmp_path):
    x, y = task()[0]
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(x, y), batch_size=8, shuffle=True, generator=torch.Generator()
    )
    with pytest.raises(ArgumentError, match="leave generator=None"):
        train(ready(), loader, Settings(epochs=1), checkpoint=tmp_path)


def test_the_regulariser_needs_activations_to_act_on():
    with pytest.raises(ArgumentError, match="the model has none: prepare it first"):
        train(small_model(), task(), Settings(regulariser=0.1))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1"),
        ({"learning_rate": -1.0}, "learning_rate must be a number of at least 0"),
        ({"regulariser": math.nan}, "regulariser must be a number of at least 0"),
        ({"momentum": 1.0}, "momentum must be below 1"),
        ({"distillation": 1.5}, "distillation must be a share from 0 to 1"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"seed": 0.5}, "seed must be a whole number"),
    ],
)
def test_settings_that_cannot_be_meant(setting, message):
    with pytest.raises(ArgumentError, match=message):
        Settings(**setting)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QCFS(0), "levels must be a whole number of at least 1, not 0"),
        (lambda: QCFS(4, -1.0), "threshold must be a positive number, not -1.0"),
        (lambda: QCFS(4, shift=2), "shift must be a number from 0 to 1, not 2"),
        (lambda: ClampedReLU(1.5), "floor must be a number from 0 to 1, not 1.5"),
        (lambda: SlipReLU(4, 1.5), "slope must be a number from 0 to 1, not 1.5"),
    ],
)
def test_activations_that_cannot_be_meant(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def trained(activation):
    model = prepare(small_model(), task()[0][0], activation)
    return train(model, task(), Settings(epochs=3)).model


@pytest.mark.parametrize(
    "activation", [QCFS(4), QCFS(4, shift=0.0), SlipReLU(4, 0.5), ClampedReLU()], ids=["qcfs", "shift 0", "slip", "clamped"]
)
def test_conversion_takes_threshold_and_potential_from_the_activation(activation, tmp_path):
    model = trained(activation)
    images = task()[0][0]
    network = tp.convert(model, images, "qcfs")
    activations = [module for module in model.modules() if isinstance(module, Activation)]
    neurons = network.having(IntegrateAndFire)
    assert [float(n.op.threshold) for n in neurons] == [float(a.positive_threshold) for a in activations]
    assert {float(n.op.initial) for n in neurons} == {getattr(activation, "shift", 0.0)}
    with torch.inference_mode():
        torch.testing.assert_close(forward(network.analogue(), [images])["output"], model(images), rtol=1e-5, atol=1e-6)
    tp.save(network, tmp_path / "net")
    loaded = tp.load(tmp_path / "net")
    assert same_network(network, loaded)
    assert torch.equal(tp.simulate(loaded, images, 8).outputs, tp.simulate(network, images, 8).outputs)


def test_first_layer_is_exact_after_as_many_steps_as_levels():
    """Theorem 1 in a converted network: the first layer sees a constant input, so after L steps it has sent QCFS(z)."""
    model = trained(QCFS(4)).double()
    images = task()[0][0].double()
    network = tp.convert(model, images, "qcfs")
    name = network.having(IntegrateAndFire)[0].name
    values = {}
    forward(network.analogue(), [images], values.__setitem__)
    counts = tp.simulate(network, images, 4).spike_counts
    threshold = network.nodes[name].op.threshold
    assert torch.equal(counts[name].double().sum(), (values[name] / threshold * 4).round().sum())


def test_recipes_that_calibrate_take_the_trained_threshold_as_a_bound():
    model = trained(QCFS(4))
    network = tp.convert(model, torch.cat([x for x, _ in task()]), tp.recipes["rate"].with_percentile(100))
    activations = [module for module in model.modules() if isinstance(module, Activation)]
    for node, activation in zip(network.having(IntegrateAndFire), activations, strict=True):
        limit = float(activation.positive_threshold)
        assert 0 < float(node.op.threshold.min()) <= float(node.op.threshold.max()) <= limit * (1 + 1e-6)


def test_a_relu_without_a_trained_threshold_is_refused_by_name():
    model = nn.Sequential(nn.Linear(4, 3), QCFS(4), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    with pytest.raises(tp.errors.ConversionError, match=r"Relu '3' was not trained with a threshold"):
        tp.convert(model, torch.rand(40, 4), "qcfs")


def test_max_pool_moves_before_the_activation():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), QCFS(4), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 2)).eval()
    images = torch.rand(40, 1, 4, 4)
    network = tp.convert(model, images, "qcfs")
    assert [type(network.nodes[source].op).__name__ for source in network.nodes["1"].inputs] == ["AccumulatedMaxPool"]
    with torch.inference_mode():
        torch.testing.assert_close(forward(network.analogue(), [images])["output"], model(images), rtol=1e-5, atol=1e-6)


def test_an_exported_activation_is_one_operator():
    for activation, name in ((QCFS(4, 2.0), "qcfs"), (SlipReLU(4, 0.5, 2.0), "slip_relu"), (ClampedReLU(), "clamped")):
        graph = torch.export.export(activation.eval(), (torch.rand(3, 5),)).graph
        names = [node.target._schema.name for node in graph.nodes if node.op == "call_function"]
        assert f"transpike::{name}" in names
        assert not {"aten::floor", "aten::addcmul"} & set(names)
    assert F.relu(torch.ones(1)) == 1  # and nothing about ReLU has changed


@pytest.mark.parametrize("asked", [True, False])
def test_the_precision_of_layers_is_the_one_asked_for(asked):
    """Under autocast a layer's output is bfloat16; the weights and the thresholds stay float32."""
    seen = []
    model = nn.Sequential(nn.Linear(2, 8), QCFS(levels=4), nn.Linear(8, 2))
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    x = torch.rand(32, 2)
    result = train(model, [(x, (x[:, 0] > x[:, 1]).long())], Settings(epochs=1, bfloat16=asked))
    assert set(seen) == {torch.bfloat16 if asked else torch.float32}
    assert {value.dtype for value in result.model.parameters()} == {torch.float32}


def test_a_precision_that_is_no_choice_is_refused():
    with pytest.raises(ArgumentError, match="bfloat16 must be True, False or None"):
        Settings(bfloat16="yes")


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("activation", [QCFS(4), SlipReLU(4, 0.5), ClampedReLU()], ids=["qcfs", "slip", "clamped"])
def test_pieces_of_a_large_tensor_give_what_the_whole_gives(activation, memory):
    """Values and gradients, whatever the layout of the tensor and of what comes back."""
    activation = activation.with_threshold(1.5)
    x = torch.randn(5, 16, 40, 60, dtype=DOUBLE)
    given_back = torch.randn_like(x)
    small, large = (v.clone().requires_grad_() for v in (x, x.contiguous(memory_format=memory)))
    activation.double()
    one = torch.autograd.grad(
        sum((activation(part) * back).sum() for part, back in zip(small, given_back, strict=True)),
        (small, activation.threshold),
    )
    all_at_once = torch.autograd.grad((activation(large) * given_back).sum(), (large, activation.threshold))
    for a, b in zip(one, all_at_once, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
