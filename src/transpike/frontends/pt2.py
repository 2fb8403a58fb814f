"""Programs of torch.export in `.pt2` files.

`torch.export.load` trusts its file: it unpickles sample inputs, custom objects and some weights, calls whatever function of
torch a node names, evaluates the formulas of sizes, and loads compiled libraries. So a file is read first without it, and a
copy of what is harmless (tensors as plain bytes, nodes that are operators of ATen or arithmetic of sizes) is what it loads.
"""

from __future__ import annotations

import io
import json
import math
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from transpike.capture import as_module
from transpike.errors import ArchiveError, ArgumentError, TranspikeError
from transpike.frontends.base import Form, LoadedModel
from transpike.frontends.zips import member, members

TARGET = re.compile(r"torch\.ops\.aten\.\w+\.\w+|_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|eq|ne|lt|le|gt|ge)")
SIZE_TARGET = re.compile(r"torch\.sym_(max|min|not|ite|int|float|sum)|math\.(floor|ceil|trunc)")
WORDS = {"Symbol", "Integer", "Mul", "Add", "Pow", "Max", "Min", "Mod", "FloorDiv", "CleanDiv", "CeilDiv", "PythonMod"}
WORDS |= {"integer", "positive", "nonnegative", "True", "False", "Eq", "Ne", "Le", "Lt", "Ge", "Gt", "Rational", "And", "Or"}
WORDS |= {"Equality", "Unequality", "LessThan", "StrictLessThan", "GreaterThan", "StrictGreaterThan", "oo", "int_oo", "Not"}
FORMULA = re.compile(r"[\w\s()*+\-/,<>=!.'&|~]*")
GRAPH = "models/model.json"
CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
ADVICE = "Export the model again with torch.export.save of a recent PyTorch."


def load(spec: str, weights: str | None = None) -> LoadedModel:
    """Return the module of an exported program; raises ArchiveError for files that are damaged, old, or could run code."""
    if weights is not None:
        raise ArgumentError(f"{spec} holds its weights itself: leave out --weights.")
    path = Path(spec)
    content = harmless(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(io.BytesIO(content))
    except Exception as error:  # noqa: BLE001 - a damaged file fails in many ways
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ArchiveError(f"{path} is damaged or was written by another version of PyTorch: {first}. {ADVICE}") from None
    try:
        return LoadedModel(as_module(program), "exported program (.pt2)")
    except TranspikeError:
        raise
    except Exception as error:  # noqa: BLE001 - a graph that contradicts itself fails in many ways
        raise ArchiveError(f"{path} is damaged: its graph contradicts itself ({type(error).__name__}).") from None


def harmless(path: Path) -> bytes:
    """Return a copy of a `.pt2` file without sample inputs, guards and whatever else could run code; refuse the rest."""
    sizes = members(path, ".pt2 file")
    roots = {name.split("/")[0] for name in sizes}
    root = next(iter(roots)) if len(roots) == 1 else ""
    if f"{root}/{GRAPH}" not in sizes:
        old = any(name.endswith("serialized_exported_program.json") for name in sizes)
        reason = "it has the old format, whose weights are pickled" if old else f"it holds no {GRAPH}"
        raise ArchiveError(f"{path} is refused: {reason}. {ADVICE}")
    kept: dict[str, bytes] = {}
    for name in sizes:
        inner = name.removeprefix(f"{root}/")
        if inner in CONFIGS:
            kept[name] = plain_tensors(path, name, sizes, f"{root}/{inner.rsplit('/', 1)[0]}/")
        elif inner == GRAPH:
            kept[name] = vetted(path, name)
        elif inner.startswith("data/sample_inputs/"):
            kept[name] = b""
        elif (
            re.fullmatch(r"data/(weights/weight|constants/tensor)_\d+", inner) or "/" not in inner or inner.startswith(".data/")
        ):
            kept[name] = member(path, name)
        else:
            raise ArchiveError(f"{path} is refused: its member {inner!r} is no tensor and could run code. {ADVICE}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name, content in kept.items():
            file.writestr(name, content)
    return buffer.getvalue()


def read_object(path: Path, name: str) -> dict[str, Any]:
    """Return the JSON object in a member."""
    try:
        value = json.loads(member(path, name))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise ArchiveError(f"{path} is damaged: its member {name!r} is not JSON.") from None
    if not isinstance(value, dict):
        raise ArchiveError(f"{path} is damaged: its member {name!r} holds no JSON object.")
    return value


def plain_tensors(path: Path, name: str, sizes: dict[str, int], folder: str) -> bytes:
    """Return a list of tensors if each is plain bytes that are there."""
    value = read_object(path, name)
    try:
        for key, entry in value["config"].items():
            if entry["use_pickle"] or not re.fullmatch(r"(weight|tensor)_\d+", entry["path_name"]):
                raise ArchiveError(
                    f"{path} is refused: {key!r} in it is pickled, so loading it could run code. Save a model of plain tensors."
                )
            shape = [size["as_int"] for size in entry["tensor_meta"]["sizes"]]
            if not sizes[folder + entry["path_name"]] and math.prod(shape):
                raise ArchiveError(f"{path} is damaged: {key!r} claims the shape {tuple(shape)} but holds nothing.")
    except (KeyError, TypeError, AttributeError):
        raise ArchiveError(f"{path} is damaged: its member {name!r} is no list of tensors.") from None
    return json.dumps(value).encode()


def vetted(path: Path, name: str) -> bytes:
    """Return the graph of a program if it is made of operators of ATen and of sizes, without guards, which are code."""
    value = read_object(path, name)
    value["guards_code"] = []
    for key, text, holder in texts(value):
        if key == "target" and "inputs" in holder and not allowed(text):
            raise ArchiveError(
                f"{path} is refused: its graph calls {text!r}, which is no operator of ATen: loading it could run code."
            )
        if key == "expr_str" and not formula(text):
            raise ArchiveError(f"{path} is refused: the size {text[:60]!r} in it is no formula of sizes: it could run code.")
        if key in {"in_spec", "out_spec"} and "default_factory" in text:
            raise ArchiveError(f"{path} is refused: its inputs or outputs name a function to import: it could run code.")
        if key == "source_fn_stack":
            holder.pop(key)
    return json.dumps(value).encode()


def texts(value: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each text in nested values with its key and the object that holds it."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += item.values()
            yield from ((key, text, item) for key, text in list(item.items()) if isinstance(text, str))
        elif isinstance(item, list):
            waiting += item


def allowed(target: str) -> bool:
    """Whether a node may call a function: an operator of ATen that touches no file, or arithmetic of sizes."""
    if TARGET.fullmatch(target):
        return target.split(".")[3:4] != ["from_file"]
    return bool(SIZE_TARGET.fullmatch(target))


def formula(text: str) -> bool:
    """Whether a text is a formula of sizes and nothing else."""
    words = re.findall(r"[A-Za-z_]\w*", text)
    known = all(word in WORDS or re.fullmatch(r"[suzf]\d+", word) for word in words)
    return bool(FORMULA.fullmatch(text)) and known and not re.search(r"\.\s*[A-Za-z_]", text)


FORM = Form("FILE.pt2", lambda spec: spec.endswith(".pt2"), load)
