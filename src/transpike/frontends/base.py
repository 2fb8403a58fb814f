"""What every front end gives: a module in evaluation mode, the name of its form, and how its inputs were prepared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import nn

from transpike.preparation import Preparation


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to be captured; `form` names what it was read from, and `preparation` is what its files say of inputs."""

    module: nn.Module
    form: str
    preparation: Preparation = field(default_factory=Preparation)


@dataclass(frozen=True)
class Form:
    """A form that models come in: what its names look like, whether a name is one, and how it is loaded.

    `load(spec, weights)` returns the model that `spec` names, with the weight file `weights` loaded, if there is one.
    """

    pattern: str
    takes: Callable[[str], bool]
    load: Callable[[str, str | None], LoadedModel]
