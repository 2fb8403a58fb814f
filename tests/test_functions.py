"""Functions of signals: what they send stands for the function of what they received, exactly, at every step."""

from __future__ import annotations

import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import transpike as tp
from helpers import answers, captured, largest_difference, quick, same_network
from reference import difference_neuron, simulate_literally
from transpike import ops
from transpike.analysis.operations import count_work
from transpike.calibration import Samples
from transpike.capture import capture
from transpike.codings import BiasOnce, DifferenceInput
from transpike.data import Batch
from transpike.errors import ConversionError
from transpike.network.grammar import Carried, carried
from transpike.neurons import (
    FUNCTIONS,
    DifferenceFunction,
    DifferenceNeuron,
    FunctionOfSignals,
    IntegrateAndFire,
    MeanFunction,
    StepFunction,
)
from transpike.ops import DENSE, TRAITS, Identity, LayerNorm, MatMul, Multiply, Relu
from transpike.parts import Op, Trait
from transpike.passes import ActOnValues, apply
from transpike.passes.functions import RULED
from transpike.simulation import Record, counting_nodes
from transpike.simulation.engines import DecodedEngine, LayerwiseEngine, StepwiseEngine, Task, engine_for
from zoo import ANALOGUE, ZOO

seeds = st.integers(0, 10_000)
FEATURES = torch.linspace(0.5, 1.5, 4, dtype=torch.float64)
EXAMPLES: dict[str, tuple[Op, int]] = {  # with the number of its inputs
    **{kind.__name__: (kind(), 1) for kind in (ops.Sigmoid, ops.Tanh, ops.Gelu, ops.Silu, ops.Hardswish, ops.Hardsigmoid)},
    **{kind.__name__: (kind(), 1) for kind in (ops.Mish, ops.Elu, ops.Softplus, ops.Exponential, ops.Absolute)},
    **{kind.__name__: (kind(), 1) for kind in (ops.ErrorFunction, ops.Sine, ops.Relay)},
    "Logarithm": (ops.Rescaled(ops.Logarithm(), FEATURES), 1),
    "Power": (ops.Power(2.0), 1),
    "NormalCurve": (ops.NormalCurve(2.0), 1),
    "Threshold": (ops.Threshold(0.3, 0.1), 1),
    "Rescaled": (ops.Rescaled(ops.Gelu(), FEATURES), 1),
    "Softmax": (ops.Softmax(3), 1),
    "Largest": (ops.Largest((3,), keepdim=True), 1),
    "LayerNorm": (LayerNorm((4,), FEATURES, FEATURES / 3), 1),
    "RMSNorm": (ops.RMSNorm((4,), FEATURES), 1),
    "GroupNorm": (ops.GroupNorm(3, torch.arange(1.0, 4).double(), torch.arange(3.0).double()), 1),
    "Maximum": (ops.Maximum(), 2),
    "Multiply": (Multiply(), 2),
    "Divide": (ops.Divide(), 2),
    "MatMul": (MatMul(), 2),
}


def streams(seed, steps, count):
    """Signals [time, batch, 3, 4, 4] in float64, positive where logarithms and quotients need it: decoded values are too."""
    generator = torch.Generator().manual_seed(seed)
    return [0.1 + torch.rand(steps, 2, 3, 4, 4, dtype=torch.float64, generator=generator) for _ in range(count)]


def run(op, inputs):
    """Return what an op sends in each step."""
    state = op.start(inputs[0][0])
    return torch.stack([op.step(state, *now).clone() for now in zip(*inputs, strict=True)])


def steps_of(values):
    return torch.arange(1, len(values) + 1, dtype=torch.float64).reshape(-1, *[1] * (values.ndim - 1))


def rates(sent):
    return (sent / steps_of(sent)).cumsum(0)


def means(sent):
    return sent.cumsum(0) / steps_of(sent)


def test_every_op_without_a_spiking_rule_has_an_example():
    kinds = {kind for kind, trait in TRAITS.items() if trait in (Trait.ACTIVATION, Trait.COUPLED)}
    assert {kind.__name__ for kind in kinds.difference(RULED)} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize(("form", "decode"), [(DifferenceFunction, rates), (MeanFunction, means)])
