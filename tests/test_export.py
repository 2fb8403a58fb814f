"""Export to NIR: what is written sends the spikes of the network it was written from, and what cannot be said is refused."""

from __future__ import annotations

import importlib.util
import itertools
import json
from functools import cache

import nir as package
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from typer.testing import CliRunner

import transpike as tp
from helpers import spiking_of
from transpike.capture import capture
from transpike.cli import app
from transpike.errors import ArgumentError, ExportError, MissingExtraError
from transpike.export import Compact, Portable
from transpike.export.adapters import chain_of, modules_of
from transpike.export.checking import play, stimulus_of
from transpike.export.elsewhere import Outcome, judged, quietly
from transpike.network.archive import save
from transpike.neurons import FirstToMargin, IntegrateAndFire, ResetToZero
from transpike.passes import DecodeOutputs, NormaliseOutputs

PROFILES = [Portable(currents=True), Compact(currents=True)]
STEPS = 12


class Residual(nn.Module):
    """Identity, strided and projecting shortcuts, one over two layers that change the size."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.c, self.d = nn.Conv2d(4, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=1)
        self.e, self.f = nn.Conv2d(8, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, padding=1)
        self.project = nn.Conv2d(8, 6, 1, 2)
        self.last = nn.Linear(6, 3)

    def forward(self, x):
        x = F.relu(self.first(x))
        x = F.relu(self.b(F.relu(self.a(x))) + x)
        x = F.relu(self.d(F.relu(self.c(x))) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)))
        x = F.relu(self.f(F.relu(self.e(x))) + self.project(x))
        return self.last(x.mean((2, 3)))


class Beside(nn.Module):
    """Branches side by side, joined, and a hidden layer that is read again two layers on."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3)
        self.a, self.b = nn.Conv2d(4, 3, 1), nn.Conv2d(4, 5, 3, padding=1)
        self.c = nn.Conv2d(12, 4, 3, padding=1)
        self.d, self.e, self.last = nn.Linear(4 * 36, 7), nn.Linear(7, 7), nn.Linear(7, 3)

    def forward(self, x):
        x = F.relu(self.first(x))
        x = F.relu(self.c(torch.cat([F.relu(self.a(x)), F.relu(self.b(x)), x], 1))).flatten(1)
        x = F.relu(self.d(x))
        return self.last(F.relu(self.e(x)) + x)


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 2), nn.Linear(5, 3)

    def forward(self, x):
        x = F.relu(self.body(x))
        return self.a(x), self.b(x)


MODELS = {
    "vector": lambda: nn.Sequential(nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)),
    "flattened": lambda: nn.Sequential(nn.Flatten(), nn.Linear(128, 8), nn.ReLU(), nn.Linear(8, 3)),
    "pools": lambda: nn.Sequential(
        *(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 2), nn.ReLU(), nn.AvgPool2d(3)),
        *(nn.Flatten(), nn.Linear(6, 3)),
    ),
    "groups and strides": lambda: nn.Sequential(
        *(nn.Conv2d(2, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, (1, 3), groups=4), nn.ReLU(), nn.Conv2d(4, 6, 2, dilation=1)),
        *(nn.ReLU(), nn.Flatten(), nn.Linear(18, 3)),
    ),
    "single places": lambda: nn.Sequential(
        *(nn.Conv2d(2, 4, 8), nn.ReLU(), nn.Conv2d(4, 5, 1), nn.ReLU(), nn.Flatten(), nn.Linear(5, 4), nn.ReLU()),
        nn.Linear(4, 3),
    ),
    "residual": Residual,
    "beside": Beside,
}


@cache
def analogue(name: str):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = MODELS[name]().eval()
        samples = torch.rand(40, *((9,) if name == "vector" else (2, 8, 8)))
        return capture(model, (samples,)), samples


def made(name: str, recipe="rate", time_steps=None, *, exact=False):
    network, samples = analogue(name)
    return spiking_of(network, samples, recipe, time_steps, exact=exact), samples[:3]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda one: one.name)
@pytest.mark.parametrize("name", MODELS)
def test_a_file_sends_the_spikes_of_the_network_bit_for_bit(name, profile, tmp_path):
    network, samples = made(name, exact=True)
    written = tp.export.nir(network, tmp_path / "net.nir", samples, profile=profile, time_steps=STEPS)
    assert written.identical
    assert written.spikes > 0
    assert written.trains == sum(x[0].numel() * 3 for x in counts_of(network, samples).values())
    assert "all spike trains" in written.words()


def counts_of(network, samples):
    names = [node.name for node in network.having(IntegrateAndFire)]
    return tp.simulate(network, samples, STEPS, record=tp.Record(counts=names)).counts


