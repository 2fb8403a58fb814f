"""What the files of a model directory say of its inputs: labels, scaling, size, tokenizer, sampling rate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from transpike.files import read_json
from transpike.preparation import Preparation, Scaling

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
PROCESSOR, TOKENIZER = "preprocessor_config.json", "tokenizer_config.json"
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model")
ENDLESS = 1_000_000  # tokenizers without a limit say a huge number


def preparation_of(folder: Path, config: dict[str, Any]) -> Preparation:
    """Return the preparation that the files of a directory state."""
    processor = read_json(folder / PROCESSOR, "preprocessor") if (folder / PROCESSOR).is_file() else {}
    hears = "sampling_rate" in processor
    reads = any((folder / name).is_file() for name in VOCABULARIES)
    return Preparation(
        scaling=Scaling() if hears else scaling_of(processor),
        size=None if hears else size_of(processor),
        text=folder if reads else None,
        audio=folder if hears else None,
        length=length_of(folder, config) if reads else None,
        labels=labels_of(config),
    )


def labels_of(config: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the classes in order; none where they are the numbers that transformers puts in."""
    names = config.get("id2label")
    if not isinstance(names, dict) or not all(str(key).isdecimal() for key in names):
        return ()
    ordered = tuple(str(names[key]) for key in sorted(names, key=int))
    return () if all(re.fullmatch(r"LABEL_\d+", name) for name in ordered) else ordered


def scaling_of(processor: dict[str, Any]) -> Scaling:
    """Return (x - mean) / std for pixels in 0 .. 1; a processor may have them multiplied by another factor first."""
    if not processor:
        return Scaling()
    factor = 255 * float(processor.get("rescale_factor", 1 / 255)) if processor.get("do_rescale", True) else 255.0
    normalises = processor.get("do_normalize", "image_mean" in processor) and processor.get("image_mean")
    mean, std = (processor["image_mean"], processor["image_std"]) if normalises else ([0.0], [1.0])
    mean, std = ([values] if isinstance(values, int | float) else values for values in (mean, std))
    if not normalises and abs(factor - 1) < 1e-6:  # noqa: PLR2004 - rounding of 255 / 255
        return Scaling()
    return Scaling(tuple(float(m) / factor for m in mean), tuple(float(s) / factor for s in std))


def size_of(processor: dict[str, Any]) -> tuple[int, int] | None:
    """Return the height and width of images: of the crop, if there is one."""
    crops, resizes = processor.get("do_center_crop"), processor.get("do_resize", "size" in processor)
    size = processor.get("crop_size") if crops and processor.get("crop_size") else processor.get("size") if resizes else None
    if isinstance(size, int):
        return size, size
    if not isinstance(size, dict):
        return None
    height = size.get("height", size.get("shortest_edge"))
    width = size.get("width", size.get("shortest_edge"))
    return (int(height), int(width)) if height and width else None


def length_of(folder: Path, config: dict[str, Any]) -> int | None:
    """Return the most tokens that a model takes, as its tokenizer or its configuration says."""
    stated = read_json(folder / TOKENIZER, "tokenizer").get("model_max_length") if (folder / TOKENIZER).is_file() else None
    limits = [stated, config.get("max_position_embeddings")]
    found = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < ENDLESS]
    return min(found, default=None)