@given(seed=seeds, steps=st.integers(1, 12))
def test_the_decoded_output_is_the_function_of_the_decoded_inputs(name, form, decode, seed, steps):
    """Values up to 50 and their functions up to e^5, of which 12 differences times 12 round by less than 1e-10."""
    op, count = EXAMPLES[name]
    inputs = streams(seed, steps, count)
    expected = torch.stack([op(*now) for now in zip(*map(decode, inputs), strict=True)])
    torch.testing.assert_close(decode(run(form(op), inputs)), expected, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("form", FUNCTIONS)
def test_stretches_of_time_are_the_same_as_steps(name, form):
    """All steps of a stretch in one call of the op, in stretches of 3 and 4; up to the last bit of sums within ops."""
    op, count = EXAMPLES[name]
    function, inputs = form(op), streams(7, 7, count)
    state = function.start(inputs[0][0])
    parts = [function.stretch(state, [x[span] for x in inputs], steps) for span, steps in ((slice(3), 3), (slice(3, 7), 4))]
    torch.testing.assert_close(torch.cat(parts), run(function, inputs), rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("op", [Multiply(), MatMul()])
@given(seed=seeds, steps=st.integers(1, 12))
def test_products_are_those_of_the_published_rule(op, seed, steps):
    """O[1] = A[1] B[1]; O[t] = A[t] B[t] / t + A[t] RB[t-1] + RA[t-1] B[t]."""
    a, b = streams(seed, steps, 2)
    decoded_a, decoded_b = rates(a), rates(b)
    later = [op(a[t], b[t]) / (t + 1) + op(a[t], decoded_b[t - 1]) + op(decoded_a[t - 1], b[t]) for t in range(1, steps)]
    expected = [op(a[0], b[0]), *later]
    torch.testing.assert_close(run(DifferenceFunction(op), (a, b)), torch.stack(expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_is_sent_while_the_inputs_are_silent(name):
    """Exactly: what is constant in a function, such as the shift of a norm, goes once."""
    op, count = EXAMPLES[name]
    inputs = [torch.cat([x, torch.zeros(5, *x.shape[1:], dtype=torch.float64)]) for x in streams(1, 1, count)]
    sent = run(DifferenceFunction(op), inputs)
    assert torch.equal(sent[0], op(*[x[0] for x in inputs]))
    assert not sent[1:].any()


@pytest.mark.parametrize(("form", "decode"), [(DifferenceFunction, rates), (MeanFunction, means)])
@pytest.mark.parametrize("held", [0, 1])
def test_a_factor_that_never_changes_may_be_given_as_it_is(form, decode, held):
    inputs = streams(2, 9, 2)
    constant = inputs[held][:1].expand(9, *inputs[held].shape[1:])
    as_signal = run(DifferenceInput(), [constant]) if form is DifferenceFunction else constant
    one, other = (run(op, [x if i == held else y for i, y in enumerate(inputs)]) for op, x in (
        (form(ops.Divide(), held=(held,)), constant),
        (form(ops.Divide()), as_signal),
    ))  # fmt: skip
    torch.testing.assert_close(decode(one), decode(other), rtol=0, atol=1e-10)


def test_steps_by_themselves_are_wrong_where_the_input_changes():
    """The square of an input that is 0 and 2 by turns: 2 on average for single steps, 1 for the mean."""
    turns = torch.tensor([0.0, 2.0] * 4).reshape(8, 1, 1)
    square = ops.Power(2.0)
    assert means(run(StepFunction(square), [turns]).double())[-1].item() == 2
    assert means(run(MeanFunction(square), [turns]).double())[-1].item() == pytest.approx(1)


def signed(threshold, levels):
    one, none = torch.tensor(threshold, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    return DifferenceNeuron(one, none, Identity(), levels=levels)


@given(seeds, st.integers(1, 30), st.integers(1, 8))
def test_signed_neurons_equal_the_published_equations(seed, steps, levels):
    received = torch.randn(steps, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    op, memory = signed(0.8, levels), {}
    sent = run(op, [received[:, None]])
    expected = torch.stack([torch.from_numpy(difference_neuron(op, memory, x.numpy())) for x in received])
    torch.testing.assert_close(sent[:, 0], expected, rtol=0, atol=0)


@given(st.floats(-2, 2), st.integers(1, 8))
def test_a_settled_signed_neuron_is_right_to_its_smallest_level_over_time(value, levels):
    received = torch.zeros(64, 1, 1, dtype=torch.float64)
    received[0] = value
    error = (rates(run(signed(1.0, levels), [received]))[:, 0, 0] - value).abs() * torch.arange(1, 65)
    assert error[16:].max() <= 2.0 ** (1 - levels) * (1 + 1e-9)


class Attention(nn.Module):
    """Attention with two heads."""

    def __init__(self, width):
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x):
        q, k, v = (part(x).reshape(*x.shape[:2], 2, -1).transpose(1, 2) for part in (self.query, self.key, self.value))
        mixed = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, -1) @ v
        return self.out(mixed.transpose(1, 2).reshape(x.shape))


class Block(nn.Module):
    """Attention and two layers, with the norms before or behind them."""

    def __init__(self, width, activation, before):
        super().__init__()
        self.mix, self.before = Attention(width), before
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.layers = nn.Sequential(nn.Linear(width, 2 * width), activation, nn.Linear(2 * width, width))

    def forward(self, x):
        if self.before:
            x = x + self.mix(self.first(x))
            return x + self.layers(self.second(x))
        x = self.first(x + self.mix(x))
        return self.second(x + self.layers(x))


class Transformer(nn.Module):
    """A classifier of sequences of vectors [batch, 5, 6]."""

    def __init__(self, activation, before=True):
        super().__init__()
        self.enter, self.place = nn.Linear(6, 8), nn.Parameter(torch.randn(1, 5, 8))
        self.blocks = nn.Sequential(*[Block(8, activation(), before) for _ in range(2)])
        self.norm, self.leave = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x):
        return self.leave(self.norm(self.blocks(self.enter(x) + self.place)).mean(1))


class Excited(nn.Module):
    """A convolutional network with smooth activations and squeeze-and-excitation."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Conv2d(2, 6, 3), nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 4, 1)
        self.norm, self.squeeze, self.excite, self.last = nn.GroupNorm(2, 6), nn.Linear(6, 3), nn.Linear(3, 6), nn.Linear(4, 3)

    def forward(self, x):
        x = nn.functional.silu(self.first(x))
        x = nn.functional.hardswish(self.norm(self.second(x)))
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean((2, 3))))))
        return self.last(nn.functional.relu6(self.third(x * gate[:, :, None, None])).mean((2, 3)))


class Gate(nn.Module):
    """Two inputs, of which one alone decides how much of the other passes."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x, y):
        x = self.second(torch.relu(self.first(x)))
        return self.third(torch.relu(x * torch.sigmoid(y)))


def tokens():
    return Transformer(nn.GELU), (torch.randn(40, 5, 6),)


NETS = {
    "transformer": tokens,
    "transformer-relu-norm-behind": lambda: (Transformer(nn.ReLU, before=False), (torch.randn(40, 5, 6),)),
    "squeeze-and-excitation": lambda: (Excited(), (torch.randn(40, 2, 6, 6),)),
    "gate-of-an-input": lambda: (Gate(), (torch.randn(40, 6), torch.randn(40, 8))),
}


@functools.cache
def subject(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, inputs = NETS[name]()
        inputs = tuple(x.double() for x in inputs)
        return model.double().eval(), inputs, capture(model.double().eval(), inputs)


@functools.cache
def converted(name, recipe):
    _, inputs, network = subject(name)
    return inputs, apply(tp.recipes[recipe].passes, network, Samples([Batch(inputs)], 8))


def few(inputs, count=3):
    return tuple(x[:count] for x in inputs)


@pytest.mark.parametrize("recipe", ["differential", "hybrid"])
@pytest.mark.parametrize("name", NETS)
def test_engines_agree_with_the_reference(name, recipe):
    inputs, network = converted(name, recipe)
    outputs, spikes = simulate_literally(network, few(inputs), 5)
    for engine in (StepwiseEngine(), LayerwiseEngine(), LayerwiseEngine(stretch=2)):
        found = tp.simulate(network, few(inputs), 5, record=Record(spikes=counting_nodes(network)), engine=engine)
        for node, train in spikes.items():
            assert torch.equal(found.spikes[node], torch.from_numpy(train)), node
        torch.testing.assert_close(found.outputs, torch.from_numpy(outputs["output"]), rtol=0, atol=1e-9)


@pytest.mark.parametrize("stretch", [None, 2])
@pytest.mark.parametrize(("name", "recipe"), [*((name, "differential") for name in NETS), ("transformer", "dcgs")])
def test_values_that_streams_stand_for_give_the_same_spikes(name, recipe, stretch):
    """What neurons receive is then no sum of changes: in float64 the same but for the last bits, so that no spike moves."""
    inputs, network = converted(name, recipe) if recipe == "differential" else relu_network()
    neurons = [node.name for node in network.having(DifferenceNeuron)]
    record = Record(potentials=neurons, counts=neurons)
    engines = (DecodedEngine(LayerwiseEngine(stretch=stretch)), StepwiseEngine())
    found, wanted = (tp.simulate(network, few(inputs), 7, record=record, engine=engine) for engine in engines)
    torch.testing.assert_close(found.outputs, wanted.outputs, rtol=0, atol=1e-9)
    for node in neurons:
        assert torch.equal(found.counts[node], wanted.counts[node])
        torch.testing.assert_close(found.potentials[node], wanted.potentials[node], rtol=0, atol=1e-8)


@functools.cache
def relu_network():
    """A residual network of ReLUs under recipe dcgs: its neurons never send more back than they sent."""
    model, samples = ZOO["resnet"]()
    return (samples.double(),), tp.convert(model.double(), samples.double(), "dcgs")


def test_the_engine_of_values_says_what_it_cannot_do():
    _, network = converted("transformer", "differential")
    spikes = Record(spikes=counting_nodes(network)[:1])
    assert "not those of single steps" in DecodedEngine().refusal(Task(network, 4, spikes))
    assert DecodedEngine().refusal(Task(network, 4)) is None
    assert engine_for(Task(network, 4)).name == "decoded"
    assert "coded differentially" in DecodedEngine().refusal(Task(converted("transformer", "hybrid")[1], 4))
    layers = (nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3))
    pools = tp.convert(nn.Sequential(*layers).eval(), torch.randn(40, 2, 8, 8), "dcgs")
    assert "DifferenceMaxPool has no form on values" in DecodedEngine().refusal(Task(pools, 4))


@pytest.mark.parametrize("recipe", ["differential", "hybrid"])
@pytest.mark.parametrize("name", NETS)
def test_the_analogue_stays_the_model(name, recipe):
    _, inputs, network = subject(name)
    assert largest_difference(answers(converted(name, recipe)[1].analogue(), inputs), answers(network, inputs)) <= 1e-9


@pytest.mark.parametrize(
    ("recipe", "steps", "most"), [("differential", 8, 0.05), ("differential", 32, 0.005), ("hybrid", 256, 0.05)]
)
@pytest.mark.parametrize("name", NETS)
def test_the_answer_comes_near(name, recipe, steps, most):
    """5 % of the ANN's output within 8 steps under differential coding, with random weights; the error falls as 1/T."""
    inputs, network = converted(name, recipe)
    (wanted,) = answers(network.analogue(), inputs)
    answer = tp.simulate(network, inputs, steps).outputs[-1]
    assert float((answer - wanted).norm() / wanted.norm()) < most


@pytest.mark.parametrize("recipe", ["differential", "hybrid"])
@pytest.mark.parametrize("name", NETS)
def test_networks_come_back_from_disk(name, recipe, tmp_path):
    inputs, network = converted(name, recipe)
    tp.save(network, tmp_path / "net")
    loaded = tp.load(tmp_path / "net")
    assert same_network(loaded, network)
    assert torch.equal(*(tp.simulate(one, few(inputs), 3).outputs for one in (network, loaded)))


@pytest.mark.parametrize("name", NETS)
def test_all_weights_but_the_first_and_all_products_of_matrices_read_spikes(name):
    _, network = converted(name, "differential")
    kinds = carried(network)
    dense = [
        n
        for n in network.nodes.values()
        if isinstance(n.op.analogue(), (*DENSE, MatMul)) and kinds[n.name] is not Carried.ANSWER
    ]
    static = [node for node in dense if {kinds[source] for source in node.inputs} == {Carried.STATIC}]
    assert {kinds[source] for node in dense if node not in static for source in node.inputs} == {Carried.SPIKES}
    assert len(static) == 1
    work = count_work(network)
    assert work.current_nodes == ()
    assert work.current_macs == 0


def test_constants_enter_once():
    """Whatever comes in at the first step, nothing moves by itself: with silent neurons nothing is sent after step 1."""
    inputs, network = converted("transformer", "differential")
    neurons = {node.name for node in network.having(DifferenceNeuron)}
    mute = network.map_ops(lambda n: Relu() if n.name in neurons else n.op)
    mute = mute.map_ops(lambda n: ops.Affine(torch.zeros((), dtype=torch.float64)) if n.name in neurons else n.op)
    outputs = tp.simulate(mute, few(inputs), 6).outputs
    assert torch.equal(outputs[0].expand_as(outputs), outputs)
    assert all(node.op.bias is None for node in network.having(*DENSE)[1:])
    assert network.having(BiasOnce)


def test_what_never_changes_is_computed_once():
    """Attention on the input itself, before any neuron: plain ops, and a product with one constant factor stays linear."""
    model = nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    network = tp.convert(model, torch.randn(40, 6), "hybrid")
    assert type(network.nodes["0"].op) is LayerNorm
    assert not network.having(FunctionOfSignals)
    _, gated = converted("gate-of-an-input", "differential")
    assert [type(node.op) for node in gated.nodes.values()].count(Multiply) == 1
    assert not gated.having(FunctionOfSignals)


def test_norms_behind_a_max_pool_of_the_input_act_on_signals():
    """A max-pool becomes one of signals even where nothing changes, so that what follows it has to be one too."""
    layers = (nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))
    model, x = nn.Sequential(*layers).eval(), torch.randn(40, 2, 8, 8)
    with torch.inference_mode():
        answer, wanted = tp.simulate(tp.convert(model, x, "differential"), x, 8).outputs[-1], model(x)
    assert float((answer - wanted).norm() / wanted.norm()) < 0.05


def test_hybrid_can_act_on_single_steps():
    recipe = tp.recipes["hybrid"].with_pass(ActOnValues(StepFunction))
    model, inputs, _ = subject("transformer-relu-norm-behind")
    network = tp.convert(model, inputs, recipe)
    assert network.having(StepFunction)
    assert not network.having(MeanFunction)
    assert torch.isfinite(tp.simulate(network, inputs, 4).outputs).all()


@pytest.mark.parametrize(("recipe", "level"), [("differential", "differential"), ("hybrid", "hybrid")])
def test_reports_say_how_spiking_a_network_is(recipe, level):
    inputs, network = converted("transformer", recipe)
    report = tp.evaluate(None, network, (*inputs, torch.zeros(40, dtype=torch.long)), 4)
    assert report.level == level
    shares = report.shares
    assert shares.binary + shares.graded + shares.analogue == pytest.approx(1)
    assert (shares.graded > 0.5, shares.binary > 0) == (level == "differential", level == "hybrid")
    assert report.functions == len(network.having(FunctionOfSignals))
    products = sum(2 * 2 * 5 * 5 * 4 for _ in range(2))
    assert report.ann_connections == 5 * (6 * 8 + 2 * (4 * 8 * 8 + 2 * 8 * 16)) + 2 * products // 2 + 8 * 3


def test_spikes_at_products_are_counted_by_what_they_meet():
    """A spike of a query meets one value of each of 5 keys, one of the attention each of 4 values of a head."""
    _, network = converted("transformer", "differential")
    work = count_work(network)
    reach = {int(fan.max()) for fan in work.fan_out.values()}
    assert {4, 5} <= reach
    assert work.graded == set(work.fan_out)


def test_hybrid_networks_can_be_diagnosed():
    model, inputs, _ = subject("transformer")
    found = tp.diagnose(model, converted("transformer", "hybrid")[1], inputs, 4)
    assert len(found.layers) == len(converted("transformer", "hybrid")[1].having(IntegrateAndFire))


def test_loops_are_refused_under_differential_coding():
    class Read(nn.Module):
        def __init__(self):
            super().__init__()
            self.read, self.last = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x):
            return self.last(self.read(x)[0][:, -1])

    with pytest.raises(ConversionError, match="no rule in recurrent layers"):
        tp.convert(Read().eval(), torch.randn(40, 5, 3), "differential")


@pytest.mark.parametrize("name", quick(ANALOGUE))
def test_what_rate_coding_cannot_convert_comes_near_differentially(name):
    """Norms, attention, gates and every smooth activation, with random weights: within 5 % of the ANN after 8 steps."""
    _, inputs, network = captured(name, torch.float64)
    spiking = apply(tp.recipes["differential"].passes, network, Samples([Batch(inputs)], 8))
    outputs = tp.simulate(spiking, inputs, 8).outputs
    outputs = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs.values())
    for answer, wanted in zip(outputs, answers(network, inputs), strict=True):
        assert float((answer[-1] - wanted).norm() / wanted.norm()) < 0.05
