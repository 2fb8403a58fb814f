"""The Brian2 export: its arrays, run by the rules of Brian2's clock in plain loops, give the spikes of the network."""

from __future__ import annotations

import ast
import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import transpike as tp
from helpers import converted
from transpike.cli import app
from transpike.errors import ArgumentError, ExportError
from transpike.neurons import Neuron

SAMPLES, STEPS = 3, 14


def written(network, inputs, folder):
    found = tp.export.brian2(network, folder / "net.py", tuple(x[:SAMPLES] for x in inputs), time_steps=STEPS)
    with np.load(found.arrays) as file:
        return found, dict(file)


def run_by_ticks(arrays, sample):
    """One sample tick by tick, in the script's order: state, thresholds, resets, synapses. Returns trains and the answer."""
    numbers = sorted({int(key.split("/")[1]) for key in arrays if key.startswith("layer/")})
    firing = [number for number in numbers if f"layer/{number}/threshold" in arrays]
    (read_out,) = set(numbers) - set(firing)
    starts = {n: int(arrays[f"layer/{n}/depth"]) - 1 - (n == read_out) for n in numbers}
    v = {n: arrays[f"layer/{n}/initial"].copy() for n in firing}
    v[read_out] = np.zeros(arrays[f"layer/{read_out}/current"].shape[1])
    underway, trains = {}, {n: np.zeros((STEPS, len(v[n])), bool) for n in firing}
    for tick in range(STEPS + starts[read_out]):
        for n in numbers:
            v[n] += arrays[f"layer/{n}/current"][sample] * (tick >= starts[n])
        fired = {n: v[n] >= arrays[f"layer/{n}/threshold"] for n in firing}
        for key in [key for key in arrays if key.startswith("synapses/") and key.endswith("/w")]:
            _, source, target, _ = key.split("/")
            base = key.removesuffix("/w")
            due = underway.setdefault((tick + int(arrays[f"{base}/delay"]), int(target)), np.zeros(len(v[int(target)])))
            sends = fired[int(source)][arrays[f"{base}/i"]]
            np.add.at(due, arrays[f"{base}/j"][sends], arrays[key][sends])
        for n in firing:
            kept = 0.0 if arrays[f"layer/{n}/to_zero"] else v[n] - arrays[f"layer/{n}/threshold"]
            v[n] = np.where(fired[n], kept, v[n])
            if 0 <= tick - starts[n] < STEPS:
                trains[n][tick - starts[n]] = fired[n]
        for n in numbers:
            v[n] += underway.pop((tick, n), 0.0)
    return trains, v[read_out] / STEPS


@pytest.mark.parametrize("recipe", ["rate", "reset-to-zero"])
@pytest.mark.parametrize("name", ["mlp", "resnet", "in-place"])
def test_the_script_s_arrays_give_the_spikes_of_the_network(name, recipe, tmp_path):
    inputs, network = converted(name, tp.recipes[recipe])
    _, arrays = written(network, inputs, tmp_path)
    record = tp.Record(spikes=[node.name for node in network.having(Neuron)])
    run = tp.simulate(network, tuple(x[:SAMPLES] for x in inputs), STEPS, record=record)
    names = {str(arrays[key]): int(key.split("/")[1]) for key in arrays if key.endswith("/name")}
    for sample in range(SAMPLES):
        trains, answer = run_by_ticks(arrays, sample)
        for node in record.spikes:
            ours = run.spikes[node][:, sample].flatten(1).numpy()
            assert np.array_equal(trains[names[node]], ours)
            assert np.array_equal(arrays[f"expected/{names[node]}"][:, sample], ours)
        np.testing.assert_allclose(answer, run.outputs[-1, sample].flatten(), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(arrays["expected/answer"][sample].flatten(), answer, rtol=1e-9, atol=1e-9)


def test_the_script_is_python_that_needs_brian2_alone(tmp_path):
    inputs, network = converted("mlp", tp.recipes["rate"])
    found, arrays = written(network, inputs, tmp_path)
    tree = ast.parse(found.path.read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"argparse", "brian2", "numpy"}
    assert found.synapses == sum(len(arrays[key]) for key in arrays if key.endswith("/w"))
    assert str(found.neurons) in found.words()


def test_what_has_no_script_is_refused_with_its_place(tmp_path):
    for code, words in (("ternary", "Ternary"), ("phase", "Phase"), ("lif", "PreciseLeaky")):
        inputs, network = converted("mlp", tp.recipes[code], 8)
        with pytest.raises(ExportError, match=words):
            written(network, inputs, tmp_path)
    inputs, network = converted("lenet", tp.recipes["rate"])
    with pytest.raises(ExportError, match="max-pool"):
        written(network, inputs, tmp_path)
    _, network = converted("lenet", tp.recipes["thesis-extended"])
    with pytest.raises(ExportError, match="step"):
        tp.export.brian2(network, tmp_path / "net.py")
    with pytest.raises(ArgumentError, match="time_steps"):
        tp.export.brian2(network, tmp_path / "net.py", time_steps=0)


def test_the_command_line_writes_a_script(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10)).eval()
    tp.save(tp.convert(model, torch.rand(300, 1, 8, 8)), tmp_path / "net")
    arguments = ["export", "brian2", str(tmp_path / "net"), "--output", str(tmp_path / "it.py"), "--time-steps", "5", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["neurons"] == 16
    assert (tmp_path / "it.npz").exists()
