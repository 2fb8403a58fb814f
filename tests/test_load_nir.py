"""NIR files of others: what they say is run as their equations say; what is damaged, hostile or unknown gets a sentence."""

from __future__ import annotations

import subprocess

import h5py
import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F

import transpike as tp
from transpike.errors import ArchiveError, DataError
from transpike.export import hdf5, read_events, write_events
from transpike.export.checking import play
from transpike.neurons import Delayed

STEPS = 20


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def written(tmp_path, *nodes, edges=None):
    path = tmp_path / "other.nir"
    graph = nir.NIRGraph.from_list(*nodes) if edges is None else nir.NIRGraph(nodes=dict(nodes), edges=edges)
    nir.write(path, graph)
    return path


def neurons(shape, threshold=0.7, **changes):
    ones = np.ones(shape, np.float32)
    return nir.IF(**{"r": ones, "v_threshold": ones * np.float32(threshold), "v_reset": ones * 0, **changes})


def literal(currents, threshold, reset):
    """The equation of NIR, in float32: v <- v + I; fire where v > threshold; then v <- 0 or v - threshold."""
    potential, trains = np.zeros_like(currents[0]), []
    for current in currents:
        potential = potential + current
        fired = potential > threshold
        potential = np.where(fired, 0 if reset == "zero" else potential - threshold, potential)
        trains.append(fired)
    return np.stack(trains)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("r", [1.0, 0.5])
def test_integrate_and_fire_neurons_follow_the_equation_of_nir(reset, r, tmp_path):
    shape = (3, 4)
    path = written(tmp_path, neurons(shape, 1.0, r=np.full(shape, r, np.float32)))
    network = tp.load_nir(path, reset=reset)
    stimulus = torch.from_numpy(np.round(draw(STEPS, 2, *shape) * 8) / 8)  # ties with the threshold, which must not fire
    expected = literal(stimulus.numpy() * np.float32(r), np.float32(1), reset)
    name = next(node.name for node in network.nodes.values() if "threshold" in dict(node.op.tensors()))
    assert (
        literal(stimulus.numpy() * np.float32(r), np.float32(1), reset) == play(network, stimulus, [name]).spikes[name].numpy()
    ).all()
    assert expected.any()


def test_linear_nodes_compute_what_nir_says(tmp_path):
    weight, bias, scale, dense = draw(4, 1, 3, 3), draw(4), draw(4, 5, 5), draw(6, 16)
    path = written(
        tmp_path,
        nir.Input({"input": np.array([1, 5, 5])}),
        nir.Conv2d((5, 5), weight, 1, "same", 1, 1, bias),
        nir.Scale(scale),
        nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.Flatten({"input": np.array([4, 2, 2])}, 0, -1),
        nir.Affine(dense, draw(6)),
        nir.Output({"output": np.array([6])}),
    )
    x = torch.rand(3, 1, 5, 5)
    y = F.conv2d(x, torch.from_numpy(weight), torch.from_numpy(bias), padding=1) * torch.from_numpy(scale)
    y = F.avg_pool2d(y, 2, divisor_override=1).flatten(1)
    y = F.linear(y, torch.from_numpy(dense), torch.from_numpy(draw(6)))
    found = tp.simulate(tp.load_nir(path), x, 2).outputs[-1]
    assert torch.allclose(found, y, rtol=1e-5, atol=1e-5)


def test_one_axis_means_delays_and_sums_of_edges(tmp_path):
    nodes = {
        "in": nir.Input({"input": np.array([2, 9])}),
        "conv": nir.Conv1d(9, draw(2, 2, 3), 1, 1, 1, 1, draw(2)),
        "late": nir.Delay(np.full((2, 9), 2e-3, np.float32)),
        "if": neurons((2, 9)),
        "out": nir.Output({"output": np.array([2, 9])}),
    }
    edges = [("in", "conv"), ("conv", "late"), ("conv", "if"), ("late", "if"), ("if", "out")]
    network = tp.load_nir(written(tmp_path, *nodes.items(), edges=edges))
    assert network.having(Delayed)[0].op.steps == 2
    x = torch.rand(3, 2, 9)
    current = F.conv1d(x, torch.from_numpy(nodes["conv"].weight), torch.from_numpy(nodes["conv"].bias), padding=1).numpy()
    currents = np.stack([current * (1 if t < 2 else 2) for t in range(STEPS)])
    found = tp.simulate(network, x, STEPS, record=tp.Record(spikes=["if"])).spikes["if"]
    assert (found.numpy() == literal(currents, np.float32(0.7), "zero")).mean() > 0.99  # a sum may round the other way