@pytest.mark.parametrize("name", MODELS)
def test_the_portable_profile_is_one_chain_of_what_every_loader_knows(name, tmp_path):
    network, samples = made(name, exact=True)
    tp.export.nir(network, tmp_path / "net.nir", samples, time_steps=2)
    graph = package.read(tmp_path / "net.nir")
    names = sorted(graph.nodes)
    assert sorted(graph.edges) == list(itertools.pairwise(names))
    for node in graph.nodes.values():
        assert isinstance(node, package.Input | package.Output | package.Conv2d | package.Affine | package.Flatten | package.IF)
        if isinstance(node, package.Conv2d):
            assert node.groups == 1
            assert node.weight.shape[2] == node.weight.shape[3]
        if isinstance(node, package.IF):
            assert np.unique(node.v_threshold).tolist() == [np.nextafter(np.float32(1), np.float32(0))]
            assert (node.r == 1).all()
            assert not node.v_reset.any()


def test_the_compact_profile_adds_edges_and_keeps_pools(tmp_path):
    network, samples = made("residual", exact=True)
    tp.export.nir(network, tmp_path / "net.nir", samples, profile=Compact(), time_steps=2)
    arriving = [after for _, after in package.read(tmp_path / "net.nir").edges]
    assert max(arriving.count(name) for name in arriving) == 2
    network, samples = made("pools", exact=True)
    tp.export.nir(network, tmp_path / "net.nir", samples, profile=Compact(), time_steps=2)
    pools = [node for node in package.read(tmp_path / "net.nir").nodes.values() if isinstance(node, package.SumPool2d)]
    assert [pool.kernel_size.tolist() for pool in pools] == [[2, 2], [3, 3]]


def test_first_potentials_enter_as_spikes(tmp_path):
    """A loader that starts from 0 gets them all the same: the stimulus of the first step has them."""
    network, samples = made("residual", "mmse", time_steps=STEPS)
    form = Portable().form(network)
    assert form.start
    stimulus = stimulus_of(form, samples, STEPS)
    assert stimulus.shape == (STEPS, 3, 3, 8, 8)
    assert (stimulus[0, :, -1] == 1).all()
    assert not stimulus[1:, :, -1].any()
    assert not any(node.op.initial.any() for node in form.network.having(IntegrateAndFire))


@pytest.mark.parametrize("profile", [Portable(), Compact()], ids=lambda one: one.name)
@pytest.mark.parametrize(
    "recipe", ["rate", "mmse", tp.recipes["rate"].with_input(tp.codings.Regular())], ids=["rate", "mmse", "spikes"]
)
def test_without_exact_arithmetic_sums_may_round_but_no_more(recipe, profile, tmp_path):
    """In float32 another order of a sum can move a spike that is due within the last bit; in 20,000 slots, few are."""
    network, samples = made("pools", recipe, time_steps=STEPS if recipe == "mmse" else None)
    written = tp.export.nir(network, tmp_path / "net.nir", samples, profile=profile, time_steps=STEPS)
    assert written.differing <= 0.01 * written.spikes


def test_what_is_left_out_is_named(tmp_path):
    network, samples = made("pools", exact=True)
    written = tp.export.nir(network, tmp_path / "net.nir", samples, time_steps=STEPS)
    assert len(written.left_out) == 1
    assert "rounding of the current" in written.left_out[0]
    probable, _ = made("pools", tp.recipes["rate"].with_output(DecodeOutputs(), NormaliseOutputs()))
    assert "Softmax" in tp.export.nir(probable, tmp_path / "net.nir", samples, time_steps=2).left_out[0]


def test_neurons_that_reset_to_zero_say_so(tmp_path):
    network, samples = made("pools", "reset-to-zero")
    written = tp.export.nir(network, tmp_path / "net.nir", samples, time_steps=STEPS)
    assert written.differing <= 0.01 * written.spikes
    assert len(tp.load_nir(tmp_path / "net.nir").having(ResetToZero)) == 2


@pytest.mark.parametrize("profile", PROFILES, ids=lambda one: one.name)
def test_the_stimulus_beside_the_file_gives_the_counts_beside_it(profile, tmp_path):
    network, samples = made("residual", exact=True)
    written = tp.export.nir(network, tmp_path / "net.nir", samples, profile=profile, time_steps=STEPS)
    with np.load(written.stimulus, allow_pickle=False) as file:
        found = {name: torch.from_numpy(file[name]) for name in file.files}
    counts = {name.removeprefix("counts/"): value for name, value in found.items() if name.startswith("counts/")}
    played = play(tp.load_nir(written.path), found["stimulus"], list(counts))
    assert all(torch.equal(played.spikes[name].sum(0), count) for name, count in counts.items())
    assert torch.equal(played.answer, found["answer"])
    assert torch.allclose(played.answer, tp.simulate(network, samples, STEPS).outputs[-1], rtol=0, atol=1e-4)


