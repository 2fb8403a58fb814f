"""A pass takes a network and returns a new one; it says what it removes and is held to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol

from transpike.calibration import Samples
from transpike.errors import ConversionError
from transpike.network import Network
from transpike.network.edit import pruned
from transpike.parts import Op


class Pass(Protocol):
    """One step of a conversion. `removes` lists the ops that its result no longer holds."""

    removes: ClassVar[tuple[type[Op], ...]]

    def __call__(self, network: Network, samples: Samples) -> Network:
        """Return the changed network; `samples` are the calibration samples, to be read as often as needed."""
        ...


def apply(passes: Iterable[Pass], network: Network, samples: Samples) -> Network:
    """Apply `passes` in order. Raises ConversionError if one leaves behind what it says it removes."""
    for change in passes:
        network = pruned(change(network, samples))
        left = network.having(*change.removes) if change.removes else []
        if left:
            raise ConversionError(
                f"{type(change).__name__} left {left[0].name!r} ({type(left[0].op).__name__}) in the network: "
                "this is a defect, please report it."
            )
    return network
