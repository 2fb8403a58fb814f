"""Readers of recurrent layers in programs that were exported elsewhere, which have one operator of PyTorch's for each."""

from __future__ import annotations

from typing import Any

from transpike.capture.call import Call
from transpike.capture.readers.recurrence import layers


def traced_layers(call: Call) -> tuple[Any, ...]:
    """Read a recurrent layer as programs that were exported elsewhere have it: one operator of PyTorch's own."""
    given = call.arguments
    if "batch_sizes" in given:
        raise call.refusal("it reads packed sequences", "Export the model with padded ones.")
    states = given["hx"] if isinstance(given["hx"], list | tuple) else [given["hx"]]
    call.arguments = {
        "data": given["input"],
        "lengths": None,
        "states": list(states),
        "weights": given["params"],
        "kind": call.operator,
        **{name: given[name] for name in ("has_biases", "num_layers", "bidirectional", "batch_first")},
    }
    return layers(call)
