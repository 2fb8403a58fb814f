"""Saved networks give the same spikes, and damaged ones are refused."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
import torch
from torch import nn

import transpike as tp
from helpers import ANALOGUE, MODELS, converted, quick, same_network, subject
from transpike.errors import ArchiveError
from transpike.network import archive


@pytest.fixture(scope="module")
def poisson():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 4)).eval()
    return tp.convert(model, torch.rand(40, 1, 6, 6), tp.recipes["rate"].poisson(seed=3))


@pytest.fixture
def saved(poisson, tmp_path):
    tp.save(poisson, tmp_path / "net")
    return poisson, tmp_path / "net"


@pytest.mark.parametrize("name", quick(MODELS))
def test_every_network_comes_back_the_same(name, tmp_path):
    inputs, network = converted(name, tp.recipes["rate"])
    tp.save(network, tmp_path / "net")
    loaded = tp.load(tmp_path / "net")
    assert same_network(network, loaded)
    assert loaded.findings == network.findings
    assert loaded.method == network.method
    before, after = (tp.simulate(n, tuple(inputs), 12) for n in (network, loaded))
    pairs = [(before.outputs, after.outputs)] if isinstance(before.outputs, torch.Tensor) else []
    pairs = pairs or [(before.outputs[key], after.outputs[key]) for key in before.outputs]
    assert all(torch.equal(a, b) for a, b in pairs)
    assert all(torch.equal(count, after.spike_counts[name]) for name, count in before.spike_counts.items())


@pytest.mark.parametrize("name", quick(ANALOGUE))
def test_every_captured_network_comes_back_the_same(name, tmp_path):
    _, _, network = subject(name)
    tp.save(network, tmp_path / "net")
    assert same_network(network, tp.load(tmp_path / "net"))


def test_random_input_spikes_come_back_too(saved):
    network, folder = saved
    x = torch.rand(5, 1, 6, 6)
    assert torch.equal(tp.simulate(network, x, 20).outputs, tp.simulate(tp.load(folder), x, 20).outputs)


def edited(folder, change):
    path = folder / archive.GRAPH
    graph = json.loads(path.read_text())
    change(graph)
    path.write_text(json.dumps(graph))


def test_a_newer_version_asks_for_an_update(saved):
    edited(saved[1], lambda graph: graph.update(format=archive.FORMAT + 1))
    with pytest.raises(ArchiveError, match="newer Transpike: update it"):
        tp.load(saved[1])


@pytest.mark.parametrize("file", [archive.GRAPH, archive.TENSORS])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_truncated_files_are_refused(saved, file, keep):
    path = saved[1] / file
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ArchiveError, match=r"damaged|truncated"):
        tp.load(saved[1])


def test_a_flipped_bit_in_the_tensors_is_refused(saved):
    path = saved[1] / archive.TENSORS
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="truncated or edited"):
        tp.load(saved[1])


@pytest.mark.parametrize(
    "change",
    [
        lambda graph: graph["nodes"][1]["op"].update(kind="Popen"),
        lambda graph: graph["nodes"][1].update(inputs=["nobody"]),
        lambda graph: graph["nodes"].pop(1),
        lambda graph: graph["nodes"][2]["op"].pop("stride"),
        lambda graph: graph.update(outputs={"output": "nobody"}),
        lambda graph: graph.pop("nodes"),
        lambda graph: graph.update(nodes=[1, 2]),
        lambda graph: graph.update(format="x"),
    ],
)
def test_edited_graphs_are_refused(saved, change):
    edited(saved[1], change)
    with pytest.raises(ArchiveError):
        tp.load(saved[1])


def test_a_folder_without_a_network_says_how_to_make_one(tmp_path):
    with pytest.raises(ArchiveError, match=r"network\.json is missing"):
        tp.load(tmp_path)


def test_a_full_disk_leaves_nothing_behind_and_the_old_network_in_place(saved, monkeypatch):
    network, folder = saved
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ArchiveError, match="No space left on device"):
        tp.save(network, folder)
    with pytest.raises(ArchiveError, match="No space left on device"):
        tp.save(network, folder.parent / "other")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_file_in_the_way_is_named(saved, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ArchiveError, match="in the way"):
        tp.save(saved[0], tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_interrupt_while_saving_leaves_nothing(saved, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tp.save(saved[0], saved[1].parent / "other")
    assert [path.name for path in saved[1].parent.iterdir()] == [saved[1].name]
