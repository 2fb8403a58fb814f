"""Images as arrays and in files, made into what a model takes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from transpike.errors import DataError, require
from transpike.preparation import Preparation, Scaling

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # none of them runs another program to decode
PIXELS = 1 << 26  # of one picture; more is a bomb, or needs to be made smaller first
LOOKED_AT = 32  # files that tell whether pictures have colours
IMAGES = 4  # axes of [batch, channels, height, width]
GREY, COLOUR = "L", "RGB"


def as_floats(values: np.ndarray) -> Tensor:
    """Return arrays of samples as tensors: uint8 images [n, height, width(, channels)] in 0 .. 1, channels first.

    Images that are channels-first already stay so; half precision becomes single; other values stay as they are.
    """
    tensor = torch.from_numpy(np.array(values, order="C"))  # a copy: mapped arrays may not be written to
    if tensor.dtype == torch.float16:
        return tensor.float()
    if tensor.dtype != torch.uint8:
        return tensor
    scaled = tensor.float() / 255
    if scaled.ndim == IMAGES - 1:
        return scaled[:, None]
    first = scaled.ndim == IMAGES and scaled.shape[3] > IMAGES >= scaled.shape[1]
    return scaled.permute(0, 3, 1, 2).contiguous() if scaled.ndim == IMAGES and not first else scaled


def prepared(x: Tensor, preparation: Preparation) -> Tensor:
    """Return samples [batch, ...] in the size and scaling of a model; what is no image keeps its shape."""
    size = preparation.size
    if size is not None and x.ndim == IMAGES and x.is_floating_point() and tuple(x.shape[2:]) != size:
        x = F.interpolate(x, size, mode="bilinear", antialias=True)
    return scaled(x, preparation.scaling)


def scaled(x: Tensor, scaling: Scaling) -> Tensor:
    """Return samples [batch, ...] scaled: images per channel, others by one number."""
    if not (scaling.mean or scaling.std):
        return x
    if x.ndim == IMAGES:
        return scaling(x)
    if len(scaling.mean) > 1 or len(scaling.std) > 1:
        raise DataError(
            f"Mean and std per channel are for images [batch, channels, height, width], not samples {tuple(x.shape[1:])}: "
            "give one number."
        )
    return scaling(x.reshape(len(x), 1, 1, -1)).reshape(x.shape)


def opened(content: Path | bytes, name: str) -> Any:
    """Open a picture without decoding it; raises DataError for what is none, or too large to be meant."""
    pil = require("PIL.Image", "images", "Pictures")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pil.DecompressionBombWarning)  # the limit below is lower
        try:
            picture = pil.open(io.BytesIO(content) if isinstance(content, bytes) else content, formats=FORMATS)
        except pil.DecompressionBombError:
            raise DataError(f"{name} has more than {PIXELS:,} pixels: make it smaller.") from None
        except Exception as error:  # noqa: BLE001 - a damaged file fails in many ways
            raise DataError(f"{name} is no picture, or a damaged one: {first_line(error)}.") from None
    if picture.width * picture.height > PIXELS:
        raise DataError(f"{name} claims {picture.width:,} x {picture.height:,} pixels, more than {PIXELS:,}: make it smaller.")
    return picture


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, without the stop at its end."""
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(". ")


def is_grey(picture: Any) -> bool:
    """Whether a picture that was opened has no colours."""
    return picture.mode in {"1", "L", "LA"} or picture.mode.startswith(("I", "F"))


def mode_of(contents: Sequence[tuple[Path | bytes, str]], preparation: Preparation) -> str:
    """Return the mode of a whole data set: what the scaling of the model has, else colour if some of the pictures have."""
    channels = max(len(preparation.scaling.mean), len(preparation.scaling.std))
    if channels > 1:
        return COLOUR
    some = contents[:: max(1, len(contents) // LOOKED_AT)]
    return GREY if all(is_grey(opened(*content)) for content in some) else COLOUR


def picture(content: Path | bytes, name: str, mode: str, preparation: Preparation) -> Tensor:
    """Return a picture [channels, height, width] in 0 .. 1, sized and scaled for a model; raises DataError."""
    image = opened(content, name)
    if mode == GREY and not is_grey(image):
        raise DataError(f"{name} has colours, but the pictures before it have none: save all in grey, or all in colour.")
    deep = image.mode.startswith("I")
    try:
        image = image if deep else image.convert(mode)
        if preparation.size is not None:
            pil = require("PIL.Image", "images", "Pictures")
            image = image.resize(preparation.size[::-1], pil.Resampling.BILINEAR)
        values = np.asarray(image, np.float32) / (65535 if deep else 255)
    except Exception as error:  # noqa: BLE001 - a damaged file fails in many ways
        raise DataError(f"{name} is damaged: {first_line(error)}.") from None
    tensor = torch.from_numpy(values.copy())
    tensor = tensor[None] if tensor.ndim == 2 else tensor.permute(2, 0, 1).contiguous()  # noqa: PLR2004 - [height, width]
    tensor = tensor.expand(3, -1, -1) if mode == COLOUR and len(tensor) == 1 else tensor
    return scaled(tensor[None], preparation.scaling)[0]
