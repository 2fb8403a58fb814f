"""Models of timm by name: `timm:resnet18`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transpike.errors import ArgumentError, MissingExtraError
from transpike.frontends.base import Form, LoadedModel
from transpike.frontends.weights import fill, read_weights
from transpike.preparation import Preparation, Scaling

PREFIX = "timm:"


def load(spec: str, weights: str | None = None) -> LoadedModel:
    """Return a model of timm with its published weights, or with `weights`; images are prepared as timm says."""
    name = spec.removeprefix(PREFIX)
    try:
        import timm
    except Exception as error:  # noqa: BLE001 - torchvision, which timm needs, fails in its own ways
        raise MissingExtraError(
            f"{spec} needs the packages timm and torchvision, of which one does not import here ({first_line(error)}): "
            "pip install timm, with the torchvision that fits your PyTorch."
        ) from None
    if not timm.is_model(name):
        near = timm.list_models(f"*{name}*")[:5] or timm.list_models("resnet*")[:5]
        raise ArgumentError(f"timm has no model {name!r}. It has {', '.join(near)} and others: timm.list_models().")
    try:
        model = timm.create_model(name, pretrained=weights is None)
    except Exception as error:  # noqa: BLE001 - downloads fail in many ways
        raise ArgumentError(
            f"The weights of {name!r} are not in the cache and cannot be fetched: {first_line(error)}. Connect once, or give "
            "--weights."
        ) from None
    if weights is not None:
        fill(model, read_weights(Path(weights)), weights)
    return LoadedModel(model.eval(), "timm", preparation_of(timm.data.resolve_model_data_config(model)))


def preparation_of(config: dict[str, Any]) -> Preparation:
    """Return how timm prepares images for a model."""
    return Preparation(scaling=Scaling(tuple(config["mean"]), tuple(config["std"])), size=tuple(config["input_size"][1:]))


def first_line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


FORM = Form("timm:NAME", lambda spec: spec.startswith(PREFIX), load)
