"""Models of Hugging Face's transformers: a directory, or a name on the hub that comes to be one."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from transpike.capture import named
from transpike.errors import ArchiveError, ArgumentError, require
from transpike.files import read_json
from transpike.frontends.base import Form, LoadedModel
from transpike.frontends.huggingface.folders import CONFIG, INDEX, WEIGHTS, preparation_of
from transpike.frontends.weights import fill, read_weights

PREFIX = "hf:"
NAME = re.compile(r"[\w.-]+/[\w.-]+")
WHAT = "Reading models of Hugging Face"
FETCHED = ("*.json", "*.safetensors", "*.txt", "*.model")
INPUTS = {"input_ids": ("input_ids", "attention_mask")}
ANSWERS = ("logits", "pred_boxes", "pred_masks", "masks_queries_logits", "class_queries_logits")
STATES = ("image_embeds", "text_embeds", "last_hidden_state")


def is_folder(spec: str) -> bool:
    """Whether a model is named by a directory."""
    return Path(spec).is_dir()


def is_name(spec: str) -> bool:
    """Whether a model is named as on the hub: owner/name, or hf: and a name."""
    return spec.startswith(PREFIX) or bool(NAME.fullmatch(spec))


def load(spec: str, weights: str | None = None) -> LoadedModel:
    """Return the model in a directory of config.json and safetensors, with labels, scaling and tokenizer from its files.

    A name on the hub is fetched into the library's own cache first, or taken from there; only configurations, safetensors and
    vocabularies are. Its class is the first of `architectures` in its configuration, which must be one of transformers's
    own. It answers with its logits (detectors with boxes too, encoders with their last states). Raises ArchiveError for
    pickled weights, code of the writer's own and files that are damaged or do not fit, ArgumentError where a name is not found.
    """
    transformers = require("transformers", "hf", WHAT)
    folder, form = (Path(spec), "Hugging Face directory") if is_folder(spec) else (fetched(spec), "Hugging Face hub")
    config = read_json(folder / CONFIG, "configuration")
    kind = class_of(config, folder, transformers)
    check_weights(folder, need=weights is None)
    if weights is None:
        model = from_folder(kind, folder)
    else:
        model = kind(kind.config_class.from_pretrained(str(folder), local_files_only=True))
        fill(model, read_weights(Path(weights)), weights)
    model = model.float().eval()
    model.config.use_cache = False
    names = INPUTS.get(model.main_input_name, (model.main_input_name,))
    return LoadedModel(named(Answering(model), list(names)).eval(), form, preparation_of(folder, config))


class Answering(nn.Module):
    """A model of transformers that takes tensors by place and answers with tensors alone."""

    def __init__(self, model: Any) -> None:
        """Take the model; its parts keep their names."""
        super().__init__()
        self.model = model
        self.names = INPUTS.get(model.main_input_name, (model.main_input_name,))

    def forward(self, *inputs: Tensor) -> Any:
        """Return the logits, or all tensors that are an answer, by name."""
        found = self.model(**dict(zip(self.names, inputs, strict=True)), return_dict=True)
        answers = {name: found[name] for name in ANSWERS if isinstance(found.get(name), Tensor)}
        if not answers:
            answers = {name: found[name] for name in STATES if isinstance(found.get(name), Tensor)}
        return next(iter(answers.values())) if len(answers) == 1 else answers


def class_of(config: dict[str, Any], folder: Path, transformers: Any) -> Any:
    """Return the class of transformers that a configuration names."""
    if "auto_map" in config:
        raise ArchiveError(
            f"{folder} is refused: its configuration asks to run Python code from its files (auto_map). Load such a model "
            "yourself in a Python factory, if you trust its writer."
        )
    names = config.get("architectures") or [None]
    name = names[0]
    kind = getattr(transformers, name, None) if isinstance(name, str) and not name.startswith("_") else None
    if not (isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)) or kind is transformers.PreTrainedModel:
        raise ArchiveError(
            f"{folder / CONFIG} names the architecture {name!r}, which transformers {transformers.__version__} does not have: "
            "update it, or build the model in a Python factory."
        )
    return kind


def check_weights(folder: Path, *, need: bool) -> None:
    """Raise ArchiveError unless a directory has weights in safetensors, all of them inside it."""
    index = folder / INDEX
    if need and not (folder / WEIGHTS).is_file() and not index.is_file():
        pickled = sorted(
            path.name for path in folder.iterdir() if path.suffix in {".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack"}
        )
        reason = f"only {pickled[0]}, which is pickled or of another library" if pickled else "no weights"
        raise ArchiveError(
            f"{folder} holds no {WEIGHTS} but {reason}: save it with model.save_pretrained(folder, safe_serialization=True)."
        )
    if index.is_file():
        shards = read_json(index, "index of weights").get("weight_map", {})
        for shard in sorted(set(shards.values())) if isinstance(shards, dict) else ():
            if Path(str(shard)).name != shard or not str(shard).endswith(".safetensors"):
                raise ArchiveError(f"{folder} is refused: its weights lie in {shard!r}, which is no safetensors file in it.")


def from_folder(kind: Any, folder: Path) -> Any:
    """Return a model with its weights; raises ArchiveError if some are missing or of another shape."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, info = kind.from_pretrained(
                str(folder),
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                dtype=torch.float32,
            )
    except Exception as error:  # noqa: BLE001 - a damaged directory fails in many ways
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ArchiveError(f"{folder} is damaged or does not fit its configuration: {first}") from None
    missing = sorted(info["missing_keys"])
    if missing:
        raise ArchiveError(
            f"{folder} lacks weights of {kind.__name__}: {missing[0]} and {len(missing) - 1} more. Name the class that was "
            "trained in its architectures."
        )
    return model


def fetched(spec: str) -> Path:
    """Return the folder in the cache that holds what a name on the hub stands for, fetched if it can be."""
    hub = require("huggingface_hub", "hf", WHAT)
    name = spec.removeprefix(PREFIX)
    try:
        return Path(hub.snapshot_download(name, allow_patterns=list(FETCHED)))
    except Exception as error:  # noqa: BLE001 - downloads fail in many ways
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ArgumentError(
            f"There is no folder {name!r}, and as a name on Hugging Face's hub it is neither in the cache nor can it be "
            f"fetched ({type(error).__name__}: {first}). Check the name, or connect once."
        ) from None


FOLDER = Form("DIRECTORY with config.json and safetensors", is_folder, load)
NAMED = Form("owner/name on Hugging Face's hub", is_name, load)
