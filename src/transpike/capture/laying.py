"""Read a call on signals wherever the model has their batch, and say where its results have it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from transpike.capture.call import Call, exported_sizes, where, worded
from transpike.capture.layout import STRAIGHT, Laid, Layout, Signal, laid, parted
from transpike.capture.readers import ALIGNING, INDIFFERENT
from transpike.errors import CaptureError


def holds_signal(value: Any) -> bool:
    """Whether a value, or any of several, depends on an input."""
    return isinstance(value, Signal | Laid) or (isinstance(value, tuple | list) and any(map(holds_signal, value)))


def read_laid(call: Call, reader: Callable[[Call], Any]) -> Any:
    """Read a call on signals in one layout, if its operator does not mind which, and say in which its results are."""
    if call.operator in ALIGNING:
        return results(call, reader(call))
    found: set[Layout] = set()
    call.arguments = {name: straight(value, found) for name, value in call.arguments.items()}
    if len(found) > 1:
        raise call.refusal("its operands have the batch along different axes, so that samples would depend on each other")
    (call.layout,) = found or {STRAIGHT}
    if call.layout != STRAIGHT and call.operator not in INDIFFERENT:
        raise call.refusal(
            f"it acts on a value of which axis {call.layout.place} is the batch{' and more' * bool(call.layout.shared)}",
            "Bring the batch alone to axis 0 before it, such as by x.transpose(0, 1).",
        )
    return results(call, reader(call))


def straight(value: Any, found: set[Layout]) -> Any:
    """Return an argument with signals for values in any layout, which are added to `found`."""
    if isinstance(value, Signal | Laid):
        signal, layout = parted(value)
        found.add(layout)
        return signal
    return [straight(item, found) for item in value] if isinstance(value, list | tuple) and holds_signal(value) else value


def results(call: Call, value: Any) -> Any:
    """Return what a reader made with the layouts that the export found, and hold it to the shapes."""
    expected = call.node.meta.get("val")
    if isinstance(value, tuple) and isinstance(expected, tuple | list):
        return tuple(result(call, one, wanted) for one, wanted in zip(value, expected, strict=False))
    return result(call, value, expected)


def result(call: Call, value: Any, expected: Any) -> Any:
    """Return one result of a call in its layout."""
    if not isinstance(value, Signal) or not isinstance(expected, Tensor):
        return value
    sizes = exported_sizes(call.node, expected)
    layout = replace(call.layout, place=sizes.place)
    if (layout.factor, *value.shape) != (sizes.factor, *layout.shared, *sizes.others):
        raise CaptureError(
            f"Operator {call.operator!r} {where(call.node)} was read with shape {value.shape} instead of "
            f"{worded(expected, str(call.node.meta['batch']))}: please report this."
        )
    return laid(value, layout)
