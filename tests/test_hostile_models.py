"""Model files that are damaged, hostile or not what they seem: each is answered by its sentence, and nothing in it runs."""

from __future__ import annotations

import functools
import io
import json
import pickle
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from four_forms import plain_keras, plain_net, write_pt2
from transpike.errors import ArchiveError, ArgumentError, CaptureError, TranspikeError
from transpike.frontends import load_model
from transpike.frontends.onnx.graph import OnnxNode
from transpike.frontends.pt2 import allowed, formula

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

FLOAT = TensorProto.FLOAT


class Canary:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, place: Path):
        self.place = place

    def __reduce__(self):
        return (Path.touch, (self.place,))


def written_onnx(
    path: Path, nodes: list, *weights, outputs=("y",), inputs=("x",), opset: int = 17, name: str = "net.onnx"
) -> Path:
    values = [helper.make_tensor_value_info(each, FLOAT, ["n", 4]) for each in inputs]
    answers = [helper.make_tensor_value_info(each, FLOAT, None) for each in outputs]
    graph = helper.make_graph(nodes, "g", values, answers, list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("theirs", 1)])
    (path / name).write_bytes(model.SerializeToString())
    return path / name


def matrix(name: str = "w") -> TensorProto:
    return numpy_helper.from_array(np.eye(4, dtype=np.float32), name)


def outside(path: Path, location: str) -> Path:
    """An ONNX file whose weights lie in another file."""
    secret = path / "secret.bin"
    secret.write_bytes(bytes(64))
    folder = path / "model"
    folder.mkdir()
    (folder / "link.bin").symlink_to(secret)
    (folder / "short.bin").write_bytes(bytes(8))
    weight = TensorProto(name="w", dims=[4, 4], data_type=FLOAT, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location.format(secret=secret)), ("length", "64")):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    return written_onnx(folder, [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], weight)


def truncated(path: Path) -> Path:
    file = written_onnx(path, [helper.make_node("MatMul", ["x", "w"], ["y"])], matrix())
    file.write_bytes(file.read_bytes()[:-30])
    return file


def claiming(path: Path) -> Path:
    weight = matrix()
    weight.dims[:] = [2**20, 2**20]
    return written_onnx(path, [helper.make_node("MatMul", ["x", "w"], ["y"])], weight)


def filling(path: Path) -> Path:
    shape = numpy_helper.from_array(np.array([2**20, 2**20]), "shape")
    return written_onnx(
        path,
        [helper.make_node("ConstantOfShape", ["shape"], ["big"], name="filler"), helper.make_node("Add", ["x", "big"], ["y"])],
        shape,
    )


def branching(path: Path) -> Path:
    branch = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["z"])], "b", [], [helper.make_tensor_value_info("z", FLOAT, None)]
    )
    return written_onnx(path, [helper.make_node("If", ["x"], ["y"], name="fork", then_branch=branch, else_branch=branch)])


def foreign(path: Path) -> Path:
    return written_onnx(path, [helper.make_node("Magic", ["x"], ["y"], name="trick", domain="theirs")])


def picture(path: Path) -> Path:
    (path / "net.onnx").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    return path / "net.onnx"


ONNX = {
    "truncated": (truncated, "is damaged or no ONNX file"),
    "a picture": (picture, "is damaged or no ONNX file"),
    "data above": (lambda path: outside(path, "../secret.bin"), "lies in '../secret.bin', outside the folder of the model"),
    "data elsewhere": (lambda path: outside(path, "{secret}"), "outside the folder of the model"),
    "data behind a link": (lambda path: outside(path, "link.bin"), "lies in 'link.bin', outside the folder of the model"),
    "short data": (lambda path: outside(path, "short.bin"), "has 8 bytes, but tensor 'w' ends at 64"),
    "absurd shape": (claiming, "claims the shape (1048576, 1048576) but holds fewer values"),
    "absurd constant": (
        filling,
        "ONNX node 'filler' of type ConstantOfShape (operator set 17) cannot be read: it asks for 1099511627776",
    ),
    "branch": (branching, "ONNX node 'fork' holds a graph of its own"),
    "operator of its own": (foreign, "ONNX node 'trick' of type theirs.Magic"),
}


