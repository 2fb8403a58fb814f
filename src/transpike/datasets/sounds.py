"""Sounds in files, as the samples of one channel or through the feature extractor of a model."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transpike.datasets.base import check_room
from transpike.datasets.images import first_line
from transpike.errors import DataError, require
from transpike.preparation import Preparation

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


def decoded(content: Path | bytes, name: str) -> tuple[np.ndarray, int]:
    """Return the samples of a sound [n], the mean of its channels, and their rate in Hz; raises DataError."""
    soundfile: Any = require("soundfile", "hf", "Sounds")
    try:
        with soundfile.SoundFile(io.BytesIO(content) if isinstance(content, bytes) else str(content)) as file:
            check_room(4 * file.frames * file.channels, name)
            return file.read(dtype="float32", always_2d=True).mean(1), int(file.samplerate)
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file fails in many ways
        raise DataError(f"{name} is no sound, or a damaged one: {first_line(error)}.") from None


def resampled(wave: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Return a sound at another rate."""
    from scipy.signal import resample_poly

    if rate == wanted:
        return wave
    shared = math.gcd(rate, wanted)
    return np.asarray(resample_poly(wave, wanted // shared, rate // shared), np.float32)


def fitted(wave: np.ndarray, length: int) -> np.ndarray:
    """Return a sound of `length` samples: cut at its end, or followed by silence."""
    return np.pad(wave[:length], (0, max(0, length - len(wave))))


@dataclass(frozen=True)
class Hearing:
    """Makes sounds into inputs of a model: `length` samples at `rate`, through its feature extractor if it has one.

    Without an extractor the input is [1, length], and with one what it gives of one sound.
    """

    length: int
    rate: int
    extractor: Any = None

    def __call__(self, content: Path | bytes, name: str) -> tuple[Tensor, ...]:
        """Return the inputs that are a sound."""
        wave = fitted(resampled(*decoded(content, name), self.rate), self.length)
        if self.extractor is None:
            return (torch.from_numpy(np.ascontiguousarray(wave))[None],)
        found = self.extractor(wave, sampling_rate=self.rate, return_tensors="pt")
        return (found[next(iter(found))][0],)


def hearing(first: tuple[Path | bytes, str], preparation: Preparation) -> Hearing:
    """Return what makes sounds into inputs: their length is that of the first, or what the model's preparation says."""
    wave, rate = decoded(*first)
    extractor = None if preparation.audio is None else load_extractor(preparation.audio)
    wanted = rate if extractor is None else int(extractor.sampling_rate)
    return Hearing(preparation.length or len(resampled(wave, rate, wanted)), wanted, extractor)


def load_extractor(folder: Path) -> Any:
    """Return the feature extractor in a folder; no code in it is run. Raises DataError."""
    transformers: Any = require("transformers", "hf", "The feature extractor of a model")
    try:
        extractor = transformers.AutoFeatureExtractor.from_pretrained(
            str(folder), trust_remote_code=False, local_files_only=True
        )
    except Exception as error:  # noqa: BLE001 - a damaged folder fails in many ways
        raise DataError(f"The feature extractor in {folder} cannot be read: {first_line(error)}.") from None
    if not hasattr(extractor, "sampling_rate"):
        raise DataError(f"The feature extractor in {folder} is for no sounds: it has no sampling rate.")
    return extractor


def sound_of(value: Mapping[str, Any]) -> bytes | None:
    """Return the bytes of a sound, or picture, that a table holds, if it does."""
    content = value.get("bytes")
    return content if isinstance(content, bytes) else None
