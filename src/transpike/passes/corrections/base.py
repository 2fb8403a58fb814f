"""What a correction of a layer is."""

from __future__ import annotations

from typing import Protocol

from transpike.calibration.layer import Layer


class Correction(Protocol):
    """A change of one layer of neurons, given what reaches it in the spiking network and what its ANN counterpart sends."""

    def __call__(self, layer: Layer) -> Layer:
        """Return the corrected layer."""
        ...
