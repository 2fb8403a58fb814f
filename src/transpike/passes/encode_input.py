"""Turn inputs into spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from transpike.calibration import Samples
from transpike.codings import RateCode
from transpike.network import Network, Node
from transpike.network.edit import follow
from transpike.parts import Op


@dataclass(frozen=True)
class EncodeInputs:
    """Let every input send spikes of `code` instead of a constant current, their height fitted to the samples."""

    code: RateCode
    removes: ClassVar[tuple[type[Op], ...]] = ()

    def __call__(self, network: Network, samples: Samples) -> Network:
        names = list(network.inputs)
        peaks = [0.0] * len(names)
        for batch in samples:
            peaks = [max(peak, float(x.abs().max())) for peak, x in zip(peaks, batch.inputs, strict=True)]
        for line, (name, peak) in enumerate(zip(names, peaks, strict=True)):
            op = network.inputs[name]
            amplitude = torch.tensor(peak or 1.0, dtype=getattr(torch, op.dtype), device=network.device)
            network = follow(network, name, Node(f"{name}.spikes", self.code.fitted(amplitude, line), (name,), ""))
        return network
