"""Texts, through the tokenizer of a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from transpike.datasets.images import first_line
from transpike.errors import DataError, require
from transpike.preparation import Preparation

SUFFIXES = (".txt",)
LONGEST = 512  # tokens, where neither the model nor its tokenizer says how many it takes
BYTES = 1 << 24  # of one text
INPUTS = ("input_ids", "attention_mask")
SEGMENTS = "token_type_ids"


@dataclass(frozen=True)
class Words:
    """Makes texts, or pairs of them, into tokens and a mask, each [length], cut or padded at the end."""

    tokenizer: Any
    length: int

    def __call__(self, *texts: str) -> tuple[Tensor, ...]:
        """Return the inputs that are a text, or a pair of texts."""
        found = self.tokenizer(*texts, padding="max_length", truncation=True, max_length=self.length, return_tensors="pt")
        return tuple(found[name][0] for name in INPUTS)


def words(preparation: Preparation, source: str) -> Words:
    """Return what makes texts into inputs of a model; raises DataError if it has no tokenizer."""
    if preparation.text is None:
        raise DataError(
            f"{source} holds texts, which need the tokenizer of the model: take a model folder of Hugging Face, which has one."
        )
    transformers: Any = require("transformers", "hf", "The tokenizer of a model")
    folder = str(preparation.text)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # noqa: BLE001 - a damaged folder fails in many ways
        raise DataError(f"The tokenizer in {folder} cannot be read: {first_line(error)}.") from None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Words(tokenizer, preparation.length or min(int(tokenizer.model_max_length), LONGEST))


def without_segments(tokens: Words, texts: int, source: str) -> tuple[str, ...]:
    """Say so where a tokenizer would tell the two texts of a pair apart, which inputs of tokens and a mask do not."""
    if texts < 2 or SEGMENTS not in tokens.tokenizer.model_input_names:  # noqa: PLR2004 - a pair
        return ()
    return (
        f"The model tells the two texts of {source} apart by segments ({SEGMENTS}), which are left out: accuracy may suffer.",
    )


def text_in(path: Path) -> str:
    """Return the text in a file; raises DataError if it is none."""
    if path.stat().st_size > BYTES:
        raise DataError(f"{path} is larger than {BYTES:,} bytes: it is no text to classify.")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no text in UTF-8: {first_line(error)}.") from None
