"""All engines compute the same: blocks that are equal whatever computes them, and scans that are equal to the bit."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import transpike as tp
from helpers import converted, examples, quick
from random_networks import networks
from transpike import compiled as loops
from transpike.data import Batch
from transpike.network import Network, Node
from transpike.neurons import IntegrateAndFire, Integrator, Ternary
from transpike.ops import Add, Affine, Constant, Convolution, Input, Relu, Reshape
from transpike.simulation import Record, counting_nodes, scan, whole
from transpike.simulation.engines import LayerwiseEngine, StepwiseEngine, Task
from transpike.simulation.engines.event import builds
from transpike.simulation.engines.layerwise import STRETCH
from transpike.simulation.joins import joins
from transpike.simulation.playing import Stepped, player
from transpike.simulation.recording import Snapshots, keeping
from transpike.simulation.run import blocks
from transpike.simulation.scan import compiled, operator, plain
from transpike.simulation.stepper import channels_last
from zoo import ZOO

ROUNDING = 1e-9  # of sums in float64 that are taken in another order, relative to the largest value
STEPS = 7
STRETCHES = [LayerwiseEngine(), LayerwiseEngine(stretch=1), LayerwiseEngine(stretch=3, tile=1)]


def recorded(network, inputs, engine, steps=STEPS, block=None):
    """Return all that an engine can be asked for, by name."""
    record = Record(spikes=counting_nodes(network), potentials=keeping(network, "potential"))
    snapshots = Snapshots((1, 4, 5, steps), lambda totals: {name: total.clone() for name, total in totals.items()})
    found = {}
    stream = iter([Batch(inputs)])
    for i, part in enumerate(blocks(network, stream, steps, record=record, engine=engine, snapshots=snapshots, block=block)):
        parts = {field: getattr(part, field) for field in ("outputs", "totals", "sums", "spikes", "potentials", "decided")}
        parts |= {f"snapshot {step}": counts for step, counts in part.snapshots.items()}
        found |= {(i, kind, name): value for kind, values in parts.items() for name, value in values.items()}
    return found


def assert_same(these, those):
    assert these.keys() == those.keys()
    for key, value in these.items():
        exact = key[1] not in {"outputs", "potentials", "sums"}
        scale = 0.0 if exact else ROUNDING * max(1.0, float(value.abs().max()))
        np.testing.assert_allclose(those[key].double(), value.double(), rtol=0, atol=scale, err_msg=str(key))


@pytest.mark.parametrize("name", quick(ZOO))
def test_layers_equal_steps_for_every_family_of_models(name):
    inputs, network = converted(name, tp.recipes["rate"])
    inputs = tuple(x[:2] for x in inputs)
    assert_same(recorded(network, inputs, StepwiseEngine()), recorded(network, inputs, STRETCHES[2]))


ELSEWHERE = {"rate", "rate-basic", "qcfs", "ttfs-clamped", "ttfs-dynamic"}  # tested by others; need training; read two signals
CONCURRENT = [n for n, r in tp.recipes.items() if r.method.schedule == "concurrent" and n not in ELSEWHERE]


@pytest.mark.parametrize("recipe", CONCURRENT)
def test_layers_equal_steps_for_every_kind_of_neurons(recipe):
    inputs, network = converted("resnet", tp.recipes[recipe], 14)
    inputs = tuple(x[:2] for x in inputs)
    steps = recorded(network, inputs, StepwiseEngine(), 14)
    for engine in STRETCHES:
        assert_same(steps, recorded(network, inputs, engine, 14))


@pytest.mark.parametrize("name", ["lenet", "two-inputs"])
def test_layers_equal_steps_for_random_input(name):
    inputs, network = converted(name, tp.recipes["rate"].poisson(seed=3))
    steps = recorded(network, inputs, StepwiseEngine(), block=3)
    for engine in STRETCHES:
        assert_same(steps, recorded(network, inputs, engine, block=3))


@settings(max_examples=examples(15))
@given(networks(), st.integers(5, 10), st.sampled_from([1, 2, None]))
def test_layers_equal_steps_on_random_networks(drawn, time_steps, block):
    network, inputs = drawn
    steps = recorded(network, (inputs,), StepwiseEngine(), time_steps, block)
    for engine in STRETCHES:
        assert_same(steps, recorded(network, (inputs,), engine, time_steps, block))


def neurons(op, source):
    return Node(source + ".neurons", op, (source,))


def test_values_without_a_batch_and_views_of_kept_values():
    """Constants that become spikes, sums in both orders, a value read twice, and an output that is a view."""
    op = IntegrateAndFire(torch.tensor(0.5).double(), torch.tensor(0.5).double(), Relu())
    weight = torch.rand(2, 2, 1, 1, generator=torch.Generator().manual_seed(0)).double()
    nodes = [
        Node("x", Input((2, 3, 3), "float64")),
        Node("constant", Constant(torch.linspace(0, 1, 18).double().reshape(1, 2, 3, 3))),
        neurons(op, "constant"),
        neurons(op, "x"),
        Node("narrow", Convolution(weight[:1], None, (1, 1), (0, 0), (1, 1)), ("x.neurons",)),
        Node("broad", Add(), ("narrow", "constant.neurons")),
        Node("early", Add(), ("constant.neurons", "broad")),
        Node("static", Add(), ("x", "early")),
        Node("convolved", Convolution(weight, None, (1, 1), (0, 0), (1, 1)), ("static",)),
        Node("shifted", Affine(shift=weight[:, 0]), ("convolved",)),
        Node("both", Add(), ("convolved", "shifted")),
        neurons(op, "both"),
        Node("flat", Reshape((18,)), ("both.neurons",)),
        Node("decoded", Integrator(), ("flat",)),
        Node("seen", Reshape((2, 9)), ("decoded",)),
    ]
    network = Network({node.name: node for node in nodes}, {"one": "decoded", "two": "seen"})
    inputs = (torch.rand(3, 2, 3, 3, dtype=torch.float64),)
    steps = recorded(network, inputs, StepwiseEngine())
    for engine in STRETCHES:
        assert_same(steps, recorded(network, inputs, engine))


def test_memory_grows_neither_with_time_nor_with_samples():
    _, network = converted("resnet", tp.recipes["rate"])
    for steps in (8, 1024):
        runner = LayerwiseEngine().prepare(Task(network, steps))
        for samples in (1, runner.largest_block):
            assert runner.steps(samples) * samples * runner.bytes_per_step <= STRETCH
        assert runner.bytes_per_sample() == LayerwiseEngine().prepare(Task(network, 1)).bytes_per_sample()


ROWS = {"none": 0, "one row": 1, "a row per step": STEPS}


@dataclass(frozen=True)
class Scan:
    """Arguments of the scan for random neurons."""

    signed: bool
    retract: float
    forgives: bool
    bias: int
    height: int
    static: bool
    dtype: torch.dtype

    def arguments(self, samples=3, size=37):
        generator = torch.Generator().manual_seed(0)

        def normal(*shape):
            return torch.randn(*shape, dtype=self.dtype, generator=generator)

        return {
            "current": normal(1 if self.static else STEPS, samples * size),
            "bias": 0.3 * normal(self.bias, size) if self.bias else None,
            "threshold": 0.5 + normal(size).abs(),
            "height": 0.5 + normal(self.height, size).abs(),
            "potential": normal(samples * size),
            "count": torch.zeros(samples * size, dtype=self.dtype),
            "net": torch.zeros(samples * size, dtype=self.dtype) if self.signed else None,
            "accumulated": torch.zeros(samples * size, dtype=self.dtype) if self.height > 1 else None,
            "sent": torch.empty(STEPS, samples * size, dtype=self.dtype),
            "retract": self.retract,
            "forgives_debt": self.forgives,
        }


KINDS = [(False, 0.0, False), *((True, retract, forgives) for retract in (-1.0, -0.3, 0.0) for forgives in (False, True))]
SCANS = [
    Scan(*kind, bias, height, static, dtype)
    for kind in KINDS
    for bias, height in ((0, 1), (1, STEPS), (STEPS, 1))
    for static in (False, True)
    for dtype in (torch.float32, torch.float64)
]
CHANGED = ("potential", "count", "net", "accumulated", "sent")


def assert_same_bits(run, cases=SCANS):
    for case in cases:
        wanted, given_ = case.arguments(), case.arguments()
        plain.scan(*wanted.values())
        run(*given_.values())
        assert wanted["count"].sum() > 0
        for name in CHANGED:
            assert wanted[name] is None or torch.equal(wanted[name], given_[name]), (case, name)


def test_compiled_scan_equals_the_plain_one(monkeypatch):
    assert_same_bits(compiled.scan)
    monkeypatch.setattr(compiled, "BLOCK", 8)
    monkeypatch.setattr(loops, "PIECE", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert_same_bits(compiled.scan)


def test_the_operator_runs_the_scan_and_keeps_its_promises():
    assert_same_bits(torch.ops.transpike.fire_scan)
    for case in SCANS[:: len(SCANS) // 3]:
        torch.library.opcheck(scan.fire_scan, tuple(case.arguments().values()))


def test_gpu_kernel_equals_the_plain_scan():
    """In Triton's interpreter, which has to be chosen before the kernel is made; on CPU tensors."""
    pytest.importorskip("triton")
    code = (
        "import test_engines as t; from transpike.simulation.scan import kernel; t.assert_same_bits(kernel.scan, t.SCANS[::5])"
    )
    settings_of_it = {
        **os.environ,
        "TRITON_INTERPRET": "1",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }
    done = subprocess.run([sys.executable, "-c", code], env=settings_of_it, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_without_a_compiler_the_plain_scan_is_taken(monkeypatch):
    assert operator.implementation("cpu") is compiled.scan
    assert operator.implementation("xpu") is plain.scan
    monkeypatch.delattr(scan, "compiled")
    monkeypatch.setitem(sys.modules, "transpike.simulation.scan.compiled", None)
    assert operator.implementation.__wrapped__("cpu") is plain.scan


def rows(count, generator):
    return 0.6 + torch.rand(count, 3, 1, 1, generator=generator)


@pytest.mark.parametrize(
    "make", [IntegrateAndFire, Ternary, lambda *a, **k: Ternary(*a, retract=-1.0, forgives_debt=True, **k)]
)
@pytest.mark.parametrize("delay", [0, 2, 20])
@pytest.mark.parametrize("extras", [(0, 0), (1, 1), (1, 16), (16, 16)])
def test_scanned_neurons_equal_stepped_ones(make, delay, extras):
    generator = torch.Generator().manual_seed(1)
    bias, height = (rows(n, generator) if n else None for n in extras)
    threshold, initial = 0.5 + torch.rand(3, 1, 1, generator=generator), torch.rand(3, 1, 1, generator=generator)
    op = make(threshold, initial, Relu(), height=height, bias=None if bias is None else bias - 0.8, delay=delay)
    current = 0.7 * torch.randn(16, 2, 3, 4, 5, generator=generator)
    for x in (current, current[:1].expand(16, *current.shape[1:])):
        compare_players(op, x)


def compare_players(op, current):
    """Play the same currents in two stretches, in tiles, with looks on the way."""
    x = channels_last(current[0])
    seen = {}
    players = {"scanned": player(op, x, 0), "stepped": Stepped(op, op.start(x))}
    assert not isinstance(players["scanned"], Stepped)
    for name, one in players.items():
        looks = []
        states = lambda step, one=one, looks=looks: looks.extend([one.state.potential.clone(), one.state.count.clone()])  # noqa: E731
        sent = [one.play([current[:3], current[3:9]], 9, (2, 3, 9), states), one.play([current[9:]], 7, (1,), states)]
        seen[name] = [*sent, *looks, one.state.potential, one.state.count, one.state.transmitted()]
    assert len(seen["scanned"]) == len(seen["stepped"])
    assert all(torch.equal(a, b) for a, b in zip(seen["scanned"], seen["stepped"], strict=True))


needs_bytes = pytest.mark.skipif(not whole.available(), reason="this build of torch cannot convolve bytes into floats")


@st.composite
def convolutions(draw):
    """Draw a convolution of spikes on a grid, the height of its spikes, and spikes."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    inputs, outputs, kernel = draw(st.integers(1, 20)), draw(st.integers(1, 20)), draw(st.sampled_from([1, 2, 3]))
    bits, unit = draw(st.sampled_from([1, 7, 13])), 2.0 ** draw(st.integers(-20, 4))
    stride, padding, dilation = (draw(st.integers(low, 2)) for low in (1, 0, 1))
    height = 2.0 ** torch.randint(-3, 3, (draw(st.sampled_from([1, inputs])),), generator=generator)
    weight = unit * torch.randint(-(2**bits), 2**bits, (outputs, inputs, kernel, kernel), generator=generator).float()
    bias = unit * torch.randint(-50, 50, (outputs,), generator=generator).float() if draw(st.booleans()) else None
    op = Convolution(weight / height.reshape(1, -1, 1, 1), bias, (stride, stride), (padding, padding), (dilation, dilation))
    spikes = torch.randint(0, 2, (3, inputs, 7, 6), generator=generator) * height.reshape(-1, 1, 1)
    return op, height, channels_last(spikes)


@needs_bytes
@given(convolutions())
def test_convolution_in_whole_numbers_equals_that_in_floats_to_the_bit(drawn):
    op, height, spikes = drawn
    found = whole.whole_convolution(op, height)
    assert found is not None
    assert torch.equal(found(spikes), op(spikes))


def grid_network(weights_unit, threshold, dtype=torch.float32):
    """Return a small residual network whose weights lie on a grid, and samples."""
    generator = torch.Generator().manual_seed(2)

    def convolution():
        weight = (torch.randn(8, 8, 3, 3, generator=generator) / 4 / weights_unit).round() * weights_unit
        return Convolution(weight.to(dtype), torch.full((8,), 8 * weights_unit, dtype=dtype), (1, 1), (1, 1), (1, 1))

    spiking = IntegrateAndFire(torch.tensor(threshold, dtype=dtype), torch.tensor(0.5, dtype=dtype), Relu())
    name = str(dtype).removeprefix("torch.")
    nodes = [
        Node("x", Input((8, 6, 6), name)),
        neurons(spiking, "x"),
        Node("first", convolution(), ("x.neurons",)),
        neurons(spiking, "first"),
    ]
    nodes += [
        Node("second", convolution(), ("first.neurons",)),
        Node("sum", Add(), ("second", "x.neurons")),
        neurons(spiking, "sum"),
    ]
    nodes += [Node("decoded", Integrator(), ("sum.neurons",))]
    inputs = (64 * torch.rand(5, 8, 6, 6, generator=generator)).round().to(dtype) / 64
    return Network({node.name: node for node in nodes}, {"output": "decoded"}), (inputs,)


@needs_bytes
def test_engines_agree_to_the_bit_on_networks_on_a_grid():
    network, inputs = grid_network(2.0**-8, 0.5)
    assert set(whole.whole_convolutions(network)) == {"first", "second"}
    steps = recorded(network, inputs, StepwiseEngine(), 20)
    assert sum(float(value.sum()) for (_, kind, name), value in steps.items() if kind == "totals") > 1000
    for engine in STRETCHES:
        layers = recorded(network, inputs, engine, 20)
        assert all(torch.equal(layers[key], value) for key, value in steps.items())


@pytest.mark.parametrize(
    ("unit", "threshold", "dtype"),
    [(2.0**-8, 0.3, torch.float32), (2.0**-20, 0.5, torch.float32), (2.0**-8, 0.5, torch.float64)],
)
def test_other_convolutions_stay_in_floats(unit, threshold, dtype):
    """Heights off the grid, weights of too many bits, and another precision."""
    assert whole.whole_convolutions(grid_network(unit, threshold, dtype)[0]) == {}


@pytest.mark.parametrize("shortcut_first", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (8, 1, 1)], ids=str)
def test_weighed_shortcuts_are_added_in_one_pass_with_the_same_bits(shape, shortcut_first):
    """The scale has few bits, so that its product with a height is exact; the currents have all bits of a float."""
    network, inputs = grid_network(2.0**-20 * 1.1, 0.75)
    scale = 1 + torch.randint(1, 2**10, shape) / 2.0**10
    shortcut = Node("shortcut", Affine(scale), ("x.neurons",))
    sources = ("shortcut", "second") if shortcut_first else ("second", "shortcut")
    nodes = {}
    for name, node in network.nodes.items():
        nodes |= {"shortcut": shortcut, "sum": dataclasses.replace(node, inputs=sources)} if name == "sum" else {name: node}
    network = Network(nodes, network.outputs)
    (join,) = joins(network).values()
    assert (join.first, join.shortcut, join.spikes) == ("second", "shortcut", "x.neurons")
    steps = recorded(network, inputs, StepwiseEngine(), 20)
    for engine in STRETCHES:
        layers = recorded(network, inputs, engine, 20)
        assert all(torch.equal(layers[key], value) for key, value in steps.items())


@pytest.mark.parametrize("op", [Affine(torch.tensor(0.3)), Affine(torch.tensor(0.5), torch.tensor(1.0)), Relu()])
def test_other_summands_are_computed_by_themselves(op):
    """A product that is rounded, a shift, no product."""
    network, _ = grid_network(2.0**-8, 0.3)
    nodes = {}
    for name, node in network.nodes.items():
        added = {
            "shortcut": Node("shortcut", op, ("x.neurons",)),
            "sum": dataclasses.replace(node, inputs=("second", "shortcut")),
        }
        nodes |= added if name == "sum" else {name: node}
    assert joins(Network(nodes, network.outputs)) == {}


def test_without_the_operators_convolutions_stay_in_floats(monkeypatch):
    monkeypatch.setattr(whole, "whole_convolution", lambda *_: (_ for _ in ()).throw(RuntimeError("no such operator")))
    assert not whole.available.__wrapped__()
    monkeypatch.setattr(whole, "available", lambda: False)
    assert whole.whole_convolutions(grid_network(2.0**-8, 0.5)[0]) == {}


def test_the_kernels_are_there_where_a_compiler_is():
    """Else all tests of the event engine would be skipped in silence."""
    if any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        assert "portable" in builds()