REFUSED = {
    "phase": "meaning by its time step",
    "few-spike": "meaning by its time step",
    "population-normal": "meaning by its time step",
    "burst": "several sizes",
    "burst-ls": "several sizes",
    "graded": "several sizes",
    "ternary": "negative or graded",
    "snm": "negative or graded",
    "dcgs": "negative or graded",
    "refractory": "refractory period",
    "lif": "rests after a spike",
    "ttfs-base": "fires once",
    "look-ahead": "looks at later steps",
    "srp": "has no node in NIR",
}


@pytest.mark.parametrize("recipe", REFUSED)
def test_what_nir_cannot_say_is_refused_with_place_and_reason(recipe, tmp_path):
    network, samples = made("vector", recipe, time_steps=tp.recipes[recipe].window or STEPS)
    with pytest.raises(ExportError, match=REFUSED[recipe]) as caught:
        tp.export.nir(network, tmp_path / "net.nir", samples)
    assert "of your model" in str(caught.value) or "'1'" in str(caught.value)
    assert not (tmp_path / "net.nir").exists()


@pytest.mark.parametrize(
    ("model", "shape", "reason"),
    [
        (nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)), (1, 8), "neither a vector nor an image"),
        (Heads(), (4,), "2 decoded outputs"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(2, 2, 3)), (1, 5, 5), "Upsample"),
    ],
    ids=["one axis", "two outputs", "upsampling"],
)
def test_shapes_that_have_no_form_are_refused(model, shape, reason, tmp_path):
    network = tp.convert(model.eval(), torch.rand(100, *shape))
    for profile in (Portable(), Compact()):
        with pytest.raises(ExportError, match=reason):
            tp.export.nir(network, tmp_path / "net.nir", profile=profile)


def test_layers_that_grow_need_the_compact_profile_if_potentials_do_not_start_from_0(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(98, 2)).eval()
    network = tp.convert(model, torch.rand(100, 1, 5, 5), exact=True)
    with pytest.raises(ExportError, match="start channel"):
        tp.export.nir(network, tmp_path / "net.nir")
    assert tp.export.nir(network, tmp_path / "net.nir", profile=Compact(currents=True)).identical


def test_an_early_exit_is_left_to_the_reader(tmp_path):
    network, samples = made("vector", tp.recipes["rate"].with_output(DecodeOutputs(FirstToMargin(0.5))))
    assert "FirstToMargin" in tp.export.nir(network, tmp_path / "net.nir", samples, time_steps=2).left_out[0]


class Cell(nn.Module):
    """A neuron as the adapters make it for other frameworks."""

    def __init__(self):
        super().__init__()
        self.potential = 0.0
        self.trains = []

    def forward(self, x):
        potential = self.potential + x
        spikes = (potential >= 1).float()
        self.potential = potential - spikes
        self.trains.append(spikes.bool())
        return spikes


@pytest.mark.parametrize("name", MODELS)
def test_the_modules_of_the_adapters_send_the_spikes_of_the_network(name, tmp_path):
    network, samples = made(name, exact=True)
    written = tp.export.nir(network, tmp_path / "net.nir", samples, time_steps=STEPS)
    form = Portable().form(network)
    stimulus = stimulus_of(form, samples, STEPS)
    names = [node.name for node in form.network.having(IntegrateAndFire)]
    expected = play(form.network, stimulus, names).spikes
    for source in (network, written.path):
        model = nn.Sequential(*modules_of(chain_of(source, None), lambda _: Cell()))
        for frame in stimulus:
            model(frame)
        cells = [part for part in model if isinstance(part, Cell)]
        assert all(torch.equal(torch.stack(c.trains), expected[n]) for c, n in zip(cells, names, strict=True))


def test_adapters_take_chains_only(tmp_path):
    network, samples = made("residual", exact=True)
    written = tp.export.nir(network, tmp_path / "net.nir", samples, profile=Compact(), time_steps=2)
    with pytest.raises(ExportError, match="no chain"):
        chain_of(written.path, None)


def trains_of(model, kind, run):
    """Return what each module whose class is named `kind` sends while `run(model)` runs."""
    found = {}
    for part in model.modules():
        if type(part).__name__ == kind:
            part.register_forward_hook(
                lambda one, _, out: found.setdefault(one, []).append(out[0] if isinstance(out, tuple) else out)
            )
    with torch.no_grad():
        run(model)
    return list(found.values())


def each_step(stimulus, *, state):
    def run(model):
        held = None
        for frame in stimulus:
            out = model(frame, held) if state else model(frame)
            held = out[1] if state else None

    return run


