"""Every form that a model comes in gives the same network, and says what its files know of labels and inputs."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import transpike as tp
from four_forms import plain_keras, plain_net, residual_keras, residual_net, spikes, write_onnx, write_pt2
from helpers import flat
from transpike.capture import as_module, capture
from transpike.capture.channels import channels_first
from transpike.cli import app
from transpike.errors import ArgumentError, CaptureError, MissingExtraError
from transpike.frontends import load_model
from transpike.network import Network, Node, forward
from transpike.ops import Add, Affine, Input, Largest, Mean, Pad, Permute, Relu
from transpike.preparation import Preparation, Scaling
from zoo import SMOOTH, TRANSFORMERS, ZOO
from zoo.features_layer import LAYER_FEATURES
from zoo.features_shape import SHAPE_FEATURES
from zoo.recurrent import RECURRENT

pytest.importorskip("onnx")
STEPS = 8


def test_one_network_in_four_forms_sends_the_same_spikes(tmp_path):
    """With batch norm, a residual block and max-pools, in exact arithmetic."""
    pytest.importorskip("keras")
    model, x = residual_net(), torch.rand(40, 1, 8, 8)
    last = x.permute(0, 2, 3, 1)
    residual_keras(model).save(tmp_path / "net.keras")
    files = {
        write_pt2(model, (x[:2],), tmp_path / "net.pt2"): ("exported program (.pt2)", x),
        write_onnx(model, (x[:1],), tmp_path / "net.onnx"): ("ONNX", x),
        tmp_path / "net.keras": ("Keras", last),
    }
    wanted = spikes(model, x, x[:4], STEPS)
    assert sum(int(train.count_nonzero()) for train in wanted[:-1]) > 1000
    for path, (form, samples) in files.items():
        loaded = load_model(str(path))
        assert loaded.form == form
        found = spikes(loaded.module, samples, samples[:4], STEPS)
        assert [torch.equal(a, b) for a, b in zip(found, wanted, strict=True)] == [True] * len(wanted)


def test_objects_convert_as_they_are():
    model, x = plain_net(), torch.rand(40, 1, 8, 8)
    program = torch.export.export(model, (x[:2],), dynamic_shapes=({0: torch.export.Dim("batch")},))
    network = tp.convert(program, x)
    places = [node.origin for node in tp.convert(model, x).nodes.values()]
    assert [node.origin for node in network.nodes.values()] == places
    labels = torch.randint(10, (40,))
    report = tp.evaluate(program, network, (x, labels), 8)
    assert report.accuracy == tp.evaluate(model, network, (x, labels), 8).accuracy
    assert tp.diagnose(program, network, (x, labels), 4).samples == 40


def test_programs_for_one_size_of_batch_are_opened_or_say_why_not():
    model, x = plain_net(), torch.rand(5, 1, 8, 8)
    module = as_module(torch.export.export(model, (x[:2],)))
    assert torch.equal(module(x), model(x))
    lstm = nn.LSTM(3, 4, batch_first=True).eval()
    with pytest.raises(ArgumentError, match="exported for batches of 2 samples, which its operator 'zeros' has fixed"):
        as_module(torch.export.export(lstm, (torch.rand(2, 5, 3),)))


def test_a_model_of_another_backend_is_refused(monkeypatch):
    keras = pytest.importorskip("keras")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ArgumentError, match="Keras runs on 'jax' here: set KERAS_BACKEND=torch"):
        as_module(plain_keras(plain_net()))


# What the exporter itself cannot write, or writes wrongly (it forgets the divisor of a pool).
LOST = {
    "sum-pool",
    "adaptive-max-pool-1d",
    "adaptive-average-pool-uneven",
    "threshold",
    "rms-norm",
    "decoder",
    "lstm-projected",
    "packed",
}
# What has no row, or mixes samples once the batch is fixed.
REFUSED = {"slice-assignment", "zeros-like", "local-response-norm", "word-at-the-end", "windows", "tagged", "normal-rnn"}
EXPORTED = {
    name: make
    for table in (ZOO, LAYER_FEATURES, SHAPE_FEATURES, SMOOTH, TRANSFORMERS, RECURRENT)
    for name, make in table.items()
    if name not in LOST | REFUSED and "qcfs" not in name and "clamped" not in name
}


@pytest.mark.parametrize("name", EXPORTED)
def test_onnx_files_compute_what_their_model_does(name, tmp_path):
    """For any size of the batch, although the file fixes it at one."""
    model, inputs = EXPORTED[name]()
    given = tuple(x[:3] for x in flat(inputs))
    path = write_onnx(model, tuple(x[:1] for x in given), tmp_path / "net.onnx", opset_version=17)
    with torch.inference_mode():
        for ours, theirs in zip(flat(load_model(str(path)).module(*given)), flat(model(*given)), strict=True):
            assert (ours - theirs).abs().max() <= 1e-4 * max(1.0, float(theirs.abs().max()))


@pytest.mark.parametrize("name", ["resnet", "gelu", "lstm"])
def test_onnx_files_are_captured(name, tmp_path):
    model, inputs = EXPORTED[name]()
    given = tuple(x[:3] for x in flat(inputs))
    module = load_model(str(write_onnx(model, tuple(x[:1] for x in given), tmp_path / "net.onnx", opset_version=17))).module
    kinds = [type(node.op).__name__ for node in capture(module, given).nodes.values()]
    assert kinds.count("Gelu") == [type(node.op).__name__ for node in capture(model, given).nodes.values()].count("Gelu")


def test_inspect_names_the_form(tmp_path):
    path = write_onnx(nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval(), (torch.rand(1, 4),), tmp_path / "net.onnx")
    assert "in the form: ONNX" in run("inspect", path, "--shape", "4")
    assert json.loads(run("inspect", path, "--shape", "4", "--json"))["form"] == "ONNX"


def test_every_operator_set_reads_its_own_attributes(tmp_path):
    x = torch.rand(3, 3, 8, 8)
    model, _ = ZOO["mobilenet-v2"]()
    for opset in (9, 11, 13, 18):
        path = write_onnx(model, (x[:1],), tmp_path / f"{opset}.onnx", opset_version=opset)
        assert torch.allclose(load_model(str(path)).module(x), model(x), atol=1e-4)


def test_scikit_learn_pipelines_answer_with_scores_and_know_their_labels(tmp_path):
    skl2onnx = pytest.importorskip("skl2onnx")
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    y = np.array(["ham", "jam", "yam"])[(x[:, 0] > 0).astype(int) + (x[:, 1] > 0)]
    pipe = make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=30, random_state=0)).fit(x, y)
    path = tmp_path / "pipe.onnx"
    path.write_bytes(skl2onnx.to_onnx(pipe, x[:1]).SerializeToString())
    loaded = load_model(str(path))
    assert loaded.preparation.labels == ("ham", "jam", "yam")
    np.testing.assert_allclose(loaded.module(torch.from_numpy(x)).numpy(), pipe.predict_proba(x), atol=1e-5)
    network = tp.convert(loaded.module, torch.from_numpy(x), time_steps=8)
    assert tp.simulate(network, torch.from_numpy(x), 8).outputs.shape == (8, 60, 3)


def test_channels_that_come_last_are_brought_to_the_front():
    """In channels-last a shift, a skip from the input, ReLU, a border, a mean over places: no permutation is left."""
    nodes = [
        Node("x", Input((4, 5, 3))),
        Node("first", Permute((0, 3, 1, 2)), ("x",)),
        Node("last", Permute((0, 2, 3, 1)), ("first",)),
        Node("shift", Affine(torch.tensor([1.0, 2.0, 3.0]), torch.rand(3)), ("last",)),
        Node("skip", Add(), ("shift", "x")),
        Node("relu", Relu(), ("skip",)),
        Node("pad", Pad((0, 0, 1, 2, 0, 1)), ("relu",)),
        Node("largest", Largest((3,), keepdim=True), ("pad",)),
        Node("mean", Mean((1, 2), keepdim=False), ("pad",)),
    ]
    network = Network({node.name: node for node in nodes}, {"mean": "mean", "largest": "largest", "pad": "pad"})
    changed = channels_first(network)
    inside = [node.name for node in changed.having(Relu, Mean)]
    assert inside == ["relu", "mean"]
    assert all(not isinstance(changed.nodes[source].op, Permute) for name in inside for source in changed.nodes[name].inputs)
    x = torch.rand(2, 4, 5, 3)
    for key, value in forward(network, [x]).items():
        assert torch.equal(forward(changed, [x])[key], value)


def hugging_face_resnet(folder):
    transformers = pytest.importorskip("transformers")
    names = {0: "cat", 1: "dog", 2: "cow"}
    sizes = {"num_channels": 3, "embedding_size": 8, "hidden_sizes": [8, 12], "depths": [1, 1], "layer_type": "basic"}
    config = transformers.ResNetConfig(**sizes, id2label=names, label2id={name: i for i, name in names.items()})
    transformers.ResNetForImageClassification(config).save_pretrained(folder)
    values = {
        "do_normalize": True,
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.25, 0.2],
        "size": {"height": 16, "width": 12},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(values))
    return folder


def hugging_face_bert(folder):
    transformers = pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "the"]
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.BertConfig(vocab_size=len(words), **sizes, max_position_embeddings=8)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def run(*arguments: object):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_hugging_face_resnet_converts_and_evaluates_by_one_command_line_each(tmp_path):
    folder = hugging_face_resnet(tmp_path / "resnet")
    np.savez(
        tmp_path / "data.npz", images=np.random.default_rng(0).random((20, 3, 16, 12), np.float32), labels=np.arange(20) % 3
    )
    run("convert", folder, "--data", tmp_path / "data.npz", "--out", tmp_path / "out")
    known = Preparation.load(tmp_path / "out")
    assert known == load_model(str(folder)).preparation
    assert known.scaling == Scaling((0.5, 0.4, 0.3), (0.2, 0.25, 0.2))
    assert (known.size, known.labels) == ((16, 12), ("cat", "dog", "cow"))
    given = ("evaluate", tmp_path / "out", "--data", tmp_path / "data.npz", "--time-steps", 4, "--json")
    own, stated = json.loads(run(*given)), json.loads(run(*given, "--mean", "0.5,0.4,0.3", "--std", "0.2,0.25,0.2"))
    assert own["checkpoints"] == stated["checkpoints"]


def test_a_hugging_face_bert_and_its_data_set_by_one_command_line_each(tmp_path):
    theirs = pytest.importorskip("datasets")
    folder = hugging_face_bert(tmp_path / "bert")
    rows = {"text": ["the good film", "the bad film", "good", "bad bad"] * 5, "label": [1, 0, 1, 0] * 5}
    splits = {split: theirs.Dataset.from_dict(rows) for split in ("train", "test")}
    theirs.DatasetDict(splits).save_to_disk(tmp_path / "reviews")
    run("convert", folder, "--data", tmp_path / "reviews", "--recipe", "differential", "--out", tmp_path / "out")
    known = Preparation.load(tmp_path / "out")
    assert (known.text, known.length) == (tmp_path / "out" / "tokenizer", 8)
    assert str(tmp_path) not in (tmp_path / "out" / "preparation.json").read_text()
    report = json.loads(run("evaluate", tmp_path / "out", "--data", tmp_path / "reviews", "--time-steps", 2, "--json"))
    assert report["samples"] == 20


def test_what_an_earlier_conversion_knew_is_forgotten(tmp_path):
    Preparation(size=(4, 4), labels=("a",)).save(tmp_path)
    assert Preparation.load(tmp_path).labels == ("a",)
    Preparation().save(tmp_path)
    assert Preparation.load(tmp_path) == Preparation()
    assert list(tmp_path.iterdir()) == []


def test_names_that_cannot_be_fetched_say_so_in_one_sentence(monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    pytest.importorskip("transformers")

    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    with pytest.raises(ArgumentError, match=r"neither in the cache nor can it be fetched \(OSError: no network\)"):
        load_model("nobody/nothing")


def test_models_of_timm_are_prepared_as_timm_says(monkeypatch):
    config = {"mean": (0.5,), "std": (0.25,), "input_size": (1, 8, 8)}
    fake = SimpleNamespace(
        is_model=lambda name: name == "plain",
        list_models=lambda pattern: ["plain"],
        create_model=lambda name, pretrained: plain_net(),
        data=SimpleNamespace(resolve_model_data_config=lambda model: config),
    )
    monkeypatch.setitem(sys.modules, "timm", fake)
    loaded = load_model("timm:plain")
    assert (loaded.form, loaded.preparation) == ("timm", Preparation(scaling=Scaling((0.5,), (0.25,)), size=(8, 8)))
    with pytest.raises(ArgumentError, match="timm has no model 'plan'"):
        load_model("timm:plan")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match="needs the packages timm and torchvision"):
        load_model("timm:plain")


def test_a_factory_may_give_a_keras_model_with_weights_of_its_own(tmp_path):
    pytest.importorskip("keras")
    (tmp_path / "nets.py").write_text(
        "from four_forms import plain_keras, plain_net\ndef net():\n    return plain_keras(plain_net())\n"
    )
    made = plain_keras(plain_net())
    made.set_weights([0.5 * weight for weight in made.get_weights()])
    made.save_weights(tmp_path / "half.weights.h5")
    loaded = load_model(f"{tmp_path / 'nets.py'}:net", str(tmp_path / "half.weights.h5"))
    x = torch.rand(2, 8, 8, 1)
    assert torch.equal(loaded.module(x), as_module(made)(x))
    with pytest.raises(ArgumentError, match="Weights of a Keras model come in"):
        load_model(f"{tmp_path / 'nets.py'}:net", "half.pt")


def test_a_name_that_is_no_form_lists_them():
    with pytest.raises(ArgumentError, match=r"must be package.module:factory .*FILE.onnx, FILE.pt2, FILE.keras"):
        load_model("something")


def test_operators_without_a_row_name_their_place(tmp_path):
    class Sorted(nn.Module):
        def forward(self, x):
            return torch.topk(x, 2)[0]

    path = write_onnx(Sorted().eval(), (torch.rand(1, 4),), tmp_path / "net.onnx")
    with pytest.raises(
        CaptureError, match=r"ONNX node '/TopK' of type TopK \(operator set \d+\) cannot be read: there is no row"
    ):
        load_model(str(path))


def test_casts_make_the_kind_of_numbers_that_they_name(tmp_path):
    class Chosen(nn.Module):
        def forward(self, x):
            return torch.where(x.bool(), x.long().float(), -1.0)

    x = torch.tensor([[0.0, 1.5], [2.5, 0.0]])
    path = write_onnx(Chosen().eval(), (x[:1],), tmp_path / "net.onnx", opset_version=17)
    assert load_model(str(path)).module(x).tolist() == [[-1.0, 1.0], [2.0, -1.0]]
