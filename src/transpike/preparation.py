"""How the inputs of a model were prepared in training, as far as its user or its files say."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from transpike.errors import ArchiveError, ArgumentError
from transpike.files import read_bytes, read_json, write_bytes, write_text

FORMAT = 1
FILE, TEXT, AUDIO = "preparation.json", "tokenizer", "extractor"
EXTRACTOR_FILES = ("preprocessor_config.json", "config.json")
TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model"),
)


@dataclass(frozen=True)
class Scaling:
    """How images were normalised in training: (x - mean) / std per channel."""

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __call__(self, images: Tensor) -> Tensor:
        """Scale images [n, channels, height, width]."""
        for name, values, neutral in (("mean", self.mean, 0.0), ("std", self.std, 1.0)):
            if len(values) not in {0, 1, images.shape[1]}:
                raise ArgumentError(f"--{name} has {len(values)} values for {images.shape[1]} channels.")
            if name == "std" and any(value <= 0 for value in values):
                raise ArgumentError(f"--std must be positive, not {values}.")
            spread = torch.tensor(values or (neutral,)).reshape(-1, 1, 1)
            images = images - spread if name == "mean" else images / spread
        return images


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What turns raw samples into the inputs of a model: scaling and size of images, the tokenizer of texts, the rate of audio.

    `size` is height and width; `text` and `audio` are folders that hold a tokenizer and a feature extractor in the files of
    Hugging Face; `length` is the most tokens of a text; `labels` name the classes, in the order of the outputs.
    """

    scaling: Scaling = field(default_factory=Scaling)
    size: tuple[int, int] | None = None
    text: Path | None = None
    audio: Path | None = None
    length: int | None = None
    labels: tuple[str, ...] = ()

    @property
    def stated(self) -> bool:
        """Whether anything is known."""
        return self != Preparation()

    def save(self, folder: str | Path) -> None:
        """Write `preparation.json` into the folder of a network, and the files of tokenizer and extractor beside it.

        Nothing in it names a place outside of the folder. What an earlier conversion left there is removed.
        """
        place = Path(folder)
        for name in (TEXT, AUDIO):
            shutil.rmtree(place / name, ignore_errors=True)
        (place / FILE).unlink(missing_ok=True)
        if not self.stated:
            return
        for source, name, known in ((self.text, TEXT, TOKENIZER_FILES), (self.audio, AUDIO, EXTRACTOR_FILES)):
            for each in known if source is not None else ():
                if source is not None and (source / each).is_file():
                    write_bytes(place / name / each, read_bytes(source / each, "tokenizer or extractor"))
        values = {
            "format": FORMAT,
            "mean": self.scaling.mean,
            "std": self.scaling.std,
            "size": self.size,
            "text": TEXT if self.text else None,
            "audio": AUDIO if self.audio else None,
            "length": self.length,
            "labels": self.labels,
        }
        write_text(place / FILE, json.dumps(values, indent=1))

    @staticmethod
    def load(folder: str | Path) -> Preparation:
        """Read what `save` wrote into the folder of a network; nothing is known where nothing was written.

        Raises ArchiveError if the file is damaged or was written by a newer version.
        """
        place = Path(folder)
        if not (place / FILE).is_file():
            return Preparation()
        values = read_json(place / FILE, "preparation")
        if not isinstance(values.get("format"), int) or values["format"] > FORMAT:
            raise ArchiveError(f"{place / FILE} was written by a newer Transpike: update it with pip install -U transpike.")
        try:
            return Preparation(
                scaling=Scaling(tuple(map(float, values["mean"])), tuple(map(float, values["std"]))),
                size=None if values["size"] is None else (int(values["size"][0]), int(values["size"][1])),
                text=place / TEXT if values["text"] else None,
                audio=place / AUDIO if values["audio"] else None,
                length=None if values["length"] is None else int(values["length"]),
                labels=tuple(map(str, values["labels"])),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ArchiveError(f"{place / FILE} is damaged or was edited: {type(error).__name__} {error}.") from None