@pytest.mark.parametrize("framework", ["sinabs", "norse", "snntorch"])
def test_networks_of_other_frameworks_send_the_same_spikes(framework):
    """Runs where the framework is installed; it is no dependency, since what it needs may replace torch."""
    pytest.importorskip(framework)
    network, samples = made("residual", exact=True)
    form = Portable().form(network)
    stimulus = stimulus_of(form, samples, STEPS)
    names = [node.name for node in form.network.having(IntegrateAndFire)]
    expected = play(form.network, stimulus, names).spikes
    if framework == "sinabs":
        folded = stimulus.transpose(0, 1).flatten(0, 1)
        trains = trains_of(tp.export.to_sinabs(network, batch_size=3), "IAFSqueeze", lambda model: model(folded))
        found = [train.reshape(3, STEPS, *train.shape[1:]).transpose(0, 1) for (train,) in trains]
    elif framework == "norse":
        found = [torch.stack(t) for t in trains_of(tp.export.to_norse(network), "IAFCell", each_step(stimulus, state=True))]
    else:
        found = [torch.stack(t) for t in trains_of(tp.export.to_snntorch(network), "Exact", each_step(stimulus, state=False))]
    assert all(torch.equal(train.bool(), expected[name]) for train, name in zip(found, names, strict=True))


def test_the_table_of_programs_says_what_each_makes_of_a_file(tmp_path):
    """Adapters of what is installed give the spikes of the file; the rest is named as missing."""
    network, samples = made("residual", exact=True)
    tp.export.nir(network, tmp_path / "net.nir", samples, profile=Portable(currents=True), time_steps=STEPS)
    outcomes = tp.export.compatibility(tmp_path / "net.nir")
    assert [(one.program, one.way) for one in outcomes] == list(
        itertools.product(("sinabs", "norse", "snntorch"), ("adapter", "its own loader"))
    )
    for one in outcomes:
        installed = importlib.util.find_spec(one.program) is not None
        assert (one.version is not None) == installed
        if one.way == "adapter":
            assert one.outcome == ("identical" if installed else "not installed")
    (tmp_path / "net.stimulus.npz").unlink()
    with pytest.raises(ExportError, match="holds no stimulus"):
        tp.export.compatibility(tmp_path / "net.nir")


def test_a_way_to_run_a_file_is_judged_by_its_spikes():
    ours = [torch.zeros(4, 2, 3), torch.ones(4, 2, 3)]
    wrong = [ours[0], 1 - ours[1]]
    assert judged("p", "1", "w", [*ours], ours) == Outcome("p", "1", "w", "identical", 2, 2, 24, 0)
    assert judged("p", "1", "w", wrong, ours) == Outcome("p", "1", "w", "different", 1, 2, 0, 24)
    assert judged("p", "1", "w", ours[:1], ours).outcome == "not the layers of the file"
    assert quietly(lambda _: 1 / 0, ours[0]) == "ZeroDivisionError: division by zero"
    assert judged("p", "1", "w", "broken", ours).outcome == "broken"


def test_max_pools_and_models_are_refused(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 2)).eval()
    with pytest.raises(ExportError, match="max-pool"):
        tp.export.nir(tp.convert(model, torch.rand(100, 1, 8, 8)), tmp_path / "net.nir")
    with pytest.raises(ArgumentError, match="converted Network is needed"):
        tp.export.nir(model, tmp_path / "net.nir")
    with pytest.raises(ArgumentError, match="profile must be"):
        tp.export.nir(made("vector")[0], tmp_path / "net.nir", profile="portable")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("sinabs", lambda net: tp.export.to_sinabs(net, batch_size=3)),
        ("norse", tp.export.to_norse),
        ("snntorch", tp.export.to_snntorch),
    ],
)
def test_adapters_say_which_package_is_missing(name, make, monkeypatch):
    for module in (name, f"{name}.layers", f"{name}.torch"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingExtraError, match=f"needs the package {name}"):
        make(made("vector")[0])


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "nir", None)
    with pytest.raises(MissingExtraError, match=r"transpike\[nir\]"):
        tp.export.nir(made("vector")[0], tmp_path / "net.nir")


def test_the_command_line_writes_and_reads(tmp_path):
    network, _ = made("pools", exact=True)
    save(network, tmp_path / "net")
    run, place = CliRunner().invoke, str(tmp_path / "net.nir")
    result = run(app, ["export", "nir", str(tmp_path / "net"), "--output", place, "--currents", "--time-steps", "4", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["identical"] is True
    result = run(app, ["import", "nir", place, "--out", str(tmp_path / "back"), "--json"])
    assert result.exit_code == 0, result.output
    assert tp.load(tmp_path / "back").spiking
    assert run(app, ["export", "nir", str(tmp_path / "net"), "--output", place, "--profile", "tiny"]).exit_code == 2