def test_leaky_neurons_settle_as_their_equation_does(tmp_path):
    """A constant current I above the rheobase fires every ceil(tau ln(RI / (RI - threshold)) / step) steps."""
    one = np.ones(5, np.float32)
    path = written(tmp_path, nir.LIF(tau=one * 0.02, r=one, v_leak=one * 0, v_threshold=one, v_reset=one * 0))
    network = tp.load_nir(path)
    assert "no-analogue" in {finding.kind for finding in network.findings}
    current = torch.tensor([[0.5, 1.3, 1.7, 2.9, 8.0]])
    name = next(
        name for name, node in network.nodes.items() if "IF" in type(node.op).__name__ or "Leaky" in type(node.op).__name__
    )
    train = tp.simulate(network, current, 200, record=tp.Record(spikes=[name])).spikes[name][:, 0]
    period = np.ceil(20 * np.log(current[0, 1:].numpy() / (current[0, 1:].numpy() - 1)))
    assert not train[:, 0].any()
    assert train[:, 1:].sum(0).tolist() == [int(200 // steps) for steps in period]


def test_networks_of_others_can_be_saved_and_have_an_ann(tmp_path):
    network = tp.load_nir(written(tmp_path, nir.Affine(draw(4, 3), draw(4)), neurons((4,)), nir.Affine(draw(2, 4), draw(2))))
    tp.save(network, tmp_path / "net")
    x = torch.rand(50, 3)
    report = tp.evaluate(None, tp.load(tmp_path / "net"), (x, torch.zeros(50, dtype=torch.long)), STEPS)
    assert report.checkpoints


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (nir.LI(*[np.ones(3, np.float32)] * 3), "leaky integrator"),
        (nir.CubaLIF(*[np.ones(3, np.float32)] * 5), "synapse"),
        (nir.I(np.ones(3, np.float32)), "potential at each step"),
        (nir.Threshold(np.ones(3, np.float32)), "fires without a state"),
        (neurons((3,), v_reset=np.full(3, 0.1, np.float32)), "another potential than 0"),
        (neurons((3,), -1.0), "not positive"),
        (neurons((3,), np.nan), "not finite"),
        (nir.Delay(np.array([1e-3, 2e-3, 1e-3], np.float32)), "differs from neuron to neuron"),
        (nir.Delay(np.full(3, 1.5e-3, np.float32)), "whole number"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nir.NIRNode) else value,
)
def test_what_has_no_form_here_is_refused_with_name_and_reason(node, reason, tmp_path):
    path = written(tmp_path, node)
    with pytest.raises(ArchiveError, match=reason) as caught:
        tp.load_nir(path)
    assert type(node).__name__.lower() in str(caught.value)


def test_loops_are_refused(tmp_path):
    nodes = {"in": nir.Input({"input": np.array([3])}), "if": neurons((3,)), "w": nir.Linear(draw(3, 3))}
    nodes["out"] = nir.Output({"output": np.array([3])})
    edges = [("in", "if"), ("if", "w"), ("w", "if"), ("if", "out")]
    with pytest.raises(ArchiveError, match="loop"):
        tp.load_nir(written(tmp_path, *nodes.items(), edges=edges))


def good(tmp_path):
    return written(tmp_path, nir.Affine(draw(4, 3), draw(4)), neurons((4,)))


def without(key):
    def change(file):
        del file[key]

    return change


def linked(file):
    del file["node/nodes/affine/weight"]
    file["node/nodes/affine/weight"] = h5py.ExternalLink("/etc/hostname", "/x")


def huge(file):
    del file["node/nodes/affine/weight"]
    file.create_dataset(
        "node/nodes/affine/weight", shape=(1 << 20, 1 << 14), dtype="f4", chunks=(1, 1 << 14), compression="gzip"
    )


def replaced(key, value):
    def change(file):
        del file[key]
        file[key] = value

    return change


DAMAGE = {
    "no graph": without("node"),
    "no nodes": without("node/nodes"),
    "no edges": without("node/edges"),
    "no weight": without("node/nodes/affine/weight"),
    "no type": without("node/nodes/affine/type"),
    "link": linked,
    "huge": huge,
    "text for numbers": replaced("node/nodes/affine/weight", "hello"),
    "wrong sizes": replaced("node/nodes/affine/weight", np.zeros((4, 7), np.float32)),
    "wrong axes": replaced("node/nodes/affine/weight", np.zeros((4, 3, 1), np.float32)),
    "unknown node": replaced("node/nodes/affine/type", "Pickle"),
    "edges to nowhere": replaced("node/edges", np.array([[b"input", b"nowhere"]])),
    "edges of three": replaced("node/edges", np.array([[b"input", b"if", b"if"]])),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_and_hostile_files_are_answered_by_a_sentence(name, tmp_path):
    path = good(tmp_path)
    with h5py.File(path, "r+") as file:
        DAMAGE[name](file)
    with pytest.raises(ArchiveError, match=r"other\.nir"):
        tp.load_nir(path)


@pytest.mark.parametrize("keep", [0, 10, 100, 1000, -100])
def test_truncated_files_are_answered_by_a_sentence(keep, tmp_path):
    path = good(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArchiveError):
        tp.load_nir(path)
    with pytest.raises(ArchiveError, match="Cannot read"):
        tp.load_nir(tmp_path / "missing.nir")


def test_files_that_crash_or_stall_the_library_are_answered_by_a_sentence(tmp_path, monkeypatch):
    path = good(tmp_path)
    monkeypatch.setattr(hdf5.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], -11))
    with pytest.raises(ArchiveError, match="crashes"):
        tp.load_nir(path)
    monkeypatch.undo()
    monkeypatch.setattr(hdf5, "PATIENCE", 1e-3)
    with pytest.raises(ArchiveError, match="more than"):
        tp.load_nir(path)