@functools.cache
def good(name: str) -> dict[str, bytes]:
    """The members of a good file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        if name.endswith(".pt2"):
            write_pt2(plain_net(), (torch.rand(2, 1, 8, 8),), path)
        else:
            plain_keras(plain_net()).save(path)
        with zipfile.ZipFile(path) as file:
            return {one.filename: file.read(one) for one in file.infolist()}


def repacked(path: Path, change, name: str = "net.pt2") -> Path:
    """An exported program with its members changed by `change(members)`, a mapping of names to bytes."""
    members = dict(good("net.pt2"))
    change(members, next(iter(members)).split("/")[0])
    with zipfile.ZipFile(path / name, "w") as file:
        for member, content in members.items():
            file.writestr(member, content)
    return path / name


def with_json(member: str, edit):
    def change(members, root):
        value = json.loads(members[f"{root}/{member}"])
        edit(value)
        members[f"{root}/{member}"] = json.dumps(value).encode()

    return change


def first_node(key: str, text: str):
    return with_json("models/model.json", lambda value: value["graph_module"]["graph"]["nodes"][0].update({key: text}))


def sized(value) -> None:
    sizes = value["graph_module"]["graph"]["tensor_values"]["x" if "x" in value else "input"]["sizes"]
    sizes[0] = {"as_expr": {"expr_str": "__import__('os').getpid()", "hint": None}}


def pickled_weight(value) -> None:
    next(iter(value["config"].values()))["use_pickle"] = True


def old(members, root) -> None:
    graph = members.pop(f"{root}/models/model.json")
    members[f"{root}/serialized_exported_program.json"] = graph


def cut(path: Path) -> Path:
    file = repacked(path, lambda members, root: None)
    file.write_bytes(file.read_bytes()[:2000])
    return file


PT2 = {
    "truncated": (cut, "it is no ZIP file that can be read"),
    "a call of torch.load": (lambda p: repacked(p, first_node("target", "torch.load")), "its graph calls 'torch.load'"),
    "a call that reads a file": (
        lambda p: repacked(p, first_node("target", "torch.ops.aten.from_file.default")),
        "its graph calls 'torch.ops.aten.from_file.default'",
    ),
    "code for a size": (lambda p: repacked(p, with_json("models/model.json", sized)), "is no formula of sizes"),
    "a pickled weight": (
        lambda p: repacked(p, with_json("data/weights/model_weights_config.json", pickled_weight)),
        "is pickled",
    ),
    "a compiled library": (
        lambda p: repacked(p, lambda m, root: m.update({f"{root}/data/aotinductor/m/m.so": b"x"})),
        "could run code",
    ),
    "the old format": (lambda p: repacked(p, old), "it has the old format, whose weights are pickled"),
}


def keras_file(path: Path, change, *, compression: int = zipfile.ZIP_STORED) -> Path:
    pytest.importorskip("keras")
    members = dict(good("net.keras"))
    change(members)
    with zipfile.ZipFile(path / "net.keras", "w", compression) as file:
        for member, content in members.items():
            file.writestr(member, content)
    return path / "net.keras"


def layer(**values):
    def change(members) -> None:
        config = json.loads(members["config.json"])
        config["config"]["layers"][1].update(values)
        members["config.json"] = json.dumps(config).encode()

    return change


def legacy(path: Path) -> Path:
    (path / "net.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    return path / "net.h5"


KERAS = {
    "a Lambda layer": (lambda p: keras_file(p, layer(class_name="Lambda")), "(Lambda) holds Python code of its writer"),
    "a pickled module": (lambda p: keras_file(p, layer(class_name="TorchModuleWrapper")), "holds a pickled module"),
    "a class of its own": (
        lambda p: keras_file(p, layer(class_name="Mine", module="theirs")),
        "a Mine of theirs, a class of the writer's own",
    ),
    "a member above": (
        lambda p: keras_file(p, lambda m: m.update({"../up.txt": b"x"})),
        "its member '../up.txt' would lie outside",
    ),
    "a bomb": (
        lambda p: keras_file(p, lambda m: m.update({"big": bytes(10**8)}), compression=zipfile.ZIP_DEFLATED),
        "claim to unpack to",
    ),
    "an incomplete file": (lambda p: keras_file(p, lambda m: m.pop("model.weights.h5")), "it holds no model.weights.h5"),
    "damaged weights": (
        lambda p: keras_file(p, lambda m: m.update({"model.weights.h5": b"junk"})),
        "is damaged or uses what Keras",
    ),
    "the old format": (legacy, "models are read from .keras files"),
}


def hf_folder(path: Path, config: dict, *files: str) -> Path:
    pytest.importorskip("transformers")
    (path / "config.json").write_text(json.dumps(config))
    for name in files:
        (path / name).write_bytes(b"junk")
    return path


BERT = {"architectures": ["BertModel"], "model_type": "bert"}


def sharded(path: Path) -> Path:
    folder = hf_folder(path, BERT)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": "../../etc/passwd"}}))
    return folder


HUGGING_FACE = {
    "pickled weights": (lambda p: hf_folder(p, BERT, "pytorch_model.bin"), "but only pytorch_model.bin, which is pickled"),
    "code of its own": (
        lambda p: hf_folder(p, {**BERT, "auto_map": {}}, "model.safetensors"),
        "asks to run Python code from its files",
    ),
    "an unknown class": (lambda p: hf_folder(p, {"architectures": ["os"]}, "model.safetensors"), "names the architecture 'os'"),
    "weights above": (sharded, "its weights lie in '../../etc/passwd'"),
    "damaged weights": (lambda p: hf_folder(p, BERT, "model.safetensors"), "is damaged or does not fit its configuration"),
}

FILES = {
    f"{form}, {name}": case
    for form, cases in {"ONNX": ONNX, "pt2": PT2, "Keras": KERAS, "Hugging Face": HUGGING_FACE}.items()
    for name, case in cases.items()
}


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_answered_by_its_sentence(name, tmp_path):
    make, sentence = FILES[name]
    path = make(tmp_path)
    with pytest.raises((ArchiveError, ArgumentError, CaptureError)) as caught:
        load_model(str(path))
    assert sentence in str(caught.value)


def test_there_are_enough_of_them():
    assert len(FILES) >= 20


def test_pickles_in_sample_inputs_are_not_even_read(tmp_path):
    canary = tmp_path / "ran"
    content = io.BytesIO()
    torch.save((Canary(canary),), content)

    def change(members, root) -> None:
        members[f"{root}/data/sample_inputs/model.pt"] = content.getvalue()
        graph = json.loads(members[f"{root}/models/model.json"])
        graph["guards_code"] = [f"__import__('pathlib').Path({str(canary)!r}).touch()"]
        members[f"{root}/models/model.json"] = json.dumps(graph).encode()

    x = torch.rand(3, 1, 8, 8)
    loaded = load_model(str(repacked(tmp_path, change)))
    assert torch.equal(loaded.module(x), plain_net()(x))
    assert not canary.exists()


def test_a_pickled_checkpoint_is_refused(tmp_path):
    (tmp_path / "net.pt").write_bytes(pickle.dumps(Canary(tmp_path / "ran")))
    source = "from torch import nn\ndef net():\n    return nn.Linear(2, 2)\n"
    (tmp_path / "net.py").write_text(source)
    with pytest.raises(TranspikeError):
        load_model(f"{tmp_path / 'net.py'}:net", str(tmp_path / "net.pt"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "target", ["torch.load", "torch.hub.load", "os.system", "#ext", "torch.ops.aten.from_file.out", "math.__loader__"]
)
def test_calls_that_programs_may_not_make(target):
    assert not allowed(target)


@pytest.mark.parametrize(
    "text", ["open('x')", "s0.__class__", "__import__('os')", "(lambda: 0)()", "s0 if s1 else s2", "exec('1')"]
)
def test_formulas_that_are_code(text):
    assert not formula(text)


@pytest.mark.parametrize(
    "text", ["s77", "Symbol('s77', positive=True, integer=True)", "Mul(Integer(2), Symbol('s0'))", "4*s0 + 1"]
)
def test_formulas_that_are_sizes(text):
    assert formula(text)


def test_weights_beside_a_file_that_has_its_own_are_refused(tmp_path):
    shutil.copy(write_pt2(nn.Linear(2, 2).eval(), (torch.rand(2, 2),), tmp_path / "a.pt2"), tmp_path / "b.pt2")
    with pytest.raises(ArgumentError, match="holds its weights itself"):
        load_model(str(tmp_path / "b.pt2"), "w.safetensors")


def test_a_node_says_its_name_type_and_place():
    node = OnnxNode("Conv", "block/Conv", ("x",), ("y",), {}, 17)
    assert str(node.refusal("so", "Do.")) == "ONNX node 'block/Conv' of type Conv (operator set 17) cannot be read: so. Do."