def trains(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.2


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".h5"])
def test_spike_trains_survive_a_file(suffix, tmp_path):
    given = trains(7, 3, 2, 4)
    write_events(tmp_path / f"spikes{suffix}", given)
    found = read_events(tmp_path / f"spikes{suffix}")
    assert torch.equal(found, given.flatten(2) if suffix == ".h5" else given)
    silent = torch.zeros(2, 1, 3, dtype=torch.bool)
    write_events(tmp_path / f"silent{suffix}", silent)
    assert torch.equal(read_events(tmp_path / f"silent{suffix}"), silent)


def test_events_of_nir_are_those_that_its_package_reads(tmp_path):
    given = trains(7, 3, 5)
    write_events(tmp_path / "spikes.h5", given)
    data = nir.read_data(str(tmp_path / "spikes.h5")).nodes["spikes"].observables["spikes"]
    assert (data.data == given.permute(1, 0, 2).numpy()).all()


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".h5"])
def test_damaged_events_are_answered_by_a_sentence(suffix, tmp_path):
    path = tmp_path / f"spikes{suffix}"
    write_events(path, trains(7, 3, 5))
    whole = path.read_bytes()
    for content in (b"", b"\0" * 50, whole[: len(whole) // 3], b"1,2,3\n"):
        path.write_bytes(content)
        with pytest.raises(ArchiveError, match="spikes"):
            read_events(path)
    (tmp_path / "far.csv").write_text("# time steps 2, samples 1, shape 3, events 1\nstep,sample,address\n5,0,0\n")
    with pytest.raises(ArchiveError, match="outside"):
        read_events(tmp_path / "far.csv")
    with pytest.raises(DataError, match="0 and 1"):
        write_events(path, torch.full((2, 1, 3), 0.5))
